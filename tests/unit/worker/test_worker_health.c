/* SPDX-License-Identifier: Apache-2.0 */
/* A worker whose GPU breaks and is sound again. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GPU "worker.device=cuda"

/* How the GPU is from now on. */
static void gpu_is(const char *words)
{
    FILE *f = fopen("gpu.new", "we");
    assert_non_null(f);
    fputs(words, f);
    fclose(f);
    assert_int_equal(rename("gpu.new", "gpu.txt"), 0);
}

static int setup(void **state)
{
    char path[4096], cwd[4000];
    (void)state;
    snprintf(path, sizeof(path), "%s/gpu.txt", getcwd(cwd, sizeof(cwd)));
    setenv("NVIDIA_FAKE", path, 1);
    gpu_is("");
    return 0;
}

static struct json_object *last_health(struct rig *r)
{
    struct json_object *poll = fake_last(r->fake, "poll");
    struct json_object *capabilities = poll ? json_member(poll, "capabilities") : NULL;
    return capabilities ? json_member(capabilities, "health") : NULL;
}

static int told_broken(struct rig *r)
{
    struct json_object *health = last_health(r);
    return health && !json_truth(health, "ok", 1);
}

static int told_sound(struct rig *r)
{
    struct json_object *health = last_health(r);
    return health && json_truth(health, "ok", 0);
}

static void a_sound_gpu_is_told_once_and_takes_jobs(void **state)
{
    struct rig *r = rig_new((const char *const[]){GPU, NULL});
    (void)state;
    fake_add_job(r->fake, 7, "{}", 1);
    worker_start(r->worker);
    rig_until(r, rig_completed);
    rig_until(r, rig_polls);
    int told = 0;
    for (int i = 0; i < r->fake->n_calls; i++)
        told += !strcmp(r->fake->calls[i].name, "poll") && json_member(r->fake->calls[i].body, "capabilities") != NULL;
    assert_int_equal(told, 1);
    rig_free(r);
}

static void a_broken_gpu_asks_for_no_job_until_it_is_sound(void **state)
{
    struct rig *r = rig_new((const char *const[]){GPU, "worker.healthSeconds=0.2", NULL});
    (void)state;
    gpu_is("xid=79");
    worker_start(r->worker);
    rig_until(r, told_broken);
    assert_string_equal(json_str(last_health(r), "text", ""), "Xid 79: it fell off the bus");
    assert_int_equal(json_int(fake_last(r->fake, "poll"), "wait_seconds", -1), 0);
    gpu_is("");
    rig_until(r, rig_polls); /* waits again, as only a sound one does */
    fake_add_job(r->fake, 7, "{}", 1);
    fake_wake(r->fake);
    rig_until(r, rig_completed);
    assert_true(told_sound(r)); /* by the poll that got the job */
    rig_free(r);
}

static void a_waiting_poll_of_a_gpu_that_breaks_is_given_up(void **state)
{
    struct rig *r = rig_new((const char *const[]){GPU, "worker.healthSeconds=0.2", NULL});
    (void)state;
    worker_start(r->worker);
    rig_until(r, rig_polls);
    gpu_is("ecc=2");
    rig_until(r, told_broken);
    assert_non_null(strstr(json_str(last_health(r), "text", ""), "2 uncorrectable errors"));
    rig_free(r);
}

/* Long before the next check is due. */
static void a_failed_job_of_a_gpu_that_broke_ends_the_polls(void **state)
{
    struct rig *r = rig_new((const char *const[]){GPU, "worker.healthSeconds=3600", NULL});
    (void)state;
    worker_start(r->worker);
    rig_until(r, rig_polls);
    gpu_is("nospare");
    int polls = fake_tried(r->fake, "poll");
    fake_add_job(r->fake, 7, "{\"misbehave\":\"fail\"}", 1);
    fake_wake(r->fake);
    rig_until(r, rig_failed);
    rig_until(r, told_broken);
    assert_int_equal(fake_tried(r->fake, "poll"), polls + 1); /* none in between that did not know */
    rig_free(r);
}

static void a_check_that_crashes_is_a_fault(void **state)
{
    struct rig *r = rig_new((const char *const[]){GPU, NULL});
    (void)state;
    gpu_is("crash");
    worker_start(r->worker);
    rig_until(r, told_broken);
    assert_non_null(strstr(json_str(last_health(r), "text", ""), "a check of the device crashed: signal 6"));
    rig_free(r);
}

/* It says it is done; but what it computed is void, and the next job must not meet its context. */
static void a_broken_context_costs_its_job_and_the_next_gets_a_fresh_runner(void **state)
{
    struct rig *r = rig_new((const char *const[]){GPU, "worker.healthSeconds=3600", NULL});
    (void)state;
    fake_add_job(r->fake, 7, "{\"misbehave\":\"break_gpu\"}", 1);
    fake_add_job(r->fake, 8, "{\"report\":true}", 1);
    worker_start(r->worker);
    rig_until(r, rig_completed);
    struct json_object *f = fake_last(r->fake, "fail");
    assert_int_equal(json_int(f, "dispatch_id", 0), 7);
    assert_true(json_truth(f, "retryable", 0));
    assert_true(json_truth(f, "fault", 0));
    assert_non_null(strstr(json_str(f, "error_message", ""), "CUDA_ERROR_ILLEGAL_ADDRESS"));
    assert_int_equal(json_int(fake_last(r->fake, "complete"), "dispatch_id", 0), 8);
    assert_int_equal(fake_tried(r->fake, "fail"), 1);
    assert_int_equal(rig_faults(), 1);
    rig_free(r);
}

static void without_a_period_nothing_is_checked(void **state)
{
    struct rig *r = rig_new((const char *const[]){GPU, "worker.healthSeconds=0", NULL});
    (void)state;
    gpu_is("xid=79");
    fake_add_job(r->fake, 7, "{}", 1);
    worker_start(r->worker);
    rig_until(r, rig_completed);
    assert_null(last_health(r));
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_sound_gpu_is_told_once_and_takes_jobs, setup),
        cmocka_unit_test_setup(a_broken_gpu_asks_for_no_job_until_it_is_sound, setup),
        cmocka_unit_test_setup(a_waiting_poll_of_a_gpu_that_breaks_is_given_up, setup),
        cmocka_unit_test_setup(a_failed_job_of_a_gpu_that_broke_ends_the_polls, setup),
        cmocka_unit_test_setup(a_check_that_crashes_is_a_fault, setup),
        cmocka_unit_test_setup(a_broken_context_costs_its_job_and_the_next_gets_a_fresh_runner, setup),
        cmocka_unit_test_setup(without_a_period_nothing_is_checked, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
