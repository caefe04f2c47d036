/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a controller keeps in memory to ask the server less: where its queues begin, and which texts are prepared. What
 * it does is what it would do without.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cm.h"
#include "database.h"

#define KNOWN 4200 /* more than a controller knows of a queue */

static struct fake_host *h, *other;

static struct fake_host *start(void)
{
    struct bp_err err;
    struct fake_host *x = queue_start(NULL, "", &err);
    if (!x)
        fail_msg("start: %s", err.text);
    return x;
}

static int fresh(void **state)
{
    (void)state;
    database_fresh();
    h = start();
    other = start();
    queue_worker(h, "w");
    /* What a session keeps is taken from these when it begins. */
    database_run("SET GLOBAL log_output='TABLE', GLOBAL general_log=0");
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

static void run(struct fake_host *x, struct bp_op *op)
{
    struct bp_err err = {0};
    if (queue_run(x, op, &err) != BP_OK || op->err.rc != BP_OK)
        fail_msg("operation %d: %s%s", op->kind, err.text, op->err.text);
}

static int64_t submit(struct fake_host *x, int32_t priority)
{
    struct bp_op op = {.kind = BP_OP_SUBMIT};
    op.u.submit = (struct bp_op_submit){.tenant = "acme", .workflow = "a", .request_hash = "h", .priority = priority};
    run(x, &op);
    return op.u.submit.id;
}

static void complete(int64_t id, const char *token)
{
    struct bp_op op = {.kind = BP_OP_COMPLETE};
    op.u.complete = (struct bp_op_complete){.id = id, .token = token, .worker_id = "w", .output = "{\"of\":\"it\"}"};
    run(h, &op);
}

static void requeue(int64_t id, const char *token)
{
    struct bp_op op = {.kind = BP_OP_REQUEUE};
    op.u.requeue = (struct bp_op_requeue){.id = id, .token = token, .worker_id = "w", .max_requeues = 20};
    run(h, &op);
}

/* Until a controller that has looked at what others do looks again, and while it takes them for busy. */
static void wait_ms(int ms)
{
    struct timespec t = {0, ms * 1000000L};
    nanosleep(&t, NULL);
}

/* Submits so many jobs in a few batches; the first one. That at `urgent` comes before the others, -1: none. */
static int64_t fill(struct fake_host *x, int n, int urgent)
{
    enum { AT_ONCE = 400 };
    static struct bp_op ops[AT_ONCE];
    struct bp_op *list[AT_ONCE];
    struct bp_err err = {0};
    int64_t first = 0;
    for (int from = 0; from < n; from += AT_ONCE) {
        int m = n - from < AT_ONCE ? n - from : AT_ONCE;
        for (int i = 0; i < m; i++) {
            ops[i] = (struct bp_op){.size = sizeof ops[i], .kind = BP_OP_SUBMIT, .now_ms = INT64_C(1700000000000)};
            ops[i].u.submit = (struct bp_op_submit){
                .tenant = "acme", .workflow = "a", .request_hash = "h", .priority = from + i == urgent};
            list[i] = &ops[i];
        }
        if (fake_host_queue(x)->apply(fake_host_instance(x), list, (uint32_t)m, &err) != BP_OK)
            fail_msg("submits: %s", err.text);
        first = first ? first : ops[0].u.submit.id;
    }
    return first;
}

/* Submits so many jobs and leases two of them, so that the queue's begin is known. The first one left. A long queue
 * comes from the other controller, so that no more is known of it than was read. */
static int64_t filled(int n)
{
    int64_t first = fill(n > 100 ? other : h, n, -1);
    wait_ms(120);
    assert_int_equal(queue_lease(h, "w", "first"), first);
    assert_int_equal(queue_lease(h, "w", "second"), first + 1);
    return first + 2;
}

/* ---- where a queue begins ---- */

static void starts_counted(void)
{
    database_run("TRUNCATE mysql.general_log");
    database_run("SET GLOBAL general_log=1");
}

/* How often the whole queue was read since. */
static int64_t starts(void)
{
    return database_int("SELECT COUNT(*) FROM mysql.general_log WHERE command_type='Query' AND argument LIKE "
                        "'%(dispatches_queue)%' AND argument NOT LIKE '%d.id >=%'");
}

static void leases_pass_over_no_leased_jobs(int n)
{
    int64_t next = filled(n);
    char token[16];
    starts_counted();
    for (int i = 0; i < 8; i++) {
        snprintf(token, sizeof token, "t%d", i);
        assert_int_equal(queue_lease(h, "w", token), next + i);
    }
    assert_true(starts() <= 1); /* it is read from its start once a second all the same */
}

static void a_long_queue_is_read_from_where_it_begins(void **state)
{
    (void)state;
    leases_pass_over_no_leased_jobs(600);
}

static void a_short_queue_is_read_by_its_jobs(void **state)
{
    (void)state;
    leases_pass_over_no_leased_jobs(12);
}

static void an_empty_queue_is_not_read(void **state)
{
    (void)state;
    filled(2);
    assert_int_equal(queue_lease(h, "w", "a"), 0);
    starts_counted();
    for (int i = 0; i < 5; i++)
        assert_int_equal(queue_lease(h, "w", "b"), 0);
    assert_true(starts() <= 1);
}

/* Leases a job and sweeps behind that, in one batch; the job's id. */
static int64_t lease_and_sweep(const char *token)
{
    const char *workflow = "a", *suffix = "out";
    struct bp_op ops[2] = {{.kind = BP_OP_LEASE}, {.kind = BP_OP_SWEEP}}, *list[2] = {&ops[0], &ops[1]};
    struct bp_err err = {0};
    ops[0].u.lease = (struct bp_op_lease){.worker_id = "w", .workflows = &workflow, .n_workflows = 1, .max = 1};
    ops[0].u.lease.tokens = &token;
    ops[0].u.lease.output_keys = &suffix;
    ops[0].u.lease.ttl_ms = 60000;
    ops[1].u.sweep.limit = 10;
    for (int i = 0; i < 2; i++) {
        ops[i].size = sizeof ops[i];
        ops[i].now_ms = INT64_C(1700000000000);
    }
    if (fake_host_queue(h)->apply(fake_host_instance(h), list, 2, &err) != BP_OK)
        fail_msg("lease and sweep: %s", err.text);
    assert_int_equal(ops[1].err.rc, BP_OK);
    assert_int_equal(ops[1].u.sweep.count, 0);
    int64_t id = ops[0].u.lease.count ? ops[0].u.lease.jobs[0].id : 0;
    fake_host_free(ops[0].u.lease.memory);
    return id;
}

static void a_sweep_that_finds_nothing_leaves_what_is_known(void **state)
{
    (void)state;
    int64_t next = filled(12);
    char token[16];
    starts_counted();
    for (int i = 0; i < 8; i++) {
        snprintf(token, sizeof token, "t%d", i);
        assert_int_equal(lease_and_sweep(token), next + i);
    }
    assert_true(starts() <= 1);
}

static void jobs_of_one_controller_keep_their_order(int n)
{
    int64_t next = filled(n);
    int64_t urgent = submit(h, 5);
    requeue(next - 1, "second"); /* in front of its priority */
    assert_int_equal(queue_lease(h, "w", "a"), urgent);
    assert_int_equal(queue_lease(h, "w", "b"), next - 1);
    assert_int_equal(queue_lease(h, "w", "c"), next);
    int64_t more = submit(h, 6);
    assert_int_equal(queue_lease(h, "w", "d"), more);
    assert_int_equal(queue_lease(h, "w", "e"), next + 1);
}

static void its_own_jobs_keep_their_order_in_a_short_queue(void **state)
{
    (void)state;
    jobs_of_one_controller_keep_their_order(10);
}

static void its_own_jobs_keep_their_order_in_a_long_queue(void **state)
{
    (void)state;
    jobs_of_one_controller_keep_their_order(600);
}

/* Leases all jobs; how many there were. Each comes behind the one before it. */
static int64_t drained(int64_t last)
{
    enum { AT_ONCE = 64 };
    static const char *tokens[AT_ONCE], *suffixes[AT_ONCE];
    const char *workflow = "a";
    int64_t n = 0;
    uint32_t count;
    for (int i = 0; i < AT_ONCE; i++)
        tokens[i] = suffixes[i] = "t";
    do {
        struct bp_op op = {.kind = BP_OP_LEASE};
        op.u.lease = (struct bp_op_lease){.worker_id = "w", .workflows = &workflow, .n_workflows = 1, .max = AT_ONCE};
        op.u.lease.tokens = tokens;
        op.u.lease.output_keys = suffixes;
        op.u.lease.ttl_ms = 60000;
        run(h, &op);
        count = op.u.lease.count;
        for (uint32_t i = 0; i < count; i++) {
            assert_true(op.u.lease.jobs[i].id > last);
            last = op.u.lease.jobs[i].id;
        }
        n += count;
        fake_host_free(op.u.lease.memory);
    } while (count);
    return n;
}

static void a_queue_that_grows_long_keeps_its_order(void **state)
{
    (void)state;
    int64_t next = filled(4), more = fill(h, KNOWN, KNOWN - 1);
    int64_t urgent = more + KNOWN - 1;
    submit(h, 0);
    assert_int_equal(queue_lease(h, "w", "a"), urgent);
    assert_int_equal(queue_lease(h, "w", "b"), next);
    assert_int_equal(queue_lease(h, "w", "c"), next + 1);
    assert_int_equal(queue_lease(h, "w", "d"), more);
    int64_t second = submit(h, 1);
    assert_int_equal(queue_lease(h, "w", "e"), second);
    int64_t left = database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status=2");
    assert_int_equal(drained(more), left);
}

static void jobs_of_others_keep_their_order(int n)
{
    int64_t next = filled(n);
    int64_t urgent = submit(other, 5);
    wait_ms(15);
    assert_int_equal(queue_lease(h, "w", "a"), urgent);
    assert_int_equal(queue_lease(h, "w", "b"), next);
    database_run("INSERT INTO DB.ai_job_dispatches (tenant_id, workflow_id, priority) SELECT t.id, w.id, 5 FROM "
                 "DB.tenants t JOIN DB.workflows w WHERE t.name = 'acme' AND w.name = 'a'");
    wait_ms(60);
    assert_int_equal(queue_lease(h, "w", "c"), database_int("SELECT MAX(id) FROM DB.ai_job_dispatches"));
    assert_int_equal(queue_lease(h, "w", "d"), next + 1);
}

static void jobs_of_others_keep_their_order_in_a_short_queue(void **state)
{
    (void)state;
    jobs_of_others_keep_their_order(10);
}

static void jobs_of_others_keep_their_order_in_a_long_queue(void **state)
{
    (void)state;
    jobs_of_others_keep_their_order(600);
}

static void a_job_of_another_in_a_queue_taken_for_empty_is_leased_at_once(void **state)
{
    (void)state;
    filled(2);
    wait_ms(120);
    assert_int_equal(queue_lease(h, "w", "a"), 0);
    assert_int_equal(queue_lease(h, "w", "a"), 0);
    int64_t id = submit(other, 0);
    assert_int_equal(queue_lease(h, "w", "b"), id);
    assert_int_equal(queue_lease(h, "w", "c"), 0);
}

static void a_job_leased_or_cancelled_by_another_is_not_given_twice(void **state)
{
    (void)state;
    int64_t next = filled(10);
    struct bp_op op = {.kind = BP_OP_CANCEL};
    op.u.cancel.id = next;
    run(other, &op);
    assert_int_equal(queue_lease(other, "w", "a"), next + 1);
    assert_int_equal(queue_lease(h, "w", "b"), next + 2);
}

/* ---- prepared texts ---- */

static int64_t executed(void)
{
    return database_int("SELECT variable_value FROM information_schema.GLOBAL_STATUS WHERE variable_name = "
                        "'COM_STMT_EXECUTE'");
}

/* One job from its submit to its end, whose row then says all of it. */
static void whole_job(int number)
{
    char token[32], sql[256];
    snprintf(token, sizeof token, "it's \\ %d?", number);
    int64_t id = submit(h, number % 3);
    assert_int_equal(queue_lease(h, "w", token), id);
    complete(id, token);
    snprintf(sql, sizeof sql,
             "SELECT COUNT(*) FROM DB.ai_job_dispatches d JOIN DB.ai_job_outputs o ON job_id=id WHERE id=%lld AND "
             "status=4 AND "
             "priority=%d AND lease_token=CONCAT('it''s \\\\ ', %d, '?') AND output='{\"of\":\"it\"}'",
             (long long)id, number % 3, number);
    assert_int_equal(database_int(sql), 1);
    snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM DB.job_events WHERE job_id=%lld", (long long)id);
    assert_int_equal(database_int(sql), 3);
}

static void jobs(int n)
{
    for (int i = 0; i < n; i++)
        whole_job(i);
}

static int64_t lease_tells(const char *token, int32_t *emptied)
{
    const char *workflow = "a", *suffix = "out";
    struct bp_op op = {.kind = BP_OP_LEASE};
    op.u.lease = (struct bp_op_lease){.worker_id = "w",
                                      .workflows = &workflow,
                                      .n_workflows = 1,
                                      .max = 1,
                                      .tokens = &token,
                                      .output_keys = &suffix,
                                      .ttl_ms = 60000};
    run(h, &op);
    *emptied = op.u.lease.emptied;
    int64_t id = op.u.lease.count ? op.u.lease.jobs[0].id : 0;
    free(op.u.lease.memory);
    return id;
}

/* Another transaction locks these rows and no other. */
static void hold(const char *which)
{
    char sql[400];
    snprintf(sql, sizeof sql,
             "BEGIN NOT ATOMIC SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION; SELECT COUNT(*) "
             "INTO @n FROM DB.ai_job_dispatches FORCE INDEX (PRIMARY) WHERE %s FOR UPDATE;END",
             which);
    database_hold(sql);
}

static void hold_from(int64_t id)
{
    char which[64];
    snprintf(which, sizeof which, "id >= %lld", (long long)id);
    hold(which);
}

static void hold_two(int64_t one, int64_t other_one)
{
    char which[64];
    snprintf(which, sizeof which, "id IN (%lld,%lld)", (long long)one, (long long)other_one);
    hold(which);
}

/* Another controller locks what it reads, and that may be much more than it takes. */
static void a_lease_tells_of_jobs_that_another_holds(void **state)
{
    (void)state;
    int32_t emptied;
    int64_t first = submit(h, 0), second = submit(other, 0);
    wait_ms(20); /* until it looks at others again */
    hold_from(first);
    assert_int_equal(lease_tells("a", &emptied), 0);
    assert_int_equal(emptied, -1);
    database_release();
    hold_from(second);
    assert_int_equal(lease_tells("b", &emptied), first);
    assert_int_equal(emptied, 0);
    database_release();
    assert_int_equal(lease_tells("c", &emptied), second);
    assert_int_equal(emptied, 1);
    assert_int_equal(lease_tells("d", &emptied), 0);
    assert_int_equal(emptied, 0);
}

/* The queue is read while others hold its first two jobs, and is taken for the rest of it. One of the two comes to be
 * seen by a reader: what is known of the queue is not all of it. */
static void a_job_that_was_held_is_not_leased_before_those_in_front(void **state)
{
    (void)state;
    int64_t first = submit(h, 0);
    for (int i = 1; i < 5; i++)
        submit(h, 0);
    wait_ms(120);
    hold_two(first, first + 1);
    assert_int_equal(queue_lease(h, "w", "a"), first + 2);
    database_release();
    struct bp_op op = {.kind = BP_OP_GET};
    op.u.get.id = first + 1;
    run(h, &op);
    free(op.u.get.memory);
    assert_int_equal(queue_lease(h, "w", "b"), first);
    assert_int_equal(queue_lease(h, "w", "c"), first + 1);
    assert_int_equal(queue_lease(h, "w", "d"), first + 3);
}

static void texts_that_come_often_are_prepared_and_do_the_same(void **state)
{
    (void)state;
    int64_t before = executed();
    jobs(40);
    assert_true(executed() - before > 60);
    assert_int_equal(database_int("SELECT SUM(completed) FROM DB.dispatch_counters WHERE owner=1"), 40);
}

static void a_new_connection_prepares_anew(void **state)
{
    (void)state;
    jobs(12);
    database_run_each("SELECT CONCAT('KILL ', id) FROM information_schema.PROCESSLIST WHERE db = 'DB'");
    int64_t before = executed();
    jobs(20);
    assert_true(executed() > before);
}

static void a_server_that_prepares_no_more_is_sent_plain_texts(void **state)
{
    (void)state;
    database_run("SET GLOBAL max_prepared_stmt_count=0");
    int64_t before = executed();
    jobs(15);
    assert_int_equal(executed(), before);
    database_run("SET GLOBAL max_prepared_stmt_count=DEFAULT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_long_queue_is_read_from_where_it_begins, fresh, stop),
        cmocka_unit_test_setup_teardown(a_short_queue_is_read_by_its_jobs, fresh, stop),
        cmocka_unit_test_setup_teardown(an_empty_queue_is_not_read, fresh, stop),
        cmocka_unit_test_setup_teardown(a_sweep_that_finds_nothing_leaves_what_is_known, fresh, stop),
        cmocka_unit_test_setup_teardown(its_own_jobs_keep_their_order_in_a_short_queue, fresh, stop),
        cmocka_unit_test_setup_teardown(its_own_jobs_keep_their_order_in_a_long_queue, fresh, stop),
        cmocka_unit_test_setup_teardown(a_queue_that_grows_long_keeps_its_order, fresh, stop),
        cmocka_unit_test_setup_teardown(jobs_of_others_keep_their_order_in_a_short_queue, fresh, stop),
        cmocka_unit_test_setup_teardown(jobs_of_others_keep_their_order_in_a_long_queue, fresh, stop),
        cmocka_unit_test_setup_teardown(a_job_of_another_in_a_queue_taken_for_empty_is_leased_at_once, fresh, stop),
        cmocka_unit_test_setup_teardown(a_job_leased_or_cancelled_by_another_is_not_given_twice, fresh, stop),
        cmocka_unit_test_setup_teardown(a_lease_tells_of_jobs_that_another_holds, fresh, stop),
        cmocka_unit_test_setup_teardown(a_job_that_was_held_is_not_leased_before_those_in_front, fresh, stop),
        cmocka_unit_test_setup_teardown(texts_that_come_often_are_prepared_and_do_the_same, fresh, stop),
        cmocka_unit_test_setup_teardown(a_new_connection_prepares_anew, fresh, stop),
        cmocka_unit_test_setup_teardown(a_server_that_prepares_no_more_is_sent_plain_texts, fresh, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
