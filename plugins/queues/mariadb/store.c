/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "blind.h"
#include "counters.h"
#include "lost.h"
#include "open.h"
#include "ops.h"

#define ATTEMPTS_MAX 20
#define OUTCOME_MS   10000

/* ---- errors ---- */

int32_t op_error(struct bp_op *op, int32_t rc, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    op->err.rc = rc;
    vsnprintf(op->err.text, sizeof op->err.text, fmt, ap);
    va_end(ap);
    return BP_OK;
}

int32_t store_fail(struct store *s, int32_t rc, const char *fmt, ...)
{
    va_list ap;
    if (s->fault == FAULT_NONE)
        s->fault = FAULT_OTHER;
    va_start(ap, fmt);
    s->failure.rc = rc;
    vsnprintf(s->failure.text, sizeof s->failure.text, fmt, ap);
    va_end(ap);
    return rc;
}

#undef store_nomem /* see store.h */
int32_t store_nomem(struct store *s)
{
    s->fault = FAULT_OTHER;
    return store_fail(s, BP_NOMEM, "out of memory in the queue %.150s", s->settings.where);
}

/* ---- kinds of operations ---- */

#define READS 1 /* changes nothing */
#define ALONE 2 /* queries by itself: what came before is written first */
#define LAZY  4 /* begins the transaction by itself, when there is something to change */

static const struct kind {
    int32_t (*run)(struct store *s, struct bp_op *op);
    int flags;
} KINDS[] = {
    [BP_OP_LEASE] = {op_lease, 0},
    [BP_OP_EXTEND] = {op_extend, 0},
    [BP_OP_COMPLETE] = {op_complete, 0},
    [BP_OP_FAIL] = {op_fail, 0},
    [BP_OP_REQUEUE] = {op_requeue, 0},
    [BP_OP_CANCEL] = {op_cancel, 0},
    [BP_OP_RETRY] = {op_retry, 0},
    [BP_OP_GET] = {op_get, READS},
    [BP_OP_LIST] = {op_list, READS | ALONE},
    [BP_OP_SWEEP] = {op_sweep, ALONE | LAZY},
    [BP_OP_WORKER_PUT] = {op_worker_put, ALONE},
    [BP_OP_WORKER_AUTH] = {op_worker_auth, READS | ALONE},
    [BP_OP_WORKER_SET] = {op_worker_set, ALONE},
    [BP_OP_WORKER_DEL] = {op_worker_del, ALONE},
    [BP_OP_WORKER_LIST] = {op_worker_list, READS | ALONE},
    [BP_OP_EVENTS] = {op_events, READS | ALONE},
    [BP_OP_PRUNE] = {op_prune, ALONE},
    [BP_OP_STATS] = {op_stats, READS | ALONE},
    [BP_OP_LEAD] = {op_lead, ALONE},
    [BP_OP_WATCH] = {op_watch, READS | ALONE},
    [BP_OP_TENANT_PUT] = {op_tenant_put, ALONE},
    [BP_OP_TENANT_LIST] = {op_tenant_list, READS | ALONE},
    [BP_OP_TOKEN_PUT] = {op_token_put, ALONE},
    [BP_OP_TOKEN_DEL] = {op_token_del, ALONE},
    [BP_OP_TOKEN_LIST] = {op_token_list, READS | ALONE},
    [BP_OP_TOKEN_AUTH] = {op_token_auth, READS | ALONE}, /* but for when it was last used, of no weight */
    [BP_OP_WEBHOOK_TAKE] = {op_webhook_take, ALONE},
    [BP_OP_WEBHOOK_DONE] = {op_webhook_done, ALONE},
    [BP_OP_PLACE] = {op_place, READS | ALONE},
    [BP_OP_MEMO_PUT] = {op_memo_put, ALONE},
    [BP_OP_MEMO_LIST] = {op_memo_list, READS | ALONE},
};

static const struct kind *kind_of(const struct bp_op *op)
{
    bool in = op->kind >= 1 && op->kind < (int32_t)(sizeof KINDS / sizeof KINDS[0]);
    return in && KINDS[op->kind].run ? &KINDS[op->kind] : NULL;
}

static int flags(const struct bp_op *op)
{
    const struct kind *k = kind_of(op);
    return k ? k->flags : 0;
}

static bool alone(const struct bp_op *op)
{
    return flags(op) & ALONE || (op->kind == BP_OP_GET && op->u.get.with_events);
}

/* Statistics write the windows that wait before they are told. */
static bool reads_only(const struct store *s, struct bp_op *const *ops, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (ops[i]->kind == BP_OP_STATS && windows_wait(s))
            return false;
        if (ops[i]->kind == BP_OP_SUBMIT || (kind_of(ops[i]) && !(flags(ops[i]) & READS)))
            return false;
    }
    return true;
}

/* ---- one attempt ---- */

void batch_begin_text(struct store *s, bool segment)
{
    s->batch.begun = true;
    s->bounds.asking = false;
    blind_wait_text(s);
    sql_add(&s->q, "START TRANSACTION;");
    if (segment)
        bounds_use(s);
    s->batch.body = s->q.n;
    sql_add(&s->q,
            "INSERT INTO writers (id, batch, seen_ms) VALUES (%l,%l,%l) ON DUPLICATE KEY UPDATE "
            "batch=VALUES(batch), seen_ms=VALUES(seen_ms) RETURNING (SELECT version FROM tenants_version);",
            s->writer_id, s->batch_no, s->host->now_ms(s->self));
}

const char *batch_end_text(const struct store *s)
{
    return s->batch.wrote ? "COMMIT" : "ROLLBACK";
}

int32_t batch_begun(struct store *s, int64_t *version)
{
    struct reply r;
    *version = 0;
    int32_t rc = bounds_take(s);
    rc = rc ? rc : query_rows(s, &r);
    if (!rc && reply_next(&r))
        *version = column_int(&r, 0);
    reply_done(&r);
    return rc;
}

int32_t batch_begin(struct store *s)
{
    if (s->batch.begun || s->batch.read_only)
        return BP_OK;
    int64_t version = 0;
    sql_clear(&s->q);
    batch_begin_text(s, false);
    int32_t rc = query_send(s, &s->q);
    rc = rc ? rc : batch_begun(s, &version);
    rc = rc ? rc : query_end(s);
    return rc ? rc : tenants_current(s, version);
}

int32_t op_run(struct store *s, struct bp_op *op, const struct submit_plan *plan)
{
    const struct kind *k = kind_of(op);
    op->err.rc = BP_OK;
    op->err.text[0] = 0;
    if (op->kind == BP_OP_SUBMIT)
        return op_submit(s, op, plan);
    if (!k)
        return op_error(op, BP_UNSUPPORTED, "this queue has no operation %d", op->kind);
    return k->run(s, op);
}

static int32_t segment_run(struct store *s, struct bp_op *const *ops, uint32_t n, bool last)
{
    int32_t rc = batch_load(s, ops, n);
    for (uint32_t i = 0; !rc && i < n; i++)
        rc = op_run(s, ops[i], &s->batch.plans[i]);
    return rc ? rc : batch_flush(s, last);
}

/* Did an operation that runs alone move jobs without leaving all of them in the map? A sweep has written those it
 * found. */
static bool moved_unseen(const struct store *s, const struct bp_op *op)
{
    return s->batch.n_jobs || (op->kind == BP_OP_SWEEP && op->u.sweep.count);
}

/* Operations in their order: those that share what is loaded together, each of the others by itself. */
static int32_t segments_run(struct store *s, struct bp_op *const *ops, uint32_t n)
{
    const struct submit_plan none = {0};
    int32_t rc = BP_OK;
    for (uint32_t i = 0, end; !rc && i < n; i = end) {
        end = i + 1;
        while (!alone(ops[i]) && end < n && !alone(ops[end]))
            end++;
        if (alone(ops[i]) && ops[i]->kind != BP_OP_GET) {
            rc = flags(ops[i]) & LAZY ? BP_OK : batch_begin(s);
            rc = rc ? rc : op_run(s, ops[i], &none);
            bool moved = moved_unseen(s, ops[i]);
            s->batch.wrote = s->batch.wrote || !(flags(ops[i]) & READS);
            rc = rc ? rc : batch_flush(s, end == n);
            if (moved && !(flags(ops[i]) & READS))
                bounds_clear(s);
        } else {
            rc = segment_run(s, ops + i, end - i, end == n);
        }
    }
    return rc;
}

static int32_t attempt(struct store *s, struct bp_op *const *ops, uint32_t n)
{
    batch_reset(s);
    shapes_prepare(s); /* before the batch and not behind it, where a server that hangs would hold up its answers */
    s->failure = (struct bp_err){0};
    s->fault = FAULT_NONE;
    s->committing = s->tenant_made = false;
    int32_t rc = s->db ? BP_OK : store_connect(s);
    if (rc) {
        s->failure = s->unreachable;
        return rc;
    }
    if ((rc = pools_look(s)) != BP_OK)
        return rc;
    names_trim(&s->tenants);
    names_trim(&s->effects);
    names_trim(&s->workers);
    names_trim(&s->workflows);
    s->batch_no++;
    s->batch.read_only = reads_only(s, ops, n);
    bool done = false;
    rc = batch_names(s, ops, n);
    rc = rc ? rc : blind_run(s, ops, n, &done);
    rc = rc || done ? rc : segments_run(s, ops, n);
    rc = rc ? rc : batch_pack(s);
    rc = rc ? rc : pools_commit(s);
    if (rc || !s->batch.begun)
        return rc;
    batch_hand_early(s);
    s->committing = s->batch.wrote;
    rc = query_text(s, batch_end_text(s));
    s->committing = rc != BP_OK && s->committing && s->fault == FAULT_LOST;
    return rc;
}

/* ---- after a failure ---- */

static void discard(struct store *s, struct bp_op *const *ops, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        void **memory = bp_op_memory(ops[i]);
        if (early_has(&s->early, ops[i]))
            continue;
        if (memory && *memory) {
            s->host->free(*memory);
            *memory = NULL;
        }
        ops[i]->err = s->failure;
    }
}

void store_roll_back(struct store *s)
{
    struct bp_err why = s->failure;
    int fault = s->fault;
    if (s->db &&
        (fault == FAULT_LOST || fault == FAULT_MOVED || query_end(s) != BP_OK || query_text(s, "ROLLBACK") != BP_OK))
        conn_close(s);
    pools_roll_back(s);
    s->failure = why;
    s->fault = fault;
    recent_clear(s);
    recall_clear(s);
    bounds_clear(s);
    windows_undone(s);
    s->rules.version = -1; /* what was read may be what was just undone */
    if (s->tenant_made)
        names_clear(&s->tenants);
    s->tenant_made = false;
}

/* What the operations point to belongs to nobody before an attempt. */
static void memory_clear(struct bp_op *const *ops, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        void **memory = bp_op_memory(ops[i]);
        if (memory)
            *memory = NULL;
    }
}

/* The commit was sent and its answer lost. BP_OK: it did happen. */
static int32_t learn_outcome(struct store *s)
{
    bool committed = false;
    conn_close(s);
    if (store_outcome(s, store_clock_ms() + OUTCOME_MS, &committed) != BP_OK) {
        s->fault = FAULT_OTHER;
        return store_fail(s, BP_TIMEOUT,
                          "the connection to %.120s broke while a batch was committed; whether it happened "
                          "is unknown, repeating it is safe",
                          s->settings.where);
    }
    if (committed)
        return BP_OK;
    s->fault = FAULT_RETRY;
    return store_fail(s, BP_LATER, "the connection to %.120s broke before a batch was committed, which did not happen",
                      s->settings.where);
}

static int32_t apply_once(struct store *s, struct bp_op *const *ops, uint32_t n)
{
    memory_clear(ops, n);
    int32_t rc = attempt(s, ops, n);
    if (rc && s->committing)
        rc = learn_outcome(s);
    if (rc == BP_OK) {
        windows_committed(s);
        counters_committed(s);
        return BP_OK;
    }
    store_roll_back(s);
    discard(s, ops, n);
    return rc;
}

static void say(struct store *s, int32_t rc)
{
    if (rc && !s->sick)
        s->host->log(s->self, BP_LOG_ERROR, "%s", s->failure.text);
    if (!rc && s->sick)
        s->host->log(s->self, BP_LOG_INFO, "the queue %s works again", s->settings.where);
    s->sick = rc != BP_OK;
}

static bool sweeps(struct bp_op *const *ops, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (ops[i]->kind == BP_OP_SWEEP)
            return true;
    return false;
}

int32_t store_apply(struct store *s, struct bp_op *const *ops, uint32_t n, struct bp_err *err)
{
    assert(s->magic == STORE_MAGIC);
    int64_t until = store_clock_ms() + (int64_t)s->settings.query_timeout_s * 1000;
    int32_t rc = n ? BP_LATER : BP_OK;
    early_begin(&s->early, s->host, n);
    for (int i = 0; rc && i < ATTEMPTS_MAX && (i == 0 || store_clock_ms() < until); i++) {
        rc = apply_once(s, ops, n);
        if (lost_fail(s) != BP_OK) /* s->fault says whether it is worth another try */
            discard(s, ops, n);
        if (s->early.n || (s->fault != FAULT_RETRY && s->fault != FAULT_LOST))
            break;
    }
    batch_reset(s);
    say(s, rc);
    if (!rc && sweeps(ops, n))
        pools_reconcile(s);
    if (rc) {
        *err = s->failure;
        err->rc = rc;
    }
    return rc;
}

/* A last batch for what waits; without a connection, or when it fails, that is lost. */
static void last_windows(struct store *s)
{
    if (!s->db || !windows_wait(s))
        return;
    batch_reset(s);
    s->fault = FAULT_NONE;
    s->batch_no++;
    int32_t rc = batch_begin(s);
    sql_clear(&s->q);
    windows_write(s, &s->q);
    sql_add(&s->q, "COMMIT");
    (void)(rc ? rc : query_run(s, &s->q));
}

void store_close(struct store *s)
{
    last_windows(s);
    conn_close(s);
    names_clear(&s->tenants);
    names_clear(&s->effects);
    names_clear(&s->workers);
    names_clear(&s->workflows);
    tenants_free(s);
    bounds_free(s);
    recall_free(s);
    shapes_free(s);
    binary_free(&s->binary);
    batch_free(s);
    sql_free(&s->windows.seconds);
    sql_free(&s->windows.samples);
    sql_free(&s->q);
    sql_free(&s->workflow_list);
}
