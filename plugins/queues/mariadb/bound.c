/* SPDX-License-Identifier: Apache-2.0 */
#include "bound.h"

#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "open.h"

#define KEEP_MS  1000  /* then the queue is read from its start again, whatever was told of it */
#define ASK_MS   10    /* between looks at what others do */
#define APPS_MS  50    /* at other applications alone, of batches that look at other controllers themselves */
#define ALONE_MS 30000 /* without a word of another controller, each of which says something every few seconds */
#define QUIET_MS 100   /* while others write more often than this, reading twice would cost more than it saves */

static struct bound *find(const struct bounds *b, int64_t workflow_id)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->list[i].workflow_id == workflow_id)
            return &b->list[i];
    return NULL;
}

const struct bound *bound_of(const struct store *s, const struct front *f)
{
    return f->bounded ? find(&s->bounds, f->workflow_id) : NULL;
}

const struct bound *bound_fresh(const struct store *s, int64_t workflow_id)
{
    const struct bound *x = find(&s->bounds, workflow_id);
    return x && store_clock_ms() - x->read_ms < KEEP_MS ? x : NULL;
}

bool bounds_quiet(const struct store *s)
{
    return s->bounds.told && store_clock_ms() - s->bounds.moved_ms >= QUIET_MS;
}

bool bounds_alone(const struct store *s)
{
    return store_clock_ms() - s->bounds.moved_ms > ALONE_MS;
}

bool bounds_due(const struct store *s)
{
    return store_clock_ms() - s->bounds.asked_ms >= APPS_MS;
}

const struct place *bound_begin(const struct bound *x)
{
    return x->known.n ? x->known.at : &x->to;
}

static void drop(struct bounds *b, int64_t workflow_id)
{
    struct bound *x = find(b, workflow_id);
    if (!x)
        return;
    places_free(&x->known);
    *x = b->list[--b->n];
}

/* Without memory there is no bound, which is right too. */
static struct bound *make(struct bounds *b, int64_t workflow_id)
{
    struct bound *x = find(b, workflow_id);
    if (x)
        return x;
    if (b->n == b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 16;
        struct bound *grown = realloc(b->list, cap * sizeof *grown);
        if (!grown)
            return NULL;
        b->list = grown;
        b->cap = cap;
    }
    b->list[b->n] = (struct bound){.workflow_id = workflow_id};
    return &b->list[b->n++];
}

void bounds_clear(struct store *s)
{
    for (size_t i = 0; i < s->bounds.n; i++)
        places_free(&s->bounds.list[i].known);
    s->bounds.n = 0;
}

void bounds_free(struct store *s)
{
    bounds_clear(s);
    free(s->bounds.list);
    s->bounds = (struct bounds){0};
}

/* ---- reading ---- */

/* Has another application a job in a queue that is read from a bound? */
void bounds_foreign_text(struct store *s)
{
    const struct bounds *b = &s->bounds;
    for (size_t i = 0; i < b->n; i++)
        sql_add(&s->q,
                i ? ",%l"
                  : "EXISTS (SELECT * FROM ai_job_dispatches d FORCE INDEX (dispatches_due) WHERE d.status=2 AND "
                    "d.due_ms=0 AND d.due_of IN (%l",
                b->list[i].workflow_id);
    sql_add(&s->q, b->n ? "))" : "0");
}

/* That, and how far the other controllers are. */
static void ask(struct store *s, int64_t now_ms)
{
    sql_add(&s->q, "SELECT (SELECT COALESCE(SUM(w.batch),0) FROM writers w WHERE w.id <> %l),", s->writer_id);
    bounds_foreign_text(s);
    sql_add(&s->q, ";");
    s->bounds.asked_ms = now_ms;
}

void bounds_use(struct store *s)
{
    struct bounds *b = &s->bounds;
    int64_t now = store_clock_ms();
    b->sure = false;
    b->asking = !b->told || (s->batch.n_fronts && now - b->asked_ms >= ASK_MS);
    for (size_t i = 0; i < s->batch.n_fronts; i++) {
        struct front *f = &s->batch.fronts[i];
        const struct bound *x = find(b, f->workflow_id);
        f->bounded = x && now - x->read_ms < KEEP_MS;
        f->by_id = f->bounded && x->whole;
        f->unread = f->by_id && x->known.n == 0;
        b->asking = b->asking || f->unread;
    }
    if (b->asking)
        ask(s, now);
}

int32_t bounds_take(struct store *s)
{
    struct bounds *b = &s->bounds;
    struct reply r;
    int32_t rc = b->asking ? query_rows(s, &r) : BP_OK;
    if (rc || !b->asking)
        return rc;
    bool told = reply_next(&r), foreign = told && column_int(&r, 1) != 0;
    int64_t others = told ? column_int(&r, 0) : -1;
    reply_done(&r);
    if (others != b->others) {
        b->moved_ms = store_clock_ms();
        recall_clear(s);
    }
    b->sure = others == b->others && !foreign;
    b->others = others;
    b->told = told;
    if (b->sure)
        return BP_OK;
    bounds_clear(s);
    for (size_t i = 0; i < s->batch.n_fronts; i++)
        s->batch.fronts[i].stale = s->batch.fronts[i].stale || s->batch.fronts[i].bounded;
    return BP_OK;
}

/* Jobs are in ascending order of the negative of their priority, then of all else. */
void bound_text(struct sql *q, const struct place *at)
{
    sql_add(q,
            " AND (d.queue_order > %i OR (d.queue_order = %i AND (d.sort_key > %i OR (d.sort_key = %i AND "
            "(d.share_tag > %d OR (d.share_tag = %d AND d.id >= %l))))))",
            -at->priority, -at->priority, at->sort_key, at->sort_key, at->share_tag, at->share_tag, at->id);
}

/* ---- moving ---- */

static struct place place_of(const struct job *j)
{
    return (struct place){j->row.priority, j->sort_key, j->share_tag, j->row.id};
}

/* Nothing is known of what stands behind a place. */
static void end_at(struct bound *x, const struct place *to)
{
    x->whole = false;
    x->to = *to;
}

/* The last that is known is so no more. */
static void forget_last(struct bound *x)
{
    places_remove(&x->known, x->known.n - 1);
    end_at(x, &x->known.at[x->known.n - 1]);
}

/* Of a queue that becomes long the last are not known any more. false: no memory. */
static bool add(struct bound *x, const struct place *p)
{
    if (!x->whole && place_order(p, &x->to) > 0)
        return true;
    if (!places_add(&x->known, p))
        return false;
    if (x->known.n > KNOWN_MAX)
        forget_last(x);
    return true;
}

/* Was it known? One that was inserted or completed just now was not. */
static bool take_out(struct bound *x, const struct job *j)
{
    struct places *known = &x->known;
    if (j->fresh || (j->dirty && j->change == CHANGE_COMPLETE))
        return false;
    struct place at = place_of(j);
    uint32_t i = places_find(known, &at);
    if (i == known->n || known->at[i].id != at.id)
        for (i = 0; i < known->n && known->at[i].id != at.id;) /* it stood elsewhere */
            i++;
    if (i == known->n)
        return false;
    places_remove(known, i);
    return true;
}

/* Is what was read from the queue's start what was known of it? */
static bool as_known(const struct bound *x, const struct front *f)
{
    if (!f->more || !f->n_fetched || f->n_fetched > x->known.n)
        return false;
    for (uint32_t i = 0; i < f->n_fetched; i++) {
        struct place at = place_of(f->fetched[i]);
        if (place_order(&at, &x->known.at[i]) != 0)
            return false;
    }
    return true;
}

/* Behind all that was read from a place on; those of them still queued come back with all others in the map. */
static void note_front(struct store *s, const struct front *f, int64_t now_ms)
{
    struct bounds *b = &s->bounds;
    if (f->picky || f->stale || f->held || now_ms - b->moved_ms < QUIET_MS) {
        drop(b, f->workflow_id);
        return;
    }
    struct bound *x = f->bounded ? find(b, f->workflow_id) : make(b, f->workflow_id);
    if (!x || f->by_id)
        return;
    if (!f->bounded)
        x->read_ms = now_ms;
    if (!f->bounded && as_known(x, f)) /* so all behind it is as well */
        return;
    places_free(&x->known);
    x->whole = !f->more || !f->n_fetched;
    if (!x->whole) {
        struct place last = place_of(f->fetched[f->n_fetched - 1]);
        end_at(x, &last);
    }
}

/* A job that is queued goes in if it was known, was read with its queue, or was put there by this segment. Any other
 * that was only looked at tells that the queue was read while somebody held jobs of it: those before this one, too. */
static void note_queued(struct bounds *b, struct bound *x, const struct job *j, bool known)
{
    struct place at = place_of(j);
    bool missed = !known && !j->listed && !j->dirty && !j->fresh, within = x->whole || place_order(&at, &x->to) <= 0;
    if (missed ? within : !add(x, &at))
        drop(b, x->workflow_id);
}

void bounds_note(struct store *s)
{
    const struct batch *b = &s->batch;
    int64_t now = store_clock_ms();
    for (size_t i = 0; i < b->n_fronts; i++)
        note_front(s, &b->fronts[i], now);
    for (size_t i = 0; s->bounds.n && i < b->n_slots; i++) {
        const struct job *j = b->slots[i];
        struct bound *x = j ? find(&s->bounds, j->workflow_id) : NULL;
        if (!x)
            continue;
        bool known = take_out(x, j);
        if (j->row.status == BP_JOB_QUEUED && (!j->fresh || j->visible))
            note_queued(&s->bounds, x, j, known);
    }
}
