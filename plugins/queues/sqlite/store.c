/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "ops.h"
#include "schema.h"
#include "tenant.h"

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
    va_start(ap, fmt);
    s->failure.rc = rc;
    vsnprintf(s->failure.text, sizeof s->failure.text, fmt, ap);
    va_end(ap);
    return rc;
}

static int32_t fail_full(struct store *s)
{
    return store_fail(
        s, BP_NOSPACE,
        "cannot write the queue %.120s: %s; nothing was accepted, it resumes by itself when there is room",
        s->settings.path, s->settings.max_bytes ? "maxBytes is reached or the disk is full" : "the disk is full");
}

int32_t store_fail_sql(struct store *s, const char *doing)
{
    int code = sqlite3_errcode(s->db), os = sqlite3_system_errno(s->db);
    switch (code) {
    case SQLITE_FULL:
        return fail_full(s);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return store_fail(s, BP_LATER, "cannot %s: another process holds the queue %.120s; try again", doing,
                          s->settings.path);
    case SQLITE_NOMEM:
        return store_fail(s, BP_NOMEM, "cannot %s in the queue: out of memory", doing);
    case SQLITE_IOERR:
        s->reopen = true;
        if (os == ENOSPC || os == EDQUOT)
            return fail_full(s);
        break;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        s->reopen = true;
        break;
    default:
        return store_fail(s, BP_FAIL, "cannot %s in the queue %.100s: %.100s", doing, s->settings.path,
                          sqlite3_errmsg(s->db));
    }
    return store_fail(s, BP_IO, "cannot %s in the queue %.100s: %.60s%s%.40s; check the file and its disk", doing,
                      s->settings.path, sqlite3_errmsg(s->db), os ? ": " : "", os ? strerror(os) : "");
}

/* ---- what is kept in memory ---- */

static void forget(struct store *s)
{
    names_clear(&s->tenants);
    names_clear(&s->effects);
    names_clear(&s->workers);
    names_clear(&s->workflow_names);
    tenants_forget(s);
    s->n_workflows = s->n_changed = 0;
    s->fresh = false;
}

static int32_t next_number(struct store *s, int max_statement, const char *counter, int64_t *next)
{
    int64_t max, kept = 0;
    int32_t rc = statement_int(s, max_statement, &max, 0);
    sqlite3_stmt *q = rc ? NULL : statement_query(s, ST_COUNTER_GET, "s", counter);
    rc = rc ? rc : statement_next(s, q);
    if (rc > 0)
        kept = sqlite3_column_int64(q, 0);
    statement_done(q);
    *next = max + 1 > kept ? max + 1 : kept;
    return rc < 0 ? rc : BP_OK;
}

/* Reads everything that is kept in memory. */
static int32_t store_refresh(struct store *s)
{
    int64_t version;
    int32_t rc = statement_int(s, ST_DATA_VERSION, &version, 0);
    if (rc || (s->fresh && version == s->data_version))
        return rc;
    forget(s);
    rc = counters_load(s);
    rc = rc ? rc : tenants_load(s);
    rc = rc ? rc : next_number(s, ST_MAX_DISPATCH, "next_id", &s->next_id);
    rc = rc ? rc : next_number(s, ST_MAX_EVENT, "next_seq", &s->next_seq);
    s->data_version = version;
    s->fresh = rc == BP_OK;
    return rc;
}

/* ---- the batch ---- */

typedef int32_t (*op_fn)(struct store *s, struct bp_op *op);

static const op_fn HANDLERS[] = {
    [BP_OP_SUBMIT] = op_submit,
    [BP_OP_LEASE] = op_lease,
    [BP_OP_EXTEND] = op_extend,
    [BP_OP_COMPLETE] = op_complete,
    [BP_OP_FAIL] = op_fail,
    [BP_OP_REQUEUE] = op_requeue,
    [BP_OP_CANCEL] = op_cancel,
    [BP_OP_RETRY] = op_retry,
    [BP_OP_GET] = op_get,
    [BP_OP_LIST] = op_list,
    [BP_OP_SWEEP] = op_sweep,
    [BP_OP_WORKER_PUT] = op_worker_put,
    [BP_OP_WORKER_AUTH] = op_worker_auth,
    [BP_OP_WORKER_SET] = op_worker_set,
    [BP_OP_WORKER_DEL] = op_worker_del,
    [BP_OP_WORKER_LIST] = op_worker_list,
    [BP_OP_EVENTS] = op_events,
    [BP_OP_PRUNE] = op_prune,
    [BP_OP_STATS] = op_stats,
    [BP_OP_LEAD] = op_lead,
    [BP_OP_WATCH] = op_watch,
    [BP_OP_TENANT_PUT] = op_tenant_put,
    [BP_OP_TENANT_LIST] = op_tenant_list,
    [BP_OP_TOKEN_PUT] = op_token_put,
    [BP_OP_TOKEN_DEL] = op_token_del,
    [BP_OP_TOKEN_LIST] = op_token_list,
    [BP_OP_TOKEN_AUTH] = op_token_auth,
    [BP_OP_WEBHOOK_TAKE] = op_webhook_take,
    [BP_OP_WEBHOOK_DONE] = op_webhook_done,
    [BP_OP_PLACE] = op_place,
    [BP_OP_MEMO_PUT] = op_memo_put,
    [BP_OP_MEMO_LIST] = op_memo_list,
};

static int32_t op_run(struct store *s, struct bp_op *op)
{
    op->err.rc = BP_OK;
    op->err.text[0] = 0;
    mem_reset(&s->mem);
    if (op->kind < 1 || op->kind >= (int32_t)(sizeof HANDLERS / sizeof HANDLERS[0]))
        return op_error(op, BP_UNSUPPORTED, "this queue has no operation %d", op->kind);
    return HANDLERS[op->kind](s, op);
}

/* Frees what an operation returned and clears it: its batch did not happen. */
static void op_discard(struct store *s, struct bp_op *op)
{
    void **memory = bp_op_memory(op);
    if (memory && *memory) {
        s->host->free(*memory);
        *memory = NULL;
    }
    op->err = s->failure;
}

/* Is it a lease of nothing but jobs that this batch submitted? */
static bool is_lease_of_new(const struct store *s, const struct bp_op *op)
{
    const struct bp_op_lease *l = &op->u.lease;
    bool some = op->kind == BP_OP_LEASE && op->err.rc == BP_OK && l->count > 0 && !l->after;
    for (uint32_t i = 0; some && i < l->count; i++)
        some = l->jobs[i].id >= s->first_new;
    return some;
}

/* All is said but whether the disk takes it. */
static void hand_over_early(struct store *s, struct bp_op *const *ops, uint32_t n)
{
    for (uint32_t i = 0; s->early.may && i < n; i++)
        if (is_lease_of_new(s, ops[i]))
            early_hand(&s->early, s->self, s->host, ops[i]);
}

static void batch_undo(struct store *s, struct bp_op *const *ops, uint32_t ran)
{
    struct bp_err why = s->failure;
    if (s->db && !sqlite3_get_autocommit(s->db))
        statement_run(s, ST_ROLLBACK, "");
    if (s->db && !sqlite3_get_autocommit(s->db))
        s->reopen = true; /* not even memory to roll back: closing does it */
    s->failure = why;
    forget(s);
    for (uint32_t i = 0; i < ran; i++)
        if (!early_has(&s->early, ops[i]))
            op_discard(s, ops[i]);
    if (!s->sick)
        s->host->log(s->self, BP_LOG_ERROR, "%s", why.text);
    s->sick = true;
}

static int32_t batch_begin(struct store *s)
{
    struct bp_err err;
    if (s->reopen) {
        store_close(s);
        int32_t rc = store_open(s, &err);
        if (rc) {
            s->reopen = true;
            return store_fail(s, rc, "%s", err.text);
        }
    }
    names_trim(&s->workers);
    names_trim(&s->tenants);
    names_trim(&s->effects);
    tenants_trim(s);
    int32_t rc = statement_run(s, ST_BEGIN, "");
    rc = rc ? rc : store_refresh(s);
    s->first_new = s->next_id;
    return rc;
}

int32_t store_apply(struct store *s, struct bp_op *const *ops, uint32_t n, struct bp_err *err)
{
    assert(s->magic == STORE_MAGIC);
    uint32_t ran = 0;
    s->failure = (struct bp_err){0};
    early_begin(&s->early, s->host, n);
    int32_t rc = batch_begin(s);
    while (!rc && ran < n)
        rc = op_run(s, ops[ran++]);
    rc = rc ? rc : counters_flush(s);
    rc = rc ? rc : tenants_flush(s);
    if (!rc)
        hand_over_early(s, ops, n);
    rc = rc ? rc : statement_run(s, ST_COMMIT, "");
    mem_reset(&s->mem);
    if (rc) {
        batch_undo(s, ops, ran);
        *err = s->failure;
        return err->rc;
    }
    if (s->sick)
        s->host->log(s->self, BP_LOG_INFO, "the queue %s works again", s->settings.path);
    s->sick = false;
    return BP_OK;
}
