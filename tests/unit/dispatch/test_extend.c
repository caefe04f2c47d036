/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/rig.h"

#include <string.h>

static void heartbeat_sets_the_expiry_and_never_adds_up(void **state)
{
    (void)state;
    const char *sets[] = {"dispatch.leaseTtlSeconds=100", NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0}, b = {0}, c = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    submit_ok(r, "{'workflow':'noop'}");
    struct json_object *job = poll_job(r, w, &a);
    for (int i = 0; i < 5; i++) {
        do_worker(r, dispatch_worker_heartbeat, w, lease_body(job, ""), &b);
        assert_int_equal(b.rc, BP_OK);
        assert_string_equal(b.message, "Lease extended");
    }
    assert_false(json_truth(b.data, "cancel", 1));
    assert_false(json_truth(b.data, "draining", 1));
    rig_sleep(r, 101000); /* five beats gave one lifetime, not five */
    rig_turn(r, 1100);
    do_worker(r, dispatch_worker_heartbeat, w, lease_body(job, ""), &c);
    assert_int_equal(c.rc, BP_NOTFOUND);
    answer_reset(&a);
    answer_reset(&b);
    answer_reset(&c);
    worker_auth_free(w);
    rig_free(r);
}

static void worker_hears_of_a_cancel_and_its_stop_cancels_the_job(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    struct json_object *job = poll_job(r, w, &a);
    dispatch_job_cancel(r->d, "acme", "tenant:acme", id, answer_keep, &b);
    rig_wait(r, &b);
    assert_int_equal(b.rc, BP_OK);
    assert_string_equal(json_str(b.data, "status", ""), "leased");
    assert_true(json_truth(b.data, "cancel_requested", 0));
    do_worker(r, dispatch_worker_heartbeat, w, lease_body(job, ""), &b);
    assert_true(json_truth(b.data, "cancel", 0));
    do_worker(r, dispatch_worker_fail, w, lease_body(job, "'error_message':'cancelled','retryable':true"), &b);
    assert_string_equal(json_str(b.data, "status", ""), "cancelled");
    assert_int_equal(r->events[EVENT_JOB_CANCELLED], 1);
    assert_int_equal(r->events[EVENT_JOB_FAILED], 0);
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void draining_reaches_a_busy_worker(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    submit_ok(r, "{'workflow':'noop'}");
    struct json_object *job = poll_job(r, w, &a);
    dispatch_worker_change(r->d, "w", "drain", "operator:0", answer_keep, &b);
    rig_wait(r, &b);
    assert_int_equal(b.rc, BP_OK);
    do_worker(r, dispatch_worker_heartbeat, w, lease_body(job, ""), &b);
    assert_true(json_truth(b.data, "draining", 0));
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void draining_reaches_a_worker_with_its_next_progress(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    submit_ok(r, "{'workflow':'noop'}");
    struct json_object *job = poll_job(r, w, &a);
    do_worker(r, dispatch_worker_progress, w, lease_body(job, "'progress':0.1"), &b);
    assert_false(json_truth(b.data, "draining", 1)); /* from here on it is answered from memory for a second */
    dispatch_worker_change(r->d, "w", "drain", "operator:0", answer_keep, (answer_reset(&b), &b));
    rig_wait(r, &b);
    do_worker(r, dispatch_worker_progress, w, lease_body(job, "'progress':0.2"), &b);
    assert_true(json_truth(b.data, "draining", 0));
    do_worker(r, dispatch_worker_poll, w, "{'worker_id':'w'}", &b);
    assert_null(json_member(b.data, "job"));
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

/* The other controller on the same store; this one learns of what it did from the store alone. */
static void cancel_and_drain_made_elsewhere_reach_the_worker_with_its_next_heartbeat(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct dispatch *other = dispatch_new(r->bus, NULL, r->config);
    struct worker_auth *w = worker_in(r, "w", "noop");
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    struct json_object *job = poll_job(r, w, &a);
    do_worker(r, dispatch_worker_progress, w, lease_body(job, "'progress':0.1"), &b);
    dispatch_job_cancel(other, "acme", "tenant:acme", id, answer_keep, (answer_reset(&b), &b));
    rig_wait(r, &b);
    assert_true(json_truth(b.data, "cancel_requested", 0));
    dispatch_worker_change(other, "w", "drain", "operator:0", answer_keep, (answer_reset(&b), &b));
    rig_wait(r, &b);
    do_worker(r, dispatch_worker_heartbeat, w, lease_body(job, "'progress':0.2"), &b);
    assert_true(json_truth(b.data, "cancel", 0));
    assert_true(json_truth(b.data, "draining", 0));
    do_worker(r, dispatch_worker_progress, w, lease_body(job, "'progress':0.3"), &b);
    assert_true(json_truth(b.data, "cancel", 0));
    dispatch_free(other);
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void cancel_made_elsewhere_reaches_progress_within_a_second(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct dispatch *other = dispatch_new(r->bus, NULL, r->config);
    struct worker_auth *w = worker_in(r, "w", "noop");
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    struct json_object *job = poll_job(r, w, &a);
    do_worker(r, dispatch_worker_progress, w, lease_body(job, "'progress':0.1"), &b);
    dispatch_job_cancel(other, "acme", "tenant:acme", id, answer_keep, (answer_reset(&b), &b));
    rig_wait(r, &b);
    int64_t told = mono_ms();
    do {
        do_worker(r, dispatch_worker_progress, w, lease_body(job, "'progress':0.2"), &b);
        assert_true(json_truth(b.data, "cancel", 0) || mono_ms() - told < 10000); /* it is stored once a second */
    } while (!json_truth(b.data, "cancel", 0));
    dispatch_free(other);
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void progress_is_told_each_time_but_stored_once_a_second(void **state)
{
    (void)state;
    const char *sets[] = {"dispatch.sweepMilliseconds=60000", NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    struct json_object *job = poll_job(r, w, &a);
    int64_t begun = mono_ms();
    unsigned before = atomic_load(&r->ops);
    for (int i = 1; i <= 50; i++) {
        char more[64];
        snprintf(more, sizeof more, "'progress':%.3f,'text':'frame %d'", i / 100.0, i);
        do_worker(r, dispatch_worker_progress, w, lease_body(job, more), &b);
        assert_int_equal(b.rc, BP_OK);
    }
    assert_int_equal(r->events[EVENT_JOB_PROGRESS], 50);
    assert_non_null(strstr(r->last_event, "frame 50"));
    assert_true(atomic_load(&r->ops) - before <= 1 + (uint64_t)(mono_ms() - begun) / 1000);
    do_worker(r, dispatch_worker_progress, w, lease_body(job, "'progress':1,'text':'done'"), &b);
    do_get(r, id, &b);
    assert_float_equal(json_num(b.data, "progress", 0), 1, 1e-9); /* the end is always stored */
    assert_string_equal(json_str(b.data, "progress_text", ""), "done");
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void fresh_urls_come_when_asked_for(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "photo");
    submit_ok(r, "{'workflow':'photo','inputs':[{'key':'tenants/acme/a','mime':'image/png'},"
                 "{'key':'tenants/acme/b','mime':'image/png'}]}");
    struct json_object *job = poll_job(r, w, &a);
    unsigned before = atomic_load(&r->urls_signed);
    do_worker(r, dispatch_worker_heartbeat, w, lease_body(job, ""), &b);
    assert_int_equal(atomic_load(&r->urls_signed), before);
    assert_null(json_member(b.data, "output_url"));
    do_worker(r, dispatch_worker_heartbeat, w, lease_body(job, "'refresh_urls':true"), &b);
    assert_string_equal(json_str(b.data, "output_url", ""), json_str(job, "output_url", "-"));
    assert_string_equal(json_str(b.data, "input_url", ""), json_str(job, "input_url", "-"));
    assert_non_null(strstr(json_str(b.data, "checkpoint_upload_url", ""), "/checkpoint?m=PUT"));
    struct json_object *second = json_object_array_get_idx(json_member(b.data, "inputs"), 1);
    assert_non_null(strstr(json_str(second, "url", ""), "tenants/acme/b?m=GET"));
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void progress_outside_its_range_is_422(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    do_worker(r, dispatch_worker_progress, w, "{'dispatch_id':1,'lease_token':'t','progress':1.5}", &a);
    assert_string_equal(field_message(&a, "progress"), "The progress field must not be greater than 1.");
    do_worker(r, dispatch_worker_progress, w, "{'dispatch_id':1,'lease_token':'t'}", &a);
    assert_string_equal(field_message(&a, "progress"), "The progress field is required.");
    do_worker(r, dispatch_worker_progress, w, "{'dispatch_id':1,'lease_token':'t','progress':'abc'}", &a);
    assert_string_equal(field_message(&a, "progress"), "The progress field must be a number.");
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heartbeat_sets_the_expiry_and_never_adds_up),
        cmocka_unit_test(worker_hears_of_a_cancel_and_its_stop_cancels_the_job),
        cmocka_unit_test(draining_reaches_a_busy_worker),
        cmocka_unit_test(draining_reaches_a_worker_with_its_next_progress),
        cmocka_unit_test(cancel_and_drain_made_elsewhere_reach_the_worker_with_its_next_heartbeat),
        cmocka_unit_test(cancel_made_elsewhere_reaches_progress_within_a_second),
        cmocka_unit_test(progress_is_told_each_time_but_stored_once_a_second),
        cmocka_unit_test(fresh_urls_come_when_asked_for),
        cmocka_unit_test(progress_outside_its_range_is_422),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
