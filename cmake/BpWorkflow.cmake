# SPDX-License-Identifier: Apache-2.0
# Kernels and the workflows around them.
include(${CMAKE_CURRENT_LIST_DIR}/BpPlugin.cmake)
option(BP_NVCC "compile kernels to PTX with nvcc instead of clang" OFF)
find_program(BP_CLANG NAMES clang clang-14 clang-15 clang-16 DOC "clang that compiles kernels to PTX")
find_program(BP_NVCC_PROGRAM nvcc HINTS /usr/local/cuda/bin)
find_program(BP_PTXAS ptxas HINTS /usr/local/cuda/bin)

# The command that makes ${ptx} from ${source}: sm_75 is the oldest GPU we serve, newer ones compile its PTX themselves.
function(bp_ptx_command out source ptx)
  get_property(include GLOBAL PROPERTY BP_INCLUDE_DIR)
  if(BP_NVCC)
    if(NOT BP_NVCC_PROGRAM)
      message(FATAL_ERROR "BP_NVCC is on but there is no nvcc; install a CUDA toolkit or configure with -DBP_NVCC=OFF")
    endif()
    set(${out} ${BP_NVCC_PROGRAM} -ptx -arch=compute_75 -std=c++17 -O3 -fmad=false -I${include}
        -x cu ${source} -o ${ptx} PARENT_SCOPE)
  else()
    if(NOT BP_CLANG)
      message(FATAL_ERROR "kernels need clang: apt-get install clang (or configure with -DBP_NVCC=ON)")
    endif()
    set(${out} ${BP_CLANG} -x cuda --cuda-device-only --cuda-gpu-arch=sm_75 -nocudainc -nocudalib -nostdlibinc
        -Wno-unknown-cuda-version -std=c++17 -O3 -ffp-contract=off -Wall -I${include}
        -S ${source} -o ${ptx} PARENT_SCOPE)
  endif()
endfunction()

# Sets in the caller twin_levels, the levels of struct bp_kernel_image this compiler can make (0 always, x86-64-v3 and v4
# beside it), and twin_flags_LEVEL: the same in every preset, as they must be fast and give the same bits at every level.
function(bp_twin_levels)
  set(flags -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math -fno-signed-zeros -fno-stack-protector
      -ffinite-math-only -Wno-psabi)
  set(levels 0)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64|AMD64")
    set(levels 0 1 2)
  endif()
  set(twin_levels ${levels} PARENT_SCOPE)
  set(twin_flags_0 ${flags} PARENT_SCOPE)
  set(twin_flags_1 ${flags} -march=x86-64-v3 PARENT_SCOPE)
  set(twin_flags_2 ${flags} -march=x86-64-v4 -mprefer-vector-width=512 PARENT_SCOPE)
endfunction()

# bp_add_kernel(name k.cu): object library kernel-<name> with the PTX and the CPU twins of k.cu, and the header
# <name>.kernel.h ('-' becomes '_') that declares `extern const struct bp_kernel_image <name>_kernels`.
function(bp_add_kernel name kernel)
  get_filename_component(source ${kernel} ABSOLUTE)
  string(MAKE_C_IDENTIFIER ${name} id)
  set(dir ${CMAKE_CURRENT_BINARY_DIR}/${name}.kernel)
  file(MAKE_DIRECTORY ${dir})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})

  bp_twin_levels()
  get_property(include GLOBAL PROPERTY BP_INCLUDE_DIR)
  set(ptx ${dir}/${id}.ptx)
  bp_ptx_command(command ${source} ${ptx})
  file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.h)
  add_custom_command(OUTPUT ${ptx} COMMAND ${command} DEPENDS ${source} ${headers} ${include}/bp/kernel.h
                     COMMENT "Compiling ${name} to PTX" VERBATIM)
  bp_kernel_files(${id} ${source} ${dir} ${ptx})

  set(sources ${dir}/${id}.kernel.c ${dir}/${id}.ptx.c)
  foreach(level ${twin_levels})
    list(APPEND sources ${dir}/${id}.twin${level}.c)
    set_source_files_properties(${dir}/${id}.twin${level}.c PROPERTIES
                                COMPILE_OPTIONS "${twin_flags_${level}}" OBJECT_DEPENDS ${source})
  endforeach()
  set_source_files_properties(${dir}/${id}.ptx.c PROPERTIES OBJECT_DEPENDS ${ptx})
  add_library(kernel-${name} STATIC ${sources})
  target_include_directories(kernel-${name} PUBLIC ${dir})
  target_link_libraries(kernel-${name} PUBLIC bp_headers)
  set_target_properties(kernel-${name} PROPERTIES BP_PTX ${ptx} POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
endfunction()

# Writes the generated sources; their content depends on the names of the kernels in the .cu alone.
function(bp_kernel_files id source dir ptx)
  file(STRINGS ${source} lines REGEX "^BP_KERNEL_(PIXEL|TILE)\\(")
  set(declarations "")
  set(rows "")
  set(count 0)
  foreach(line ${lines})
    string(REGEX REPLACE "^BP_KERNEL_[A-Z]+\\(([A-Za-z0-9_]+),.*" "\\1" kernel "${line}")
    foreach(level ${twin_levels})
      string(APPEND declarations "extern const struct bp_kernel_twin bp_twin_${kernel}_${level};\n")
      string(APPEND rows "    [${count} * BP_CPU_LEVELS + ${level}] = &bp_twin_${kernel}_${level},\n")
    endforeach()
    math(EXPR count "${count} + 1")
  endforeach()
  if(count EQUAL 0)
    message(FATAL_ERROR "${source} has no line that starts with BP_KERNEL_PIXEL( or BP_KERNEL_TILE(")
  endif()
  set(note "/* Generated from ${id}'s kernel by bp_add_kernel(). */\n")
  bp_write_if_new(${dir}/${id}.kernel.h "${note}#ifndef BP_KERNEL_${id}_H\n#define BP_KERNEL_${id}_H\n\n#include <bp/device.h>\n\nextern const struct bp_kernel_image ${id}_kernels;\n\n#endif\n")
  bp_write_if_new(${dir}/${id}.kernel.c "${note}#include \"${id}.kernel.h\"\n\n${declarations}extern const char bp_ptx_${id}[];\n\nstatic const struct bp_kernel_twin *const twins[${count} * BP_CPU_LEVELS] = {\n${rows}};\n\nconst struct bp_kernel_image ${id}_kernels = {\n    sizeof(struct bp_kernel_image), ${count}, \"${id}\", bp_ptx_${id}, twins};\n")
  bp_write_if_new(${dir}/${id}.ptx.c "${note}__asm__(\".section .rodata\\n.globl bp_ptx_${id}\\n.hidden bp_ptx_${id}\\nbp_ptx_${id}:\\n.incbin \\\"${ptx}\\\"\\n.byte 0\\n.text\\n\");\n")
  foreach(level ${twin_levels})
    bp_write_if_new(${dir}/${id}.twin${level}.c "${note}#define BP_CPU_LEVEL ${level}\n#include \"${source}\"\n")
  endforeach()
endfunction()

# bp_add_workflow(name [KERNEL k.cu] MANIFEST m.json SOURCES a.c ... [LIBS targets] [bp_add_plugin's options])
# A workflow plugin with its kernel, if it has one. Its sources are also the object library workflow-<name>, for tests that look inside.
function(bp_add_workflow name)
  cmake_parse_arguments(W "" "KERNEL;MANIFEST" "SOURCES;LIBS" ${ARGN})
  if(NOT W_MANIFEST OR NOT W_SOURCES)
    message(FATAL_ERROR "bp_add_workflow(${name}): it needs MANIFEST m.json and SOURCES a.c ...")
  endif()
  if(W_KERNEL)
    bp_add_kernel(${name} ${W_KERNEL})
    list(PREPEND W_LIBS kernel-${name})
  endif()
  bp_check_libs(${name} ${W_LIBS})
  add_library(workflow-${name} OBJECT ${W_SOURCES})
  set_target_properties(workflow-${name} PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
  target_include_directories(workflow-${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(workflow-${name} PUBLIC ${W_LIBS} bp_workflow_sdk)
  bp_add_plugin(${name} MANIFEST ${W_MANIFEST} SOURCES $<TARGET_OBJECTS:workflow-${name}>
                LIBS ${W_LIBS} bp_workflow_sdk ${W_UNPARSED_ARGUMENTS})
  target_link_options(plugin-${name} PRIVATE -Wl,--as-needed)
endfunction()
