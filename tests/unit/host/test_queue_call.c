/* SPDX-License-Identifier: Apache-2.0 */
/* Queue operations through the host to a queue plugin and back, misbehaviour included. */
#include "host/rig.h"
#include <stdlib.h>

struct answer {
    int called, late, early, rc, op_seen, taken;
    int64_t id;
    uint32_t count;
    char text[252];
};

static void on_answer(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct answer *a = arg;
    a->called++;
    a->rc = err->rc;
    a->op_seen = op != NULL;
    a->taken = queue_op_taken(op);
    snprintf(a->text, sizeof(a->text), "%s", err->text);
    if (op && op->kind == BP_OP_SUBMIT)
        a->id = op->u.submit.id;
    if (op && op->kind == BP_OP_LEASE && err->rc == 0) {
        a->count = op->u.lease.count;
        a->id = op->u.lease.jobs[0].id;
    }
}

static void on_late(struct bp_op *op, const struct bp_err *err, void *arg)
{
    (void)op, (void)err;
    ((struct answer *)arg)->late++;
}

static void on_early(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct answer *a = arg;
    assert_int_equal(err->rc, BP_OK);
    assert_int_equal(a->called, 0);
    assert_int_equal(op->u.lease.count, 1);
    a->id = op->u.lease.jobs[0].id;
    a->early++;
}

static int is_answered(struct rig *r, const void *arg)
{
    (void)r;
    return ((const struct answer *)arg)->called;
}

static int is_late(struct rig *r, const void *arg)
{
    (void)r;
    return ((const struct answer *)arg)->late;
}

static void submit(struct rig *r, const char *tenant, int64_t timeout_ms, struct answer *a)
{
    struct bp_err err = {0};
    struct queue_call *q = queue_call_new(BP_OP_SUBMIT, 1);
    memset(a, 0, sizeof(*a));
    queue_call_op(q)->u.submit.tenant = queue_call_str(q, tenant);
    queue_call_on_late(q, on_late);
    assert_int_equal(queue_call_send(r->bus, q, timeout_ms, on_answer, a, &err), 0);
}

static int submit_rc(struct rig *r, const char *tenant, struct answer *a)
{
    submit(r, tenant, 20000, a);
    rig_until(r, is_answered, a);
    assert_int_equal(a->called, 1);
    return a->rc;
}

static void lease(struct rig *r, const char *worker, struct answer *a)
{
    struct bp_err err = {0};
    struct queue_call *q = queue_call_new(BP_OP_LEASE, 1);
    memset(a, 0, sizeof(*a));
    queue_call_op(q)->u.lease.worker_id = queue_call_str(q, worker);
    queue_call_op(q)->u.lease.max = 1;
    queue_call_on_early(q, on_early);
    assert_int_equal(queue_call_send(r->bus, q, 20000, on_answer, a, &err), 0);
    rig_until(r, is_answered, a);
}

static struct rig *rig_with_queue(void)
{
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "queue-1", "store");
    rig_start(r);
    return r;
}

/* A submit with a lease behind it, sent as one request. */
static int send_two(struct rig *r, const char *tenant, const char *worker, int64_t timeout_ms, struct answer a[2])
{
    struct bp_err err = {0};
    struct queue_call *q = queue_call_new(BP_OP_SUBMIT, 1), *then = queue_call_new(BP_OP_LEASE, 1);
    memset(a, 0, 2 * sizeof(*a));
    queue_call_op(q)->u.submit.tenant = queue_call_str(q, tenant);
    queue_call_op(then)->u.lease.worker_id = queue_call_str(then, worker);
    queue_call_op(then)->u.lease.max = 1;
    queue_call_on_late(q, on_late);
    queue_call_on_late(then, on_late);
    queue_call_on_early(q, on_early);
    queue_call_on_early(then, on_early);
    queue_call_then(q, then, on_answer, &a[1]);
    return queue_call_send(r->bus, q, timeout_ms, on_answer, &a[0], &err);
}

static void two_operations_of_one_request_have_an_outcome_each(void **state)
{
    static const struct {
        const char *tenant, *worker;
        int rc[2], taken;
    } rows[] = {
        {"acme", "w", {BP_OK, BP_OK}, 1},
        {"conflict", "w", {BP_CONFLICT, BP_OK}, 1},
        {"acme", "greedy", {BP_OK, BP_FAIL}, 1},
        {"disk-full", "w", {BP_NOSPACE, BP_NOSPACE}, 0},
    };
    (void)state;
    struct rig *r = rig_with_queue();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct answer a[2];
        assert_int_equal(send_two(r, rows[i].tenant, rows[i].worker, 20000, a), 0);
        rig_until(r, is_answered, &a[1]);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(a[k].called, 1);
            assert_int_equal(a[k].rc, rows[i].rc[k]);
            assert_int_equal(a[k].taken, rows[i].taken);
        }
    }
    rig_free(r);
}

static void two_operations_of_one_request_are_late_together(void **state)
{
    struct answer a[2];
    char gate[600];
    (void)state;
    struct rig *r = rig_with_queue();
    snprintf(gate, sizeof(gate), "%s/gate", r->dir);
    assert_int_equal(send_two(r, gate, "w", 100, a), 0);
    rig_until(r, is_answered, &a[1]);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(a[k].rc, BP_TIMEOUT);
        assert_false(a[k].op_seen);
    }
    fclose(fopen(gate, "w"));
    rig_until(r, is_late, &a[1]);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(a[k].called, 1);
        assert_int_equal(a[k].late, 1);
    }
    rig_free(r);
}

static void an_operation_is_answered_with_its_own_outcome(void **state)
{
    struct answer a;
    (void)state;
    struct rig *r = rig_with_queue();
    assert_int_equal(submit_rc(r, "acme", &a), 0);
    assert_int_equal(a.id, 1);
    assert_int_equal(submit_rc(r, "conflict", &a), BP_CONFLICT);
    assert_string_equal(a.text, "another job has this key");
    assert_true(a.op_seen);
    assert_true(a.taken);
    lease(r, "w", &a);
    assert_int_equal(a.rc, 0);
    assert_int_equal(a.count, 1);
    assert_int_equal(a.id, 41);
    rig_free(r);
}

static void a_failed_batch_fails_each_request_and_is_no_fault(void **state)
{
    struct answer a;
    (void)state;
    struct rig *r = rig_with_queue();
    for (int i = 0; i < 5; i++) {
        assert_int_equal(submit_rc(r, "disk-full", &a), BP_NOSPACE);
        assert_string_equal(a.text, "the disk is full");
        assert_false(a.taken);
    }
    assert_int_equal(submit_rc(r, "acme", &a), 0);
    assert_string_equal(rig_entry(r, "store", "running", "generation"), "1");
    rig_free(r);
}

static void unknown_codes_and_missing_rows_are_faults(void **state)
{
    struct answer a;
    (void)state;
    struct rig *r = rig_with_queue();
    assert_int_equal(submit_rc(r, "unknown-rc", &a), BP_FAIL);
    assert_non_null(strstr(a.text, "unknown code"));
    lease(r, "empty", &a);
    assert_int_equal(a.rc, BP_FAIL);
    assert_int_equal(submit_rc(r, "odd-batch", &a), BP_FAIL);
    rig_until_arrow(r, "store 1 running>quarantined 3 faults in");
    assert_false(bus_has_service(r->bus, "queue"));
    rig_free(r);
}

static void a_lease_of_more_than_asked_is_a_fault(void **state)
{
    struct answer a;
    (void)state;
    struct rig *r = rig_with_queue();
    lease(r, "greedy", &a);
    assert_int_equal(a.rc, BP_FAIL);
    rig_until_log(r, "store: fault: leased more jobs than were asked for");
    rig_free(r);
}

static void a_lease_may_be_told_early_and_still_be_lost(void **state)
{
    struct answer a;
    (void)state;
    struct rig *r = rig_with_queue();
    lease(r, "early", &a);
    assert_int_equal(a.early, 1);
    assert_int_equal(a.rc, BP_OK);
    assert_int_equal(a.id, 41);
    rig_until_log(r, "store: early: 0, again: -8");
    lease(r, "early-lost", &a);
    assert_int_equal(a.early, 1);
    assert_int_equal(a.id, 41);
    assert_int_equal(a.rc, BP_NOSPACE);
    assert_false(a.taken);
    lease(r, "w", &a);
    assert_int_equal(a.early, 0);
    rig_free(r);
}

/* What goes with another operation is answered with that. */
static void the_second_of_two_is_never_told_early(void **state)
{
    struct answer a[2];
    (void)state;
    struct rig *r = rig_with_queue();
    assert_int_equal(send_two(r, "acme", "early-lost", 20000, a), 0);
    rig_until(r, is_answered, &a[1]);
    assert_int_equal(a[1].early, 0);
    assert_int_equal(a[1].rc, BP_NOSPACE);
    rig_until_log(r, "store: early: -8, again: -8");
    rig_free(r);
}

static void a_late_end_is_told_once_after_the_timeout(void **state)
{
    struct answer a;
    char gate[600];
    (void)state;
    struct rig *r = rig_with_queue();
    snprintf(gate, sizeof(gate), "%s/gate", r->dir);
    submit(r, gate, 100, &a);
    rig_until(r, is_answered, &a);
    assert_int_equal(a.rc, BP_TIMEOUT);
    assert_false(a.op_seen);
    assert_int_equal(a.late, 0);
    fclose(fopen(gate, "w"));
    rig_until(r, is_late, &a);
    assert_int_equal(a.called, 1);
    assert_int_equal(a.late, 1);
    rig_free(r);
}

static void operations_in_flight_end_on_the_store_they_began_on(void **state)
{
    struct answer slow, after;
    char gate[600];
    (void)state;
    struct rig *r = rig_with_queue();
    snprintf(gate, sizeof(gate), "%s/gate", r->dir);
    submit(r, gate, 20000, &slow);
    rig_put(r, "queue-2", "store");
    rig_until_arrow(r, "store 2 ready>running");
    assert_int_equal(submit_rc(r, "acme", &after), 0);
    assert_int_equal(after.id, 2);
    assert_int_equal(slow.called, 0);
    fclose(fopen(gate, "w"));
    rig_until(r, is_answered, &slow);
    assert_int_equal(slow.rc, 0);
    assert_int_equal(slow.id, 1);
    rig_until_arrow(r, "store 1 draining>retired");
    rig_free(r);
}

static void without_a_store_nothing_is_sent(void **state)
{
    struct bp_err err = {0};
    struct answer a = {0};
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_start(r);
    assert_int_equal(queue_call_send(r->bus, queue_call_new(BP_OP_SUBMIT, 1), 1000, on_answer, &a, &err), BP_NOTFOUND);
    assert_int_equal(a.called, 0);
    struct answer two[2];
    assert_int_equal(send_two(r, "acme", "w", 1000, two), BP_NOTFOUND);
    assert_int_equal(two[0].called, 0);
    assert_int_equal(two[1].called, 1); /* who asked for it has gone on */
    assert_int_equal(two[1].rc, BP_NOTFOUND);
    assert_false(two[1].op_seen);
    rig_free(r);
}

static void strings_live_as_long_as_the_call_however_many(void **state)
{
    const char *copies[200];
    char text[200];
    (void)state;
    struct queue_call *q = queue_call_new(BP_OP_LEASE, 1);
    assert_null(queue_call_str(q, NULL));
    for (int i = 0; i < 200; i++) {
        memset(text, 'a' + i % 26, sizeof(text));
        text[i] = '\0';
        copies[i] = queue_call_str(q, text);
    }
    char *big = queue_call_mem(q, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(big[i], 0);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(strlen(copies[i]), i);
        assert_int_equal(strspn(copies[i], (char[]){(char)('a' + i % 26), 0}), i);
    }
    queue_call_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operation_is_answered_with_its_own_outcome),
        cmocka_unit_test(two_operations_of_one_request_have_an_outcome_each),
        cmocka_unit_test(two_operations_of_one_request_are_late_together),
        cmocka_unit_test(a_failed_batch_fails_each_request_and_is_no_fault),
        cmocka_unit_test(unknown_codes_and_missing_rows_are_faults),
        cmocka_unit_test(a_lease_of_more_than_asked_is_a_fault),
        cmocka_unit_test(a_lease_may_be_told_early_and_still_be_lost),
        cmocka_unit_test(the_second_of_two_is_never_told_early),
        cmocka_unit_test(a_late_end_is_told_once_after_the_timeout),
        cmocka_unit_test(operations_in_flight_end_on_the_store_they_began_on),
        cmocka_unit_test(without_a_store_nothing_is_sent),
        cmocka_unit_test(strings_live_as_long_as_the_call_however_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
