# SPDX-License-Identifier: Apache-2.0
# bp_add_plugin_test(NAME SOURCES test.c ... [PLUGIN name] [LIBS targets])
# A cmocka program about a plugin, by default the one that is also called NAME: target and test test-NAME. It is linked
# with bp_plugin_test (bp/test.h), knows the plugin's file as BP_TEST_PLUGIN and runs in a directory of its own.
# None is made with BUILD_TESTING=OFF (in bpd's own build: BP_TESTS=OFF).
function(bp_add_plugin_test name)
  cmake_parse_arguments(T "" "PLUGIN" "SOURCES;LIBS" ${ARGN})
  if((DEFINED BUILD_TESTING AND NOT BUILD_TESTING) OR (DEFINED BP_TESTS AND NOT BP_TESTS))
    return()
  endif()
  if(NOT T_PLUGIN)
    set(T_PLUGIN ${name})
  endif()
  pkg_check_modules(BP_CMOCKA QUIET IMPORTED_TARGET cmocka)
  if(NOT BP_CMOCKA_FOUND)
    message(FATAL_ERROR "the test of ${name} needs cmocka: apt-get install libcmocka-dev, or configure with -DBUILD_TESTING=OFF")
  endif()
  add_executable(test-${name} ${T_SOURCES})
  target_compile_definitions(test-${name} PRIVATE BP_TEST_PLUGIN="$<TARGET_FILE:plugin-${T_PLUGIN}>")
  target_link_libraries(test-${name} PRIVATE bp_plugin_test ${T_LIBS} PkgConfig::BP_CMOCKA)
  add_dependencies(test-${name} plugin-${T_PLUGIN})
  set(dir ${CMAKE_CURRENT_BINARY_DIR}/test-${name}.dir)
  file(MAKE_DIRECTORY ${dir})
  add_test(NAME test-${name} COMMAND test-${name} WORKING_DIRECTORY ${dir})
  set_tests_properties(test-${name} PROPERTIES TIMEOUT 300 LABELS plugin ENVIRONMENT CMOCKA_MESSAGE_OUTPUT=STDOUT)
endfunction()

# bp_add_queue_test(NAME GROUPS group ... [PARTIAL] [WITHOUT case ...] [SETTINGS json]): the named groups of the conformance
# suite of bp/queue.h, each a test NAME.GROUP of the queue plugin NAME. PARTIAL: cases that need what the plugin answers with
# BP_UNSUPPORTED do not count. The installed libexec/bpd/queue_conformance --list prints the groups and their cases; '*' in
# a case's name stands for anything.
function(bp_add_queue_test name)
  cmake_parse_arguments(T "PARTIAL" "SETTINGS" "GROUPS;WITHOUT" ${ARGN})
  list(TRANSFORM T_WITHOUT PREPEND -)
  if((DEFINED BUILD_TESTING AND NOT BUILD_TESTING) OR (DEFINED BP_TESTS AND NOT BP_TESTS))
    return()
  endif()
  if(NOT T_SETTINGS)
    set(T_SETTINGS "{}")
  endif()
  set(partial)
  if(T_PARTIAL)
    set(partial --partial)
  endif()
  foreach(group ${T_GROUPS})
    add_test(NAME ${name}.${group} COMMAND bpd::queue_conformance ${partial} $<TARGET_FILE:plugin-${name}> ${T_SETTINGS} ${group} ${T_WITHOUT})
    set_tests_properties(${name}.${group} PROPERTIES TIMEOUT 300 LABELS plugin)
  endforeach()
endfunction()
