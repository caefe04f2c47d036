/* SPDX-License-Identifier: Apache-2.0 */
/* A lease that reaches its worker before the commit: what that changes, and what it must not. */
#include "dispatch/rig.h"

#include <stdio.h>
#include <string.h>

#define WAIT "{'worker_id':'w','wait_seconds':30}"

/* A worker that waits, a submit that wakes it, and the commit of both held up. */
struct scene {
    struct rig *r;
    struct worker_auth *w;
    struct answer poll, submit;
};

static struct scene scene_new(void)
{
    const char *sets[] = {"dispatch.sweepMilliseconds=60000", NULL};
    struct scene s = {.r = rig_new(sets)};
    s.w = worker_in(s.r, "w", "noop");
    return s;
}

static void begin(struct scene *s)
{
    struct json_object *body = js("{'workflow':'noop'}");
    begin_worker(s->r, dispatch_worker_poll, s->w, WAIT, &s->poll);
    rig_turn(s->r, 20);
    assert_int_equal(dispatch_waiting_polls(s->r->d), 1);
    atomic_store(&s->r->commit_closed, 1);
    dispatch_submit(s->r->d, "acme", "tenant:acme", body, answer_keep, &s->submit);
    json_object_put(body);
}

static struct json_object *job_of(struct scene *s)
{
    rig_wait(s->r, &s->poll);
    struct json_object *job = json_member(s->poll.data, "job");
    assert_non_null(job);
    return job;
}

static void commit(struct scene *s)
{
    atomic_store(&s->r->commit_closed, 0);
    rig_wait(s->r, &s->submit);
}

static void scene_free(struct scene *s)
{
    answer_reset(&s->poll);
    answer_reset(&s->submit);
    worker_auth_free(s->w);
    rig_free(s->r);
}

static uint64_t leased(struct scene *s)
{
    struct dispatch_counters n;
    dispatch_counters(s->r->d, &n);
    return n.leased;
}

static void a_worker_has_its_job_before_anybody_else_hears_of_it(void **state)
{
    (void)state;
    struct scene s = scene_new();
    begin(&s);
    int64_t id = json_int(job_of(&s), "dispatch_id", 0);
    rig_turn(s.r, 20);
    assert_int_equal(s.submit.done, 0);
    assert_int_equal(leased(&s), 0);
    assert_int_equal(s.r->events[EVENT_JOB_SUBMITTED] + s.r->events[EVENT_JOB_LEASED], 0);
    commit(&s);
    assert_int_equal(json_int(s.submit.data, "id", 0), id);
    rig_until(s.r, &s.r->events[EVENT_JOB_LEASED], 1);
    assert_non_null(strstr(s.r->last_event, "wait_ms")); /* the last of the two */
    assert_int_equal(s.r->events[EVENT_JOB_SUBMITTED], 1);
    assert_int_equal(leased(&s), 1);
    assert_int_equal(atomic_load(&s.r->early), 1);
    scene_free(&s);
}

static void what_the_worker_says_meanwhile_is_answered_behind_the_commit(void **state)
{
    (void)state;
    struct scene s = scene_new();
    struct answer c = {0};
    begin(&s);
    struct json_object *job = job_of(&s);
    begin_worker(s.r, dispatch_worker_complete, s.w, lease_body(job, ""), &c);
    rig_turn(s.r, 20);
    assert_int_equal(c.done, 0);
    commit(&s);
    rig_wait(s.r, &c);
    assert_int_equal(c.rc, BP_OK);
    assert_int_equal(atomic_load(&s.r->asked[BP_OP_GET]), 0); /* the lease was known already */
    assert_string_equal(status_of(s.r, json_int(job, "dispatch_id", 0)), "completed");
    answer_reset(&c);
    scene_free(&s);
}

/* The plugin keeps what it wrote here, so only what the engine makes of it is looked at. */
static void a_lost_lease_leaves_no_trace_and_nobody_waiting(void **state)
{
    (void)state;
    struct scene s = scene_new();
    struct answer other = {0};
    struct worker_auth *w2 = worker_in(s.r, "w2", "noop");
    begin(&s);
    job_of(&s);
    begin_worker(s.r, dispatch_worker_poll, w2, WAIT, &other);
    rig_turn(s.r, 20);
    unsigned asked = atomic_load(&s.r->asked[BP_OP_LEASE]);
    atomic_store(&s.r->commit_fail, 1);
    commit(&s);
    assert_int_equal(s.submit.rc, BP_NOSPACE);
    for (int i = 0; i < 200 && atomic_load(&s.r->asked[BP_OP_LEASE]) == asked; i++)
        rig_turn(s.r, 10);
    assert_int_equal(atomic_load(&s.r->asked[BP_OP_LEASE]), asked + 1); /* the other one looks again */
    assert_int_equal(s.r->events[EVENT_JOB_SUBMITTED] + s.r->events[EVENT_JOB_LEASED], 0);
    assert_int_equal(leased(&s), 0);
    int64_t id = submit_ok(s.r, "{'workflow':'noop'}");
    rig_wait(s.r, &other);
    assert_int_equal(json_int(json_member(other.data, "job"), "dispatch_id", 0), id);
    answer_reset(&other);
    worker_auth_free(w2);
    scene_free(&s);
}

static void a_worker_that_is_gone_gives_its_early_lease_back(void **state)
{
    (void)state;
    struct scene s = scene_new();
    struct answer again = {0};
    struct json_object *body = js("{'workflow':'noop'}");
    begin_worker(s.r, dispatch_worker_poll, s.w, WAIT, &s.poll);
    rig_turn(s.r, 20);
    rig_hold_queue(s.r);
    dispatch_submit(s.r->d, "acme", "tenant:acme", body, answer_keep, &s.submit);
    dispatch_poll_abandon(s.r->d, &s.poll);
    rig_release_queue(s.r);
    rig_wait(s.r, &s.submit);
    rig_until(s.r, &s.r->events[EVENT_JOB_REQUEUED], 1);
    assert_int_equal(s.r->events[EVENT_JOB_LEASED], 1);
    assert_int_equal(atomic_load(&s.r->early), 1);
    struct json_object *job = poll_job(s.r, s.w, &again);
    assert_int_equal(json_int(job, "dispatch_id", 0), json_int(s.submit.data, "id", -1));
    assert_int_equal(json_int(job, "attempt", 0), 1);
    json_object_put(body);
    answer_reset(&again);
    scene_free(&s);
}

static void a_job_that_was_there_before_waits_for_the_commit(void **state)
{
    (void)state;
    struct scene s = scene_new();
    submit_ok(s.r, "{'workflow':'noop'}");
    poll_job(s.r, s.w, &s.poll);
    assert_int_equal(atomic_load(&s.r->early), 0);
    assert_int_equal(leased(&s), 1);
    scene_free(&s);
}

static void on_leased(struct bp_op *op, const struct bp_err *err, void *arg)
{
    assert_int_equal(err->rc, BP_OK);
    assert_int_equal(op->u.lease.count, 1);
    ++*(unsigned *)arg;
}

/* Leases the next photo job as another controller would. */
static void lease_elsewhere(struct rig *r, const char *token)
{
    static const char *const workflows[] = {"photo"}, *const keys[] = {"x/output.mp4"};
    struct bp_err err = {0};
    unsigned done = 0;
    struct queue_call *q = queue_call_new(BP_OP_LEASE, loop_now_ms(r->loop));
    struct bp_op_lease *l = &queue_call_op(q)->u.lease;
    l->worker_id = "w";
    l->workflows = workflows;
    l->output_keys = keys;
    l->tokens = &token;
    l->n_workflows = l->max = 1;
    l->ttl_ms = 60000;
    assert_int_equal(queue_call_send(r->bus, q, 20000, on_leased, &done, &err), BP_OK);
    rig_until(r, &done, 1);
}

/* As at a controller that asks while another one commits: what only reads does not find the job yet. */
static int does_not_find(struct rig *r, struct bp_op *op)
{
    (void)r;
    if (op->kind != BP_OP_GET)
        return 0;
    op->err.rc = BP_NOTFOUND;
    return 1;
}

static void a_completion_at_another_controller_waits_for_the_commit(void **state)
{
    (void)state;
    struct rig *here = rig_new(NULL);
    struct answer c = {0};
    char body[128];
    struct worker_auth *w = worker_in(here, "w", "photo");
    int64_t id = submit_ok(here, "{'workflow':'photo','params':{'duration':2},'input':{'key':"
                                 "'tenants/acme/uploads/u/p.jpg','mime':'image/jpeg','name':'p.jpg'}}");
    lease_elsewhere(here, "token-of-another");
    here->script = does_not_find;
    unsigned heads = atomic_load(&here->heads);
    snprintf(body, sizeof body, "{'dispatch_id':%lld,'lease_token':'token-of-another'}", (long long)id);
    do_worker(here, dispatch_worker_complete, w, body, &c);
    here->script = NULL;
    assert_int_equal(c.rc, BP_OK);
    assert_int_equal(atomic_load(&here->heads), heads + 1); /* its output is looked for all the same */
    assert_string_equal(status_of(here, id), "completed");
    answer_reset(&c);
    worker_auth_free(w);
    rig_free(here);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_has_its_job_before_anybody_else_hears_of_it),
        cmocka_unit_test(what_the_worker_says_meanwhile_is_answered_behind_the_commit),
        cmocka_unit_test(a_lost_lease_leaves_no_trace_and_nobody_waiting),
        cmocka_unit_test(a_worker_that_is_gone_gives_its_early_lease_back),
        cmocka_unit_test(a_job_that_was_there_before_waits_for_the_commit),
        cmocka_unit_test(a_completion_at_another_controller_waits_for_the_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
