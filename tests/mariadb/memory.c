/* SPDX-License-Identifier: Apache-2.0 */
/* What a controller keeps in memory between batches: windows not written yet, and content it submitted lately. */
#include <stdio.h>
#include <string.h>

#include "cm.h"
#include "database.h"

static struct fake_host *h;

static int start(void **state)
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

static int stop(void **state)
{
    (void)state;
    if (h)
        fake_host_stop(h);
    return 0;
}

static int64_t submitted(void)
{
    struct bp_err err;
    int64_t id;
    assert_int_equal(queue_submit(h, NULL, &id, &err), BP_OK);
    return id;
}

static int64_t told_as_submitted(struct fake_host *at)
{
    struct bp_err err = {0};
    struct bp_op op = {.kind = BP_OP_STATS};
    op.u.stats.window_ms = 300000;
    assert_int_equal(queue_run(at, &op, &err), BP_OK);
    assert_int_equal(op.u.stats.count, 1);
    int64_t n = op.u.stats.rows[0].submitted_recent;
    fake_host_free(op.u.stats.memory);
    return n;
}

static int64_t written(void)
{
    return database_int("SELECT COALESCE(SUM(submitted),0) FROM DB.workflow_seconds");
}

static void windows_in_memory_are_told_and_are_written_at_the_stop(void **state)
{
    (void)state;
    for (int i = 1; i <= 20; i++) {
        submitted();
        assert_true(written() <= i);
        if (i % 5 == 0)
            assert_int_equal(told_as_submitted(h), i);
    }
    for (int i = 0; i < 5; i++)
        submitted();
    fake_host_stop(h);
    h = NULL;
    assert_int_equal(written(), 25);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches"), 25);
}

static int64_t commits(void)
{
    return database_int(
        "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'COM_COMMIT'");
}

/* A commit waits for the disk: a worker that asks in vain needs none. */
static void a_lease_that_finds_no_job_commits_nothing(void **state)
{
    (void)state;
    int64_t before = commits();
    assert_int_equal(queue_lease(h, "w", "t1"), 0);
    assert_int_equal(commits(), before);
    submitted();
    assert_true(queue_lease(h, "w", "t2") > 0);
    assert_int_equal(commits(), before + 2);
}

/* The newest connection is the queue's: one killed before may be on its way out still. */
static void connection_kill(void)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "SELECT CONCAT('KILL ', id) FROM information_schema.processlist WHERE db = '%s' ORDER BY id DESC LIMIT 1",
             database_name());
    database_run_each(sql);
}

static void windows_survive_a_lost_connection_and_count_once(void **state)
{
    (void)state;
    for (int i = 1; i <= 12; i++) {
        submitted();
        submitted();
        connection_kill();
        assert_int_equal(told_as_submitted(h), 2 * i);
        assert_int_equal(written(), 2 * i);
    }
}

static void windows_of_a_batch_that_was_undone_are_written_by_the_next(void **state)
{
    struct bp_err err = {0};
    struct bp_op op = {.kind = BP_OP_STATS};
    (void)state;
    fake_host_stop(h);
    h = queue_start(NULL, ",\"lockTimeoutSeconds\":1,\"queryTimeoutSeconds\":2", &err);
    assert_non_null(h);
    for (int i = 0; i < 3; i++)
        submitted();
    database_hold("LOCK TABLES DB.workflow_seconds WRITE");
    op.u.stats.window_ms = 300000;
    bool refused = queue_run(h, &op, &err) != BP_OK; /* unless the machine is so slow that all is written */
    database_release();
    print_message("statistics behind a lock: %s\n", refused ? err.text : "nothing was left to write");
    if (!refused)
        fake_host_free(op.u.stats.memory);
    assert_int_equal(told_as_submitted(h), 3);
    assert_int_equal(written(), 3);
}

/* Leases one job and compares its params. */
static void leased_with(int64_t id, const char *params)
{
    struct bp_err err = {0};
    const char *workflow = "a", *key = "k", *token = "t";
    struct bp_op op = {.kind = BP_OP_LEASE};
    op.u.lease = (struct bp_op_lease){.worker_id = "w", .workflows = &workflow, .n_workflows = 1, .max = 1};
    op.u.lease.tokens = &token;
    op.u.lease.output_keys = &key;
    op.u.lease.ttl_ms = 60000;
    assert_int_equal(queue_run(h, &op, &err), BP_OK);
    assert_int_equal(op.err.rc, BP_OK);
    assert_int_equal(op.u.lease.count, 1);
    assert_int_equal(op.u.lease.jobs[0].id, id);
    assert_string_equal(op.u.lease.jobs[0].params, params);
    fake_host_free(op.u.lease.memory);
    op = (struct bp_op){.kind = BP_OP_COMPLETE};
    op.u.complete = (struct bp_op_complete){.id = id, .token = "t", .worker_id = "w"};
    assert_int_equal(queue_run(h, &op, &err), BP_OK);
    assert_int_equal(op.err.rc, BP_OK);
}

static void content_is_read_again_when_the_connection_was_lost(void **state)
{
    char before[256];
    (void)state;
    int64_t id = submitted();
    assert_true(database_text("SELECT params FROM DB.ai_jobs ORDER BY id LIMIT 1 OFFSET", 0, before, sizeof before));
    database_run("UPDATE DB.ai_jobs SET params='{\"written\":1}'");
    leased_with(id, before); /* from memory */
    id = submitted();
    database_run("UPDATE DB.ai_jobs SET params='{\"written\":2}'");
    connection_kill();
    leased_with(id, "{\"written\":2}");
}

static void content_of_a_second_lease_is_read(void **state)
{
    (void)state;
    int64_t id = submitted();
    struct bp_err err = {0};
    assert_int_equal(queue_lease(h, "w", "first"), id);
    struct bp_op op = {.kind = BP_OP_REQUEUE};
    op.u.requeue = (struct bp_op_requeue){.id = id, .token = "first", .worker_id = "w", .max_requeues = 5};
    assert_int_equal(queue_run(h, &op, &err), BP_OK);
    assert_int_equal(op.err.rc, BP_OK);
    database_run("UPDATE DB.ai_jobs SET params='{\"written\":3}'");
    leased_with(id, "{\"written\":3}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_lease_that_finds_no_job_commits_nothing, start, stop),
        cmocka_unit_test_setup_teardown(windows_in_memory_are_told_and_are_written_at_the_stop, start, stop),
        cmocka_unit_test_setup_teardown(windows_survive_a_lost_connection_and_count_once, start, stop),
        cmocka_unit_test_setup_teardown(windows_of_a_batch_that_was_undone_are_written_by_the_next, start, stop),
        cmocka_unit_test_setup_teardown(content_is_read_again_when_the_connection_was_lost, start, stop),
        cmocka_unit_test_setup_teardown(content_of_a_second_lease_is_read, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
