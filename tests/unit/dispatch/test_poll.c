/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/rig.h"

#include <string.h>

#define POLL       "{'worker_id':'w'}"
#define WAIT       "{'worker_id':'w','wait_seconds':30}"
#define WAIT_MS(s) "{'worker_id':'w','wait_seconds':" s "}"

static int64_t photo_in(struct rig *r)
{
    return submit_ok(r, "{'workflow':'photo','params':{'duration':2},"
                        "'input':{'key':'tenants/acme/uploads/u/p.jpg','mime':'image/jpeg','name':'p.jpg'}}");
}

static void nothing_queued_answers_null_at_once(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    do_worker(r, dispatch_worker_poll, w, POLL, &a);
    assert_int_equal(a.rc, BP_OK);
    assert_string_equal(a.message, "No jobs available");
    struct json_object *job = a.data;
    assert_true(json_object_object_get_ex(a.data, "job", &job));
    assert_null(job);
    assert_false(json_object_object_get_ex(a.data, "jobs", NULL));
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void job_carries_what_field_workers_and_ours_need(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "photo");
    int64_t id = photo_in(r);
    struct json_object *job = poll_job(r, w, &a), *input = json_member(job, "input_payload");
    assert_int_equal(json_int(job, "dispatch_id", 0), id);
    assert_int_equal(json_int(job, "job_id", 0), id);
    assert_int_equal(strlen(json_str(job, "lease_token", "")), 36);
    assert_int_equal(strlen(json_str(job, "lease_expires_at", "")), 25);
    assert_string_equal(json_str(job, "provider", ""), "self_hosted");
    assert_string_equal(json_str(job, "tenant_id", ""), "acme");
    assert_string_equal(json_str(job, "workflow", ""), "photo");
    assert_string_equal(json_str(job, "plugin_version", ""), "2.0.0");
    assert_int_equal(json_int(job, "attempt", 0), 1);
    assert_non_null(strstr(json_str(job, "input_url", ""), "tenants/acme/uploads/u/p.jpg?m=GET"));
    assert_non_null(strstr(json_str(job, "output_url", ""), "output.mp4?m=PUT"));
    assert_string_equal(json_str(json_member(job, "output_file"), "disk", ""), "objects");
    struct json_object *type = json_member(json_member(job, "output_headers"), "Content-Type");
    assert_string_equal(json_object_get_string(json_object_array_get_idx(type, 0)), "video/mp4");
    assert_int_equal(json_int(input, "duration", 0), 2);
    assert_int_equal(json_int(json_member(input, "params"), "duration", 0), 2);
    assert_int_equal(json_int(input, "timeout_seconds", 0), 600);
    struct json_object *first = json_object_array_get_idx(json_member(input, "inputs"), 0);
    assert_string_equal(json_str(first, "url", ""), json_str(job, "input_url", "-"));
    assert_null(json_member(input, "checkpoint_url"));
    assert_non_null(strstr(json_str(input, "checkpoint_upload_url", ""), "/checkpoint?m=PUT"));
    assert_non_null(strstr(json_str(input, "checkpoint_upload_url", ""), json_str(input, "checkpoint_key", "-")));
    assert_int_equal(atomic_load(&r->urls_signed), 3); /* input, output, checkpoint */
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void job_without_files_needs_no_url(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    submit_ok(r, "{'workflow':'noop','params':{'workflow':{'1':{'class_type':'X','inputs':{}}}}}");
    struct json_object *job = poll_job(r, w, &a), *input = json_member(job, "input_payload");
    assert_int_equal(atomic_load(&r->urls_signed), 0);
    assert_null(json_member(job, "output_url"));
    struct json_object *graph = json_member(json_member(input, "workflow"), "1");
    assert_true(json_object_is_type(json_member(graph, "inputs"), json_type_object)); /* {} stays {} */
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void waiting_poll_is_answered_by_the_submit_in_one_transaction(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    begin_worker(r, dispatch_worker_poll, w, WAIT, &a);
    rig_waits(r, 1);
    assert_int_equal(a.done, 0);
    struct answer s = {0};
    struct json_object *body = js("{'workflow':'noop'}");
    dispatch_submit(r->d, "acme", "tenant:acme", body, answer_keep, &s);
    rig_wait(r, &s);
    rig_wait(r, &a);
    assert_int_equal(json_int(json_member(a.data, "job"), "dispatch_id", 0), json_int(s.data, "id", -1));
    assert_int_equal(atomic_load(&r->submits_with_lease), 1);
    assert_int_equal(dispatch_waiting_polls(r->d), 0);
    json_object_put(body);
    answer_reset(&s);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void oldest_waiting_poll_is_served_first_and_only_one_asks(void **state)
{
    (void)state;
    const char *sets[] = {"dispatch.sweepMilliseconds=60000", NULL};
    struct rig *r = rig_new(sets);
    struct answer a[4] = {0};
    struct worker_auth *w[4];
    const char *const names[] = {"w1", "w2", "w3", "w4"};
    for (int i = 0; i < 4; i++) {
        w[i] = worker_in(r, names[i], "noop");
        begin_worker(r, dispatch_worker_poll, w[i], WAIT, &a[i]);
        rig_waits(r, (uint32_t)i + 1);
    }
    unsigned before = atomic_load(&r->ops);
    for (int i = 0; i < 4; i++) {
        submit_ok(r, "{'workflow':'noop'}");
        rig_wait(r, &a[i]);
        for (int k = i + 1; k < 4; k++)
            assert_int_equal(a[k].done, 0);
    }
    assert_int_equal(atomic_load(&r->ops) - before, 8); /* four submits, four leases */
    for (int i = 0; i < 4; i++) {
        answer_reset(&a[i]);
        worker_auth_free(w[i]);
    }
    rig_free(r);
}

/* The lease of the last job said that no other is there. */
static void poll_behind_the_last_job_waits_without_asking(void **state)
{
    (void)state;
    const char *sets[] = {"dispatch.sweepMilliseconds=60000", NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    begin_worker(r, dispatch_worker_poll, w, WAIT, &a);
    rig_waits(r, 1);
    submit_ok(r, "{'workflow':'noop'}");
    rig_wait(r, &a);
    rig_turn(r, 20);
    unsigned before = atomic_load(&r->asked[BP_OP_LEASE]);
    begin_worker(r, dispatch_worker_poll, w, WAIT, &b);
    rig_waits(r, 1);
    assert_int_equal(b.done, 0);
    assert_int_equal(atomic_load(&r->asked[BP_OP_LEASE]), before);
    submit_ok(r, "{'workflow':'noop'}");
    rig_wait(r, &b);
    assert_non_null(json_member(b.data, "job"));
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void poll_behind_a_job_that_is_not_the_last_asks(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    submit_ok(r, "{'workflow':'noop'}");
    submit_ok(r, "{'workflow':'noop'}");
    begin_worker(r, dispatch_worker_poll, w, WAIT, &a);
    rig_wait(r, &a);
    begin_worker(r, dispatch_worker_poll, w, WAIT, &b);
    rig_wait(r, &b);
    assert_int_not_equal(json_int(json_member(a.data, "job"), "dispatch_id", 0),
                         json_int(json_member(b.data, "job"), "dispatch_id", 0));
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void idle_waiting_polls_cost_the_store_nothing(void **state)
{
    (void)state;
    const char *sets[] = {"dispatch.sweepMilliseconds=60000", NULL};
    struct rig *r = rig_new(sets);
    struct answer a[50] = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    begin_worker(r, dispatch_worker_poll, w, WAIT, &a[0]);
    rig_waits(r, 1);
    unsigned before = atomic_load(&r->ops);
    for (int i = 1; i < 50; i++)
        begin_worker(r, dispatch_worker_poll, w, WAIT, &a[i]);
    rig_waits(r, 50);
    assert_int_equal(atomic_load(&r->ops), before);
    dispatch_drain(r->d);
    for (int i = 0; i < 50; i++) {
        rig_wait(r, &a[i]);
        assert_string_equal(a[i].message, "No jobs available");
        answer_reset(&a[i]);
    }
    worker_auth_free(w);
    rig_free(r);
}

static void wait_ends_with_no_job(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    do_worker(r, dispatch_worker_poll, w, WAIT_MS("0.2"), &a);
    assert_string_equal(a.message, "No jobs available");
    assert_int_equal(dispatch_waiting_polls(r->d), 0);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void poll_of_a_gone_client_is_forgotten(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    begin_worker(r, dispatch_worker_poll, w, WAIT, &a);
    rig_waits(r, 1);
    dispatch_poll_abandon(r->d, &a);
    assert_int_equal(dispatch_waiting_polls(r->d), 0);
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    assert_string_equal(status_of(r, id), "queued");
    assert_int_equal(a.done, 0);
    worker_auth_free(w);
    rig_free(r);
}

static void lease_that_comes_after_the_client_went_is_given_back(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "photo");
    int64_t id = photo_in(r);
    rig_hold_queue(r);
    begin_worker(r, dispatch_worker_poll, w, WAIT, &a);
    dispatch_poll_abandon(r->d, &a); /* the lease is on its way */
    rig_release_queue(r);
    for (int i = 0; i < 2000 && r->events[EVENT_JOB_LEASED] == 0; i++)
        rig_turn(r, 1);
    rig_turn(r, 50);
    do_get(r, id, &b);
    assert_string_equal(json_str(b.data, "status", ""), "queued");
    assert_int_equal(json_int(b.data, "attempts", -1), 0);
    assert_int_equal(a.done, 0);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void lease_that_comes_after_the_deadline_is_given_back(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    atomic_store(&r->queue_closed, 1);               /* stands still with the lease in hand */
    do_worker(r, dispatch_worker_poll, w, POLL, &a); /* takes as long as a request may */
    assert_int_equal(a.rc, BP_TIMEOUT);
    assert_true(a.retry_after_s > 0);
    rig_release_queue(r);
    for (int i = 0; i < 2000 && a.rc != BP_OK; i++) {
        rig_turn(r, 5);
        do_get(r, id, &a);
        if (strcmp(json_str(a.data, "status", ""), "queued") != 0)
            a.rc = BP_LATER; /* not given back yet */
    }
    assert_string_equal(json_str(a.data, "status", ""), "queued");
    assert_int_equal(json_int(a.data, "attempts", -1), 0);
    assert_int_equal(json_int(a.data, "requeues", -1), 0);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void lease_that_was_never_served_changes_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    rig_hold_queue(r);
    do_worker(r, dispatch_worker_poll, w, POLL, &a); /* waits in the mailbox for all its time */
    assert_int_equal(a.rc, BP_TIMEOUT);
    rig_release_queue(r);
    do_get(r, id, &a);
    assert_string_equal(json_str(a.data, "status", ""), "queued");
    assert_int_equal(json_int(a.data, "requeues", -1), 0);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void job_whose_urls_cannot_be_signed_is_given_back(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "photo");
    int64_t id = photo_in(r);
    atomic_store(&r->presign_fail, 1);
    do_worker(r, dispatch_worker_poll, w, POLL, &a);
    assert_true(a.rc != BP_OK);
    rig_turn(r, 50);
    do_get(r, id, &a);
    assert_string_equal(json_str(a.data, "status", ""), "queued");
    assert_int_equal(json_int(a.data, "attempts", -1), 0);
    atomic_store(&r->presign_fail, 0);
    poll_job(r, w, &a);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void capacity_is_what_the_store_counts(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    submit_ok(r, "{'workflow':'noop'}");
    int64_t second = submit_ok(r, "{'workflow':'noop'}");
    do_worker(r, dispatch_worker_poll, w, "{'worker_id':'w','max_concurrency':1,'current_load':0}", &a);
    assert_string_equal(a.message, "Job leased");
    do_worker(r, dispatch_worker_poll, w, "{'worker_id':'w','max_concurrency':1,'current_load':0}", &b);
    assert_string_equal(b.message, "Worker at capacity");
    /* one that waits gets its job when the first lease ends */
    begin_worker(r, dispatch_worker_poll, w, "{'worker_id':'w','max_concurrency':1,'wait_seconds':30}", &b);
    rig_waits(r, 1);
    assert_int_equal(b.done, 0);
    struct answer c = {0};
    do_worker(r, dispatch_worker_complete, w, lease_body(json_member(a.data, "job"), ""), &c);
    assert_int_equal(c.rc, BP_OK);
    rig_wait(r, &b);
    assert_int_equal(json_int(json_member(b.data, "job"), "dispatch_id", 0), second);
    do_worker(r, dispatch_worker_poll, w, "{'worker_id':'w','max_concurrency':0}", &c);
    assert_string_equal(c.message, "Worker at capacity");
    answer_reset(&a);
    answer_reset(&b);
    answer_reset(&c);
    worker_auth_free(w);
    rig_free(r);
}

static void full_worker_leaves_the_job_to_the_next_one(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0}, c = {0};
    struct worker_auth *full = worker_in(r, "full", "noop"), *idle = worker_in(r, "idle", "noop");
    submit_ok(r, "{'workflow':'noop'}");
    do_worker(r, dispatch_worker_poll, full, "{'worker_id':'w','max_concurrency':1}", &a);
    begin_worker(r, dispatch_worker_poll, full, "{'worker_id':'w','max_concurrency':1,'wait_seconds':30}", &b);
    begin_worker(r, dispatch_worker_poll, idle, WAIT, &c);
    rig_waits(r, 2);
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    rig_wait(r, &c);
    assert_int_equal(json_int(json_member(c.data, "job"), "dispatch_id", 0), id);
    assert_int_equal(b.done, 0);
    dispatch_poll_abandon(r->d, &b);
    answer_reset(&a);
    answer_reset(&c);
    worker_auth_free(full);
    worker_auth_free(idle);
    rig_free(r);
}

static void max_jobs_takes_several(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    for (int i = 0; i < 5; i++)
        submit_ok(r, "{'workflow':'noop'}");
    do_worker(r, dispatch_worker_poll, w, "{'worker_id':'w','max_jobs':10,'max_concurrency':3}", &a);
    struct json_object *jobs = json_member(a.data, "jobs");
    assert_int_equal(json_object_array_length(jobs), 3);
    assert_int_equal(json_int(json_member(a.data, "job"), "dispatch_id", 0),
                     json_int(json_object_array_get_idx(jobs, 0), "dispatch_id", 1));
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void burst_wakes_as_many_polls_as_there_are_jobs(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    enum { N = 20 };
    struct answer poll[N] = {0}, sub[N] = {0};
    struct worker_auth *w[N];
    for (int i = 0; i < N; i++) {
        char id[16];
        snprintf(id, sizeof id, "w%d", i);
        w[i] = worker_in(r, id, "noop");
        begin_worker(r, dispatch_worker_poll, w[i], WAIT, &poll[i]);
    }
    rig_waits(r, N);
    struct json_object *body = js("{'workflow':'noop'}");
    for (int i = 0; i < N; i++)
        dispatch_submit(r->d, "acme", "tenant:acme", body, answer_keep, &sub[i]);
    for (int i = 0; i < N; i++) {
        rig_wait(r, &poll[i]);
        assert_string_equal(poll[i].message, "Job leased");
        rig_wait(r, &sub[i]);
        answer_reset(&poll[i]);
        answer_reset(&sub[i]);
        worker_auth_free(w[i]);
    }
    json_object_put(body);
    rig_free(r);
}

static void wrong_fields_of_a_poll_are_named(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    do_worker(r, dispatch_worker_poll, w,
              "{'max_concurrency':-1,'current_load':'5.5','providers':['x',3],'wait_seconds':61,'max_jobs':65}", &a);
    assert_int_equal(a.rc, BP_INVALID);
    assert_string_equal(a.message, "Validation error.");
    assert_string_equal(field_message(&a, "worker_id"), "The worker id field is required.");
    assert_string_equal(field_message(&a, "max_concurrency"), "The max concurrency field must be at least 0.");
    assert_string_equal(field_message(&a, "current_load"), "The current load field must be an integer.");
    assert_string_equal(field_message(&a, "providers.1"), "The providers.1 field must be a string.");
    assert_non_null(strstr(field_message(&a, "wait_seconds"), "greater than 60"));
    assert_non_null(strstr(field_message(&a, "max_jobs"), "greater than 64"));
    do_worker(r, dispatch_worker_poll, w, NULL, &a);
    assert_int_equal(a.rc, BP_INVALID);
    do_worker(r, dispatch_worker_poll, w,
              "{'worker_id':'w','max_concurrency':null,'current_load':' 5','providers':null}", &a);
    assert_int_equal(a.rc, BP_OK);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void job_put_into_the_store_past_us_is_found(void **state)
{
    (void)state;
    const char *sets[] = {"dispatch.sweepMilliseconds=50", NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    begin_worker(r, dispatch_worker_poll, w, WAIT, &a);
    rig_waits(r, 1);
    struct queue_call *q = queue_call_new(BP_OP_SUBMIT, loop_now_ms(r->loop));
    struct bp_op_submit *s = &queue_call_op(q)->u.submit;
    s->tenant = "acme";
    s->workflow = "noop";
    s->params = "{}";
    s->inputs = "[]";
    s->who = "tenant:acme";
    s->max_attempts = 3;
    struct bp_err err = {0};
    assert_int_equal(queue_call_send(r->bus, q, 5000, NULL, NULL, &err), BP_OK);
    rig_wait(r, &a);
    assert_string_equal(a.message, "Job leased");
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void a_job_meant_for_a_worker_that_drains_goes_to_the_next_at_once(void **state)
{
    (void)state;
    const char *sets[] = {"dispatch.sweepMilliseconds=60000", NULL};
    struct rig *r = rig_new(sets);
    struct answer a[2] = {0};
    struct worker_auth *w[2] = {worker_in(r, "w1", "noop"), worker_in(r, "w2", "noop")};
    for (int i = 0; i < 2; i++) {
        begin_worker(r, dispatch_worker_poll, w[i], WAIT, &a[i]);
        rig_waits(r, (uint32_t)i + 1);
    }
    struct bp_err err = {0};
    struct queue_call *q = queue_call_new(BP_OP_WORKER_SET, loop_now_ms(r->loop)); /* as a fleet does it */
    struct bp_op_worker_set *set = &queue_call_op(q)->u.worker_set;
    set->worker_id = "w1";
    set->approved = set->max_concurrency = -1;
    set->draining = 1;
    assert_int_equal(queue_call_send(r->bus, q, 10000, NULL, NULL, &err), 0);
    rig_turn(r, 50);
    submit_ok(r, "{'workflow':'noop'}");
    rig_wait(r, &a[1]); /* no sweep finds it for it: that would come after a minute */
    assert_non_null(json_member(a[1].data, "job"));
    rig_wait(r, &a[0]);
    assert_null(json_member(a[0].data, "job"));
    for (int i = 0; i < 2; i++) {
        answer_reset(&a[i]);
        worker_auth_free(w[i]);
    }
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_meant_for_a_worker_that_drains_goes_to_the_next_at_once),
        cmocka_unit_test(nothing_queued_answers_null_at_once),
        cmocka_unit_test(job_carries_what_field_workers_and_ours_need),
        cmocka_unit_test(job_without_files_needs_no_url),
        cmocka_unit_test(waiting_poll_is_answered_by_the_submit_in_one_transaction),
        cmocka_unit_test(oldest_waiting_poll_is_served_first_and_only_one_asks),
        cmocka_unit_test(poll_behind_the_last_job_waits_without_asking),
        cmocka_unit_test(poll_behind_a_job_that_is_not_the_last_asks),
        cmocka_unit_test(idle_waiting_polls_cost_the_store_nothing),
        cmocka_unit_test(wait_ends_with_no_job),
        cmocka_unit_test(poll_of_a_gone_client_is_forgotten),
        cmocka_unit_test(lease_that_comes_after_the_client_went_is_given_back),
        cmocka_unit_test(lease_that_comes_after_the_deadline_is_given_back),
        cmocka_unit_test(lease_that_was_never_served_changes_nothing),
        cmocka_unit_test(job_whose_urls_cannot_be_signed_is_given_back),
        cmocka_unit_test(capacity_is_what_the_store_counts),
        cmocka_unit_test(full_worker_leaves_the_job_to_the_next_one),
        cmocka_unit_test(max_jobs_takes_several),
        cmocka_unit_test(burst_wakes_as_many_polls_as_there_are_jobs),
        cmocka_unit_test(wrong_fields_of_a_poll_are_named),
        cmocka_unit_test(job_put_into_the_store_past_us_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
