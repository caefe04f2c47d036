/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No statement passes over the queue: with 100,000 jobs in it each operation is run, and the server tells of every
 * statement how many rows it looked at. And what a plain job costs does not depend on what other jobs and tenants need.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cm.h"
#include "database.h"

#define NOW      INT64_C(1700000000000)
#define LOOKS_AT "1000" /* most rows one statement may look at */

static struct fake_host *h;

static int32_t run(struct bp_op *op)
{
    struct bp_err err = {0};
    op->now_ms = op->now_ms ? op->now_ms : NOW;
    if (queue_run(h, op, &err) != BP_OK)
        fail_msg("operation %d: %s", op->kind, err.text);
    void **memory = bp_op_memory(op);
    if (memory)
        fake_host_free(*memory);
    return op->err.rc;
}

static void runs(struct bp_op op)
{
    if (run(&op) != BP_OK)
        fail_msg("operation %d: %s", op.kind, op.err.text);
}

/* ---- a full queue ---- */

static const char *const FILL[] = {
    "INSERT INTO DB.workflows (name) SELECT CONCAT('workflow-', seq) FROM DB.seq_1_to_9",
    "INSERT INTO DB.tenants (name, special, max_running, max_pending) SELECT CONCAT('tenant-', seq), seq <= 100, "
    "IF(seq <= 100, 5, 0), IF(seq <= 100, 1000, 0) FROM DB.seq_1_to_10000",
    "UPDATE DB.tenants_version SET version=version+1",
    /* Of each ten: four queued, two wait for one of those, four are done. */
    "INSERT INTO DB.ai_job_dispatches (id, tenant_id, workflow_id, status, due_ms, created_ms, queued_ms, finished_ms, "
    "updated_ms, flags, waits_for) SELECT seq, 1 + seq % 9973, 1 + seq DIV 10 % 10, CASE WHEN seq % 10 < 4 THEN "
    "'queued' "
    "WHEN seq % 10 < 6 THEN 'scheduled' ELSE 'completed' END, IF(seq % 10 IN (4, 5), 1 << 62, 1600000000000 + seq), "
    "1600000000000, 1600000000000, IF(seq % 10 > 5, 1600000000000 + seq, 0), 1600000000000, "
    "CASE WHEN seq % 10 < 2 THEN 5 WHEN seq % 10 IN (4, 5) THEN 6 ELSE 4 END, seq % 10 IN (4, 5) FROM "
    "DB.seq_1_to_100000",
    "INSERT INTO DB.ai_jobs (id, params, inputs, unique_key) SELECT seq, '{}', '[]', seq FROM DB.seq_1_to_100000",
    "INSERT INTO DB.job_dependencies SELECT id, id - 4 FROM DB.ai_job_dispatches WHERE status='scheduled'",
    "INSERT INTO DB.unique_keys SELECT id, tenant_id, UNHEX(SHA2(id, 256)), IF(status='completed', NULL, 1) FROM "
    "DB.ai_job_dispatches",
    "INSERT INTO DB.webhook_deliveries SELECT id, tenant_id, finished_ms, 0, 1800000000000 FROM DB.ai_job_dispatches "
    "WHERE status='completed'",
    "INSERT INTO DB.job_events (job_id, at_ms, what, who) SELECT seq, 1600000000000, 1, 'x' FROM DB.seq_1_to_100000",
    "INSERT INTO DB.idempotency_keys SELECT tenant_id, UNHEX(SHA2(id, 256)), id, 'h' FROM DB.ai_job_dispatches",
    "INSERT INTO DB.shares SELECT w.id, t.id, 1 FROM DB.workflows w JOIN DB.tenants t",
    "INSERT INTO DB.tokens (tenant_id, token_hash, created_ms, expires_ms) SELECT seq, SHA2(seq, 256), 1, 0 FROM "
    "DB.seq_1_to_10000",
    "INSERT INTO DB.dispatch_counters (owner, owner_id, shard, scheduled, queued, completed) SELECT 1, workflow_id, "
    "99, "
    "SUM(status='scheduled'), SUM(status='queued'), SUM(status='completed') FROM DB.ai_job_dispatches GROUP BY "
    "workflow_id",
    "INSERT INTO DB.dispatch_counters (owner, owner_id, shard, scheduled, queued) SELECT 2, tenant_id, 99, "
    "SUM(status='scheduled'), SUM(status='queued') FROM DB.ai_job_dispatches GROUP BY tenant_id",
    "INSERT INTO DB.worker_audit_logs (worker, at_ms, what, who) SELECT 'w', 1600000000000 + seq, 'x', 'x' FROM "
    "DB.seq_1_to_100000",
};

static int full(void **state)
{
    struct bp_err err;
    (void)state;
    database_fresh();
    /* What a session keeps is taken from these when it begins. */
    database_run("SET GLOBAL log_output='TABLE', GLOBAL slow_query_log=1, GLOBAL long_query_time=0, "
                 "GLOBAL log_slow_filter='', GLOBAL min_examined_row_limit=" LOOKS_AT);
    h = queue_start(NULL, "", &err);
    if (!h)
        fail_msg("start: %s", err.text);
    queue_worker(h, "w");
    for (size_t i = 0; i < sizeof FILL / sizeof FILL[0]; i++)
        database_run(FILL[i]);
    database_run("TRUNCATE mysql.slow_log");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fake_host_stop(h);
    database_run("SET GLOBAL slow_query_log=0");
    return 0;
}

/* No statement since the queue was filled looked at more rows than it may. */
static void all_looked_at_few(void)
{
    char text[512];
    if (database_int("SELECT COUNT(*) FROM mysql.slow_log WHERE db='DB'") == 0)
        return;
    database_text(
        "SELECT CONCAT(rows_examined, ' rows: ', LEFT(sql_text, 400)) FROM mysql.slow_log WHERE db='DB' ORDER "
        "BY rows_examined DESC LIMIT 1 OFFSET",
        0, text, sizeof text);
    fail_msg("%s", text);
}

static struct bp_op submit_of(const char *tenant)
{
    struct bp_op op = {.kind = BP_OP_SUBMIT};
    op.u.submit = (struct bp_op_submit){.tenant = tenant, .workflow = "a", .request_hash = "h"};
    return op;
}

static void submits_look_at_few_rows(void **state)
{
    (void)state;
    const int64_t after[] = {10, 11, 12};
    struct bp_op op = submit_of("tenant-5000");
    op.u.submit.unique_key = "new";
    op.u.submit.idempotency_key = "new";
    op.u.submit.after = after;
    op.u.submit.n_after = 3;
    op.u.submit.fair = 1;
    op.u.submit.tenant = "tenant-11"; /* limited, and 10 is its job */
    assert_int_equal(run(&op), BP_NOTFOUND);
    assert_int_equal(op.u.submit.after_id, 11);
    op.u.submit.n_after = 1;
    assert_int_equal(run(&op), BP_OK);
    op = submit_of("tenant-11");
    op.u.submit.unique_key = "10";
    assert_int_equal(run(&op), BP_OK);
    assert_int_equal(op.u.submit.outcome, BP_SUBMIT_PENDING);
    op = submit_of("tenant-21");
    op.u.submit.idempotency_key = "20";
    assert_int_equal(run(&op), BP_OK);
    assert_int_equal(op.u.submit.outcome, BP_SUBMIT_REPLAY);
    all_looked_at_few();
}

static struct bp_op lease_of(const char *token, struct bp_op_lease *l)
{
    static const char *workflow = "a", *key = "k";
    static const char *tokens[1];
    struct bp_op op = {.kind = BP_OP_LEASE};
    tokens[0] = token;
    *l = (struct bp_op_lease){.worker_id = "w", .workflows = &workflow, .n_workflows = 1, .max = 1, .ttl_ms = 60000};
    l->tokens = tokens;
    l->output_keys = &key;
    op.u.lease = *l;
    return op;
}

static void leases_and_their_ends_look_at_few_rows(void **state)
{
    (void)state;
    struct bp_op_lease l;
    int64_t id = database_int("SELECT MIN(id) FROM DB.ai_job_dispatches WHERE status='queued' AND workflow_id=1");
    runs(lease_of("t1", &l));
    struct bp_op op = {.kind = BP_OP_EXTEND};
    op.u.extend = (struct bp_op_extend){.id = id, .token = "t1", .worker_id = "w", .ttl_ms = 60000, .progress = 0.5};
    runs(op);
    op = (struct bp_op){.kind = BP_OP_COMPLETE};
    op.u.complete = (struct bp_op_complete){.id = id, .token = "t1", .worker_id = "w"};
    assert_int_equal(run(&op), BP_OK);
    id = database_int("SELECT MIN(id) FROM DB.ai_job_dispatches WHERE status='queued' AND workflow_id=1");
    runs(lease_of("t2", &l));
    op = (struct bp_op){.kind = BP_OP_FAIL};
    op.u.fail = (struct bp_op_fail){.id = id, .token = "t2", .worker_id = "w", .error = "no"};
    runs(op);
    op = (struct bp_op){.kind = BP_OP_RETRY};
    op.u.retry.id = id;
    runs(op);
    op = (struct bp_op){.kind = BP_OP_CANCEL};
    op.u.cancel.id = 24; /* waits for another */
    runs(op);
    op = (struct bp_op){.kind = BP_OP_RETRY};
    op.u.retry.id = 24;
    assert_int_equal(run(&op), BP_OK);
    assert_int_equal(op.u.retry.status, BP_JOB_SCHEDULED);
    op = (struct bp_op){.kind = BP_OP_GET};
    op.u.get.id = 24;
    op.u.get.with_events = 1;
    runs(op);
    all_looked_at_few();
}

static void the_end_of_one_that_others_wait_for_looks_at_those(void **state)
{
    (void)state;
    struct bp_op op = {.kind = BP_OP_SWEEP};
    op.u.sweep.limit = 100;
    runs(op); /* of what came before */
    op = (struct bp_op){.kind = BP_OP_CANCEL};
    op.u.cancel.id = 30;
    assert_int_equal(run(&op), BP_OK);
    assert_int_equal(op.u.cancel.dependents, 1);
    op = (struct bp_op){.kind = BP_OP_SWEEP};
    op.u.sweep.limit = 100;
    assert_int_equal(run(&op), BP_OK);
    assert_int_equal(op.u.sweep.count, 1);
    all_looked_at_few();
}

static void the_leaders_work_looks_at_few_rows(void **state)
{
    (void)state;
    struct bp_op op = {.kind = BP_OP_LEAD};
    op.u.lead = (struct bp_op_lead){.id = "one", .ttl_ms = 60000};
    assert_int_equal(run(&op), BP_OK);
    int64_t epoch = op.u.lead.epoch;
    op = (struct bp_op){.kind = BP_OP_SWEEP};
    op.u.sweep.limit = 100;
    op.u.sweep.epoch = epoch;
    runs(op);
    op = (struct bp_op){.kind = BP_OP_PRUNE};
    op.u.prune = (struct bp_op_prune){.before_ms = NOW, .audit_before_ms = NOW, .limit = 50, .epoch = epoch};
    assert_int_equal(run(&op), BP_OK);
    assert_int_equal(op.u.prune.removed, 50);
    assert_int_equal(op.u.prune.audit_removed, 50);
    op = (struct bp_op){.kind = BP_OP_WEBHOOK_TAKE};
    op.u.webhook_take = (struct bp_op_webhook_take){.limit = 50, .hold_ms = 1000, .epoch = epoch};
    runs(op);
    op.now_ms = 1900000000000;
    runs(op);
    op = (struct bp_op){.kind = BP_OP_WEBHOOK_DONE};
    op.u.webhook_done = (struct bp_op_webhook_done){.job_id = 99999, .finished_ms = 1600000099999, .detail = "200"};
    runs(op);
    all_looked_at_few();
}

static void watching_and_tenants_look_at_few_rows(void **state)
{
    (void)state;
    struct bp_op op = {.kind = BP_OP_WATCH};
    assert_int_equal(run(&op), BP_OK);
    assert_int_equal(op.u.watch.count, 10);
    op = (struct bp_op){.kind = BP_OP_STATS};
    op.u.stats.window_ms = 300000;
    runs(op);
    op = (struct bp_op){.kind = BP_OP_TENANT_PUT};
    op.u.tenant_put = (struct bp_op_tenant_put){"tenant-7", 3, -1, -1, -1, -1, 0, NULL, 0, 0};
    runs(op);
    op = (struct bp_op){.kind = BP_OP_TENANT_LIST};
    op.u.tenant_list.name = "tenant-7";
    runs(op);
    op = (struct bp_op){.kind = BP_OP_TOKEN_AUTH};
    op.u.token_auth.token_hash = "902ba3cda1883801594b6e1b452790cc53948fda93d21fa8d3ab9ad5a2b73aa5"; /* of 7 */
    if (run(&op) != BP_OK)
        assert_int_equal(op.err.rc, BP_NOTFOUND);
    op = (struct bp_op){.kind = BP_OP_TOKEN_PUT};
    op.u.token_put = (struct bp_op_token_put){.tenant = "tenant-7", .token_hash = "new"};
    runs(op);
    op = (struct bp_op){.kind = BP_OP_TOKEN_LIST};
    op.u.token_list.tenant = "tenant-7";
    runs(op);
    op = (struct bp_op){.kind = BP_OP_TOKEN_DEL};
    op.u.token_del = (struct bp_op_token_del){"tenant-7", 7};
    runs(op);
    all_looked_at_few();
}

/* ---- what a plain job costs ---- */

#define STATEMENTS                                                                                                     \
    "SELECT SUM(variable_value) FROM information_schema.GLOBAL_STATUS WHERE variable_name IN ('COM_SELECT', "          \
    "'COM_INSERT', 'COM_UPDATE', 'COM_DELETE', 'COM_INSERT_SELECT', 'COM_DELETE_MULTI', 'COM_UPDATE_MULTI')"

/* Statements a plain job of a plain tenant takes, from its submit to its end. */
static int64_t statements_of_one(const char *token)
{
    struct bp_op_lease l;
    struct bp_op op = submit_of("plain"), end = {.kind = BP_OP_COMPLETE};
    int64_t before = database_int(STATEMENTS);
    assert_int_equal(run(&op), BP_OK);
    nanosleep(&(struct timespec){0, 15 * 1000000L}, NULL); /* so that what is asked every 10 ms is always asked */
    runs(lease_of(token, &l));
    end.u.complete = (struct bp_op_complete){.id = op.u.submit.id, .token = token, .worker_id = "w"};
    runs(end);
    return database_int(STATEMENTS) - before;
}

/* The same without those that only some jobs take with them: windows are written after a while. */
static int64_t statements_of_a_job(const char *token)
{
    int64_t least = statements_of_one(token);
    for (int i = 0; i < 5; i++) {
        int64_t n = statements_of_one(token);
        least = n < least ? n : least;
    }
    return least;
}

static int empty(void **state)
{
    struct bp_err err;
    (void)state;
    database_fresh();
    h = queue_start(NULL, "", &err);
    if (!h)
        fail_msg("start: %s", err.text);
    queue_worker(h, "w");
    return 0;
}

static void a_plain_job_sends_no_statement_for_what_others_need(void **state)
{
    (void)state;
    struct bp_op op = submit_of("special"), put = {.kind = BP_OP_TENANT_PUT};
    statements_of_a_job("t0"); /* learns the names */
    int64_t alone = statements_of_a_job("t1");
    put.u.tenant_put = (struct bp_op_tenant_put){"special", 7, 10, 10, 0, -1, 0, "https://example.com/hook", 0, 0};
    runs(put);
    op.u.submit.unique_key = "k";
    op.u.submit.fair = 1;
    op.u.submit.priority = -1;
    assert_int_equal(run(&op), BP_OK);
    const int64_t parent = op.u.submit.id;
    op.u.submit.unique_key = NULL;
    op.u.submit.after = &parent;
    op.u.submit.n_after = 1;
    assert_int_equal(run(&op), BP_OK);
    statements_of_a_job("t2"); /* learns the rules */
    op.u.submit.n_after = 0;
    op.u.submit.priority = -2;
    /* The other's job stands behind in the same queue, where a lease looks at it. */
    database_run("DELETE FROM DB.ai_job_dispatches WHERE priority < 0");
    assert_int_equal(statements_of_a_job("t3"), alone);
    assert_true(alone > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(submits_look_at_few_rows),
        cmocka_unit_test(leases_and_their_ends_look_at_few_rows),
        cmocka_unit_test(the_end_of_one_that_others_wait_for_looks_at_those),
        cmocka_unit_test(the_leaders_work_looks_at_few_rows),
        cmocka_unit_test(watching_and_tenants_look_at_few_rows),
    };
    const struct CMUnitTest plain[] = {
        cmocka_unit_test_setup_teardown(a_plain_job_sends_no_statement_for_what_others_need, empty, stop),
    };
    int failed = cmocka_run_group_tests(tests, full, stop);
    return failed + cmocka_run_group_tests(plain, NULL, NULL);
}
