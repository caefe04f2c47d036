/* SPDX-License-Identifier: Apache-2.0 */
/* Promise 1: what was answered survives the death of the process. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "case.h"

/* What the writer acknowledges through a pipe, after apply() returned. */
struct ack {
    int32_t kind; /* BP_OP_* */
    int32_t reserved;
    int64_t id;
};

#define ACKS_MAX 200000
#define BATCH    12

static struct ack acks[ACKS_MAX];

CASE(durability, everything_is_there_after_a_restart)
{
    worker_any("w");
    int64_t queued = submit("a"), done;
    submit_priority("a", 5);
    struct lease l = lease_one("w");
    done = l.id;
    CHECK_INT(complete(&l), BP_OK);
    submit_priority("a", 5);
    l = lease_one("w");
    world_restart();
    CHECK_INT(status_of(queued), BP_JOB_QUEUED);
    CHECK_INT(status_of(done), BP_JOB_COMPLETED);
    CHECK_STR(job(done)->output, "{\"key\":\"out.mp4\",\"size\":7}");
    CHECK_STR(timeline(done), "submitted leased completed");
    CHECK_INT(worker_row("w")->live_leases, 1);
    CHECK_INT(complete(&l), BP_OK);
    CHECK_INT(lease_id("w"), queued);
}

static void say(int fd, const struct bp_op *op, int64_t id)
{
    struct ack a = {op->kind, 0, id};
    if (write(fd, &a, sizeof a) != (ssize_t)sizeof a)
        _exit(1);
}

static void acknowledge(int fd, const struct bp_op *op)
{
    if (op->err.rc != BP_OK)
        return;
    if (op->kind == BP_OP_SUBMIT)
        say(fd, op, op->u.submit.id);
    else if (op->kind == BP_OP_COMPLETE)
        say(fd, op, op->u.complete.id);
    for (uint32_t i = 0; op->kind == BP_OP_LEASE && i < op->u.lease.count; i++)
        say(fd, op, op->u.lease.jobs[i].id);
}

/* Works until it is killed: each batch submits, leases, and completes what the one before leased. */
static void write_for_ever(int fd)
{
    struct lease held[BATCH];
    uint32_t n_held = 0;
    world.host = NULL;
    world_restart();
    worker_any("w");
    for (;;) {
        struct bp_op *ops[2 * BATCH];
        uint32_t n = 0;
        for (uint32_t i = 0; i < n_held; i++)
            ops[n++] = complete_op(&held[i]);
        for (int i = 0; i < BATCH / 2; i++)
            ops[n++] = submit_op("a");
        struct bp_op *lease = ops[n++] = lease_op("w", "a", BATCH / 2);
        apply_all(ops, n);
        for (uint32_t i = 0; i < n; i++)
            acknowledge(fd, ops[i]);
        n_held = leased(lease, held, BATCH / 2);
        world_free_memory();
    }
}

/* Reads acknowledgements, kills the writer after `ms` of them coming in, and reads what is left in the pipe. */
static uint32_t read_and_kill(int fd, pid_t pid, int64_t ms, uint32_t have)
{
    struct timespec begin, now;
    bool killed = false;
    uint32_t n = have;
    CHECK_INT(poll(&(struct pollfd){fd, POLLIN, 0}, 1, 60000), 1);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (;;) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        int64_t spent = (now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000;
        if (!killed && (spent >= ms || n > ACKS_MAX - 50000)) {
            kill(pid, SIGKILL);
            killed = true;
        }
        if (poll(&(struct pollfd){fd, POLLIN, 0}, 1, 1) == 0)
            continue;
        ssize_t got = read(fd, &acks[n], sizeof acks[n]);
        if (got == 0)
            return n;
        CHECK(got == (ssize_t)sizeof acks[n]);
        n++;
    }
}

/* Everything acknowledged is in the store, and the store's own numbers agree with its rows. */
static void verify(uint32_t from, uint32_t to)
{
    int64_t count[BP_JOB_CANCELLED + 1] = {0};
    for (uint32_t i = from; i < to; i++) {
        int32_t status = status_of(acks[i].id);
        CHECK(status != BP_JOB_FAILED && status != BP_JOB_CANCELLED);
        if (acks[i].kind == BP_OP_COMPLETE)
            CHECK_INT(status, BP_JOB_COMPLETED);
        if (i % 1000 == 0)
            world_free_memory();
    }
    int64_t before = 0;
    for (uint32_t n = 1; n > 0;) {
        struct bp_op *op = op_new(BP_OP_LIST);
        op->u.list.limit = 1000;
        op->u.list.before_id = before;
        CHECK_INT(apply_one(op), BP_OK);
        n = op->u.list.count;
        for (uint32_t i = 0; i < n; i++) {
            count[op->u.list.jobs[i].status]++;
            before = op->u.list.jobs[i].id;
        }
    }
    CHECK_INT(stats_of("a")->queued, count[BP_JOB_QUEUED]);
    CHECK_INT(stats_of("a")->leased, count[BP_JOB_LEASED]);
    CHECK_INT(worker_row("w")->live_leases, count[BP_JOB_LEASED]);
    world_free_memory();
}

CASE(durability, kill_loses_nothing_that_was_acknowledged)
{
    uint32_t n = 0;
    for (int round = 0; round < 8; round++) {
        int fds[2];
        fake_host_stop(world.host);
        world.host = NULL;
        CHECK_INT(pipe(fds), 0);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            close(fds[0]);
            write_for_ever(fds[1]);
        }
        close(fds[1]);
        uint32_t all = read_and_kill(fds[0], pid, 2 + (int64_t)random_below(60), n);
        close(fds[0]);
        CHECK(waitpid(pid, NULL, 0) == pid);
        world_restart();
        CHECK(all > n);
        verify(n, all);
        n = all;
    }
}

CASE(durability, a_second_start_beside_the_first_sees_the_same_queue)
{
    struct bp_err err;
    worker_any("w");
    int64_t id = submit("a");
    struct fake_host *first = world.host, *second = fake_host_start(world.plugin, world.dir, world.settings, &err);
    CHECK(second != NULL);
    world.host = second;
    struct lease l = lease_one("w");
    CHECK_INT(l.id, id);
    int64_t newer = submit("a");
    world.host = first;
    CHECK(submit("a") > newer);
    CHECK_INT(complete(&l), BP_OK);
    CHECK_INT(stats_of("a")->queued, 2);
    world.host = second;
    CHECK_INT(status_of(id), BP_JOB_COMPLETED);
    CHECK_INT(stats_of("a")->queued, 2);
    CHECK_INT(lease_id("w"), newer);
    fake_host_stop(first);
}
