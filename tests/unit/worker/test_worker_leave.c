/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that must go: what it holds is handed back, in time. */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

static int is_running(struct rig *r)
{
    return fake_count(r->fake, "progress") > 0;
}

static struct rig *begin(const char *params)
{
    struct rig *r = rig_new(NULL);
    fake_add_job(r->fake, 7, params, 1);
    worker_start(r->worker);
    rig_until(r, is_running);
    return r;
}

static void an_idle_worker_deregisters(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    worker_start(r->worker);
    rig_until(r, rig_polls);
    worker_stop(r->worker, "sigterm", 20000);
    assert_int_equal(r->ended, 0); /* never before worker_stop() returned */
    rig_until(r, rig_has_ended);
    assert_string_equal(json_str(fake_last(r->fake, "deregister"), "reason", ""), "sigterm");
    assert_int_equal(r->exit_status, 0);
    rig_free(r);
}

static void a_worker_that_never_started_just_ends(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    worker_stop(r->worker, "sigterm", 20000);
    rig_until(r, rig_has_ended);
    assert_int_equal(r->fake->n_calls, 0);
    rig_free(r);
}

static void a_running_job_goes_back_with_its_checkpoint_and_the_reason(void **state)
{
    (void)state;
    struct rig *r = begin("{\"steps\":100000,\"step_ms\":20,\"checkpoint\":true}");
    worker_stop(r->worker, "sigterm", 30000);
    rig_until(r, rig_has_ended);
    struct json_object *q = fake_last(r->fake, "requeue");
    assert_non_null(q);
    assert_int_equal(json_int(q, "dispatch_id", 0), 7);
    assert_string_equal(json_str(q, "reason", ""), "sigterm");
    assert_string_equal(json_str(q, "checkpoint_key", ""), "jobs/1/checkpoint");
    assert_true(atoi(fake_object(r->fake, "checkpoint")->bytes) >= 1);
    assert_int_equal(fake_count(r->fake, "deregister"), 1);
    assert_int_equal(fake_count(r->fake, "fail"), 0);
    assert_int_equal(rig_faults(), 0);
    rig_free(r);
}

static void a_job_without_checkpoints_goes_back_without_a_key(void **state)
{
    (void)state;
    struct rig *r = begin("{\"steps\":100000,\"step_ms\":20}");
    worker_stop(r->worker, "sigterm", 30000);
    rig_until(r, rig_has_ended);
    assert_int_equal(fake_count(r->fake, "requeue"), 1);
    assert_null(json_str(fake_last(r->fake, "requeue"), "checkpoint_key", NULL));
    rig_free(r);
}

static void a_checkpoint_url_that_ran_out_is_renewed_on_the_way_out(void **state)
{
    (void)state;
    struct rig *r = begin("{\"steps\":100000,\"step_ms\":20,\"checkpoint\":true}");
    r->fake->url_version = 2;
    worker_stop(r->worker, "sigterm", 30000);
    rig_until(r, rig_has_ended);
    assert_string_equal(json_str(fake_last(r->fake, "requeue"), "checkpoint_key", ""), "jobs/1/checkpoint");
    rig_free(r);
}

static void a_job_that_does_not_stop_is_killed_and_goes_back(void **state)
{
    (void)state;
    struct rig *r = begin("{\"steps\":3,\"misbehave\":\"hang\",\"at_step\":1}");
    worker_stop(r->worker, "sigterm", 2000);
    rig_until(r, rig_has_ended);
    assert_int_equal(fake_count(r->fake, "requeue"), 1);
    assert_int_equal(fake_count(r->fake, "deregister"), 1);
    rig_free(r);
}

static void a_job_that_is_nearly_done_is_completed(void **state)
{
    (void)state;
    struct rig *r = begin("{\"steps\":1}");
    worker_stop(r->worker, "sigterm", 30000);
    rig_until(r, rig_has_ended);
    assert_int_equal(fake_count(r->fake, "complete") + fake_count(r->fake, "requeue"), 1);
    assert_int_equal(fake_count(r->fake, "fail"), 0);
    rig_free(r);
}

static int is_ending(struct rig *r)
{
    return r->fake->ending != NULL;
}

/* It was told to go while the answer that brings the next job was on its way. */
static void a_job_that_comes_on_the_way_out_goes_back(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    r->fake->takes = r->fake->hold_completes = 1;
    fake_add_job(r->fake, 7, "{}", 1);
    fake_add_job(r->fake, 8, "{}", 1);
    worker_start(r->worker);
    rig_until(r, is_ending);
    worker_stop(r->worker, "sigterm", 30000);
    rig_run_ms(r, 50);
    fake_wake(r->fake);
    rig_until(r, rig_has_ended);
    struct json_object *back = fake_last(r->fake, "requeue");
    assert_int_equal(json_int(back, "dispatch_id", 0), 8);
    assert_string_equal(json_str(back, "reason", ""), "sigterm");
    assert_int_equal(fake_count(r->fake, "complete"), 1);
    assert_int_equal(fake_count(r->fake, "deregister"), 1);
    rig_free(r);
}

static void without_a_controller_it_still_ends_in_time(void **state)
{
    (void)state;
    struct rig *r = begin("{\"steps\":100000,\"step_ms\":20,\"checkpoint\":true}");
    r->fake->down = 1;
    worker_stop(r->worker, "sigterm", 1500);
    rig_until(r, rig_has_ended);
    assert_int_equal(r->exit_status, 0);
    assert_int_equal(r->ended, 1);
    rig_free(r);
}

static void stop_during(int32_t notice, const char *reason)
{
    struct rig *r = rig_new_with_node(NULL);
    fake_add_job(r->fake, 7, "{\"steps\":100000,\"step_ms\":20,\"checkpoint\":true}", 1);
    worker_start(r->worker);
    rig_until(r, is_running);
    assert_string_equal(json_str(fake_last(r->fake, "register"), "worker_id", ""), "i-0123456789");
    assert_string_equal(json_str(fake_last(r->fake, "register"), "capacity_type", ""), "spot");
    __atomic_store_n(&r->notice, notice, __ATOMIC_SEQ_CST);
    rig_until(r, rig_has_ended);
    assert_string_equal(json_str(fake_last(r->fake, "requeue"), "reason", ""), reason);
    assert_non_null(json_str(fake_last(r->fake, "requeue"), "checkpoint_key", NULL));
    /* the fleet's own end waits for the worker's word; a Spot interruption waits for nobody */
    assert_int_equal(__atomic_load_n(&r->held_up, __ATOMIC_SEQ_CST), notice == 3);
    assert_int_equal(__atomic_load_n(&r->released, __ATOMIC_SEQ_CST), notice == 3);
    rig_free(r);
}

static void a_spot_notice_hands_the_job_back(void **state)
{
    (void)state;
    stop_during(2, "spot_interruption");
}

static int asks_at_risk(struct rig *r)
{
    return rig_polls(r) && json_truth(fake_last(r->fake, "poll"), "at_risk", 0);
}

static int asks_again_for_any(struct rig *r)
{
    return rig_polls(r) && fake_tried(r->fake, "poll") > 1 && !asks_at_risk(r);
}

static void a_rebalance_notice_asks_for_short_jobs_only_and_is_no_death_sentence(void **state)
{
    (void)state;
    struct rig *r = rig_new_with_node(NULL);
    worker_start(r->worker);
    rig_until(r, rig_polls);
    rig_run_ms(r, 1100); /* the poll waits, and waits for nothing long any more */
    assert_false(asks_at_risk(r));
    __atomic_store_n(&r->notice, 1, __ATOMIC_SEQ_CST);
    rig_until(r, asks_at_risk);
    rig_run_ms(r, 1100);
    __atomic_store_n(&r->notice, 0, __ATOMIC_SEQ_CST);
    rig_until(r, asks_again_for_any);
    assert_int_equal(r->ended, 0);
    assert_int_equal(fake_tried(r->fake, "deregister"), 0);
    rig_free(r);
}

static int checkpoint_is_up(struct rig *r)
{
    return fake_object(r->fake, "checkpoint") != NULL && fake_object(r->fake, "checkpoint")->bytes != NULL;
}

static void a_rebalance_notice_lets_the_running_job_go_on_with_its_checkpoint_safe(void **state)
{
    (void)state;
    struct rig *r = rig_new_with_node((const char *const[]){"worker.checkpointSeconds=3600", NULL});
    fake_add_job(r->fake, 7, "{\"steps\":200,\"step_ms\":20,\"checkpoint\":true}", 1);
    worker_start(r->worker);
    rig_until(r, is_running);
    __atomic_store_n(&r->notice, 1, __ATOMIC_SEQ_CST);
    rig_until(r, checkpoint_is_up);
    assert_int_equal(fake_count(r->fake, "requeue"), 0);
    rig_until(r, rig_completed);
    assert_int_equal(r->ended, 0);
    rig_free(r);
}

static void a_termination_notice_hands_the_job_back(void **state)
{
    (void)state;
    stop_during(3, "asg_termination");
}

static void a_worker_with_an_operators_token_does_not_deregister(void **state)
{
    (void)state;
    struct rig *r = rig_new((const char *const[]){"worker.token=token-0", "worker.fleetSecret=", NULL});
    worker_start(r->worker);
    rig_until(r, rig_polls);
    assert_int_equal(fake_tried(r->fake, "register"), 0);
    worker_stop(r->worker, "sigterm", 20000);
    rig_until(r, rig_has_ended);
    assert_int_equal(fake_tried(r->fake, "deregister"), 0);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_worker_deregisters),
        cmocka_unit_test(a_worker_that_never_started_just_ends),
        cmocka_unit_test(a_running_job_goes_back_with_its_checkpoint_and_the_reason),
        cmocka_unit_test(a_job_without_checkpoints_goes_back_without_a_key),
        cmocka_unit_test(a_checkpoint_url_that_ran_out_is_renewed_on_the_way_out),
        cmocka_unit_test(a_job_that_does_not_stop_is_killed_and_goes_back),
        cmocka_unit_test(a_job_that_is_nearly_done_is_completed),
        cmocka_unit_test(a_job_that_comes_on_the_way_out_goes_back),
        cmocka_unit_test(without_a_controller_it_still_ends_in_time),
        cmocka_unit_test(a_spot_notice_hands_the_job_back),
        cmocka_unit_test(a_rebalance_notice_asks_for_short_jobs_only_and_is_no_death_sentence),
        cmocka_unit_test(a_rebalance_notice_lets_the_running_job_go_on_with_its_checkpoint_safe),
        cmocka_unit_test(a_termination_notice_hands_the_job_back),
        cmocka_unit_test(a_worker_with_an_operators_token_does_not_deregister),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
