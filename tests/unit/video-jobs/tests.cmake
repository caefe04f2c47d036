# SPDX-License-Identifier: Apache-2.0
# bp_add_video_job_tests(WORKFLOW FACTOR): the plugin as a runner has it, and that it allocates no frame per frame, as of image-to-video.
# FACTOR: how much larger its videos are by default.
function(bp_add_video_job_tests workflow factor)
  string(MAKE_C_IDENTIFIER ${workflow} id)
  set(shared ${CMAKE_SOURCE_DIR}/tests/unit/video-jobs)
  set(so PLUGIN_SO="${BP_PLUGIN_OUTPUT_DIR}/${workflow}.so" FACTOR=${factor})
  bp_add_unit_test(${id}_job SOURCES test_job.c ${shared}/video_jobs.c ${shared}/engines.c
                   LIBS image_to_video_driver test_pictures kernel-${workflow})
  add_dependencies(test_${id}_job plugin-${workflow} fakecuda)
  target_compile_definitions(test_${id}_job PRIVATE ${so})
  target_include_directories(test_${id}_job PRIVATE ${shared})
  set_target_properties(test_${id}_job PROPERTIES ENABLE_EXPORTS ON) # its codecs are the plugin's
  set_property(TEST unit.${id}_job APPEND PROPERTY ENVIRONMENT "LD_LIBRARY_PATH=${CMAKE_BINARY_DIR}/tests/fakecuda")
  if(NOT BP_SANITIZE)
    bp_add_unit_test(${id}_memory SOURCES ../image-to-video/test_memory.c LIBS image_to_video_driver test_pictures)
    add_dependencies(test_${id}_memory plugin-${workflow})
    target_compile_definitions(test_${id}_memory PRIVATE ${so})
    set_target_properties(test_${id}_memory PROPERTIES ENABLE_EXPORTS ON)
  endif()
endfunction()
