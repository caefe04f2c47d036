/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that wait for others, jobs that are unique while pending, and what a retry of one is told. */
#include "dispatch/rig.h"

#include <string.h>

/* A sweep that waits for its period would fail these tests after 20 s: only what is told brings it. */
static const char *const rare[] = {"dispatch.sweepMilliseconds=60000", NULL};

static int64_t waits_for(struct rig *r, int64_t id)
{
    char body[96];
    snprintf(body, sizeof body, "{'workflow':'noop','after':[%lld]}", (long long)id);
    return submit_ok(r, body);
}

static void until_status(struct rig *r, int64_t id, const char *status)
{
    for (int i = 0; strcmp(status_of(r, id), status) != 0; i++) {
        if (i >= 10000)
            fail_msg("job %lld is %s, not %s", (long long)id, status_of(r, id), status);
        rig_turn(r, 2);
    }
}

static void job_that_waits_is_leased_as_soon_as_the_other_completed(void **state)
{
    (void)state;
    struct rig *r = rig_new(rare);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    int64_t first = submit_ok(r, "{'workflow':'noop'}"), second = waits_for(r, first);
    assert_string_equal(status_of(r, second), "scheduled");
    do_get(r, second, &a);
    assert_int_equal(json_int(a.data, "waits_for", 0), 1);
    assert_int_equal(json_object_get_int64(json_object_array_get_idx(json_member(a.data, "after"), 0)), first);
    struct json_object *job = poll_job(r, w, &a);
    assert_int_equal(json_int(job, "dispatch_id", 0), first);
    do_worker(r, dispatch_worker_complete, w, lease_body(job, ""), &b);
    begin_worker(r, dispatch_worker_poll, w, "{'worker_id':'w','wait_seconds':30}", &b);
    rig_wait(r, &b);
    assert_int_equal(json_int(json_member(b.data, "job"), "dispatch_id", 0), second);
    assert_int_equal(r->events[EVENT_JOB_DUE], 1);
    assert_int_equal(r->events[EVENT_JOB_EXPIRED], 0);
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void jobs_that_wait_for_a_cancelled_one_are_cancelled_in_turn(void **state)
{
    (void)state;
    struct rig *r = rig_new(rare);
    struct answer a = {0};
    int64_t first = submit_ok(r, "{'workflow':'noop'}"), second = waits_for(r, first), third = waits_for(r, second);
    dispatch_job_cancel(r->d, "acme", "tenant:acme", first, answer_keep, &a);
    rig_wait(r, &a);
    until_status(r, third, "cancelled");
    assert_string_equal(status_of(r, second), "cancelled");
    assert_int_equal(r->events[EVENT_JOB_CANCELLED], 3);
    assert_int_equal(r->events[EVENT_JOB_EXPIRED], 0); /* none of them was ever leased */
    do_get(r, second, &a);
    char name[32];
    snprintf(name, sizeof name, "job %lld", (long long)first);
    assert_non_null(strstr(json_str(a.data, "error", ""), name));
    answer_reset(&a);
    rig_free(r);
}

static void job_that_waits_for_a_failed_one_is_cancelled(void **state)
{
    (void)state;
    struct rig *r = rig_new(rare);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    int64_t first = submit_ok(r, "{'workflow':'noop'}"), second = waits_for(r, first);
    struct json_object *job = poll_job(r, w, &a);
    do_worker(r, dispatch_worker_fail, w, lease_body(job, "'error_message':'no'"), &b);
    until_status(r, second, "cancelled");
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void job_of_another_tenant_or_ended_in_vain_cannot_be_waited_for(void **state)
{
    (void)state;
    struct rig *r = rig_new(rare);
    struct answer a = {0};
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    struct json_object *o = json_object_new_object(), *after = json_object_new_array();
    json_object_array_add(after, json_object_new_int64(id));
    json_put_str(o, "workflow", "noop");
    json_object_object_add(o, "after", after);
    dispatch_submit(r->d, "other", "tenant:other", o, answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_INVALID);
    assert_non_null(strstr(field_message(&a, "after"), "you have no such job"));
    answer_reset(&a);
    dispatch_job_cancel(r->d, "acme", "tenant:acme", id, answer_keep, &a);
    rig_wait(r, &a);
    answer_reset(&a);
    dispatch_submit(r->d, "acme", "tenant:acme", o, answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_INVALID);
    assert_non_null(strstr(field_message(&a, "after"), "cancelled"));
    json_object_put(o);
    answer_reset(&a);
    rig_free(r);
}

static void unique_key_is_free_again_when_its_job_ended(void **state)
{
    (void)state;
    struct rig *r = rig_new(rare);
    struct answer a = {0};
    int64_t first = submit_ok(r, "{'workflow':'noop','unique_key':'u'}");
    do_submit(r, "{'workflow':'noop','unique_key':'u','params':{'x':1}}", &a);
    assert_int_equal(json_int(a.data, "id", 0), first);
    assert_true(json_truth(a.data, "duplicate", 0));
    answer_reset(&a);
    dispatch_job_cancel(r->d, "acme", "tenant:acme", first, answer_keep, &a);
    rig_wait(r, &a);
    int64_t second = submit_ok(r, "{'workflow':'noop','unique_key':'u'}");
    assert_true(second > first);
    answer_reset(&a);
    dispatch_job_retry(r->d, "acme", "tenant:acme", first, answer_keep, &a); /* the key is the second's now */
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_CONFLICT);
    assert_non_null(strstr(a.message, "cannot be retried"));
    assert_non_null(strstr(a.message, "unique"));
    answer_reset(&a);
    rig_free(r);
}

static void retry_says_why_not(void **state)
{
    (void)state;
    struct rig *r = rig_new(rare);
    struct answer a = {0};
    int64_t first = submit_ok(r, "{'workflow':'noop'}"), second = waits_for(r, first);
    dispatch_job_retry(r->d, "acme", "tenant:acme", first, answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_CONFLICT);
    assert_non_null(strstr(a.message, "only failed and cancelled jobs can be retried."));
    answer_reset(&a);
    dispatch_job_cancel(r->d, "acme", "tenant:acme", first, answer_keep, &a);
    rig_wait(r, &a);
    until_status(r, second, "cancelled");
    answer_reset(&a);
    dispatch_job_retry(r->d, "acme", "tenant:acme", second, answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_CONFLICT); /* the one it waits for is still cancelled */
    char name[32];
    snprintf(name, sizeof name, "ob %lld", (long long)first);
    assert_non_null(strstr(a.message, name));
    answer_reset(&a);
    dispatch_job_retry(r->d, "acme", "tenant:acme", first, answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_OK);
    answer_reset(&a);
    dispatch_job_retry(r->d, "acme", "tenant:acme", second, answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_OK);
    assert_string_equal(json_str(a.data, "status", ""), "scheduled");
    answer_reset(&a);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(job_that_waits_is_leased_as_soon_as_the_other_completed),
        cmocka_unit_test(jobs_that_wait_for_a_cancelled_one_are_cancelled_in_turn),
        cmocka_unit_test(job_that_waits_for_a_failed_one_is_cancelled),
        cmocka_unit_test(job_of_another_tenant_or_ended_in_vain_cannot_be_waited_for),
        cmocka_unit_test(unique_key_is_free_again_when_its_job_ended),
        cmocka_unit_test(retry_says_why_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
