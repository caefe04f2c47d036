/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bringing pools in line with the queue's own database, which is right by definition: a job exists and is in a state
 * when its dispatch there says so.
 *
 * Outbox: each line names a dispatch that changed. Its row in the pool is made to say what the dispatch says now, the
 * accepted output moves in, or the row is removed with the dispatch. synced_seq keeps one who was slow from undoing
 * what another one did since.
 *
 * Unconfirmed rows: written by submits just before the commit that was to make them count. With a dispatch they are
 * confirmed. Without one they are removed, but only when no running transaction can still bring it: a dispatch is
 * inserted before its pool row, so a read that sees uncommitted rows and finds none is proof. (The age is for clusters
 * of servers that do not show each other uncommitted rows.)
 */
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "open.h"

#define ROUND_MAX  1000
#define SPEND_MS   200 /* of a batch's time */
#define ORPHAN_AGE "NOW(3) - INTERVAL 60 SECOND"

/* A dispatch as a pool is to see it. */
struct row {
    int64_t id, seq, finished_ms, updated_ms;
    int32_t status; /* 0: it is gone */
    bool old;       /* unconfirmed for long */
    const char *token;
};

struct work {
    struct pool *pool;
    struct row *rows; /* by id */
    uint32_t n;
    bool full; /* there may be more */
    struct sql seqs;
};

/* The connection to a pool's tables. */
static struct store *conn_of(struct store *s, const struct pool *p)
{
    return p->far ? p->link : s;
}

static int32_t failed(struct store *s, struct pool *p)
{
    return p->far ? pool_failed(s, p) : s->failure.rc;
}

static struct row *row_of(const struct work *w, int64_t id)
{
    uint32_t from = 0, to = w->n;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        if (w->rows[mid].id == id)
            return &w->rows[mid];
        if (w->rows[mid].id < id)
            from = mid + 1;
        else
            to = mid;
    }
    return NULL;
}

static void list_ids(const struct work *w, struct sql *q)
{
    for (uint32_t i = 0; i < w->n; i++)
        sql_add(q, i ? ",%l" : "%l", w->rows[i].id);
}

/* What the dispatches say, as committed. */
static int32_t read_dispatches(struct store *s, struct work *w)
{
    struct reply r;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT id, status+0, finished_ms, updated_ms, lease_token FROM ai_job_dispatches WHERE id IN (");
    list_ids(w, &s->q);
    sql_add(&s->q, ")");
    int32_t rc = query_one(s, &s->q, &r);
    while (!rc && reply_next(&r)) {
        struct row *x = row_of(w, column_int(&r, 0));
        if (!x)
            continue;
        x->status = (int32_t)column_int(&r, 1);
        x->finished_ms = column_int(&r, 2);
        x->updated_ms = column_int(&r, 3);
        x->token = r.row[4] ? mem_text(&s->mem, r.row[4], strlen(r.row[4])) : "";
        rc = x->token ? BP_OK : store_nomem(s);
    }
    reply_done(&r);
    return rc;
}

/* ---- the outbox ---- */

static int32_t read_outbox(struct store *s, struct work *w)
{
    struct reply r;
    sql_clear(&s->q);
    sql_add(&s->q,
            "START TRANSACTION;SELECT dispatch_id, seq FROM pool_outbox WHERE pool=%s ORDER BY seq LIMIT %i FOR UPDATE "
            "SKIP LOCKED",
            w->pool->name, ROUND_MAX);
    int32_t rc = query_one(s, &s->q, &r);
    while (!rc && reply_next(&r)) {
        w->rows[w->n++] = (struct row){.id = column_int(&r, 0), .seq = column_int(&r, 1)};
        sql_add(&w->seqs, w->seqs.n ? ",%l" : "%l", column_int(&r, 1));
    }
    reply_done(&r);
    w->full = w->n == ROUND_MAX;
    return rc;
}

static int by_id_then_newest(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->seq < y->seq) - (x->seq > y->seq);
}

/* One row for each dispatch, with its newest line. */
static void fold(struct work *w)
{
    uint32_t n = 0;
    if (w->n)
        qsort(w->rows, w->n, sizeof *w->rows, by_id_then_newest);
    for (uint32_t i = 0; i < w->n; i++)
        if (n == 0 || w->rows[n - 1].id != w->rows[i].id)
            w->rows[n++] = w->rows[i];
    w->n = n;
}

/* "SELECT ... UNION ALL SELECT ..." of the dispatches that are there. */
static uint32_t list_states(const struct work *w, struct sql *q)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        const struct row *x = &w->rows[i];
        if (x->status)
            sql_add(q,
                    n++ ? " UNION ALL SELECT %l,%i,%l,%l,%l"
                        : "SELECT %l id,%i status,%l finished_ms,%l updated_ms,%l seq",
                    x->id, content_state_of(x->status), x->status >= BP_JOB_COMPLETED ? x->finished_ms : 0,
                    x->updated_ms, x->seq);
    }
    return n;
}

static void states_text(const struct work *w, struct sql *q)
{
    struct sql list = {0};
    if (list_states(w, &list)) {
        sql_add(q, "UPDATE %rai_jobs j JOIN (", w->pool->prefix);
        sql_join(q, &list);
        sql_add(q, ") n ON n.id = j.id SET j.status=n.status, j.finished_ms=n.finished_ms, "
                   "j.updated_ms=n.updated_ms, j.synced_seq=n.seq WHERE j.synced_seq < n.seq;");
    }
    q->failed = q->failed || list.failed;
    sql_free(&list);
}

/* A completed job stays so: its output moves in, and what other attempts left behind goes. */
static void outputs_text(const struct work *w, struct sql *q)
{
    struct sql pairs = {0}, ids = {0};
    for (uint32_t i = 0; i < w->n; i++) {
        const struct row *x = &w->rows[i];
        if (x->status != BP_JOB_COMPLETED)
            continue;
        sql_add(&pairs, pairs.n ? ",(%l,%s)" : "(%l,%s)", x->id, x->token);
        sql_add(&ids, ids.n ? ",%l" : "%l", x->id);
    }
    if (pairs.n && ids.n && !pairs.failed && !ids.failed)
        sql_add(q,
                "UPDATE %rai_jobs j JOIN %rai_job_outputs o ON o.job_id = j.id SET j.output=o.output, "
                "j.provider_job_id=o.provider_job_id WHERE j.id IN (%r) AND (o.job_id, o.token) IN (%r);"
                "DELETE FROM %rai_job_outputs WHERE job_id IN (%r);",
                w->pool->prefix, w->pool->prefix, ids.text, pairs.text, w->pool->prefix, ids.text);
    q->failed = q->failed || pairs.failed || ids.failed;
    sql_free(&pairs);
    sql_free(&ids);
}

static void gone_text(const struct work *w, struct sql *q)
{
    struct sql ids = {0};
    for (uint32_t i = 0; i < w->n; i++)
        if (!w->rows[i].status)
            sql_add(&ids, ids.n ? ",%l" : "%l", w->rows[i].id);
    if (ids.n)
        sql_add(q, "DELETE FROM %rai_jobs WHERE id IN (%r);DELETE FROM %rai_job_outputs WHERE job_id IN (%r);",
                w->pool->prefix, ids.text, w->pool->prefix, ids.text);
    q->failed = q->failed || ids.failed;
    sql_free(&ids);
}

/* The pool's commit comes first: lines that are worked off twice do no harm. */
static int32_t outbox_apply(struct store *s, struct work *w)
{
    struct store *c = conn_of(s, w->pool);
    sql_clear(&c->q);
    sql_add(&c->q, w->pool->far ? "START TRANSACTION;" : "");
    states_text(w, &c->q);
    outputs_text(w, &c->q);
    gone_text(w, &c->q);
    sql_add(&c->q, w->pool->far ? "COMMIT" : "DO 0");
    if (query_run(c, &c->q))
        return failed(s, w->pool);
    sql_clear(&s->q);
    sql_add(&s->q, "DELETE FROM pool_outbox WHERE seq IN (");
    sql_join(&s->q, &w->seqs);
    sql_add(&s->q, ");COMMIT");
    return query_run(s, &s->q);
}

static int32_t outbox_round(struct store *s, struct work *w)
{
    int32_t rc = read_outbox(s, w);
    if (rc || !w->n)
        return rc ? rc : query_text(s, "COMMIT");
    fold(w);
    rc = read_dispatches(s, w);
    return rc ? rc : outbox_apply(s, w);
}

/* ---- unconfirmed rows ---- */

static int32_t read_unconfirmed(struct store *s, struct work *w)
{
    struct reply r;
    struct store *c = conn_of(s, w->pool);
    sql_clear(&c->q);
    sql_add(&c->q, "SELECT id, written < " ORPHAN_AGE " FROM %rai_jobs WHERE status=0 AND id > %l ORDER BY id LIMIT %i",
            w->pool->prefix, w->pool->cursor, ROUND_MAX);
    if (query_one(c, &c->q, &r))
        return failed(s, w->pool);
    while (reply_next(&r))
        w->rows[w->n++] = (struct row){.id = column_int(&r, 0), .old = column_int(&r, 1) != 0};
    reply_done(&r);
    w->full = w->n == ROUND_MAX;
    w->pool->cursor = w->full ? w->rows[w->n - 1].id : 0;
    return BP_OK;
}

/* Drops from the rows those whose dispatch is being written now. */
static int32_t read_coming(struct store *s, struct work *w)
{
    struct reply r;
    sql_clear(&s->q);
    sql_add(&s->q, "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED;START TRANSACTION;"
                   "SELECT id FROM ai_job_dispatches WHERE id IN (");
    list_ids(w, &s->q);
    sql_add(&s->q, ");COMMIT");
    int32_t rc = query_one(s, &s->q, &r);
    while (!rc && reply_next(&r)) {
        struct row *x = row_of(w, column_int(&r, 0));
        if (x)
            x->old = false;
    }
    reply_done(&r);
    return rc;
}

/* A job that is finished already has a line in the outbox, which confirms it with its output. */
static void confirm_text(const struct work *w, struct sql *q)
{
    bool any = false;
    for (uint32_t i = 0; i < w->n; i++) {
        if (!w->rows[i].status || w->rows[i].status >= BP_JOB_COMPLETED)
            continue;
        if (!any)
            sql_add(q, "UPDATE %rai_jobs SET status=2 WHERE status=0 AND id IN (", w->pool->prefix);
        sql_add(q, any ? ",%l" : "%l", w->rows[i].id);
        any = true;
    }
    sql_add(q, any ? ");" : "");
}

static void orphans_text(const struct work *w, struct sql *q)
{
    bool any = false;
    for (uint32_t i = 0; i < w->n; i++) {
        if (w->rows[i].status || !w->rows[i].old)
            continue;
        if (!any)
            sql_add(q, "DELETE FROM %rai_jobs WHERE status=0 AND written < " ORPHAN_AGE " AND id IN (",
                    w->pool->prefix);
        sql_add(q, any ? ",%l" : "%l", w->rows[i].id);
        any = true;
    }
    sql_add(q, any ? ");" : "");
}

static bool orphans(const struct work *w)
{
    for (uint32_t i = 0; i < w->n; i++)
        if (!w->rows[i].status && w->rows[i].old)
            return true;
    return false;
}

static int32_t unconfirmed_round(struct store *s, struct work *w)
{
    struct store *c = conn_of(s, w->pool);
    int32_t rc = read_unconfirmed(s, w);
    rc = rc || !w->n ? rc : read_dispatches(s, w);
    rc = rc || !orphans(w) ? rc : read_coming(s, w);
    if (rc || !w->n)
        return rc;
    sql_clear(&c->q);
    confirm_text(w, &c->q);
    orphans_text(w, &c->q);
    if (!c->q.n && !c->q.failed)
        return BP_OK;
    return query_run(c, &c->q) ? failed(s, w->pool) : BP_OK;
}

/* ---- together ---- */

typedef int32_t (*round_fn)(struct store *s, struct work *w);

/* Rounds until one was not full or the time is spent. */
static int32_t rounds(struct store *s, struct pool *p, round_fn round, int64_t until_ms)
{
    struct work w = {.pool = p};
    int32_t rc;
    do {
        w.rows = mem_alloc(&s->mem, ROUND_MAX * sizeof *w.rows);
        w.n = 0;
        sql_clear(&w.seqs);
        rc = w.rows ? round(s, &w) : store_nomem(s);
    } while (!rc && w.full && store_clock_ms() < until_ms);
    sql_free(&w.seqs);
    return rc;
}

static int32_t reconcile_one(struct store *s, struct pool *p, int64_t until_ms)
{
    int32_t rc = rounds(s, p, outbox_round, until_ms);
    rc = rc ? rc : rounds(s, p, unconfirmed_round, until_ms);
    if (!rc && p->far)
        pool_works(s, p);
    return rc;
}

void pools_reconcile(struct store *s)
{
    int64_t until = store_clock_ms() + SPEND_MS;
    for (uint32_t i = 1; s->db && i < s->pools.n; i++) {
        struct pool *p = s->pools.list[i];
        if (!pool_up(p))
            continue;
        s->fault = FAULT_NONE;
        if (reconcile_one(s, p, until) != BP_OK)
            store_roll_back(s);
    }
    mem_reset(&s->mem);
}
