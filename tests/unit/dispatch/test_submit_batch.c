/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/rig.h"

#include "log/err.h"

#include <string.h>

static void do_batch(struct rig *r, const char *body, struct answer *a)
{
    struct json_object *o = js(body);
    answer_reset(a);
    dispatch_submit_batch(r->d, "acme", "tenant:acme", o, answer_keep, a);
    assert_int_equal(a->done, 0); /* never before the call returned */
    json_object_put(o);
    rig_wait(r, a);
}

static struct json_object *job_of(const struct answer *a, size_t i)
{
    return json_object_array_get_idx(json_member(a->data, "jobs"), i);
}

static void jobs_of_a_batch_are_answered_in_order_out_of_one_transaction(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    do_batch(r,
             "{'jobs':[{'workflow':'noop'},{'workflow':'noop','not_before':4102444800000},"
             "{'workflow':'photo','input':{'key':'tenants/acme/a','mime':'image/png'}}]}",
             &a);
    assert_int_equal(a.rc, BP_OK);
    assert_int_equal(atomic_load(&r->together[BP_OP_SUBMIT]), 3);
    assert_int_equal(json_int(a.data, "accepted", 0), 3);
    assert_int_equal(json_int(a.data, "refused", -1), 0);
    assert_string_equal(json_str(job_of(&a, 0), "status", ""), "queued");
    assert_string_equal(json_str(job_of(&a, 1), "status", ""), "scheduled");
    assert_string_equal(json_str(job_of(&a, 2), "status", ""), "queued");
    assert_true(json_int(job_of(&a, 0), "id", 0) < json_int(job_of(&a, 2), "id", 0));
    assert_int_equal(r->events[EVENT_JOB_SUBMITTED], 3);
    assert_int_equal(atomic_load(&r->heads), 1);
    answer_reset(&a);
    rig_free(r);
}

static void one_wrong_job_refuses_the_batch_by_field(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    do_batch(r,
             "{'jobs':[{'workflow':'noop'},{'workflow':'photo','params':{'duration':99},"
             "'input':{'key':'tenants/acme/a','mime':'image/png'}},{'workflow':'nop'},7,{'workflow':'gone'}]}",
             &a);
    assert_int_equal(a.rc, BP_INVALID);
    assert_non_null(strstr(field_message(&a, "jobs.1.params.duration"), "30"));
    assert_non_null(strstr(field_message(&a, "jobs.2.workflow"), "Did you mean"));
    assert_non_null(strstr(field_message(&a, "jobs.3"), "must be an object"));
    assert_non_null(strstr(field_message(&a, "jobs.4.workflow"), "draining"));
    assert_int_equal(json_object_object_length(a.fields), 4);
    assert_int_equal(r->events[EVENT_JOB_SUBMITTED], 0);
    dispatch_job_list(r->d, &(struct dispatch_list){.limit = 10}, answer_keep, (answer_reset(&a), &a));
    rig_wait(r, &a);
    assert_int_equal(json_object_array_length(json_member(a.data, "jobs")), 0);
    answer_reset(&a);
    rig_free(r);
}

static void input_not_uploaded_refuses_the_batch_by_field(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    atomic_store(&r->head_missing, 1);
    do_batch(r,
             "{'jobs':[{'workflow':'noop'},"
             "{'workflow':'photo','inputs':[{'key':'tenants/acme/a','mime':'image/png'}]}]}",
             &a);
    assert_int_equal(a.rc, BP_INVALID);
    assert_non_null(strstr(field_message(&a, "jobs.1.inputs.0.key"), "Nothing was uploaded"));
    atomic_store(&r->head_missing, 0);
    atomic_store(&r->head_fail, BP_IO);
    do_batch(r, "{'jobs':[{'workflow':'photo','inputs':[{'key':'tenants/acme/a','mime':'image/png'}]}]}", &a);
    assert_int_equal(a.rc, BP_LATER);
    assert_int_equal(r->events[EVENT_JOB_SUBMITTED], 0);
    answer_reset(&a);
    rig_free(r);
}

static void size_of_a_batch_is_bounded(void **state)
{
    (void)state;
    const char *sets[] = {"dispatch.maxBatch=2", NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0};
    do_batch(r, "{'jobs':[{'workflow':'noop'},{'workflow':'noop'},{'workflow':'noop'}]}", &a);
    assert_non_null(strstr(field_message(&a, "jobs"), "more than 2"));
    do_batch(r, "{'jobs':[]}", &a);
    assert_non_null(strstr(field_message(&a, "jobs"), "at least one"));
    do_batch(r, "{'jobs':{}}", &a);
    assert_int_equal(a.rc, BP_INVALID);
    do_batch(r, "{'jobs':[{'workflow':'noop'}],'workflow':'noop'}", &a);
    assert_non_null(strstr(field_message(&a, "jobs"), "nothing beside it"));
    answer_reset(&a);
    rig_free(r);
}

/* n jobs without params. */
static char *many(int n)
{
    char *body = malloc((size_t)n * 24 + 32);
    strcpy(body, "{'jobs':[");
    for (int i = 0; i < n; i++)
        strcat(body, i ? ",{'workflow':'noop'}" : "{'workflow':'noop'}");
    strcat(body, "]}");
    return body;
}

static void batch_that_does_not_fit_is_refused_whole(void **state)
{
    (void)state;
    const char *sets[] = {"dispatch.maxBatch=1000", NULL};
    struct rig *r = rig_new(sets); /* its mailbox takes 64, its transactions 256 */
    struct answer a = {0};
    char *body = many(65), *huge = many(257);
    do_batch(r, body, &a);
    assert_int_equal(a.rc, BP_LATER);
    assert_true(a.retry_after_s > 0);
    assert_int_equal(a.over_limit, 0);
    do_batch(r, huge, &a);
    assert_int_equal(a.rc, BP_INVALID);
    assert_non_null(strstr(field_message(&a, "jobs"), "256"));
    dispatch_job_list(r->d, &(struct dispatch_list){.limit = 10}, answer_keep, (answer_reset(&a), &a));
    rig_wait(r, &a);
    assert_int_equal(json_object_array_length(json_member(a.data, "jobs")), 0);
    free(body);
    free(huge);
    answer_reset(&a);
    rig_free(r);
}

static void waiting_workers_lease_in_the_transaction_of_the_batch(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, p[3] = {0};
    struct worker_auth *w[3];
    for (int i = 0; i < 3; i++) {
        char id[8] = {'w', (char)('0' + i)};
        w[i] = worker_in(r, id, "noop");
        begin_worker(r, dispatch_worker_poll, w[i], "{'worker_id':'w','wait_seconds':30}", &p[i]);
    }
    rig_waits(r, 3);
    do_batch(r, "{'jobs':[{'workflow':'noop'},{'workflow':'noop'}]}", &a);
    assert_int_equal(json_int(a.data, "accepted", 0), 2);
    rig_wait(r, &p[0]);
    rig_wait(r, &p[1]);
    assert_non_null(json_member(p[0].data, "job"));
    assert_non_null(json_member(p[1].data, "job"));
    assert_int_equal(p[2].done, 0);
    assert_int_equal(atomic_load(&r->together[BP_OP_SUBMIT]), 2);
    assert_int_equal(atomic_load(&r->submits_with_lease), 2); /* both behind them in their batch */
    for (int i = 0; i < 3; i++) {
        dispatch_poll_abandon(r->d, &p[i]);
        answer_reset(&p[i]);
        worker_auth_free(w[i]);
    }
    answer_reset(&a);
    rig_free(r);
}

static int every_second(struct rig *r, struct bp_op *op)
{
    if (op->kind != BP_OP_SUBMIT || op->u.submit.priority == 0)
        return 0;
    (void)r;
    op->u.submit.outcome = op->u.submit.priority == 1 ? BP_SUBMIT_LIMIT : BP_SUBMIT_PENDING;
    op->u.submit.existed = op->u.submit.outcome == BP_SUBMIT_PENDING;
    op->u.submit.id = 7;
    op->u.submit.status = BP_JOB_LEASED;
    if (!op->u.submit.existed)
        err_set(&op->err, BP_LATER, "acme has 5 of 5 pending jobs");
    return 1;
}

static void each_job_has_its_own_answer(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    r->script = every_second;
    do_batch(r,
             "{'jobs':[{'workflow':'noop'},{'workflow':'noop','priority':1},{'workflow':'noop','priority':2},"
             "{'workflow':'noop','idempotency_key':'k'},{'workflow':'noop','idempotency_key':'k'},"
             "{'workflow':'noop','params':{'x':1},'idempotency_key':'k'}]}",
             &a);
    assert_int_equal(a.rc, BP_OK);
    assert_int_equal(json_int(a.data, "accepted", 0), 2);
    assert_int_equal(json_int(a.data, "existing", 0), 2);
    assert_int_equal(json_int(a.data, "refused", 0), 2);
    assert_string_equal(json_str(job_of(&a, 1), "status", ""), "refused");
    assert_string_equal(json_str(job_of(&a, 1), "reason", ""), "limit");
    assert_non_null(strstr(json_str(job_of(&a, 1), "message", ""), "5 of 5"));
    assert_true(json_truth(job_of(&a, 2), "duplicate", 0));
    assert_string_equal(json_str(job_of(&a, 2), "status", ""), "leased");
    assert_int_equal(json_int(job_of(&a, 4), "id", 0), json_int(job_of(&a, 3), "id", -1));
    assert_true(json_truth(job_of(&a, 4), "replayed", 0));
    assert_string_equal(json_str(job_of(&a, 5), "reason", ""), "idempotency_key");
    assert_int_equal(r->events[EVENT_JOB_SUBMITTED], 2);
    answer_reset(&a);
    rig_free(r);
}

static void queue_that_fails_refuses_the_batch_as_one_submit(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    atomic_store(&r->queue_fail, BP_NOSPACE);
    do_batch(r, "{'jobs':[{'workflow':'noop'},{'workflow':'noop'}]}", &a);
    assert_int_equal(a.rc, BP_NOSPACE);
    assert_int_equal(a.retry_after_s, 10);
    atomic_store(&r->queue_fail, 0);
    bus_route(r->bus, "queue", NULL, NULL, NULL);
    do_batch(r, "{'jobs':[{'workflow':'noop'}]}", &a);
    assert_int_equal(a.rc, BP_LATER);
    assert_non_null(strstr(a.message, "not running"));
    dispatch_drain(r->d);
    do_batch(r, "{'jobs':[{'workflow':'noop'}]}", &a);
    assert_int_equal(a.rc, BP_STOPPED);
    assert_int_equal(r->events[EVENT_JOB_SUBMITTED], 0);
    answer_reset(&a);
    rig_free(r);
}

static void engine_that_ends_first_leaves_nothing_behind(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct json_object *o = js("{'jobs':[{'workflow':'noop'},{'workflow':'noop'}]}");
    rig_hold_queue(r);
    dispatch_submit_batch(r->d, "acme", "tenant:acme", o, answer_keep, &a);
    dispatch_free(r->d);
    rig_release_queue(r);
    rig_turn(r, 20);
    assert_int_equal(a.done, 0);
    r->d = dispatch_new(r->bus, NULL, r->config);
    json_object_put(o);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_of_a_batch_are_answered_in_order_out_of_one_transaction),
        cmocka_unit_test(one_wrong_job_refuses_the_batch_by_field),
        cmocka_unit_test(input_not_uploaded_refuses_the_batch_by_field),
        cmocka_unit_test(size_of_a_batch_is_bounded),
        cmocka_unit_test(batch_that_does_not_fit_is_refused_whole),
        cmocka_unit_test(waiting_workers_lease_in_the_transaction_of_the_batch),
        cmocka_unit_test(each_job_has_its_own_answer),
        cmocka_unit_test(queue_that_fails_refuses_the_batch_as_one_submit),
        cmocka_unit_test(engine_that_ends_first_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
