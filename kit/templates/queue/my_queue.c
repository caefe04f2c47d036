/* A queue plugin: the table that bpd calls, and the plugin around it. bp/queue.h has every promise of a queue. */
#include "my_queue.h"

/* Kinds without a function are answered with BP_UNSUPPORTED: bpd then does without several controllers, stored tenants
 * and webhooks, says so where they are asked for, and runs on. */
static int32_t (*const functions[])(struct my_queue_plugin *q, struct bp_op *op) = {
    [BP_OP_SUBMIT] = op_submit,
    [BP_OP_LEASE] = op_lease,
    [BP_OP_EXTEND] = op_extend,
    [BP_OP_COMPLETE] = op_complete,
    [BP_OP_FAIL] = op_fail,
    [BP_OP_REQUEUE] = op_requeue,
    [BP_OP_CANCEL] = op_cancel,
    [BP_OP_RETRY] = op_retry,
    [BP_OP_SWEEP] = op_sweep,
    [BP_OP_GET] = op_get,
    [BP_OP_LIST] = op_list,
    [BP_OP_EVENTS] = op_events,
    [BP_OP_PRUNE] = op_prune,
    [BP_OP_STATS] = op_stats,
    [BP_OP_WORKER_PUT] = op_worker_put,
    [BP_OP_WORKER_AUTH] = op_worker_auth,
    [BP_OP_WORKER_SET] = op_worker_set,
    [BP_OP_WORKER_DEL] = op_worker_del,
    [BP_OP_WORKER_LIST] = op_worker_list,
};
#define KINDS ((int32_t)(sizeof functions / sizeof functions[0]))

static void apply_one(struct my_queue_plugin *q, struct bp_op *op)
{
    void **memory = bp_op_memory(op);
    if (memory)
        *memory = NULL;
    op->err.rc = BP_OK;
    op->err.text[0] = 0;
    if (op->kind < 1 || op->kind >= KINDS || !functions[op->kind])
        refuse(op, BP_UNSUPPORTED, "this queue does not offer operation %d", op->kind);
    else
        functions[op->kind](q, op);
}

/* One transaction. Each operation sees what the ones before it did, and fails alone; without memory all of it fails. */
static int32_t queue_apply(void *inst, struct bp_op *const *ops, uint32_t n, struct bp_err *err)
{
    struct my_queue_plugin *q = inst;
    batch_begin(q);
    for (uint32_t i = 0; i < n && !q->no_memory; i++)
        apply_one(q, ops[i]);
    int32_t ok = !q->no_memory;
    for (uint32_t i = 0; i < n && !ok; i++) {
        void **memory = bp_op_memory(ops[i]);
        if (memory && *memory)
            q->host->free(*memory);
        if (memory)
            *memory = NULL;
    }
    batch_end(q, ok);
    return ok ? BP_OK
              : bp_error(err, BP_NOMEM, "out of memory for a batch of %u operations; nothing of it was done", n);
}

static int32_t queue_migrate(void *inst, const struct bp_migrate *what, char **report, struct bp_err *err)
{
    (void)inst;
    if (report)
        *report = NULL;
    if (what->mode == BP_MIGRATE_CHECK)
        return BP_OK;
    return bp_error(err, BP_UNSUPPORTED, "this queue is in memory: there is nothing to migrate");
}

static const struct bp_queue facet_queue = {.size = sizeof facet_queue, .migrate = queue_migrate, .apply = queue_apply};

static int32_t start(struct bp_self *self, const struct bp_host *host, void **inst, struct bp_err *err)
{
    struct my_queue_plugin *q = calloc(1, sizeof *q);
    if (!q)
        return bp_error(err, BP_NOMEM, "no memory to start");
    q->self = self;
    q->host = host;
    q->next_id = q->next_seq = 1;
    q->max_jobs = bp_json_i(host->config(self), "maxJobs", 100000);
    host->log(self, BP_LOG_WARN, "jobs are kept in memory only: they end with this process");
    *inst = q;
    return BP_OK;
}

static void stop(void *inst)
{
    queue_free(inst);
    free(inst);
}

static const void *facet(void *inst, const char *id)
{
    (void)inst;
    return strcmp(id, BP_QUEUE_FACET) == 0 ? &facet_queue : NULL;
}

BP_PLUGIN("my-queue", start, stop, facet);
