/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases handed over before their commit. No plugin has to: what is checked is that those that do hand over nothing
 * else, and what is left when the commit does not come.
 */
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

/* What was handed over, as it was then. */
static struct told {
    uint32_t n;
    const struct bp_op *op;
    struct lease lease;
} told;

static int32_t take(struct bp_op *op)
{
    CHECK_INT(op->kind, BP_OP_LEASE);
    CHECK_INT(op->err.rc, BP_OK);
    CHECK(told.op != op);
    told.n++;
    told.op = op;
    CHECK_INT(leased(op, &told.lease, 1), 1);
    return BP_OK;
}

static int32_t take_none(struct bp_op *op)
{
    (void)op;
    told.n++;
    return BP_UNSUPPORTED;
}

/* A submit of workflow "a" and the lease of a worker that waits, in one batch; its rc. */
static int32_t submit_to(const char *worker, struct bp_op *ops[2])
{
    ops[0] = submit_op("a");
    ops[1] = lease_op(worker, "a", 1);
    return apply_try(ops, 2);
}

/* So that a store that learns from what it did has done all of it. */
static void begin(void)
{
    worker_any("w");
    for (int i = 0; i < 3; i++) {
        struct bp_op *ops[2];
        struct lease l;
        CHECK_INT(submit_to("w", ops), BP_OK);
        CHECK_INT(leased(ops[1], &l, 1), 1);
        CHECK_INT(complete(&l), BP_OK);
        pass(i == 0 ? 120 : 0);
    }
}

CASE(lease, one_handed_over_early_is_the_one_that_is_committed)
{
    begin();
    fake_host_on_early(take);
    for (int i = 0; i < 3; i++) {
        struct bp_op *ops[2];
        struct lease l;
        told = (struct told){0};
        CHECK_INT(submit_to("w", ops), BP_OK);
        CHECK_INT(leased(ops[1], &l, 1), 1);
        CHECK_INT(ops[0]->u.submit.id, l.id);
        if (told.n) {
            CHECK(told.op == ops[1]);
            CHECK_INT(told.lease.id, l.id);
            CHECK_STR(told.lease.token, l.token);
        }
        CHECK_STR(timeline(l.id), "submitted leased");
        CHECK_INT(complete(&l), BP_OK);
    }
}

CASE(lease, nobody_has_to_take_one_early)
{
    begin();
    fake_host_on_early(take_none);
    struct bp_op *ops[2];
    struct lease l;
    CHECK_INT(submit_to("w", ops), BP_OK);
    CHECK_INT(leased(ops[1], &l, 1), 1);
    CHECK_INT(complete(&l), BP_OK);
}

CASE(lease, jobs_that_were_there_before_are_not_handed_over_early)
{
    begin();
    fake_host_on_early(take_none);
    struct lease l[2];
    submit("a");
    lease_one("w");
    submit("a");
    struct bp_op *both[2] = {submit_op("a"), lease_op("w", "a", 2)};
    apply_all(both, 2);
    CHECK_INT(leased(both[1], l, 2), 2);
    CHECK_INT(both[0]->u.submit.id, l[1].id);
    CHECK_INT(told.n, 0);
}

CASE(lease, one_that_follows_another_operation_is_not_handed_over_early)
{
    begin();
    fake_host_on_early(take_none);
    submit("a");
    struct lease l = lease_one("w");
    struct bp_op *ops[3] = {submit_op("a"), complete_op(&l), lease_op("w", "a", 1)};
    ops[2]->u.lease.after = ops[1];
    apply_all(ops, 3);
    CHECK_INT(leased(ops[2], &l, 1), 1);
    CHECK_INT(ops[0]->u.submit.id, l.id);
    CHECK_INT(told.n, 0);
}

/* The job is not there, nor is anything of it, and its lease is over. */
static void check_gone(const struct lease *l)
{
    struct bp_op *get = op_new(BP_OP_GET);
    get->u.get.id = l->id;
    CHECK_INT(apply_one(get), BP_NOTFOUND);
    CHECK_INT(complete(l), BP_STALE);
    CHECK_INT(requeue(l), BP_STALE);
    CHECK_INT(lease_id("w"), 0);
    const struct bp_queue_stats_row *r = stats_of("a");
    CHECK_INT(r->queued + r->leased, 0);
    CHECK_INT(worker_row("w")->live_leases, 0);
    /* Another job may get its number, but not its lease. */
    struct bp_op *ops[2];
    struct lease other;
    CHECK_INT(submit_to("w", ops), BP_OK);
    CHECK_INT(leased(ops[1], &other, 1), 1);
    CHECK_INT(complete(l), BP_STALE);
    CHECK_INT(complete(&other), BP_OK);
}

static int early_fd;

static int32_t tell_and_die(struct bp_op *op)
{
    struct lease l;
    CHECK_INT(leased(op, &l, 1), 1);
    l.row = NULL;
    if (write(early_fd, &l, sizeof l) == (ssize_t)sizeof l)
        kill(getpid(), SIGKILL);
    _exit(1);
}

CASE(durability, a_lease_handed_over_early_is_killed_with_its_job)
{
    int fds[2];
    struct lease l;
    begin();
    fake_host_stop(world.host);
    world.host = NULL;
    CHECK_INT(pipe(fds), 0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct bp_op *ops[2];
        early_fd = fds[1];
        world_restart();
        fake_host_on_early(tell_and_die);
        submit_to("w", ops);
        _exit(0);
    }
    close(fds[1]);
    ssize_t n = read(fds[0], &l, sizeof l);
    close(fds[0]);
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    world_restart();
    if (n == 0) {
        CHECK_INT(status, 0);
        CHECK_INT(stats_of("a")->leased, 1);
        return;
    }
    CHECK_INT(n, sizeof l);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    check_gone(&l);
}

/* No file can be written any more, and no server is heard of. */
static int32_t take_and_break(struct bp_op *op)
{
    const struct rlimit none = {0, RLIM_INFINITY};
    DIR *d = opendir("/proc/self/fd");
    take(op);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &none), 0);
    for (struct dirent *e; d && (e = readdir(d));)
        shutdown(atoi(e->d_name), SHUT_RDWR); /* of what is no socket, nothing happens */
    if (d)
        closedir(d);
    return BP_OK;
}

CASE(durability, a_lease_handed_over_early_is_the_hosts_when_its_batch_is_lost)
{
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    struct bp_op *ops[2];
    signal(SIGXFSZ, SIG_IGN);
    begin();
    fake_host_on_early(take_and_break);
    int32_t rc = submit_to("w", ops);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &all), 0);
    fake_host_on_early(NULL);
    if (rc == BP_OK) {
        CHECK_INT(stats_of("a")->leased, 1);
        return;
    }
    CHECK_INT(told.n, 1); /* the batch was not tried again */
    CHECK_INT(ops[1]->err.rc, BP_OK);
    CHECK_INT(ops[1]->u.lease.count, 1);
    CHECK_INT(ops[1]->u.lease.jobs[0].id, told.lease.id);
    CHECK_STR(ops[1]->u.lease.jobs[0].lease_token, told.lease.token);
    CHECK_STR(ops[1]->u.lease.jobs[0].tenant, "acme");
    check_gone(&told.lease);
}
