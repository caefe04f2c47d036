/* SPDX-License-Identifier: Apache-2.0 */
/* What the controller's answers about worker and lease make the worker do. */
#include "rig.h"

#include <string.h>

#define LONG_JOB "{\"steps\":100000,\"step_ms\":20}"

static struct rig *begin(const char *params)
{
    struct rig *r = rig_new(NULL);
    fake_add_job(r->fake, 7, params, 1);
    worker_start(r->worker);
    return r;
}

static int is_running(struct rig *r)
{
    return fake_count(r->fake, "progress") > 0;
}

static void it_registers_with_the_secret_and_polls_with_the_token(void **state)
{
    (void)state;
    struct rig *r = rig_new((const char *const[]){"worker.id=i-77", NULL});
    worker_start(r->worker);
    rig_until(r, rig_polls);
    struct json_object *body = fake_last(r->fake, "register");
    assert_string_equal(r->fake->calls[0].token, "s3cret-of-the-fleet");
    assert_string_equal(json_str(body, "worker_id", ""), "i-77");
    assert_string_equal(json_str(body, "fleet_slug", ""), "test-copy");
    assert_string_equal(json_str(body, "stage", ""), "local");
    assert_string_equal(r->fake->calls[r->fake->n_calls - 1].token, "token-1");
    assert_int_equal(json_int(fake_last(r->fake, "poll"), "wait_seconds", 0), 20);
    rig_free(r);
}

static int has_tried(struct rig *r)
{
    return fake_tried(r->fake, "register") > 0;
}

static int has_registered(struct rig *r)
{
    return fake_count(r->fake, "register") > 0;
}

static void a_controller_that_is_not_there_yet_is_tried_again(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    r->fake->down = 1;
    worker_start(r->worker);
    rig_until(r, has_tried);
    r->fake->down = 0;
    rig_until(r, has_registered);
    rig_free(r);
}

static int registered_twice(struct rig *r)
{
    return fake_count(r->fake, "register") == 2 && rig_polls(r);
}

static void an_unknown_token_is_replaced_by_registering_again(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    worker_start(r->worker);
    rig_until(r, rig_polls);
    r->fake->forget_token = 1;
    fake_add_job(r->fake, 7, "{}", 1); /* so that the poll comes back, and the job's calls meet the 401 */
    fake_wake(r->fake);
    rig_until(r, registered_twice);
    assert_int_equal(fake_count(r->fake, "complete"), 1);
    rig_free(r);
}

static int has_polled_twice(struct rig *r)
{
    return fake_tried(r->fake, "poll") >= 2;
}

static void a_revoked_worker_waits_and_does_not_register_again(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    r->fake->revoked = 1;
    worker_start(r->worker);
    rig_until(r, has_polled_twice);
    assert_int_equal(fake_tried(r->fake, "register"), 1);
    r->fake->revoked = 0;
    rig_until(r, rig_polls);
    rig_free(r);
}

static int runner_is_gone_and_polls(struct rig *r)
{
    return rig_polls(r);
}

static void a_lost_lease_ends_the_run_and_drops_the_output(void **state)
{
    (void)state;
    struct rig *r = begin(LONG_JOB);
    rig_until(r, is_running);
    r->fake->lost = 1;
    rig_until(r, runner_is_gone_and_polls);
    assert_null(fake_object(r->fake, "output"));
    assert_int_equal(fake_tried(r->fake, "complete") + fake_tried(r->fake, "fail") + fake_tried(r->fake, "requeue"), 0);
    rig_free(r);
}

static void a_late_complete_that_gets_404_is_dropped(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    r->fake->heartbeat_s = 60; /* nobody tells it before the complete does */
    fake_add_job(r->fake, 7, "{\"misbehave\":\"none\"}", 1);
    r->fake->lost = 1;
    worker_start(r->worker);
    rig_until(r, rig_polls);
    assert_true(fake_tried(r->fake, "complete") <= 1);
    assert_int_equal(fake_tried(r->fake, "fail"), 0);
    rig_free(r);
}

static void a_cancelled_job_is_stopped_and_failed_as_cancelled(void **state)
{
    (void)state;
    struct rig *r = begin(LONG_JOB);
    rig_until(r, is_running);
    r->fake->cancel = 1;
    rig_until(r, rig_failed);
    assert_string_equal(json_str(fake_last(r->fake, "fail"), "error_message", ""), "cancelled");
    assert_false(json_truth(fake_last(r->fake, "fail"), "retryable", 1));
    assert_int_equal(rig_faults(), 0);
    rig_free(r);
}

static int has_asked_twice_more(struct rig *r)
{
    return fake_count(r->fake, "poll") >= 3;
}

static void a_draining_worker_finishes_its_job_and_stays_without_one(void **state)
{
    (void)state;
    struct rig *r = begin("{\"steps\":20,\"step_ms\":30}");
    r->fake->draining = 1;
    rig_until(r, has_asked_twice_more);
    assert_int_equal(fake_count(r->fake, "complete"), 1);
    assert_int_equal(fake_count(r->fake, "deregister"), 0);
    assert_int_equal(r->ended, 0);
    rig_free(r);
}

static int has_completed_and_asked_again(struct rig *r)
{
    return fake_count(r->fake, "complete") == 1 && fake_count(r->fake, "poll") > 1;
}

static void a_draining_worker_does_not_ask_along_with_its_result(void **state)
{
    (void)state;
    struct rig *r = begin("{\"steps\":20,\"step_ms\":30}");
    r->fake->takes = r->fake->draining = 1;
    rig_until(r, has_completed_and_asked_again);
    assert_null(json_member(fake_last(r->fake, "complete"), "poll"));
    rig_free(r);
}

static void a_drain_that_is_cancelled_gives_it_jobs_again(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    worker_start(r->worker);
    rig_until(r, rig_polls);
    r->fake->draining = 1;
    fake_wake(r->fake);
    rig_until(r, has_asked_twice_more);
    r->fake->draining = 0;
    fake_add_job(r->fake, 8, "{\"misbehave\":\"none\"}", 1);
    rig_until(r, rig_completed);
    rig_free(r);
}

static void a_complete_that_is_not_heard_is_said_again(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    r->fake->fail_completes = 2;
    fake_add_job(r->fake, 7, "{}", 1);
    worker_start(r->worker);
    rig_until(r, rig_completed);
    assert_int_equal(fake_tried(r->fake, "complete"), 3);
    assert_int_equal(fake_object(r->fake, "output")->puts, 1);
    rig_free(r);
}

static void a_complete_that_is_refused_becomes_a_retryable_failure(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    r->fake->fail_completes = 0;
    r->fake->refuse_completes = 1;
    fake_add_job(r->fake, 7, "{}", 1);
    worker_start(r->worker);
    rig_until(r, rig_failed);
    assert_true(json_truth(fake_last(r->fake, "fail"), "retryable", 0));
    rig_free(r);
}

static void a_job_outlives_a_controller_that_is_away(void **state)
{
    (void)state;
    struct rig *r = begin("{\"steps\":10,\"step_ms\":50}");
    rig_until(r, is_running);
    r->fake->down = 1;
    rig_run_ms(r, 2000); /* the job ends meanwhile; its result waits */
    assert_int_equal(fake_count(r->fake, "complete"), 0);
    r->fake->down = 0;
    rig_until(r, rig_completed);
    assert_int_equal(fake_count(r->fake, "fail"), 0);
    rig_free(r);
}

static void a_job_without_a_lease_is_not_touched(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct json_object *job = fake_add_job(r->fake, 7, "{}", 1);
    json_object_object_del(job, "lease_token");
    worker_start(r->worker);
    rig_until(r, rig_polls);
    assert_int_equal(fake_object(r->fake, "photo")->gets, 0);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_registers_with_the_secret_and_polls_with_the_token),
        cmocka_unit_test(a_controller_that_is_not_there_yet_is_tried_again),
        cmocka_unit_test(an_unknown_token_is_replaced_by_registering_again),
        cmocka_unit_test(a_revoked_worker_waits_and_does_not_register_again),
        cmocka_unit_test(a_lost_lease_ends_the_run_and_drops_the_output),
        cmocka_unit_test(a_late_complete_that_gets_404_is_dropped),
        cmocka_unit_test(a_cancelled_job_is_stopped_and_failed_as_cancelled),
        cmocka_unit_test(a_draining_worker_finishes_its_job_and_stays_without_one),
        cmocka_unit_test(a_draining_worker_does_not_ask_along_with_its_result),
        cmocka_unit_test(a_drain_that_is_cancelled_gives_it_jobs_again),
        cmocka_unit_test(a_complete_that_is_not_heard_is_said_again),
        cmocka_unit_test(a_complete_that_is_refused_becomes_a_retryable_failure),
        cmocka_unit_test(a_job_outlives_a_controller_that_is_away),
        cmocka_unit_test(a_job_without_a_lease_is_not_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
