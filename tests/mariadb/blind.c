/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches that are decided from memory: they do what they would do if everything was read first, whatever others did in
 * between.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cm.h"
#include "database.h"
#include "proxy.h"

static struct fake_host *h, *other;

static struct fake_host *start(const char *socket)
{
    struct bp_err err;
    struct fake_host *x = queue_start(socket, "", &err);
    if (!x)
        fail_msg("start: %s", err.text);
    return x;
}

static void wait_ms(int ms)
{
    struct timespec t = {0, ms * 1000000L};
    nanosleep(&t, NULL);
}

/* ---- operations ---- */

static int32_t batch(struct fake_host *x, struct bp_op *ops, uint32_t n)
{
    struct bp_op *list[8];
    struct bp_err err = {0};
    for (uint32_t i = 0; i < n; i++) {
        ops[i].size = sizeof ops[i];
        ops[i].now_ms = INT64_C(1700000000000);
        list[i] = &ops[i];
    }
    int32_t rc = fake_host_queue(x)->apply(fake_host_instance(x), list, n, &err);
    if (rc)
        fail_msg("batch: %s", err.text);
    return ops[n - 1].err.rc;
}

static struct bp_op submit_of(const char *tenant)
{
    struct bp_op op = {.kind = BP_OP_SUBMIT};
    op.u.submit = (struct bp_op_submit){
        .tenant = tenant, .workflow = "a", .params = "{\"p\":1}", .inputs = "[]", .request_hash = "h"};
    return op;
}

static const char *workflow_a = "a", *key_k = "k";

static struct bp_op lease_of(const char *const *token)
{
    struct bp_op op = {.kind = BP_OP_LEASE};
    op.u.lease = (struct bp_op_lease){.worker_id = "w",
                                      .workflows = &workflow_a,
                                      .n_workflows = 1,
                                      .max = 1,
                                      .tokens = token,
                                      .output_keys = &key_k,
                                      .ttl_ms = 60000};
    return op;
}

static struct bp_op complete_of(int64_t id, const char *token)
{
    struct bp_op op = {.kind = BP_OP_COMPLETE};
    op.u.complete = (struct bp_op_complete){.id = id, .token = token, .worker_id = "w", .output = "{\"o\":1}"};
    return op;
}

static int64_t submit(struct fake_host *x)
{
    struct bp_op op = submit_of("acme");
    assert_int_equal(batch(x, &op, 1), BP_OK);
    return op.u.submit.id;
}

static int32_t complete(struct fake_host *x, int64_t id, const char *token)
{
    struct bp_op op = complete_of(id, token);
    return batch(x, &op, 1);
}

static void worker_set(struct fake_host *x, int32_t approved, int32_t draining)
{
    struct bp_op op = {.kind = BP_OP_WORKER_SET};
    op.u.worker_set =
        (struct bp_op_worker_set){.worker_id = "w", .approved = approved, .draining = draining, .max_concurrency = -1};
    assert_int_equal(batch(x, &op, 1), BP_OK);
}

/* ---- what was sent ---- */

static int64_t logged(const char *like)
{
    char sql[300];
    snprintf(sql, sizeof sql,
             "SELECT COUNT(*) FROM mysql.general_log WHERE argument LIKE '%s' AND argument NOT LIKE '%%general_log%%'",
             like);
    return database_int(sql);
}

static void log_begin(void)
{
    database_run("SET GLOBAL log_output='TABLE', GLOBAL general_log=0");
    database_run("TRUNCATE mysql.general_log");
    database_run("SET GLOBAL general_log=1");
}

/* One job from end to end, so that the controller knows its worker, its queue and what ids come next. */
static void round_of(struct fake_host *x, const char *token)
{
    int64_t id = submit(x);
    assert_int_equal(queue_lease(x, "w", token), id);
    assert_int_equal(complete(x, id, token), BP_OK);
}

static void warm(struct fake_host *x)
{
    round_of(x, "warm-1");
    wait_ms(120); /* others are taken for quiet then */
    round_of(x, "warm-2");
    round_of(x, "warm-3");
}

static int fresh(void **state)
{
    (void)state;
    database_fresh();
    h = start(NULL);
    other = start(NULL);
    queue_worker(h, "w");
    warm(h);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fake_host_stop(h);
    fake_host_stop(other);
    database_run("SET GLOBAL general_log=0");
    return 0;
}

/* ---- alone ---- */

static void born_leased(const char *token)
{
    struct bp_op ops[] = {submit_of("acme"), lease_of(&token)};
    char sql[400];
    assert_int_equal(batch(h, ops, 2), BP_OK);
    const struct bp_job_row *j = ops[1].u.lease.jobs;
    assert_int_equal(ops[0].u.submit.status, BP_JOB_QUEUED);
    assert_int_equal(ops[1].u.lease.count, 1);
    assert_int_equal(ops[1].u.lease.live_leases, 1);
    assert_int_equal(ops[1].u.lease.emptied, 1);
    assert_int_equal(j->id, ops[0].u.submit.id);
    assert_int_equal(j->attempts, 1);
    assert_string_equal(j->params, "{\"p\":1}");
    assert_string_equal(j->lease_token, token);
    fake_host_free(ops[1].u.lease.memory);
    snprintf(sql, sizeof sql,
             "SELECT COUNT(*) FROM DB.ai_job_dispatches d JOIN DB.ai_jobs j USING (id) JOIN DB.workers w ON w.id = "
             "d.worker_id WHERE d.id=%lld AND status=3 AND attempts=1 AND lease_token='%s' AND output_suffix='k' AND "
             "due_ms=1700000060000 AND due_of=d.worker_id AND leased_ms=1700000000000 AND first_leased_ms=leased_ms "
             "AND created_ms=leased_ms AND updated_ms=leased_ms AND params='{\"p\":1}'",
             (long long)ops[0].u.submit.id, token);
    assert_int_equal(database_int(sql), 1);
    snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM DB.job_events WHERE job_id=%lld AND what IN (1,2)",
             (long long)ops[0].u.submit.id);
    assert_int_equal(database_int(sql), 2);
    assert_int_equal(complete(h, ops[0].u.submit.id, token), BP_OK);
}

/* No row is read or changed after its insert; a machine that is slow may need several tries for one that is so. */
static void a_job_for_a_worker_that_waits_is_born_leased(void **state)
{
    (void)state;
    char token[16];
    int64_t blind = 0;
    for (int i = 0; i < 20 && !blind; i++) {
        snprintf(token, sizeof token, "b%d", i);
        warm(h);
        log_begin();
        born_leased(token);
        blind = logged("%INSERT INTO ai_job_dispatches (id,%") && !logged("%SET status=3%") &&
                !logged("%DISPATCH%FOR UPDATE%");
    }
    assert_true(blind);
    assert_int_equal(database_int("SELECT SUM(leased) FROM DB.dispatch_counters WHERE owner=1"), 0);
    assert_int_equal(database_int("SELECT SUM(completed) FROM DB.dispatch_counters WHERE owner=1"),
                     database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status=4"));
}

static void one_that_waits_longer_comes_first(void **state)
{
    (void)state;
    const char *t = "t";
    int64_t old = submit(h);
    struct bp_op ops[] = {submit_of("acme"), lease_of(&t)};
    batch(h, ops, 2);
    assert_int_equal(ops[1].u.lease.jobs[0].id, old);
    fake_host_free(ops[1].u.lease.memory);
    assert_int_equal(queue_lease(h, "w", "u"), ops[0].u.submit.id);
}

static void a_later_one_of_higher_priority_comes_first(void **state)
{
    (void)state;
    const char *t = "t";
    submit(h);
    struct bp_op ops[] = {submit_of("acme"), lease_of(&t)};
    ops[0].u.submit.priority = 5;
    batch(h, ops, 2);
    assert_int_equal(ops[1].u.lease.jobs[0].id, ops[0].u.submit.id);
    fake_host_free(ops[1].u.lease.memory);
}

/* It is too large to be kept for the lease. */
static void content_that_is_not_remembered_is_read(void **state)
{
    (void)state;
    static char params[6000];
    const char *t = "t";
    memset(params, ' ', sizeof params - 1);
    params[0] = '{';
    params[sizeof params - 2] = '}';
    struct bp_op op = submit_of("acme");
    op.u.submit.params = params;
    batch(h, &op, 1);
    struct bp_op ops[] = {submit_of("acme"), lease_of(&t)};
    batch(h, ops, 2);
    assert_int_equal(ops[1].u.lease.jobs[0].id, op.u.submit.id);
    assert_string_equal(ops[1].u.lease.jobs[0].params, params);
    fake_host_free(ops[1].u.lease.memory);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status=3 AND lease_token='t'"), 1);
    assert_int_equal(complete(h, op.u.submit.id, "t"), BP_OK);
    assert_int_equal(queue_lease(h, "w", "u"), ops[0].u.submit.id);
}

static void many_rounds_lose_and_double_nothing(void **state)
{
    (void)state;
    char token[16];
    for (int i = 0; i < 60; i++) {
        snprintf(token, sizeof token, "r%d", i);
        if (i % 3)
            born_leased(token);
        else
            round_of(h, token);
    }
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status <> 4"), 0);
    assert_int_equal(
        database_int(
            "SELECT COUNT(*) FROM DB.ai_jobs j LEFT JOIN DB.ai_job_outputs o ON o.job_id=j.id WHERE o.output IS NULL"),
        0);
    assert_int_equal(database_int("SELECT COUNT(*) FROM (SELECT job_id FROM DB.job_events GROUP BY job_id HAVING "
                                  "COUNT(*) <> 3) x"),
                     0);
    assert_int_equal(database_int("SELECT SUM(completed) FROM DB.dispatch_counters WHERE owner=1"), 63);
    assert_int_equal(database_int("SELECT SUM(queued+leased+scheduled) FROM DB.dispatch_counters"), 0);
}

static void the_commit_whose_answer_was_lost_counts_once(void **state)
{
    (void)state;
    fake_host_stop(h);
    h = start(proxy_start(database_socket()));
    const char *t = "t";
    warm(h);
    struct bp_op ops[] = {submit_of("acme"), lease_of(&t)};
    proxy_cut(CUT_AFTER_COMMIT);
    assert_int_equal(batch(h, ops, 2), BP_OK);
    assert_int_equal(ops[1].u.lease.jobs[0].id, ops[0].u.submit.id);
    fake_host_free(ops[1].u.lease.memory);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE lease_token='t' AND status=3"), 1);
    assert_int_equal(database_int("SELECT MAX(id) FROM DB.ai_job_dispatches"), ops[0].u.submit.id);
    assert_int_equal(complete(h, ops[0].u.submit.id, "t"), BP_OK);
    assert_int_equal(complete(h, ops[0].u.submit.id, "t"), BP_OK);
    assert_int_equal(database_int("SELECT SUM(completed) FROM DB.dispatch_counters WHERE owner=1"), 7);
}

/* ---- beside another controller ---- */

/* Those of the other are of a workflow that the first controller never heard of. */
static void a_worker_has_no_more_leases_than_it_may_at_two_controllers(void **state)
{
    (void)state;
    const char *workflow_b = "b", *tokens[] = {"o1", "o2", "h1"};
    struct bp_op op;
    for (int i = 0; i < 2; i++) {
        op = submit_of("acme");
        op.u.submit.workflow = workflow_b;
        batch(other, &op, 1);
    }
    database_run("UPDATE DB.workers SET max_concurrency=2");
    fake_host_stop(h);
    h = start(NULL);
    warm(h);
    int64_t id = submit(h);
    for (int i = 0; i < 2; i++) {
        op = lease_of(&tokens[i]);
        op.u.lease.workflows = &workflow_b;
        assert_int_equal(batch(other, &op, 1), BP_OK);
        assert_int_equal(op.u.lease.count, 1);
        fake_host_free(op.u.lease.memory);
    }
    op = lease_of(&tokens[2]);
    assert_int_equal(batch(h, &op, 1), BP_OK);
    assert_int_equal(op.u.lease.count, 0);
    assert_int_equal(op.u.lease.live_leases, 2);
    assert_int_equal(database_int("SELECT status+0 FROM DB.ai_job_dispatches ORDER BY id DESC LIMIT 1"), BP_JOB_QUEUED);
    assert_true(id > 0);
}

static void a_worker_that_another_drains_or_revokes_gets_nothing(void **state)
{
    (void)state;
    const char *t = "t";
    struct bp_op op;
    for (int how = 0; how < 2; how++) {
        warm(h);
        int64_t id = submit(h);
        worker_set(other, how ? 0 : -1, how ? -1 : 1);
        op = lease_of(&t);
        assert_int_equal(batch(h, &op, 1), BP_DENIED);
        worker_set(other, 1, 0);
        assert_int_equal(queue_lease(h, "w", how ? "x" : "y"), id);
        assert_int_equal(complete(h, id, how ? "x" : "y"), BP_OK);
    }
}

static void a_lease_that_another_ended_is_over(void **state)
{
    (void)state;
    int64_t id = submit(h);
    assert_int_equal(queue_lease(h, "w", "t"), id);
    struct bp_op op = {.kind = BP_OP_REQUEUE};
    op.u.requeue = (struct bp_op_requeue){.id = id, .token = "t", .worker_id = "w", .max_requeues = 20};
    assert_int_equal(batch(other, &op, 1), BP_OK);
    assert_int_equal(complete(h, id, "t"), BP_STALE);
    assert_int_equal(queue_lease(other, "w", "u"), id);
    assert_int_equal(complete(h, id, "t"), BP_STALE);
    assert_int_equal(complete(h, id, "u"), BP_OK);
    assert_int_equal(complete(other, id, "u"), BP_OK);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.job_events WHERE what=8"), 4);
}

static void a_key_that_another_holds_is_a_repetition(void **state)
{
    (void)state;
    struct bp_op first = submit_of("acme"), again = submit_of("acme"), wrong = submit_of("acme");
    first.u.submit.idempotency_key = again.u.submit.idempotency_key = wrong.u.submit.idempotency_key = "key";
    wrong.u.submit.request_hash = "other";
    assert_int_equal(batch(other, &first, 1), BP_OK);
    assert_int_equal(queue_lease(h, "w", "t"), first.u.submit.id);
    assert_int_equal(complete(h, first.u.submit.id, "t"), BP_OK);
    warm(h);
    assert_int_equal(batch(h, &again, 1), BP_OK);
    assert_int_equal(again.u.submit.id, first.u.submit.id);
    assert_int_equal(again.u.submit.outcome, BP_SUBMIT_REPLAY);
    warm(h);
    assert_int_equal(batch(h, &wrong, 1), BP_CONFLICT);
}

static void what_another_says_of_a_tenant_holds_at_once(void **state)
{
    (void)state;
    struct bp_op put = {.kind = BP_OP_TENANT_PUT}, op = submit_of("acme");
    put.u.tenant_put = (struct bp_op_tenant_put){"acme", -1, -1, -1, 1, -1, 0, NULL, 0, 0};
    assert_int_equal(batch(other, &put, 1), BP_OK);
    assert_int_equal(batch(h, &op, 1), BP_DENIED);
    put.u.tenant_put.disabled = 0;
    put.u.tenant_put.webhook_url = "https://example.com/hook";
    assert_int_equal(batch(other, &put, 1), BP_OK);
    int64_t id = submit(h);
    assert_int_equal(queue_lease(h, "w", "t"), id);
    wait_ms(120);
    assert_int_equal(complete(h, id, "t"), BP_OK);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.webhook_deliveries"), 1);
}

static void one_that_another_lets_a_job_wait_for_wakes_it(void **state)
{
    (void)state;
    int64_t id = submit(h);
    assert_int_equal(queue_lease(h, "w", "t"), id);
    struct bp_op child = submit_of("acme"), end = complete_of(id, "t");
    child.u.submit.after = &id;
    child.u.submit.n_after = 1;
    assert_int_equal(batch(other, &child, 1), BP_OK);
    assert_int_equal(batch(h, &end, 1), BP_OK);
    assert_int_equal(end.u.complete.dependents, 1);
}

/* ---- beside other applications ---- */

static void the_row_another_application_has_not_committed_holds_nobody_up(void **state)
{
    (void)state;
    const char *t = "t";
    int64_t last = submit(h);
    assert_int_equal(queue_lease(h, "w", "s"), last);
    database_hold("BEGIN NOT ATOMIC START TRANSACTION;INSERT INTO DB.ai_job_dispatches (tenant_id, workflow_id) SELECT "
                  "t.id, w.id FROM DB.tenants t JOIN DB.workflows w LIMIT 1;END");
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    struct bp_op ops[] = {submit_of("acme"), lease_of(&t)};
    assert_int_equal(batch(h, ops, 2), BP_OK);
    clock_gettime(CLOCK_MONOTONIC, &to);
    database_release();
    assert_true(to.tv_sec - from.tv_sec < 4); /* lockTimeoutSeconds is 5 */
    assert_true(ops[0].u.submit.id > last);
    assert_int_equal(ops[1].u.lease.jobs[0].id, ops[0].u.submit.id);
    fake_host_free(ops[1].u.lease.memory);
    assert_int_equal(complete(h, ops[0].u.submit.id, "t"), BP_OK);
}

static void a_row_of_another_application_is_leased_by_who_would_find_nothing(void **state)
{
    (void)state;
    assert_int_equal(queue_lease(h, "w", "none"), 0);
    database_run("INSERT INTO DB.ai_job_dispatches (tenant_id, workflow_id) SELECT t.id, w.id FROM DB.tenants t JOIN "
                 "DB.workflows w LIMIT 1");
    assert_int_equal(queue_lease(h, "w", "t"), database_int("SELECT MAX(id) FROM DB.ai_job_dispatches"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fresh, stop)
    const struct CMUnitTest tests[] = {
        CASE(a_job_for_a_worker_that_waits_is_born_leased),
        CASE(one_that_waits_longer_comes_first),
        CASE(a_later_one_of_higher_priority_comes_first),
        CASE(content_that_is_not_remembered_is_read),
        CASE(many_rounds_lose_and_double_nothing),
        CASE(the_commit_whose_answer_was_lost_counts_once),
        CASE(a_worker_has_no_more_leases_than_it_may_at_two_controllers),
        CASE(a_worker_that_another_drains_or_revokes_gets_nothing),
        CASE(a_lease_that_another_ended_is_over),
        CASE(a_key_that_another_holds_is_a_repetition),
        CASE(what_another_says_of_a_tenant_holds_at_once),
        CASE(one_that_another_lets_a_job_wait_for_wakes_it),
        CASE(the_row_another_application_has_not_committed_holds_nobody_up),
        CASE(a_row_of_another_application_is_leased_by_who_would_find_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
