/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that is killed between the commit of a pool on another server and the queue's own: at each of the two,
 * before and after. Whatever it had done, nothing half is to be seen, a repetition is harmless, and what is left over
 * goes.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool_rig.h"
#include "proxy.h"

#define QUEUE 1 /* which commit is cut */
#define POOL  2

/* This program again, as the process that dies: DATABASE QUEUE-SOCKET FAR-SOCKET JOB. A new image, since the proxy's
 * threads are not in a forked one. */
static int work(char **argv)
{
    struct bp_err err = {0};
    int64_t id = strtoll(argv[3], NULL, 10);
    struct bp_op op = {.size = sizeof op, .kind = id ? BP_OP_COMPLETE : BP_OP_SUBMIT, .now_ms = rig_now};
    database_use(argv[0]);
    struct fake_host *h = queue_start(argv[1], rig_pools(argv[2], ""), &err);
    if (!h) {
        fprintf(stderr, "start: %s\n", err.text);
        return 1;
    }
    if (id)
        op.u.complete =
            (struct bp_op_complete){.id = id, .worker_id = "w", .token = "t1", .output = "{\"key\":\"first\"}"};
    else
        op.u.submit = (struct bp_op_submit){
            .tenant = "far", .workflow = "a", .params = "{\"n\":1}", .idempotency_key = "once", .request_hash = "h"};
    queue_run(h, &op, &err);
    return 1; /* it should be dead by now */
}

/* The process that dies: through the proxy to one of the servers, it works until it is killed. */
static pid_t victim(int server, int how, int64_t id)
{
    const char *proxy = proxy_start(server == QUEUE ? database_socket() : far_socket());
    int before = proxy_cuts();
    proxy_cut(how);
    char job[24];
    snprintf(job, sizeof job, "%lld", (long long)id);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/proc/self/exe", "pool_kills", database_name(), server == QUEUE ? proxy : database_socket(),
              server == POOL ? proxy : far_socket(), job, (char *)NULL);
        _exit(1);
    }
    for (int i = 0; proxy_cuts() == before && i < 3000; i++)
        usleep(10000);
    assert_int_equal(proxy_cuts(), before + 1);
    return pid;
}

static void die(int server, int how, int64_t id)
{
    int status;
    pid_t pid = victim(server, how, id);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    proxy_cut(PASS);
}

/* The dead process's transaction is over once its locks are gone. */
static void settled(void)
{
    database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches LOCK IN SHARE MODE");
}

/* ---- submits ---- */

static void submit_dies(int server, int how, bool in_pool, bool counts)
{
    struct rig_view v;
    char params[128];
    fake_host_stop(rig_start(NULL));
    die(server, how, 0);
    settled();
    assert_int_equal(far_int("SELECT COUNT(*) FROM DB.ai_jobs"), in_pool);
    assert_int_equal(far_int("SELECT COUNT(*) FROM DB.ai_jobs WHERE status<>0"), 0);
    struct fake_host *h = rig_start(NULL);
    assert_int_equal(rig_count(h, "far"), counts);
    int64_t id = rig_submit(h, "far", "once", "{\"n\":1}");
    assert_int_equal(rig_submit(h, "far", "once", "{\"n\":1}"), id);
    assert_int_equal(rig_count(h, "far"), 1);
    assert_int_equal(rig_get(h, "far", id, &v), BP_OK);
    assert_string_equal(v.params, "{\"n\":1}");
    rig_sweep(h);
    assert_int_equal(far_int("SELECT COUNT(*) FROM DB.ai_jobs WHERE status=2"), 1);
    rig_age_far();
    rig_sweep(h);
    assert_int_equal(far_int("SELECT COUNT(*) FROM DB.ai_jobs"), 1);
    queue_worker(h, "w");
    assert_int_equal(rig_lease(h, "w", "t1", params), id);
    assert_string_equal(params, "{\"n\":1}");
    assert_int_equal(rig_lease(h, "w", "t2", NULL), 0);
    fake_host_stop(h);
}

static void submit_killed_before_the_pool_commits(void **state)
{
    (void)state;
    submit_dies(POOL, FREEZE_BEFORE_COMMIT, false, false);
}

static void submit_killed_after_the_pool_committed(void **state)
{
    (void)state;
    submit_dies(POOL, FREEZE_AFTER_COMMIT, true, false);
}

static void submit_killed_before_the_queue_commits(void **state)
{
    (void)state;
    submit_dies(QUEUE, FREEZE_BEFORE_COMMIT, true, false);
}

static void submit_killed_after_the_queue_committed(void **state)
{
    (void)state;
    submit_dies(QUEUE, FREEZE_AFTER_COMMIT, true, true);
}

/* ---- completes ---- */

/* A leased job whose first complete dies; the queue afterwards. */
static struct fake_host *complete_died(int server, int how, int64_t *id)
{
    struct fake_host *h = rig_start(NULL);
    queue_worker(h, "w");
    *id = rig_submit(h, "far", NULL, "{\"n\":1}");
    assert_int_equal(rig_lease(h, "w", "t1", NULL), *id);
    fake_host_stop(h);
    die(server, how, *id);
    settled();
    return rig_start(NULL);
}

static void outcome_is(struct fake_host *h, int64_t id, const char *output)
{
    struct rig_view v;
    char sql[256];
    for (int i = 0; i < 2; i++) { /* before and after the pool follows */
        assert_int_equal(rig_get(h, "far", id, &v), BP_OK);
        assert_int_equal(v.status, BP_JOB_COMPLETED);
        assert_string_equal(v.output, output);
        rig_sweep(h);
    }
    snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM DB.ai_jobs WHERE status=4 AND output='%s'", output);
    assert_int_equal(far_int(sql), 1);
    assert_int_equal(far_int("SELECT COUNT(*) FROM DB.ai_job_outputs"), 0);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.pool_outbox"), 0);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.job_events WHERE what=8"), 1);
}

static void still_leased(struct fake_host *h, int64_t id, int outputs)
{
    struct rig_view v;
    assert_int_equal(far_int("SELECT COUNT(*) FROM DB.ai_job_outputs"), outputs);
    assert_int_equal(rig_get(h, "far", id, &v), BP_OK);
    assert_int_equal(v.status, BP_JOB_LEASED);
    assert_string_equal(v.output, "");
    rig_sweep(h);
    assert_int_equal(far_int("SELECT COUNT(*) FROM DB.ai_jobs WHERE status=2 AND output IS NULL"), 1);
}

/* The worker delivers again. */
static void complete_dies_and_is_repeated(int server, int how, int outputs)
{
    int64_t id;
    struct fake_host *h = complete_died(server, how, &id);
    still_leased(h, id, outputs);
    assert_int_equal(rig_complete(h, id, "w", "t1", "{\"key\":\"again\"}"), BP_OK);
    outcome_is(h, id, "{\"key\":\"again\"}");
    fake_host_stop(h);
}

/* The worker does not, and another one does the job. Its token sorts first, so that the last row found is the wrong
 * one. */
static void complete_dies_and_another_wins(int server, int how, int outputs)
{
    int64_t id;
    struct fake_host *h = complete_died(server, how, &id);
    still_leased(h, id, outputs);
    rig_now += TTL_MS + 1;
    rig_sweep(h);
    assert_int_equal(rig_lease(h, "w", "a2", NULL), id);
    assert_int_equal(rig_complete(h, id, "w", "t1", "{\"key\":\"late\"}"), BP_STALE);
    assert_int_equal(rig_complete(h, id, "w", "a2", "{\"key\":\"other\"}"), BP_OK);
    outcome_is(h, id, "{\"key\":\"other\"}");
    fake_host_stop(h);
}

static void complete_killed_before_the_pool_commits(void **state)
{
    (void)state;
    complete_dies_and_is_repeated(POOL, FREEZE_BEFORE_COMMIT, 0);
}

static void complete_killed_after_the_pool_committed(void **state)
{
    (void)state;
    complete_dies_and_is_repeated(POOL, FREEZE_AFTER_COMMIT, 1);
}

static void complete_killed_before_the_queue_commits(void **state)
{
    (void)state;
    complete_dies_and_another_wins(QUEUE, FREEZE_BEFORE_COMMIT, 1);
}

static void complete_killed_after_the_queue_committed(void **state)
{
    int64_t id;
    (void)state;
    struct fake_host *h = complete_died(QUEUE, FREEZE_AFTER_COMMIT, &id);
    assert_int_equal(far_int("SELECT COUNT(*) FROM DB.ai_job_outputs"), 1);
    assert_int_equal(rig_complete(h, id, "w", "t1", "{\"key\":\"again\"}"), BP_OK);
    outcome_is(h, id, "{\"key\":\"first\"}");
    fake_host_stop(h);
}

/* ---- the same without a death: the plugin repeats by itself ---- */

static void cut_and_repeated(int server, int how)
{
    const char *proxy = proxy_start(server == QUEUE ? database_socket() : far_socket());
    struct fake_host *h = rig_start_at(server == QUEUE ? proxy : NULL, server == POOL ? proxy : NULL, 60);
    int before = proxy_cuts();
    queue_worker(h, "w");
    proxy_cut(how);
    int64_t id = rig_submit(h, "far", NULL, "{\"n\":1}");
    assert_int_equal(proxy_cuts(), before + 1);
    assert_int_equal(rig_lease(h, "w", "t1", NULL), id);
    proxy_cut(how);
    assert_int_equal(rig_complete(h, id, "w", "t1", "{\"key\":\"only\"}"), BP_OK);
    assert_int_equal(proxy_cuts(), before + 2);
    assert_int_equal(rig_count(h, "far"), 1);
    rig_age_far();
    outcome_is(h, id, "{\"key\":\"only\"}");
    assert_int_equal(far_int("SELECT COUNT(*) FROM DB.ai_jobs"), 1);
    fake_host_stop(h);
}

static void cuts_at_either_commit_are_made_good(void **state)
{
    (void)state;
    static const int hows[] = {CUT_BEFORE_COMMIT, CUT_AFTER_COMMIT};
    for (int server = QUEUE; server <= POOL; server++)
        for (int i = 0; i < 2; i++) {
            database_fresh();
            cut_and_repeated(server, hows[i]);
        }
}

int main(int argc, char **argv)
{
    if (argc == 5)
        return work(argv + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(submit_killed_before_the_pool_commits, database_setup),
        cmocka_unit_test_setup(submit_killed_after_the_pool_committed, database_setup),
        cmocka_unit_test_setup(submit_killed_before_the_queue_commits, database_setup),
        cmocka_unit_test_setup(submit_killed_after_the_queue_committed, database_setup),
        cmocka_unit_test_setup(complete_killed_before_the_pool_commits, database_setup),
        cmocka_unit_test_setup(complete_killed_after_the_pool_committed, database_setup),
        cmocka_unit_test_setup(complete_killed_before_the_queue_commits, database_setup),
        cmocka_unit_test_setup(complete_killed_after_the_queue_committed, database_setup),
        cmocka_unit_test_setup(cuts_at_either_commit_are_made_good, database_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
