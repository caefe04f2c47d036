/* SPDX-License-Identifier: Apache-2.0 */
/* A worker ends a lease and takes its next job with one request. */
#include "dispatch/rig.h"

#include <string.h>

#define NOOP  "{'workflow':'noop'}"
#define POLL  "{'worker_id':'w','max_concurrency':1}"
#define PHOTO "{'workflow':'photo','input':{'key':'tenants/acme/uploads/u/p.jpg','mime':'image/jpeg'}}"
#define TAKE  "'poll':" POLL
#define WRONG "{'dispatch_id':1,'lease_token':'wrong'," TAKE "}"

/* A worker of a fleet that holds the first of two jobs, and what it was told. */
struct stage {
    struct rig *r;
    struct worker_auth *w;
    int64_t first, second;
    struct answer held, a;
};

static struct stage stage_new(const char *fleet, const char *body)
{
    struct stage s = {.r = rig_new(NULL)};
    s.w = worker_in(s.r, "w", fleet);
    s.first = submit_ok(s.r, body);
    s.second = submit_ok(s.r, body);
    assert_int_equal(json_int(poll_job(s.r, s.w, &s.held), "dispatch_id", 0), s.first);
    return s;
}

static void stage_free(struct stage *s)
{
    answer_reset(&s->held);
    answer_reset(&s->a);
    worker_auth_free(s->w);
    rig_free(s->r);
}

static const char *held_body(const struct stage *s, const char *more)
{
    return lease_body(json_member(s->held.data, "job"), more);
}

static void complete(struct stage *s, const char *more)
{
    do_worker(s->r, dispatch_worker_complete, s->w, held_body(s, more), &s->a);
}

/* What the poll was answered; the completion was accepted. */
static const char *said(const struct stage *s)
{
    assert_int_equal(s->a.rc, BP_OK);
    assert_string_equal(s->a.message, "Job completed");
    assert_int_equal(json_int(s->a.data, "job_id", 0), s->first);
    assert_string_equal(status_of(s->r, s->first), "completed");
    return json_str(json_member(s->a.data, "poll"), "message", "-");
}

static struct json_object *poll_data(const struct stage *s)
{
    return json_member(json_member(s->a.data, "poll"), "data");
}

/* A job that was never leased, or whose lease was given back at once. */
static void is_queued(struct stage *s, int64_t id, unsigned leases)
{
    struct answer b = {0};
    do_get(s->r, id, &b);
    assert_string_equal(json_str(b.data, "status", ""), "queued");
    assert_int_equal(json_int(b.data, "attempts", -1), 0);
    assert_int_equal(s->r->events[EVENT_JOB_LEASED], leases);
    answer_reset(&b);
}

static void the_next_job_comes_with_the_answer_in_one_transaction(void **state)
{
    (void)state;
    struct stage s = stage_new("noop", NOOP);
    unsigned batches = atomic_load(&s.r->batches), ops = atomic_load(&s.r->ops);
    complete(&s, "'poll':{'worker_id':'w'}");
    assert_int_equal(atomic_load(&s.r->batches) - batches, 1);
    assert_int_equal(atomic_load(&s.r->ops) - ops, 2);
    assert_string_equal(said(&s), "Job leased");
    assert_true(json_truth(json_member(s.a.data, "poll"), "success", 0));
    struct json_object *job = json_member(poll_data(&s), "job");
    assert_int_equal(json_int(job, "dispatch_id", 0), s.second);
    assert_int_equal(strlen(json_str(job, "lease_token", "")), 36);
    assert_string_equal(status_of(s.r, s.second), "leased");
    assert_int_equal(s.r->events[EVENT_JOB_LEASED], 2);
    struct answer b = {0};
    do_worker(s.r, dispatch_worker_complete, s.w, lease_body(job, ""), &b);
    assert_int_equal(b.rc, BP_OK);
    answer_reset(&b);
    stage_free(&s);
}

static void who_does_not_ask_is_answered_as_ever(void **state)
{
    (void)state;
    struct stage s = stage_new("noop", NOOP);
    const char *const without[] = {"", "'poll':null"};
    for (size_t i = 0; i < 2; i++) {
        char text[64];
        complete(&s, without[i]);
        snprintf(text, sizeof text, "{\"job_id\":%lld}", (long long)s.first);
        assert_string_equal(json_text(s.a.data), text);
        is_queued(&s, s.second, 1);
    }
    stage_free(&s);
}

static void refused_completion_takes_nothing(void **state)
{
    (void)state;
    struct stage s = stage_new("noop", NOOP);
    do_worker(s.r, dispatch_worker_complete, s.w, WRONG, &s.a);
    assert_int_equal(s.a.rc, BP_NOTFOUND);
    assert_null(s.a.data);
    complete(&s, "'output':{'size':-1}," TAKE);
    assert_int_equal(s.a.rc, BP_INVALID);
    is_queued(&s, s.second, 1);
    stage_free(&s);
}

static void completion_without_its_output_takes_nothing(void **state)
{
    (void)state;
    struct stage s = stage_new("photo", PHOTO);
    atomic_store(&s.r->head_missing, 1);
    complete(&s, TAKE);
    assert_int_equal(s.a.rc, BP_INVALID);
    assert_non_null(strstr(field_message(&s.a, "output"), "not uploaded"));
    is_queued(&s, s.second, 1);
    atomic_store(&s.r->head_missing, 0);
    complete(&s, TAKE);
    assert_string_equal(said(&s), "Job leased");
    assert_non_null(strstr(json_str(json_member(poll_data(&s), "job"), "output_url", ""), "m=PUT"));
    stage_free(&s);
}

/* Another controller ended the lease: only the store knows. */
static void completion_that_the_store_refuses_takes_nothing(void **state)
{
    (void)state;
    struct stage s = stage_new("noop", NOOP);
    struct json_object *job = json_member(s.held.data, "job");
    struct bp_err err = {0};
    struct queue_call *q = queue_call_new(BP_OP_REQUEUE, loop_now_ms(s.r->loop));
    queue_call_op(q)->u.requeue.id = s.first;
    queue_call_op(q)->u.requeue.token = queue_call_str(q, json_str(job, "lease_token", ""));
    queue_call_op(q)->u.requeue.worker_id = "w";
    queue_call_op(q)->u.requeue.max_requeues = -1;
    assert_int_equal(queue_call_send(s.r->bus, q, 10000, NULL, NULL, &err), BP_OK);
    unsigned leases = atomic_load(&s.r->asked[BP_OP_LEASE]);
    complete(&s, TAKE);
    assert_int_equal(s.a.rc, BP_NOTFOUND);
    assert_string_equal(s.a.message, "Lease not found.");
    assert_int_equal(atomic_load(&s.r->asked[BP_OP_LEASE]) - leases, 1);
    rig_turn(s.r, 20);
    is_queued(&s, s.first, 1);
    is_queued(&s, s.second, 1);
    stage_free(&s);
}

static void with_no_job_the_answer_comes_at_once_and_says_so(void **state)
{
    (void)state;
    struct stage s = stage_new("noop", NOOP);
    complete(&s, TAKE);
    struct answer first = s.held;
    s.held = (struct answer){.data = json_object_get(poll_data(&s))};
    s.first = s.second;
    complete(&s, "'poll':{'worker_id':'w','wait_seconds':60}");
    struct json_object *job = s.a.data;
    assert_string_equal(said(&s), "No jobs available");
    assert_true(json_object_object_get_ex(poll_data(&s), "job", &job));
    assert_null(job);
    assert_int_equal(dispatch_waiting_polls(s.r->d), 0);
    answer_reset(&first);
    stage_free(&s);
}

/* The lease of the last job said that the queue is empty. */
static void queue_that_is_known_to_be_empty_is_not_asked(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    submit_ok(r, NOOP);
    struct json_object *job = poll_job(r, w, &a);
    unsigned leases = atomic_load(&r->asked[BP_OP_LEASE]);
    do_worker(r, dispatch_worker_complete, w, lease_body(job, TAKE), &b);
    assert_string_equal(json_str(json_member(b.data, "poll"), "message", "-"), "No jobs available");
    assert_int_equal(atomic_load(&r->asked[BP_OP_LEASE]), leases);
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

/* A poll's own reasons leave the completion as it is. */
static void what_keeps_a_poll_from_a_job_keeps_this_one(void **state)
{
    (void)state;
    static const struct {
        const char *poll, *message;
    } rows[] = {
        {"'poll':{'worker_id':'w','max_concurrency':0}", "Worker at capacity"},
        {"'poll':{'worker_id':'w','capabilities':{'health':{'ok':false}}}", "Worker unhealthy"},
        {"'poll':{'worker_id':'w','except':['noop']}", "No jobs available"},
        {"'poll':{'worker_id':'w','max_jobs':65}", "Validation error."},
        {"'poll':7", "Validation error."},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage s = stage_new("noop", NOOP);
        complete(&s, rows[i].poll);
        assert_string_equal(said(&s), rows[i].message);
        assert_int_equal(json_truth(json_member(s.a.data, "poll"), "success", 2), i < 3);
        assert_true((json_member(poll_data(&s), i == 3 ? "max_jobs" : "worker_id") != NULL) == (i >= 3));
        is_queued(&s, s.second, 1);
        stage_free(&s);
    }
}

static void controller_that_drains_takes_the_completion_alone(void **state)
{
    (void)state;
    struct stage s = stage_new("noop", NOOP);
    dispatch_drain(s.r->d);
    complete(&s, TAKE);
    assert_string_equal(said(&s), "The controller is draining; no jobs are handed out.");
    assert_false(json_truth(json_member(s.a.data, "poll"), "success", 1));
    is_queued(&s, s.second, 1);
    stage_free(&s);
}

static void worker_that_drains_or_is_revoked_completes_and_gets_no_more(void **state)
{
    (void)state;
    static const char *const what[] = {"drain", "revoke"};
    for (int i = 0; i < 2; i++) {
        struct rig *r = rig_new(NULL);
        struct answer t = {0}, a = {0}, b = {0};
        do_worker(r, dispatch_worker_register, NULL, "{'worker_id':'w','fleet_slug':'noop','stage':'local'}", &t);
        struct worker_auth *before = worker_with_token(r, json_str(t.data, "token", ""));
        submit_ok(r, NOOP);
        int64_t second = submit_ok(r, NOOP);
        struct json_object *job = poll_job(r, before, &a);
        dispatch_worker_change(r->d, "w", what[i], "operator:0", answer_keep, &b);
        rig_wait(r, &b);
        struct worker_auth *now = i == 0 ? worker_with_token(r, json_str(t.data, "token", "")) : NULL;
        do_worker(r, dispatch_worker_complete, now ? now : before, lease_body(job, TAKE), &b);
        assert_int_equal(b.rc, i == 0 ? BP_OK : BP_NOTFOUND); /* who is revoked loses its leases */
        if (i == 0)
            assert_string_equal(json_str(json_member(b.data, "poll"), "message", "-"), "Worker draining");
        assert_string_equal(status_of(r, second), "queued");
        answer_reset(&t);
        answer_reset(&a);
        answer_reset(&b);
        worker_auth_free(before);
        worker_auth_free(now);
        rig_free(r);
    }
}

/* As a fleet drains one: the engine has not heard of it when the store refuses. */
static void worker_that_drains_for_the_store_alone_gets_no_more(void **state)
{
    (void)state;
    struct stage s = stage_new("noop", NOOP);
    struct bp_err err = {0};
    struct queue_call *q = queue_call_new(BP_OP_WORKER_SET, loop_now_ms(s.r->loop));
    struct bp_op_worker_set *set = &queue_call_op(q)->u.worker_set;
    set->worker_id = "w";
    set->approved = set->max_concurrency = -1;
    set->draining = 1;
    assert_int_equal(queue_call_send(s.r->bus, q, 10000, NULL, NULL, &err), 0);
    complete(&s, TAKE);
    assert_string_equal(said(&s), "No jobs available");
    is_queued(&s, s.second, 1);
    stage_free(&s);
}

static void place_of_the_completed_job_is_free_and_no_other(void **state)
{
    (void)state;
    struct stage s = stage_new("noop", NOOP);
    int64_t third = submit_ok(s.r, NOOP);
    struct answer b = {0};
    do_worker(s.r, dispatch_worker_poll, s.w, "{'worker_id':'w','max_concurrency':2}", &b);
    assert_int_equal(json_int(json_member(b.data, "job"), "dispatch_id", 0), s.second);
    complete(&s, TAKE); /* one other is held, and one is all it may have */
    assert_string_equal(said(&s), "Worker at capacity");
    is_queued(&s, third, 2);
    answer_reset(&b);
    stage_free(&s);
}

static void several_are_taken_at_once(void **state)
{
    (void)state;
    struct stage s = stage_new("noop", NOOP);
    submit_ok(s.r, NOOP);
    complete(&s, "'poll':{'worker_id':'w','max_concurrency':8,'max_jobs':8}");
    assert_string_equal(said(&s), "Job leased");
    assert_int_equal(json_object_array_length(json_member(poll_data(&s), "jobs")), 2);
    stage_free(&s);
}

static void lease_of_a_client_that_left_is_given_back_and_its_completion_stands(void **state)
{
    (void)state;
    struct stage s = stage_new("noop", NOOP);
    rig_hold_queue(s.r);
    begin_worker(s.r, dispatch_worker_complete, s.w, held_body(&s, TAKE), &s.a);
    dispatch_poll_abandon(s.r->d, &s.a);
    rig_release_queue(s.r);
    rig_wait(s.r, &s.a); /* the door knows that nobody listens */
    assert_null(json_member(s.a.data, "poll"));
    assert_string_equal(said(&s), "-");
    rig_turn(s.r, 50);
    is_queued(&s, s.second, 2);
    stage_free(&s);
}

static void client_that_left_before_its_output_was_checked_takes_nothing(void **state)
{
    (void)state;
    struct stage s = stage_new("photo", PHOTO);
    begin_worker(s.r, dispatch_worker_complete, s.w, held_body(&s, TAKE), &s.a);
    dispatch_poll_abandon(s.r->d, &s.a);
    rig_wait(s.r, &s.a);
    assert_string_equal(said(&s), "-");
    is_queued(&s, s.second, 1);
    stage_free(&s);
}

static void job_whose_urls_cannot_be_signed_is_given_back(void **state)
{
    (void)state;
    struct stage s = stage_new("photo", PHOTO);
    atomic_store(&s.r->presign_fail, 1);
    complete(&s, TAKE);
    atomic_store(&s.r->presign_fail, 0);
    assert_false(json_truth(json_member(s.a.data, "poll"), "success", 1));
    assert_string_not_equal(said(&s), "Job leased");
    rig_turn(s.r, 50);
    is_queued(&s, s.second, 2);
    stage_free(&s);
}

static void failed_attempt_makes_room_as_well(void **state)
{
    (void)state;
    struct stage s = stage_new("noop", NOOP);
    do_worker(s.r, dispatch_worker_fail, s.w, held_body(&s, "'error_message':'no'," TAKE), &s.a);
    assert_int_equal(s.a.rc, BP_OK);
    assert_string_equal(json_str(s.a.data, "status", ""), "failed");
    assert_int_equal(json_int(json_member(poll_data(&s), "job"), "dispatch_id", 0), s.second);
    stage_free(&s);
}

static void store_that_takes_nothing_refuses_both(void **state)
{
    (void)state;
    struct stage s = stage_new("noop", NOOP);
    atomic_store(&s.r->queue_fail, BP_NOSPACE);
    complete(&s, TAKE);
    assert_int_equal(s.a.rc, BP_NOSPACE);
    atomic_store(&s.r->queue_fail, 0);
    assert_string_equal(status_of(s.r, s.first), "leased");
    is_queued(&s, s.second, 1);
    stage_free(&s);
}

static void end_engine(struct stage *s)
{
    dispatch_free(s->r->d);
    s->r->d = dispatch_new(s->r->bus, NULL, s->r->config);
    dispatch_start(s->r->d);
    atomic_store(&s->r->presign_closed, 0);
    rig_release_queue(s->r);
    rig_turn(s->r, 50);
    assert_int_equal(s->a.done, 0);
    stage_free(s);
}

/* While the output is looked at, while the store works, while URLs are signed. */
static void nobody_is_answered_by_an_engine_that_ended(void **state)
{
    (void)state;
    struct stage s = stage_new("photo", PHOTO);
    begin_worker(s.r, dispatch_worker_complete, s.w, held_body(&s, TAKE), &s.a);
    end_engine(&s);
    s = stage_new("noop", NOOP);
    rig_hold_queue(s.r);
    begin_worker(s.r, dispatch_worker_complete, s.w, held_body(&s, TAKE), &s.a);
    end_engine(&s);
    s = stage_new("photo", PHOTO);
    atomic_store(&s.r->presign_closed, 1);
    begin_worker(s.r, dispatch_worker_complete, s.w, held_body(&s, TAKE), &s.a);
    rig_until(s.r, &s.r->events[EVENT_JOB_LEASED], 2);
    end_engine(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_job_comes_with_the_answer_in_one_transaction),
        cmocka_unit_test(who_does_not_ask_is_answered_as_ever),
        cmocka_unit_test(refused_completion_takes_nothing),
        cmocka_unit_test(completion_without_its_output_takes_nothing),
        cmocka_unit_test(completion_that_the_store_refuses_takes_nothing),
        cmocka_unit_test(with_no_job_the_answer_comes_at_once_and_says_so),
        cmocka_unit_test(queue_that_is_known_to_be_empty_is_not_asked),
        cmocka_unit_test(what_keeps_a_poll_from_a_job_keeps_this_one),
        cmocka_unit_test(controller_that_drains_takes_the_completion_alone),
        cmocka_unit_test(worker_that_drains_or_is_revoked_completes_and_gets_no_more),
        cmocka_unit_test(worker_that_drains_for_the_store_alone_gets_no_more),
        cmocka_unit_test(place_of_the_completed_job_is_free_and_no_other),
        cmocka_unit_test(several_are_taken_at_once),
        cmocka_unit_test(lease_of_a_client_that_left_is_given_back_and_its_completion_stands),
        cmocka_unit_test(client_that_left_before_its_output_was_checked_takes_nothing),
        cmocka_unit_test(job_whose_urls_cannot_be_signed_is_given_back),
        cmocka_unit_test(failed_attempt_makes_room_as_well),
        cmocka_unit_test(store_that_takes_nothing_refuses_both),
        cmocka_unit_test(nobody_is_answered_by_an_engine_that_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
