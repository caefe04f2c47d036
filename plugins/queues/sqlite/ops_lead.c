/* SPDX-License-Identifier: Apache-2.0 */
/* Several controllers on one file: who is there, who leads. All of them are on one host, so now_ms is their clock. */
#include <string.h>

#include "lead.h"
#include "ops.h"
#include "rows.h"

struct leader {
    const char *holder; /* NULL: nobody */
    int64_t epoch;      /* 0: there never was one */
    int64_t expires_ms, ttl_ms;
};

static int32_t leader_load(struct store *s, struct leader *l)
{
    *l = (struct leader){0};
    sqlite3_stmt *q = statement_query(s, ST_LEADER_GET, "");
    int32_t rc = statement_next(s, q);
    const unsigned char *holder = rc > 0 ? sqlite3_column_text(q, 0) : NULL;
    if (rc > 0) {
        l->epoch = sqlite3_column_int64(q, 1);
        l->expires_ms = sqlite3_column_int64(q, 2);
        l->ttl_ms = sqlite3_column_int64(q, 3);
    }
    if (holder)
        l->holder = mem_text(&s->mem, holder, (size_t)sqlite3_column_bytes(q, 0));
    statement_done(q);
    if (holder && !l->holder)
        return store_fail(s, BP_NOMEM, "out of memory while asking who leads");
    return rc < 0 ? rc : BP_OK;
}

int32_t lead_check(struct store *s, struct bp_op *op, int64_t epoch)
{
    struct leader l;
    if (epoch == 0)
        return BP_OK;
    int32_t rc = leader_load(s, &l);
    if (rc || (l.holder && l.epoch == epoch))
        return rc;
    return op_error(op, BP_STALE, "epoch %lld is over; the present leader is %.100s of epoch %lld", (long long)epoch,
                    l.holder ? l.holder : "nobody", (long long)l.epoch);
}

static int32_t resign(struct store *s, const char *id, struct leader *l)
{
    int32_t rc = statement_run(s, ST_CONTROLLER_DELETE, "s", id);
    if (rc || !l->holder || strcmp(l->holder, id) != 0)
        return rc;
    l->holder = NULL;
    return statement_run(s, ST_LEADER_PUT, "slll", (const char *)NULL, l->epoch, INT64_C(0), INT64_C(0));
}

/* Is the leader's time not over? An expiry far ahead is from before the clock was set back: nobody renews that one. */
static bool holds(const struct leader *l, int64_t now_ms)
{
    return l->holder && l->expires_ms > now_ms && l->expires_ms - now_ms <= 2 * l->ttl_ms;
}

/* Stays or becomes the leader when nobody else is it. */
static int32_t ask(struct store *s, const struct bp_op *op, struct leader *l)
{
    const struct bp_op_lead *a = &op->u.lead;
    bool mine = l->holder && strcmp(l->holder, a->id) == 0;
    int32_t rc = statement_run(s, ST_CONTROLLER_PUT, "sssslll", a->id, a->name, a->url, a->version, a->started_ms,
                               op->now_ms, a->ttl_ms);
    if (rc || (!mine && holds(l, op->now_ms)))
        return rc;
    l->epoch += !mine;
    l->holder = a->id;
    return statement_run(s, ST_LEADER_PUT, "slll", l->holder, l->epoch, op->now_ms + a->ttl_ms, a->ttl_ms);
}

static int32_t numbers(struct store *s, sqlite3_stmt *q, void *row)
{
    (void)s;
    struct bp_controller_row *r = row;
    r->size = sizeof *r;
    r->leader = sqlite3_column_int(q, 0);
    r->started_ms = sqlite3_column_int64(q, 1);
    r->seen_ms = sqlite3_column_int64(q, 2);
    return BP_OK;
}

static int32_t list(struct store *s, struct bp_op_lead *a, const char *leader)
{
    static const size_t texts[] = {
        offsetof(struct bp_controller_row, id),
        offsetof(struct bp_controller_row, name),
        offsetof(struct bp_controller_row, url),
        offsetof(struct bp_controller_row, version),
    };
    static const struct rows_kind kind = {sizeof(struct bp_controller_row), texts, 4, 3, numbers};
    void *rows;
    int32_t rc = rows_read(s, statement_query(s, ST_CONTROLLERS, "s", leader ? leader : ""), &kind, &rows, &a->count);
    a->controllers = a->memory = rows;
    return rc;
}

int32_t op_lead(struct store *s, struct bp_op *op)
{
    struct bp_op_lead *a = &op->u.lead;
    struct leader l;
    a->leader = 0;
    a->count = 0;
    a->epoch = 0;
    a->controllers = NULL;
    a->memory = NULL;
    if (!a->id || !*a->id || a->ttl_ms < 1)
        return op_error(op, BP_INVALID, "a controller needs an id and a ttl_ms of 1 or more");
    int32_t rc = leader_load(s, &l);
    rc = rc ? rc : statement_run(s, ST_CONTROLLERS_CLEAN, "l", op->now_ms);
    rc = rc ? rc : a->resign ? resign(s, a->id, &l) : ask(s, op, &l);
    if (rc)
        return rc;
    a->leader = !a->resign && l.holder && strcmp(l.holder, a->id) == 0;
    a->epoch = l.epoch;
    return list(s, a, l.holder);
}
