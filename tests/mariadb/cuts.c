/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that break, and controllers that share a queue. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cm.h"
#include "database.h"
#include "proxy.h"

static int fresh(void **state)
{
    (void)state;
    database_fresh();
    proxy_start(database_socket());
    return 0;
}

static struct fake_host *start(const char *socket)
{
    struct bp_err err;
    struct fake_host *h = queue_start(socket, "", &err);
    if (!h)
        fail_msg("start: %s", err.text);
    return h;
}

static void submit_across(int how)
{
    struct bp_err err = {0};
    int64_t id;
    struct fake_host *h = start(proxy_start(database_socket()));
    int before = proxy_cuts();
    assert_int_equal(queue_submit(h, NULL, NULL, &err), BP_OK);
    proxy_cut(how);
    int32_t rc = queue_submit(h, NULL, &id, &err);
    if (rc != BP_OK)
        fail_msg("%s", err.text);
    assert_int_equal(proxy_cuts(), before + 1);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches"), 2);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_jobs"), 2);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.job_events"), 2);
    assert_int_equal(database_int("SELECT SUM(queued) FROM DB.dispatch_counters WHERE owner=1"), 2);
    assert_int_equal(database_int("SELECT MAX(id) FROM DB.ai_job_dispatches"), id);
    fake_host_stop(h);
}

static void a_commit_that_never_arrived_is_repeated(void **state)
{
    (void)state;
    submit_across(CUT_BEFORE_COMMIT);
}

static void a_commit_whose_answer_was_lost_counts_once(void **state)
{
    (void)state;
    submit_across(CUT_AFTER_COMMIT);
}

static void a_lease_across_a_cut_is_given_once(void **state)
{
    (void)state;
    struct bp_err err;
    struct fake_host *h = start(proxy_start(database_socket()));
    int64_t id;
    queue_worker(h, "w");
    assert_int_equal(queue_submit(h, NULL, &id, &err), BP_OK);
    proxy_cut(CUT_AFTER_COMMIT);
    assert_int_equal(queue_lease(h, "w", "t1"), id);
    assert_int_equal(queue_lease(h, "w", "t2"), 0);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status=3 AND lease_token='t1'"), 1);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.job_events"), 2);
    fake_host_stop(h);
}

static void a_killed_connection_is_replaced(void **state)
{
    (void)state;
    struct bp_err err;
    struct fake_host *h = start(NULL);
    assert_int_equal(queue_submit(h, NULL, NULL, &err), BP_OK);
    for (int i = 0; i < 3; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "KILL %lld",
                 (long long)database_int("SELECT id FROM information_schema.PROCESSLIST WHERE db='DB'"));
        database_run(sql);
        assert_int_equal(queue_submit(h, NULL, NULL, &err), BP_OK);
    }
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches"), 4);
    fake_host_stop(h);
}

/* The server can lose a row that grows while the disk is full, and this one is all there is of what a tenant sent:
 * chaos found completed jobs without params. */
static void what_was_submitted_is_never_written_again(void **state)
{
    (void)state;
    struct bp_err err;
    struct fake_host *h = start(NULL);
    queue_worker(h, "w");
    database_run("CREATE TRIGGER DB.never BEFORE UPDATE ON DB.ai_jobs FOR EACH ROW SIGNAL SQLSTATE '45000' SET "
                 "MESSAGE_TEXT='written again'");
    for (int i = 0; i < 6; i++) { /* the first ones read what they need, later ones may do without */
        struct bp_op op = {.kind = BP_OP_COMPLETE}, get = {.kind = BP_OP_GET};
        int64_t id;
        assert_int_equal(queue_submit(h, NULL, &id, &err), BP_OK);
        assert_int_equal(queue_lease(h, "w", "t"), id);
        op.u.complete = (struct bp_op_complete){
            .id = id, .token = "t", .worker_id = "w", .output = "{\"of\":\"it\"}", .provider_job_id = "p"};
        if (queue_run(h, &op, &err) != BP_OK || op.err.rc != BP_OK)
            fail_msg("complete: %s %s", err.text, op.err.text);
        get.u.get.id = id;
        assert_int_equal(queue_run(h, &get, &err), BP_OK);
        assert_string_equal(get.u.get.job->output, "{\"of\":\"it\"}");
        assert_string_equal(get.u.get.job->provider_job_id, "p");
        fake_host_free(get.u.get.memory);
    }
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_jobs WHERE params IS NOT NULL AND output IS NULL"), 6);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_outputs WHERE provider_job_id='p'"), 6);
    fake_host_stop(h);
}

/* Or a full disk could take a job that is being leased. */
static void a_lease_makes_no_row_longer(void **state)
{
    (void)state;
    struct bp_err err;
    struct fake_host *h = start(NULL);
    const char *length =
        "SELECT SUM(LENGTH(room) + COALESCE(LENGTH(lease_token),0) + COALESCE(LENGTH(output_suffix),0)) FROM "
        "DB.ai_job_dispatches";
    queue_worker(h, "w");
    for (int i = 0; i < 4; i++) {
        int64_t id, before;
        assert_int_equal(queue_submit(h, NULL, &id, &err), BP_OK);
        before = database_int(length);
        assert_int_equal(queue_lease(h, "w", "6b573e48-0c09-4fb2-928f-0e34f137d417"), id);
        assert_true(database_int(length) <= before);
    }
    assert_int_equal(database_int("SELECT SUM(LENGTH(room)) FROM DB.ai_job_dispatches"), 0);
    fake_host_stop(h);
}

/* Outputs of jobs that ended before 0004_outputs.sql. */
static void an_output_from_before_it_had_a_table_is_still_found(void **state)
{
    (void)state;
    struct bp_err err;
    struct bp_op get = {.kind = BP_OP_GET};
    struct fake_host *h = start(NULL);
    assert_int_equal(queue_submit(h, NULL, &get.u.get.id, &err), BP_OK);
    database_run("UPDATE DB.ai_jobs SET output='{\"old\":1}', provider_job_id='q'");
    assert_int_equal(queue_run(h, &get, &err), BP_OK);
    assert_string_equal(get.u.get.job->output, "{\"old\":1}");
    assert_string_equal(get.u.get.job->provider_job_id, "q");
    fake_host_free(get.u.get.memory);
    fake_host_stop(h);
}

/* ---- two controllers ---- */

#define CONTROLLERS 3
#define JOBS        120

/* Leases what it can and submits with keys that the others submit too. */
static void controller(int number)
{
    struct bp_err err;
    char worker[16], token[32], key[16];
    struct fake_host *h = start(NULL);
    snprintf(worker, sizeof worker, "w%d", number);
    queue_worker(h, worker);
    for (int i = 0; i < JOBS; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        if (queue_submit(h, key, NULL, &err) != BP_OK)
            fail_msg("submit: %s", err.text);
        snprintf(token, sizeof token, "t-%d-%d", number, i);
        queue_lease(h, worker, token);
    }
    while (snprintf(token, sizeof token, "u-%d-%d", number, rand()) && queue_lease(h, worker, token))
        ;
    fake_host_stop(h);
    _exit(0);
}

static void controllers_share_a_queue_without_doubles(void **state)
{
    (void)state;
    pid_t pids[CONTROLLERS];
    fake_host_stop(start(NULL));
    for (int i = 0; i < CONTROLLERS; i++)
        if ((pids[i] = fork()) == 0)
            controller(i);
    for (int i = 0; i < CONTROLLERS; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches"), JOBS);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status=3 AND attempts=1"), JOBS);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.job_events WHERE what=1"), JOBS);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.job_events WHERE what=2"), JOBS);
    assert_int_equal(database_int("SELECT SUM(leased) FROM DB.dispatch_counters WHERE owner=1"), JOBS);
    assert_int_equal(database_int("SELECT SUM(queued) FROM DB.dispatch_counters WHERE owner=1"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_commit_that_never_arrived_is_repeated, fresh),
        cmocka_unit_test_setup(a_commit_whose_answer_was_lost_counts_once, fresh),
        cmocka_unit_test_setup(a_lease_across_a_cut_is_given_once, fresh),
        cmocka_unit_test_setup(a_killed_connection_is_replaced, fresh),
        cmocka_unit_test_setup(what_was_submitted_is_never_written_again, fresh),
        cmocka_unit_test_setup(a_lease_makes_no_row_longer, fresh),
        cmocka_unit_test_setup(an_output_from_before_it_had_a_table_is_still_found, fresh),
        cmocka_unit_test_setup(controllers_share_a_queue_without_doubles, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
