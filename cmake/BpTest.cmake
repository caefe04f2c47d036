# SPDX-License-Identifier: Apache-2.0
# Seconds until a test is given up.
set(BP_TEST_TIMEOUT_S 300)
if(BP_SANITIZE)
  set(BP_TEST_TIMEOUT_S 900)
endif()

# bp_add_unit_test(name SOURCES ... [LIBS ...]): one cmocka program, one process, its own temp dir, run in parallel by ctest.
function(bp_add_unit_test name)
  cmake_parse_arguments(T "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(test_${name} ${T_SOURCES})
  set_target_properties(test_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit)
  target_link_libraries(test_${name} PRIVATE ${T_LIBS} PkgConfig::CMOCKA)
  add_test(NAME unit.${name} COMMAND ${CMAKE_SOURCE_DIR}/tests/in_temp_dir $<TARGET_FILE:test_${name}>)
  set_tests_properties(unit.${name} PROPERTIES TIMEOUT ${BP_TEST_TIMEOUT_S} LABELS unit
    ENVIRONMENT "BP_BUILD_DIR=${CMAKE_BINARY_DIR};BP_SOURCE_DIR=${CMAKE_SOURCE_DIR};ASAN_OPTIONS=intercept_tls_get_addr=0;TSAN_OPTIONS=halt_on_error=1:intercept_tls_get_addr=0:second_deadlock_stack=1:suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.supp;LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/lsan.supp:print_suppressions=0;UBSAN_OPTIONS=print_stacktrace=1;CMOCKA_MESSAGE_OUTPUT=STDOUT")
endfunction()

# bp_add_fuzzer(name SOURCES ... [LIBS ...]): a libFuzzer target under the fuzz preset; elsewhere the same source is linked
# with tests/fuzz/replay.c and run over its corpus tests/fuzz/corpus/<name>/ as a test.
function(bp_add_fuzzer name)
  cmake_parse_arguments(T "" "" "SOURCES;LIBS" ${ARGN})
  if(BP_FUZZ)
    add_executable(fuzz_${name} ${T_SOURCES})
    target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer,address,undefined)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer,address,undefined)
  else()
    add_executable(fuzz_${name} ${T_SOURCES} ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.c)
    add_test(NAME fuzz.${name} COMMAND ${CMAKE_SOURCE_DIR}/tests/in_temp_dir $<TARGET_FILE:fuzz_${name}> ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
    set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT ${BP_TEST_TIMEOUT_S} LABELS fuzz)
  endif()
  set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  target_link_libraries(fuzz_${name} PRIVATE ${T_LIBS})
endfunction()
