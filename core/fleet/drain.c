/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain.c - scale-in, one instance at a time: mark its worker draining, look again, and only when a look that began
 * after the mark finds it without a lease is it terminated. A drain can be cancelled until then.
 */
#include "fleet_priv.h"

#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    if (i && (i->drain == DRAIN_MARKING || i->drain == DRAIN_UNMARKING)) {
        i->drain = i->drain == DRAIN_UNMARKING && ok ? DRAIN_NONE : DRAIN_MARKED;
        i->marked_ms = mono_ms();
    }
    if (ok)
        fleets_poke(m->fleets);
    else
        log_warn(LOG_FLEET, "%s: the drain of %s cannot be changed: %s", m->slug, m->instance, err->text);
    free(m);
}

/* Tells the store, and by it the worker, to drain (1) or to go on (0). */
static void set_draining(struct fleets *f, struct fleet *fl, struct instance *i, int draining, const char *why)
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
    set->draining = draining;
    set->max_concurrency = -1;
    set->who = queue_call_str(q, "scaling");
    set->why = queue_call_str(q, why);
    i->drain = draining ? DRAIN_MARKING : DRAIN_UNMARKING;
    if (queue_call_send(f->bus, q, FLEET_QUEUE_MS, was_marked, m, &err) < 0)
        was_marked(NULL, &err, m);
}

void drain_instance(struct fleets *f, struct fleet *fl, struct instance *i, const char *why)
{
    log_info(LOG_FLEET, "%s: draining %s: %s", fl->slug, i->now.id, why);
    set_draining(f, fl, i, 1, why);
}

void drain_cancel(struct fleets *f, struct fleet *fl, struct instance *i)
{
    log_info(LOG_FLEET, "%s: %s is needed again, its drain is cancelled", fl->slug, i->now.id);
    set_draining(f, fl, i, 0, "needed again");
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
    if (err->rc < 0 && err->rc != BP_NOTFOUND) {
        log_warn(LOG_FLEET, "%s: cannot end %s: %s", c->slug, c->instance, err->text);
        if (i)
            i->drain = DRAIN_MARKED; /* it still takes no work; tried again after the next tick's look */
        return;
    }
    if (err->rc == 0)
        log_info(LOG_FLEET, "%s: %s is ending", c->slug, c->instance);
    fleets_poke(f);
}

static void end(struct fleets *f, struct fleet *fl, struct instance *i)
{
    struct fleet_call *c = fleet_call_new(f, fl->slug, i->now.id);
    if (!c)
        return;
    i->drain = DRAIN_ENDING;
    fleet_call_send(c, "fleet.terminate", run_terminate, terminated);
}

void drain_advance(struct fleets *f, struct fleet *fl, int64_t began_ms)
{
    struct instance *next;
    for (struct instance *i = fl->instances; i; i = next) {
        next = i->next;
        if (i->drain != DRAIN_MARKED || i->now.state == BP_INSTANCE_TERMINATING)
            continue;
        if (began_ms <= i->marked_ms)
            f->again = 1; /* marked while this look was under way: only the next one may decide */
        else if (i->has_worker && !i->worker_draining)
            set_draining(f, fl, i, 1, "its worker came up after it was marked");
        else if (i->leases == 0)
            end(f, fl, i);
    }
}

void drain_follow(struct instance *i)
{
    i->drain = i->worker_draining && i->now.state == BP_INSTANCE_RUNNING ? DRAIN_MARKED : DRAIN_NONE;
}

/* ---- protection ---- */

/* On the provider's thread. */
static int run_protect(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_fleet *t = table;
    const struct fleet_call *c = args;
    return t->protect(inst, c->slug, c->instance, c->number, err);
}

static void was_protected(void *args, const struct bp_err *err, void *arg)
{
    const struct fleet_call *c = args;
    struct fleet *fl = fleet_find(arg, c->slug);
    struct instance *i = fl ? instance_find(fl, c->instance) : NULL;
    if (i)
        i->protecting = 0;
    if (err->rc < 0 && err->rc != BP_NOTFOUND)
        log_warn(LOG_FLEET, "%s: cannot change the protection of %s: %s", c->slug, c->instance, err->text);
}

void protect_follow(struct fleets *f, struct fleet *fl)
{
    for (struct instance *i = fl->instances; i; i = i->next) {
        int want = i->leases > 0;
        if (i->now.state != BP_INSTANCE_RUNNING || i->protecting || want == i->now.is_protected)
            continue;
        struct fleet_call *c = fleet_call_new(f, fl->slug, i->now.id);
        if (!c)
            return;
        c->number = want;
        i->protecting = 1;
        fleet_call_send(c, "fleet.protect", run_protect, was_protected);
    }
}
