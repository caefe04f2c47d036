/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain.c - scale-in, one instance at a time: mark its worker draining, look again, and only when a look that began
 * after the mark finds it without a lease is it terminated. A drain can be cancelled until then. What follows from what
 * is in drain_step.h.
 */
#include "fleet_priv.h"

#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROTECT_AT_ONCE 50
#define PROTECT_REST_MS 15000

/* Which instance a mark was for; found again by name, since it may be gone when the answer comes. */
struct mark {
    struct fleets *fleets;
    char slug[128], instance[64];
};

static struct instance *marked_instance(const struct mark *m)
{
    struct fleet *fl = fleet_find(m->fleets, m->slug);
    return fl ? instance_find(fl, m->instance) : NULL;
}

static void was_marked(struct bp_op *op, const struct bp_err *err, void *arg)
{
    (void)op;
    struct mark *m = arg;
    struct instance *i = marked_instance(m);
    /* NOTFOUND: there is no worker yet. Whatever became of a mark, the next look tells: drain_advance() marks again a
     * worker that is not draining. What is not known to go on is left marked, and cancelled again when it is needed. */
    int ok = err->rc == 0 || err->rc == BP_NOTFOUND;
    if (i) {
        struct drain_next next = drain_next(i->drain, ok ? DRAIN_TOLD : DRAIN_NOT_TOLD, NULL);
        if (next.step != i->drain)
            i->marked_ms = mono_ms();
        i->drain = next.step;
    }
    if (ok)
        fleets_poke(m->fleets);
    else
        log_warn(LOG_FLEET, "%s: the drain of %s cannot be changed: %s", m->slug, m->instance, err->text);
    free(m);
}

/* Tells the store, and by it the worker, to drain (1) or to go on (0); without memory nothing has happened. */
static void set_draining(struct fleets *f, struct fleet *fl, struct instance *i, struct drain_next next,
                         const char *why)
{
    struct bp_err err = {0};
    struct mark *m = calloc(1, sizeof *m);
    struct queue_call *q = m ? queue_call_new(BP_OP_WORKER_SET, fleets_now(f)) : NULL;
    if (!q) {
        free(m);
        return;
    }
    m->fleets = f;
    snprintf(m->slug, sizeof m->slug, "%s", fl->slug);
    snprintf(m->instance, sizeof m->instance, "%s", i->now.id);
    struct bp_op_worker_set *set = &queue_call_op(q)->u.worker_set;
    set->worker_id = queue_call_str(q, i->now.id);
    set->approved = -1;
    set->draining = next.action == DRAIN_DO_MARK;
    set->max_concurrency = -1;
    set->who = queue_call_str(q, "scaling");
    set->why = queue_call_str(q, why);
    i->drain = next.step;
    if (queue_call_send(f->bus, q, FLEET_QUEUE_MS, was_marked, m, &err) < 0)
        was_marked(NULL, &err, m);
}

static void end(struct fleets *f, struct fleet *fl, struct instance *i, struct drain_next next);

/* What happened to an instance, and what follows from that. */
static void happened(struct fleets *f, struct fleet *fl, struct instance *i, enum drain_event what,
                     const struct drain_view *view, const char *why)
{
    struct drain_next next = drain_next(i->drain, what, view);
    switch (next.action) {
    case DRAIN_DO_MARK:
    case DRAIN_DO_UNMARK:
        set_draining(f, fl, i, next, why);
        break;
    case DRAIN_DO_TERMINATE:
        end(f, fl, i, next);
        break;
    case DRAIN_DO_LOOK:
        i->drain = next.step;
        fleets_poke(f);
        break;
    case DRAIN_DO_NOTHING:
        i->drain = next.step;
        break;
    }
}

void drain_instance(struct fleets *f, struct fleet *fl, struct instance *i, const char *why)
{
    log_info(LOG_FLEET, "%s: draining %s: %s", fl->slug, i->now.id, why);
    happened(f, fl, i, DRAIN_WANTED, NULL, why);
}

void drain_cancel(struct fleets *f, struct fleet *fl, struct instance *i)
{
    log_info(LOG_FLEET, "%s: %s is needed again, its drain is cancelled", fl->slug, i->now.id);
    happened(f, fl, i, DRAIN_UNWANTED, NULL, "needed again");
}

void drain_worker_up(struct fleets *f, struct fleet *fl, struct instance *i)
{
    happened(f, fl, i, DRAIN_WORKER_UP, NULL, "its worker came up after it was marked");
}

/* ---- ending ---- */

/* On the provider's thread. */
static int run_terminate(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_fleet *t = table;
    const struct fleet_call *c = args;
    return t->terminate(inst, c->slug, c->instance, err);
}

static void terminated(void *args, const struct bp_err *err, void *arg)
{
    struct fleets *f = arg;
    const struct fleet_call *c = args;
    struct fleet *fl = fleet_find(f, c->slug);
    struct instance *i = fl ? instance_find(fl, c->instance) : NULL;
    enum drain_event what = drain_end_event(err->rc);
    if (i)
        happened(f, fl, i, what, NULL, NULL);
    /* Tried again after the next tick's look: not at once, and it takes no work until then. */
    if (what == DRAIN_REFUSED)
        log_warn(LOG_FLEET, "%s: cannot end %s: %s", c->slug, c->instance, err->text);
    else if (what == DRAIN_LOST)
        log_warn(LOG_FLEET, "%s: it is not known whether %s ends; it gets no more work, and is ended again: %s",
                 c->slug, c->instance, err->text);
    else if (err->rc == 0)
        log_info(LOG_FLEET, "%s: %s is ending", c->slug, c->instance);
    if (what == DRAIN_ENDED)
        fleets_poke(f);
}

static void end(struct fleets *f, struct fleet *fl, struct instance *i, struct drain_next next)
{
    struct fleet_call *c = fleet_call_new(f, fl->slug, i->now.id);
    if (!c)
        return;
    i->drain = next.step;
    fleet_call_send(c, "fleet.terminate", run_terminate, terminated);
}

void drain_advance(struct fleets *f, struct fleet *fl, int64_t began_ms)
{
    struct instance *next;
    for (struct instance *i = fl->instances; i; i = next) {
        struct drain_view view = {began_ms > i->marked_ms, i->has_worker, i->worker_draining, i->leases};
        next = i->next;
        if (i->now.state != BP_INSTANCE_TERMINATING)
            happened(f, fl, i, DRAIN_LOOKED, &view, "its worker came up after it was marked");
    }
}

void drain_follow(struct instance *i)
{
    i->drain = drain_found(i->now.state == BP_INSTANCE_RUNNING, i->worker_draining);
    i->marked_ms = mono_ms(); /* its worker may have registered anew since the store was asked: only the next look
                                 decides */
}

/* ---- protection ---- */

/* On the provider's thread. */
static int run_protect(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_fleet *t = table;
    const struct fleet_call *c = args;
    const char *ids[PROTECT_AT_ONCE] = {0};
    int rc = 0;
    for (uint32_t k = 0; k < c->n_ids; k++)
        ids[k] = c->ids[k];
    if (BP_HAS(t, protect_many))
        return t->protect_many(inst, c->slug, ids, c->n_ids, c->number, err);
    for (uint32_t k = 0; k < c->n_ids && (rc == 0 || rc == BP_NOTFOUND); k++)
        rc = t->protect(inst, c->slug, ids[k], c->number, err);
    return rc;
}

/* What an instance's `protecting` says while a call that switches to `on` is under way. */
static int mark_of(int on)
{
    return on ? 1 : 2;
}

static void was_protected(void *args, const struct bp_err *err, void *arg)
{
    const struct fleet_call *c = args;
    struct fleet *fl = fleet_find(arg, c->slug);
    for (struct instance *i = fl ? fl->instances : NULL; i; i = i->next)
        if (i->protecting == mark_of(c->number))
            i->protecting = 0;
    if (err->rc < 0 && err->rc != BP_NOTFOUND)
        log_warn(LOG_FLEET, "%s: cannot change the protection of %u instances: %s", c->slug, c->n_ids, err->text);
}

/* It is protected at once when it works, and not any more when it has been idle for a while: between two jobs nothing
 * is changed. */
static int wants(const struct instance *i, int on, int64_t now_ms)
{
    int idle = i->leases == 0 && now_ms - i->idle_since_ms >= PROTECT_REST_MS;
    return i->now.state == BP_INSTANCE_RUNNING && !i->protecting && on != i->now.is_protected &&
           (on ? i->leases > 0 : idle);
}

static int is_under_way(const struct fleet *fl, int on)
{
    for (const struct instance *i = fl->instances; i; i = i->next)
        if (i->protecting == mark_of(on))
            return 1;
    return 0;
}

/* One call for all of a fleet that are to be switched. */
static void protect_those(struct fleets *f, struct fleet *fl, int on)
{
    int64_t now = fleets_now(f);
    uint32_t n = 0;
    for (const struct instance *i = fl->instances; i; i = i->next)
        n += wants(i, on, now) != 0;
    n = n < PROTECT_AT_ONCE ? n : PROTECT_AT_ONCE;
    struct fleet_call *c = n && !is_under_way(fl, on) ? fleet_call_new(f, fl->slug, NULL) : NULL;
    if (!c)
        return;
    c->number = on;
    c->ids = calloc(n, sizeof *c->ids);
    for (struct instance *i = fl->instances; c->ids && i && c->n_ids < n; i = i->next)
        if (wants(i, on, now)) {
            memcpy(c->ids[c->n_ids++], i->now.id, sizeof *c->ids);
            i->protecting = mark_of(on);
        }
    fleet_call_send(c, "fleet.protect", run_protect, was_protected);
}

void protect_follow(struct fleets *f, struct fleet *fl)
{
    protect_those(f, fl, 1);
    protect_those(f, fl, 0);
}
