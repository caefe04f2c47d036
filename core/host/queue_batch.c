/* SPDX-License-Identifier: Apache-2.0 */
#include "host/queue_batch.h"
#include "log/err.h"
#include <stdlib.h>

#define REQUESTS_MAX 4096 /* the largest batchMax of a manifest: a batch is one apply() */

static int rc_known(int32_t rc)
{
    return rc <= BP_OK && rc >= BP_TOOLARGE;
}

/* Why the results of a successful op cannot be used, or NULL: a count without rows would crash whoever reads them. */
static const char *results_wrong(const struct bp_op *op)
{
    switch (op->kind) {
    case BP_OP_LEASE:
        if (op->u.lease.count > op->u.lease.max)
            return "leased more jobs than were asked for";
        return op->u.lease.count && !op->u.lease.jobs ? "counted leases it did not return" : NULL;
    case BP_OP_GET:
        if (op->u.get.n_events && !op->u.get.events)
            return "counted timeline lines it did not return";
        return op->u.get.job ? NULL : "found a job but returned none";
    case BP_OP_LIST:
        return op->u.list.count && !op->u.list.jobs ? "counted jobs it did not return" : NULL;
    case BP_OP_SWEEP:
        return op->u.sweep.count && !op->u.sweep.jobs ? "counted jobs it did not return" : NULL;
    case BP_OP_WORKER_AUTH:
        return op->u.worker_auth.worker ? NULL : "found a worker but returned none";
    case BP_OP_WORKER_LIST:
        return op->u.worker_list.count && !op->u.worker_list.workers ? "counted workers it did not return" : NULL;
    case BP_OP_EVENTS:
        return op->u.events.count && !op->u.events.events ? "counted timeline lines it did not return" : NULL;
    case BP_OP_PLACE:
        return op->u.place.ahead < 0 ? "counted fewer than no jobs in front of one" : NULL;
    case BP_OP_STATS:
        return op->u.stats.count && !op->u.stats.rows ? "counted rows it did not return" : NULL;
    case BP_OP_PRUNE:
        return op->u.prune.removed > op->u.prune.limit ? "removed more jobs than were asked for" : NULL;
    case BP_OP_LEAD:
        return op->u.lead.count && !op->u.lead.controllers ? "counted controllers it did not return" : NULL;
    case BP_OP_WATCH:
        return op->u.watch.count && !op->u.watch.rows ? "counted rows it did not return" : NULL;
    case BP_OP_TENANT_LIST:
        return op->u.tenant_list.count && !op->u.tenant_list.tenants ? "counted tenants it did not return" : NULL;
    case BP_OP_TOKEN_LIST:
        return op->u.token_list.count && !op->u.token_list.tokens ? "counted tokens it did not return" : NULL;
    case BP_OP_TOKEN_AUTH:
        return op->u.token_auth.tenant ? NULL : "found a tenant but returned none";
    case BP_OP_MEMO_LIST:
        return op->u.memo_list.count && !op->u.memo_list.rows ? "counted memos it did not return" : NULL;
    case BP_OP_WEBHOOK_TAKE:
        return op->u.webhook_take.count && !op->u.webhook_take.rows ? "counted deliveries it did not return" : NULL;
    default:
        return NULL;
    }
}

static void tell(const struct queue_watch *w, const char *what)
{
    if (w && w->fault)
        w->fault(w->arg, what);
}

int32_t queue_op_early(struct bp_self *self, struct bp_op *op)
{
    (void)self;
    struct queue_call *q = queue_call_of(op);
    struct request *r = q->request;
    if (!r || op->err.rc != BP_OK || results_wrong(op))
        return BP_UNSUPPORTED;
    q->request = NULL;
    q->was_early = 1;
    request_early(r);
    return BP_OK;
}

/* Looks at an op's outcome, which may be nonsense. */
static void op_check(struct bp_op *op, const struct queue_watch *w)
{
    void **memory = bp_op_memory(op);
    const char *wrong = rc_known(op->err.rc) ? NULL : "answered an operation with an unknown code";
    if (!wrong && op->err.rc == BP_OK && (wrong = results_wrong(op)) && memory)
        free(*memory); /* one that claims success has given it away, whatever it wrote in it */
    op->err.text[sizeof(op->err.text) - 1] = '\0';
    if (wrong) {
        tell(w, wrong);
        err_set(&op->err, BP_FAIL, "the queue plugin %s; see bpctl plugin", wrong);
    }
}

/* Answers each request with its op's outcome. */
static void batch_done(struct request **batch, uint32_t n, const struct queue_watch *w)
{
    for (uint32_t i = 0; i < n; i++) {
        struct queue_call *first = request_args(batch[i]), *q = first;
        do {
            q->taken = 1;
            if (!q->was_early) /* it was looked at then */
                op_check(&q->op, w);
        } while ((q = q->then));
        request_done(batch[i], first->op.err.rc, &first->op.err);
    }
}

/* The whole batch failed: each op gets that error. Nothing else that the plugin left in the ops is touched. */
static void batch_failed(struct request **batch, uint32_t n, const struct bp_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        for (struct queue_call *q = request_args(batch[i]); q; q = q->then)
            q->op.err = *err;
        request_done(batch[i], err->rc, err);
    }
}

static void apply(struct request **batch, uint32_t n, const struct queue_watch *w)
{
    struct bp_op *ops[2 * REQUESTS_MAX];
    struct bp_err err = {0};
    const struct bp_queue *queue = request_table(batch[0]);
    uint32_t n_ops = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct queue_call *first = request_args(batch[i]);
        first->request = first->early && !first->then ? batch[i] : NULL;
        for (struct queue_call *q = first; q; q = q->then)
            ops[n_ops++] = &q->op;
    }
    int32_t rc = queue->apply(request_inst(batch[0]), ops, n_ops, &err);
    if (rc == BP_OK) {
        batch_done(batch, n, w);
        return;
    }
    err.text[sizeof(err.text) - 1] = '\0';
    if (!rc_known(rc)) {
        tell(w, "answered a batch with an unknown code");
        err_set(&err, BP_FAIL, "the queue plugin answered a batch with the unknown code %d", rc);
    } else if (err.text[0] == '\0') {
        err_set(&err, rc, "the queue plugin failed a batch without saying why (%s)", err_name(rc));
    }
    err.rc = rc_known(rc) ? rc : BP_FAIL;
    batch_failed(batch, n, &err);
}

void queue_batch(struct request **batch, uint32_t n, void *arg)
{
    for (uint32_t at = 0; at < n; at += REQUESTS_MAX)
        apply(batch + at, n - at < REQUESTS_MAX ? n - at : REQUESTS_MAX, arg);
}
