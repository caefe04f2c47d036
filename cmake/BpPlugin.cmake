# SPDX-License-Identifier: Apache-2.0
# bp_add_plugin(NAME MANIFEST m.json SOURCES a.c ... [LIBS targets] [OUTPUT_DIR dir] [NO_INSTALL])
# A plugin: one shared object that exports bp_plugin_v1 alone and carries its manifest in .bp.manifest.
set(BP_CMAKE_DIR ${CMAKE_CURRENT_LIST_DIR})

function(bp_add_plugin name)
  cmake_parse_arguments(P "NO_INSTALL" "MANIFEST;OUTPUT_DIR" "SOURCES;LIBS" ${ARGN})
  get_filename_component(manifest ${P_MANIFEST} ABSOLUTE)
  set(stub ${CMAKE_CURRENT_BINARY_DIR}/${name}.manifest.S)
  file(WRITE ${stub}.tmp ".section .bp.manifest,\"a\",@progbits\n.incbin \"${manifest}\"\n.section .note.GNU-stack,\"\",@progbits\n")
  file(COPY_FILE ${stub}.tmp ${stub} ONLY_IF_DIFFERENT)
  set_source_files_properties(${stub} PROPERTIES OBJECT_DEPENDS ${manifest} LANGUAGE ASM)
  add_library(plugin-${name} MODULE ${P_SOURCES} ${stub})
  if(NOT P_OUTPUT_DIR)
    set(P_OUTPUT_DIR ${BP_PLUGIN_OUTPUT_DIR})
  endif()
  set_target_properties(plugin-${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name}
                        LIBRARY_OUTPUT_DIRECTORY ${P_OUTPUT_DIR})
  target_link_options(plugin-${name} PRIVATE
                      -Wl,--version-script=${BP_CMAKE_DIR}/plugin.map -Wl,--exclude-libs,ALL)
  if(NOT BP_SANITIZE)
    target_link_options(plugin-${name} PRIVATE -Wl,-z,defs)
  endif()
  target_link_libraries(plugin-${name} PRIVATE ${P_LIBS})
  if(NOT P_NO_INSTALL)
    install(TARGETS plugin-${name} LIBRARY DESTINATION ${BP_PLUGIN_INSTALL_DIR})
  endif()
endfunction()
