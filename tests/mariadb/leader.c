/* SPDX-License-Identifier: Apache-2.0 */
/* Leadership passes on when its holder is gone, and what the old one still does of its own changes nothing. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cm.h"
#include "database.h"

#define TTL_MS 300

/* Asks to lead; the epoch, negative: it is another's. */
static int64_t lead(struct fake_host *h, const char *id, int64_t ttl_ms)
{
    struct bp_op op = {.kind = BP_OP_LEAD};
    op.u.lead = (struct bp_op_lead){.id = id, .name = id, .url = "http://x", .version = "1", .ttl_ms = ttl_ms};
    assert_int_equal(queue_do(h, &op), BP_OK);
    fake_host_free(op.u.lead.memory);
    return op.u.lead.leader ? op.u.lead.epoch : -op.u.lead.epoch;
}

/* Asks until it leads. */
static int64_t lead_at_last(struct fake_host *h, const char *id)
{
    for (;;) {
        int64_t epoch = lead(h, id, 60000);
        if (epoch > 0)
            return epoch;
        usleep(20000);
    }
}

static int32_t sweep(struct fake_host *h, int64_t epoch, uint32_t *count)
{
    struct bp_op op = {.kind = BP_OP_SWEEP, .now_ms = 1800000000000};
    op.u.sweep.limit = 10;
    op.u.sweep.epoch = epoch;
    int32_t rc = queue_do(h, &op);
    *count = op.u.sweep.count;
    fake_host_free(op.u.sweep.memory);
    return rc;
}

static void leased_job(struct fake_host *h)
{
    struct bp_err err;
    queue_worker(h, "w");
    assert_int_equal(queue_submit(h, NULL, NULL, &err), BP_OK);
    assert_true(queue_lease(h, "w", "t") > 0);
}

static void leadership_passes_on_when_its_holder_is_killed(void **state)
{
    (void)state;
    int told[2];
    int64_t old = 0;
    fake_host_stop(queue_up());
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct fake_host *h = queue_up();
        int64_t epoch = lead(h, "killed", TTL_MS);
        if (write(told[1], &epoch, sizeof epoch) != (ssize_t)sizeof epoch)
            _exit(1);
        for (;;)
            lead(h, "killed", TTL_MS);
    }
    assert_int_equal(read(told[0], &old, sizeof old), sizeof old);
    assert_true(old >= 1);
    struct fake_host *h = queue_up();
    assert_int_equal(lead(h, "heir", TTL_MS), -old);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_true(lead_at_last(h, "heir") > old);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.leadership WHERE holder='heir'"), 1);
    fake_host_stop(h);
}

static void a_sweep_of_an_old_leader_changes_nothing(void **state)
{
    (void)state;
    uint32_t count;
    struct fake_host *one = queue_up(), *two = queue_up();
    leased_job(one);
    int64_t old = lead(one, "one", 1);
    int64_t now = lead_at_last(two, "two");
    assert_true(now > old);
    assert_int_equal(sweep(one, old, &count), BP_STALE);
    assert_int_equal(count, 0);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status='leased'"), 1);
    assert_int_equal(sweep(two, now, &count), BP_OK);
    assert_int_equal(count, 1);
    fake_host_stop(one);
    fake_host_stop(two);
}

/* The lease of leadership is on the server's clock; one that seems to last longer than it was asked for was made before
 * the clock was set back, and must not keep everybody waiting until then. */
static void a_clock_set_back_does_not_keep_the_seat_taken(void **state)
{
    (void)state;
    struct fake_host *h = queue_up();
    int64_t old = lead(h, "one", 60000);
    database_run("UPDATE DB.leadership SET expires_ms = expires_ms + 3600000");
    assert_true(lead(h, "two", 60000) > old);
    fake_host_stop(h);
}

static void wait_for(const char *sql)
{
    while (database_int(sql) == 0)
        usleep(20000);
}

/* The leader stops in the middle of a sweep, holding the row that says who leads. */
static void a_leader_stopped_in_its_sweep_does_not_keep_the_seat(void **state)
{
    (void)state;
    uint32_t count;
    int told[2], go[2];
    char byte;
    struct fake_host *h = queue_up();
    leased_job(h);
    assert_int_equal(pipe(told), 0);
    assert_int_equal(pipe(go), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct fake_host *one = queue_up();
        int64_t epoch = lead(one, "stopped", TTL_MS);
        if (write(told[1], "l", 1) == 1 && read(go[0], &byte, 1) == 1)
            sweep(one, epoch, &count);
        _exit(0);
    }
    assert_int_equal(read(told[0], &byte, 1), 1);
    database_hold("LOCK TABLES DB.dispatch_counters WRITE"); /* what a sweep writes last */
    assert_int_equal(write(go[1], "s", 1), 1);
    wait_for("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE db='DB' AND info LIKE 'INSERT INTO "
             "dispatch_counters%'");
    kill(pid, SIGSTOP);
    database_release();
    int64_t epoch = lead_at_last(h, "heir");
    assert_int_equal(sweep(h, epoch, &count), BP_OK);
    assert_int_equal(count, 1);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status='queued'"), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    fake_host_stop(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(leadership_passes_on_when_its_holder_is_killed, database_setup),
        cmocka_unit_test_setup(a_sweep_of_an_old_leader_changes_nothing, database_setup),
        cmocka_unit_test_setup(a_clock_set_back_does_not_keep_the_seat_taken, database_setup),
        cmocka_unit_test_setup(a_leader_stopped_in_its_sweep_does_not_keep_the_seat, database_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
