/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/auth.h"
#include "dispatch/rig.h"

#include <stdio.h>
#include <string.h>

static const char *const fast[] = {"dispatch.leaseTtlSeconds=10", "dispatch.sweepMilliseconds=50",
                                   "dispatch.maxAttempts=2", NULL};

static void until_event(struct rig *r, enum event_id id, unsigned n)
{
    rig_until(r, &r->events[id], n);
}

static void expired_lease_returns_to_the_queue_then_fails(void **state)
{
    (void)state;
    struct rig *r = rig_new(fast);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    poll_job(r, w, &a);
    rig_sleep(r, 10001);
    until_event(r, EVENT_JOB_EXPIRED, 1);
    assert_non_null(strstr(r->last_event, "\"status\":\"queued\""));
    assert_non_null(strstr(r->last_event, "\"worker\":\"w\""));
    assert_string_equal(status_of(r, id), "queued");
    struct json_object *job = poll_job(r, w, &a);
    assert_int_equal(json_int(job, "attempt", 0), 2);
    rig_sleep(r, 10001);
    until_event(r, EVENT_JOB_FAILED, 1);
    assert_string_equal(status_of(r, id), "failed"); /* nothing sticks */
    struct dispatch_counters n;
    dispatch_counters(r->d, &n);
    assert_int_equal(n.expired, 2);
    assert_int_equal(n.failed, 1);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void expiry_after_a_restart_is_still_an_expiry(void **state)
{
    (void)state;
    struct rig *r = rig_new(fast);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    submit_ok(r, "{'workflow':'noop'}");
    poll_job(r, w, &a);
    dispatch_free(r->d);
    rig_sleep(r, 10001);
    r->d = dispatch_new(r->bus, NULL, r->config);
    dispatch_start(r->d);
    until_event(r, EVENT_JOB_EXPIRED, 1);
    assert_int_equal(r->events[EVENT_JOB_DUE], 0);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void scheduled_job_is_not_leased_before_its_time(void **state)
{
    (void)state;
    struct rig *r = rig_new(fast);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    char body[128];
    snprintf(body, sizeof body, "{'workflow':'noop','not_before':%lld}", (long long)loop_now_ms(r->loop) + 5000);
    begin_worker(r, dispatch_worker_poll, w, "{'worker_id':'w','wait_seconds':30}", &b);
    do_submit(r, body, &a);
    assert_string_equal(json_str(a.data, "status", ""), "scheduled");
    rig_turn(r, 120);
    assert_int_equal(b.done, 0);
    rig_sleep(r, 5001);
    rig_wait(r, &b);
    assert_string_equal(b.message, "Job leased");
    assert_int_equal(r->events[EVENT_JOB_DUE], 1);
    assert_int_equal(r->events[EVENT_JOB_EXPIRED], 0);
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void sweep_comes_when_something_is_due_not_only_on_its_period(void **state)
{
    (void)state;
    const char *sets[] = {"dispatch.leaseTtlSeconds=0.3", "dispatch.sweepMilliseconds=60000", NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    submit_ok(r, "{'workflow':'noop'}");
    poll_job(r, w, &a);
    begin_worker(r, dispatch_worker_poll, w, "{'worker_id':'w','wait_seconds':30}", &b);
    rig_wait(r, &b); /* fails the test after 20 s, long before the period */
    assert_string_equal(b.message, "Job leased");
    assert_int_equal(r->events[EVENT_JOB_EXPIRED], 1);
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void sweep_outlives_a_queue_that_fails(void **state)
{
    (void)state;
    struct rig *r = rig_new(fast);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    submit_ok(r, "{'workflow':'noop'}");
    poll_job(r, w, &a);
    atomic_store(&r->queue_fail, BP_IO);
    rig_sleep(r, 10001);
    rig_turn(r, 150);
    assert_int_equal(r->events[EVENT_JOB_EXPIRED], 0);
    atomic_store(&r->queue_fail, 0);
    until_event(r, EVENT_JOB_EXPIRED, 1);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

/* Of the workers only this one is there. */
static void assert_left(struct rig *r, const char *id)
{
    struct answer a = {0};
    dispatch_worker_list(r->d, answer_keep, &a);
    rig_wait(r, &a);
    struct json_object *list = json_member(a.data, "workers");
    assert_int_equal(json_object_array_length(list), 1);
    assert_string_equal(json_str(json_object_array_get_idx(list, 0), "worker_id", ""), id);
    answer_reset(&a);
}

static void worker_not_seen_for_long_is_removed_unless_it_holds_a_lease(void **state)
{
    (void)state;
    const char *sets[] = {"workers.staleSeconds=10", "dispatch.leaseTtlSeconds=86400", NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0};
    struct worker_auth *idle = worker_in(r, "idle", "noop"), *busy = worker_in(r, "busy", "noop");
    submit_ok(r, "{'workflow':'noop'}");
    poll_job(r, busy, &a);
    rig_sleep(r, 20000);
    until_event(r, EVENT_WORKER_GONE, 1);
    answer_reset(&a);
    assert_left(r, "busy");
    worker_auth_free(idle);
    worker_auth_free(busy);
    rig_free(r);
}

static void worker_that_calls_is_not_stale_however_soon_others_are(void **state)
{
    (void)state;
    const char *sets[] = {"workers.staleSeconds=10", NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0};
    char token[80];
    do_worker(r, dispatch_worker_register, NULL, "{'worker_id':'w','fleet_slug':'noop','stage':'local'}", &a);
    snprintf(token, sizeof token, "%s", json_str(a.data, "token", ""));
    answer_reset(&a);
    struct worker_auth *silent = worker_in(r, "silent", "noop");
    rig_sleep(r, 2000);
    for (int i = 0; i < 60 && r->events[EVENT_WORKER_GONE] < 1; i++) {
        auth_forget(r->d, "w"); /* as it is after some seconds */
        struct worker_auth *w = worker_with_token(r, token);
        assert_non_null(w);
        worker_auth_free(w);
        rig_turn(r, 500);
    }
    assert_left(r, "w");
    worker_auth_free(silent);
    rig_free(r);
}

/* Both were last heard of at the same time. */
static void worker_whose_poll_waits_is_not_stale(void **state)
{
    (void)state;
    const char *sets[] = {"workers.staleSeconds=10", NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop"), *silent = worker_in(r, "silent", "noop");
    begin_worker(r, dispatch_worker_poll, w, "{'worker_id':'w','wait_seconds':60}", &a);
    until_event(r, EVENT_WORKER_GONE, 1);
    rig_turn(r, 500);
    assert_left(r, "w");
    submit_ok(r, "{'workflow':'noop'}");
    rig_wait(r, &a);
    assert_string_equal(a.message, "Job leased");
    answer_reset(&a);
    worker_auth_free(w);
    worker_auth_free(silent);
    rig_free(r);
}

static void lost_worker_is_removed_once_its_lease_ran_out(void **state)
{
    (void)state;
    const char *sets[] = {"workers.staleSeconds=10", "dispatch.leaseTtlSeconds=5", NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0};
    struct worker_auth *lost = worker_in(r, "lost", "noop");
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    poll_job(r, lost, &a);
    rig_sleep(r, 20000);
    until_event(r, EVENT_WORKER_GONE, 1);
    assert_int_equal(r->events[EVENT_JOB_EXPIRED], 1);
    assert_string_equal(status_of(r, id), "queued");
    answer_reset(&a);
    dispatch_worker_list(r->d, answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(json_object_array_length(json_member(a.data, "workers")), 0);
    answer_reset(&a);
    worker_auth_free(lost);
    rig_free(r);
}

static void stats_are_asked_for_once_however_many_want_them(void **state)
{
    (void)state;
    const char *sets[] = {"dispatch.sweepMilliseconds=60000", NULL};
    struct rig *r = rig_new(sets);
    struct answer a[20] = {0};
    submit_ok(r, "{'workflow':'noop'}");
    unsigned before = atomic_load(&r->asked[BP_OP_STATS]);
    for (int i = 0; i < 20; i++)
        dispatch_stats(r->d, answer_keep, &a[i]);
    for (int i = 0; i < 20; i++) {
        rig_wait(r, &a[i]);
        struct json_object *row = json_object_array_get_idx(json_member(a[i].data, "workflows"), 0);
        assert_string_equal(json_str(row, "workflow", ""), "noop");
        assert_int_equal(json_int(row, "queued", 0), 1);
        answer_reset(&a[i]);
    }
    assert_int_equal(atomic_load(&r->asked[BP_OP_STATS]) - before, 1);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expired_lease_returns_to_the_queue_then_fails),
        cmocka_unit_test(expiry_after_a_restart_is_still_an_expiry),
        cmocka_unit_test(scheduled_job_is_not_leased_before_its_time),
        cmocka_unit_test(sweep_comes_when_something_is_due_not_only_on_its_period),
        cmocka_unit_test(sweep_outlives_a_queue_that_fails),
        cmocka_unit_test(worker_not_seen_for_long_is_removed_unless_it_holds_a_lease),
        cmocka_unit_test(worker_whose_poll_waits_is_not_stale),
        cmocka_unit_test(worker_that_calls_is_not_stale_however_soon_others_are),
        cmocka_unit_test(lost_worker_is_removed_once_its_lease_ran_out),
        cmocka_unit_test(stats_are_asked_for_once_however_many_want_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
