/* SPDX-License-Identifier: Apache-2.0 */
/* Fair share between the tenants of a workflow. Weights are powers of two, so that tags are exact however kept. */
#include "case.h"

static int64_t fair_in(const char *tenant, const char *workflow)
{
    struct bp_op *op = submit_op(workflow);
    op->u.submit.tenant = tenant;
    op->u.submit.fair = 1;
    CHECK_INT(apply_one(op), BP_OK);
    return op->u.submit.id;
}

static int64_t fair(const char *tenant)
{
    return fair_in(tenant, "a");
}

static void weigh(const char *tenant, int32_t weight)
{
    struct bp_op *op = tenant_op(tenant);
    op->u.tenant_put.weight = weight;
    CHECK_INT(apply_one(op), BP_OK);
}

/* Leases the next n jobs of workflow "a"; their tenants' first letters must be these. */
static void gives(const char *letters)
{
    char got[64] = "";
    for (size_t i = 0; letters[i]; i++) {
        got[i] = lease_one("w").row->tenant[0];
        got[i + 1] = 0;
    }
    CHECK_STR(got, letters);
}

CASE(share, share_alternates_between_equal_tenants)
{
    worker_any("w");
    for (int i = 0; i < 6; i++)
        fair("x");
    for (int i = 0; i < 3; i++)
        fair("y");
    gives("xyxyxyxxx");
}

CASE(share, share_is_proportional_to_weight)
{
    worker_any("w");
    weigh("x", 4);
    for (int i = 0; i < 12; i++)
        fair("x");
    for (int i = 0; i < 3; i++)
        fair("y");
    gives("xyxxxxyxxxxyxxx");
}

CASE(share, share_of_one_tenant_is_in_order_of_submission)
{
    worker_any("w");
    int64_t ids[4];
    for (int i = 0; i < 4; i++)
        ids[i] = fair("x");
    for (int i = 0; i < 4; i++)
        CHECK_INT(lease_id("w"), ids[i]);
}

CASE(share, share_of_an_absent_tenant_is_not_saved_up)
{
    worker_any("w");
    for (int i = 0; i < 10; i++)
        fair("x");
    gives("xxxxxx");
    for (int i = 0; i < 5; i++)
        fair("y");
    gives("yxyxyxyxy");
}

CASE(share, share_of_a_tenant_that_took_much_does_not_go_back)
{
    worker_any("w");
    for (int i = 0; i < 3; i++)
        fair("x");
    gives("xxx");
    fair("y");
    fair("x");
    gives("yx");
}

CASE(share, share_comes_after_priority)
{
    worker_any("w");
    fair("x");
    fair("x");
    struct bp_op *op = submit_op("a");
    op->u.submit.tenant = "x";
    op->u.submit.fair = 1;
    op->u.submit.priority = 5;
    CHECK_INT(apply_one(op), BP_OK);
    fair("y");
    CHECK_INT(lease_id("w"), op->u.submit.id);
}

CASE(share, share_comes_after_interrupted_jobs)
{
    worker_any("w");
    for (int i = 0; i < 3; i++)
        fair("x");
    gives("x");
    struct lease second = lease_one("w");
    fair("y");
    CHECK_INT(requeue(&second), BP_OK);
    CHECK_INT(lease_id("w"), second.id);
}

CASE(share, share_tag_stays_through_a_retry)
{
    worker_any("w");
    fair("x");
    struct lease l = lease_one("w");
    for (int i = 0; i < 3; i++)
        fair("x");
    for (int i = 0; i < 3; i++)
        fair("y");
    CHECK_INT(apply_one(fail_op(&l, "busy", 1)), BP_OK);
    advance(10000);
    CHECK_INT(sweep()->count, 1);
    CHECK_INT(lease_id("w"), l.id);
    gives("yxyxyx");
}

CASE(share, share_tag_stays_through_an_interruption)
{
    worker_any("w");
    fair("x");
    int64_t second = fair("x");
    gives("x");
    struct lease l = lease_one("w");
    CHECK_INT(l.id, second);
    CHECK_INT(requeue(&l), BP_OK);
    l = lease_one("w");
    CHECK_INT(apply_one(fail_op(&l, "busy", 1)), BP_OK);
    advance(10000);
    CHECK_INT(sweep()->count, 1);
    fair("y");
    CHECK_INT(lease_id("w"), second);
}

CASE(share, share_belongs_to_a_workflow)
{
    worker_any("w");
    for (int i = 0; i < 5; i++)
        fair_in("x", "b");
    int64_t first = fair("x");
    fair("y");
    CHECK_INT(lease_id("w"), first);
}

CASE(share, share_without_it_is_first_in_first_out)
{
    worker_any("w");
    for (int i = 0; i < 3; i++) {
        struct bp_op *op = submit_op("a");
        op->u.submit.tenant = "x";
        CHECK_INT(apply_one(op), BP_OK);
    }
    submit("a");
    gives("xxxa");
}

CASE(share, share_of_a_job_without_it_is_tag_0)
{
    worker_any("w");
    fair("x");
    fair("x");
    struct bp_op *op = submit_op("a");
    op->u.submit.tenant = "y";
    CHECK_INT(apply_one(op), BP_OK);
    gives("xyx");
}

CASE(share, share_survives_a_restart)
{
    worker_any("w");
    for (int i = 0; i < 6; i++)
        fair("x");
    gives("xxx");
    world_restart();
    fair("x");
    fair("y");
    fair("y");
    gives("yxyxxx");
}

CASE(share, share_holds_within_one_lease_of_several)
{
    struct lease l[8];
    worker_any("w");
    for (int i = 0; i < 4; i++)
        fair("x");
    for (int i = 0; i < 4; i++)
        fair("y");
    struct bp_op *op = lease_op("w", "a", 8);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(leased(op, l, 8), 8);
    for (int i = 0; i < 8; i++)
        CHECK_INT(l[i].row->tenant[0], "xyxyxyxy"[i]);
}

CASE(share, share_holds_within_one_batch)
{
    struct bp_op *ops[9];
    worker_any("w");
    for (int i = 0; i < 8; i++) {
        ops[i] = submit_op("a");
        ops[i]->u.submit.tenant = i < 4 ? "x" : "y";
        ops[i]->u.submit.fair = 1;
    }
    ops[8] = lease_op("w", "a", 2);
    apply_all(ops, 9);
    CHECK_INT(ops[8]->u.lease.count, 2);
    CHECK_STR(ops[8]->u.lease.jobs[1].tenant, "y");
}

/* ---- while jobs stream in and out ---- */

#define N_TENANTS 3
#define N_FLOWS   2
#define WINDOW    50 /* completions of a workflow: ten times the sum of the weights */
#define WINDOWS   3
#define BACKLOG   8 /* of each tenant in each workflow, at the least */

static const char *const STREAM_TENANTS[N_TENANTS] = {"x", "y", "z"};
static const int64_t STREAM_WEIGHTS[N_TENANTS] = {3, 1, 1};
static const char *const FLOWS[N_FLOWS] = {"a", "b"};

struct stream {
    int64_t queued[N_FLOWS][N_TENANTS]; /* not leased */
    int64_t done[N_FLOWS][N_TENANTS];   /* completions of the window */
    int windows[N_FLOWS];
    struct lease held[16];
    int flow_of[16], tenant_of[16], n_held;
};

/* Whoever has less than a backlog gets it again and some are given more, in an order of chance, in one transaction. */
static void stream_in(struct stream *s)
{
    struct bp_op *ops[2 * BACKLOG * N_FLOWS * N_TENANTS];
    uint32_t n = 0;
    for (bool lacks = true; lacks;) {
        int f = (int)random_below(N_FLOWS), t = (int)random_below(N_TENANTS);
        struct bp_op *op = ops[n++] = submit_op(FLOWS[f]);
        op->u.submit.tenant = STREAM_TENANTS[t];
        op->u.submit.fair = 1;
        s->queued[f][t]++;
        lacks = false;
        for (int i = 0; i < N_FLOWS * N_TENANTS; i++)
            lacks = lacks || s->queued[i / N_TENANTS][i % N_TENANTS] < BACKLOG;
        if (lacks && n == sizeof ops / sizeof ops[0]) {
            apply_all(ops, n);
            n = 0;
        }
    }
    apply_all(ops, n);
}

static void stream_lease(struct stream *s, int f)
{
    struct bp_op *op = lease_op("w", FLOWS[f], 1 + (uint32_t)random_below(3));
    CHECK_INT(apply_one(op), BP_OK);
    uint32_t n = leased(op, s->held + s->n_held, 3);
    CHECK_INT(n, op->u.lease.max); /* there is a backlog */
    for (uint32_t i = 0; i < n; i++, s->n_held++) {
        int t = op->u.lease.jobs[i].tenant[0] - 'x';
        CHECK(t >= 0 && t < N_TENANTS && strcmp(op->u.lease.jobs[i].workflow, FLOWS[f]) == 0);
        s->flow_of[s->n_held] = f;
        s->tenant_of[s->n_held] = t;
        s->queued[f][t]--;
    }
}

/* A window is over: each tenant had its part of it, but for the job it was in front of the others or behind them, at
 * either end, and those that were leased and not completed. */
static void stream_judge(struct stream *s, int f)
{
    int64_t all = s->done[f][0] + s->done[f][1] + s->done[f][2];
    if (all < WINDOW)
        return;
    for (int t = 0; t < N_TENANTS; t++) {
        int64_t due = all * STREAM_WEIGHTS[t] / 5, off = s->done[f][t] - due;
        if (off < -4 || off > 4)
            case_failed(__FILE__, __LINE__,
                        "tenant %s had %" PRId64 " of %" PRId64 " completions of workflow %s, not %" PRId64,
                        STREAM_TENANTS[t], s->done[f][t], all, FLOWS[f], due);
        s->done[f][t] = 0;
    }
    s->windows[f]++;
}

/* One of the held jobs ends, in no order; now and then it goes back first, which is nobody's share. */
static void stream_out(struct stream *s)
{
    int i = (int)random_below((uint64_t)s->n_held), f = s->flow_of[i], t = s->tenant_of[i];
    if (random_below(20) == 0) {
        CHECK_INT(requeue(&s->held[i]), BP_OK);
        s->queued[f][t]++;
    } else {
        CHECK_INT(complete(&s->held[i]), BP_OK);
        s->done[f][t]++;
        stream_judge(s, f);
    }
    s->n_held--;
    s->held[i] = s->held[s->n_held];
    s->flow_of[i] = s->flow_of[s->n_held];
    s->tenant_of[i] = s->tenant_of[s->n_held];
}

CASE(share, share_holds_in_every_window_while_jobs_stream)
{
    struct stream s = {0};
    worker_any("w");
    weigh("x", 3);
    for (bool more = true; more;) {
        stream_in(&s);
        while (s.n_held <= 13 && random_below(4))
            stream_lease(&s, (int)random_below(N_FLOWS));
        while (s.n_held && random_below(4))
            stream_out(&s);
        advance(10);
        world_free_memory();
        more = false;
        for (int f = 0; f < N_FLOWS; f++)
            more = more || s.windows[f] < WINDOWS;
    }
}

CASE(share, share_is_0_or_1)
{
    struct bp_op *op = submit_op("a");
    op->u.submit.fair = 2;
    CHECK_INT(apply_one(op), BP_INVALID);
}
