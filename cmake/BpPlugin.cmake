# SPDX-License-Identifier: Apache-2.0
# bp_add_plugin(NAME MANIFEST m.json SOURCES a.c ... [LIBS targets] [OUTPUT_DIR dir] [NO_INSTALL])
# A plugin: one shared object that exports bp_plugin_v1 alone and carries its manifest in .bp.manifest. Target plugin-NAME.
#
# Of bpd's own build and of the installed package (find_package(bpd)) alike. Both set the global properties BP_INCLUDE_DIR,
# the folder of bp/plugin.h, and BP_PLUGIN_DIR, where plugins are installed; the variables BP_PLUGIN_OUTPUT_DIR (else the
# top of the build) and BP_PLUGIN_INSTALL_DIR go before.

function(bp_add_plugin name)
  cmake_parse_arguments(P "NO_INSTALL" "MANIFEST;OUTPUT_DIR" "SOURCES;LIBS" ${ARGN})
  if(NOT P_MANIFEST OR NOT P_SOURCES)
    message(FATAL_ERROR "bp_add_plugin(${name}): it needs MANIFEST m.json and SOURCES a.c ...")
  endif()
  get_filename_component(manifest ${P_MANIFEST} ABSOLUTE)
  set(stub ${CMAKE_CURRENT_BINARY_DIR}/${name}.manifest.c)
  bp_write_if_new(${stub} "__asm__(\".section .bp.manifest,\\\"a\\\",@progbits\\n.incbin \\\"${manifest}\\\"\\n.text\\n\");\n")
  set_source_files_properties(${stub} PROPERTIES OBJECT_DEPENDS ${manifest})
  add_library(plugin-${name} MODULE ${P_SOURCES} ${stub})
  if(NOT P_OUTPUT_DIR)
    set(P_OUTPUT_DIR ${BP_PLUGIN_OUTPUT_DIR})
  endif()
  if(NOT P_OUTPUT_DIR)
    set(P_OUTPUT_DIR ${CMAKE_BINARY_DIR})
  endif()
  set_target_properties(plugin-${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name} C_VISIBILITY_PRESET hidden
                        LIBRARY_OUTPUT_DIRECTORY ${P_OUTPUT_DIR})
  target_link_options(plugin-${name} PRIVATE
                      -Wl,--version-script=${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.map -Wl,--exclude-libs,ALL)
  # A sanitizer's own symbols come with the program.
  if(NOT BP_SANITIZE AND NOT BP_FUZZ AND NOT CMAKE_C_FLAGS MATCHES "-fsanitize=")
    target_link_options(plugin-${name} PRIVATE -Wl,-z,defs)
  endif()
  bp_check_libs(${name} ${P_LIBS})
  target_link_libraries(plugin-${name} PRIVATE bp_headers ${P_LIBS})
  if(NOT P_NO_INSTALL)
    set(to ${BP_PLUGIN_INSTALL_DIR})
    if(NOT to)
      get_property(to GLOBAL PROPERTY BP_PLUGIN_DIR)
    endif()
    install(TARGETS plugin-${name} LIBRARY DESTINATION ${to})
  endif()
endfunction()

# A library of the kit that could not be offered here is told by its name, not by the linker.
function(bp_check_libs name)
  get_property(missing GLOBAL PROPERTY BP_NO_MEDIA)
  if(missing AND ("bp_media" IN_LIST ARGN OR "bpd::media" IN_LIST ARGN))
    message(FATAL_ERROR "${name} uses bp_media, but ${missing}")
  endif()
endfunction()

# Leaves a file alone that has this text already, so that nothing is built anew for it.
function(bp_write_if_new path text)
  file(WRITE ${path}.new "${text}")
  file(COPY_FILE ${path}.new ${path} ONLY_IF_DIFFERENT)
endfunction()
