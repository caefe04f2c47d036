/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refresh.c - one look at the world: which workers hold leases (the queue), then which instances there are (the fleet
 * provider), then what follows: events, drains that may end, protection.
 */
#include "fleet_priv.h"

#include "log/err.h"
#include "log/log.h"
#include "policy/fault.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a look needs of a worker. */
struct worker_seen {
    char id[256];
    int32_t leases, draining;
    int64_t registered_ms, sound_ms;
    int sound;
    char fault[200];
};

struct fleet_workers {
    uint32_t n;
    struct name_map by_id;
    struct worker_seen list[];
};

/* The description under way, owned by its request. */
struct description {
    uint32_t n;
    const char **slugs; /* into names */
    char (*names)[128];
    struct bp_fleet_state *states;
    struct lore lore;
};

static const char *const state_names[] = {"none", "pending", "running", "terminating", "terminated"};

static const char *state_name(int32_t state)
{
    return state >= 1 && state <= BP_INSTANCE_TERMINATED ? state_names[state] : state_names[0];
}

static void tell(struct fleets *f, const struct fleet *fl, const struct instance *i, int32_t from, const char *reason)
{
    log_info(LOG_FLEET, "%s: instance %s %s -> %s%s%s", fl->slug, i->now.id, state_name(from), state_name(i->now.state),
             reason[0] ? ": " : "", reason);
    bus_publish(f->bus, EVENT_FLEET_INSTANCE, fl->slug, i->now.id, state_name(from), state_name(i->now.state), reason);
}

static const struct worker_seen *worker_of(const struct fleets *f, const char *id)
{
    return f->workers_now ? name_map_get(&f->workers_now->by_id, id) : NULL;
}

/* Launch to registration, a moving mean over about five instances. */
static void learn_boot(struct fleet *fl, struct instance *i, const struct worker_seen *w)
{
    double boot_s = (double)(w->registered_ms - i->now.launched_ms) / 1000.0;
    i->boot_known = 1; /* a worker that registers again has not booted again */
    if (boot_s <= 0 || boot_s > 7200)
        return;
    fl->boot_s = fl->boot_s > 0 ? fl->boot_s + (boot_s - fl->boot_s) / 5 : boot_s;
}

static void merge_worker(struct fleets *f, struct fleet *fl, struct instance *i)
{
    const struct worker_seen *w = worker_of(f, i->now.id);
    int32_t leases = w ? w->leases : 0;
    if (w && !i->boot_known)
        learn_boot(fl, i, w);
    i->has_worker = w != NULL;
    i->worker_draining = w && w->draining;
    if (w && !i->registered_ms)
        i->registered_ms = w->registered_ms;
    if (w && !i->sound && w->sound) {
        i->sound = 1;
        i->sound_ms = w->sound_ms;
    }
    snprintf(i->fault, sizeof i->fault, "%s", w ? w->fault : "");
    if (leases > 0 && i->leases == 0)
        i->busy_since_ms = fleets_now(f);
    if (leases > 0)
        i->idle_since_ms = 0;
    else if (!i->idle_since_ms)
        i->idle_since_ms = fleets_now(f);
    i->leases = leases;
}

/* A worker that drains at the first sight of its instance was told so by an earlier process: what that began is ended,
 * or the instance would stay, take no job, and count as one that does. */
static void take_up_drain(const struct fleet *fl, struct instance *i)
{
    drain_follow(i);
    if (i->drain != DRAIN_NONE)
        log_info(LOG_FLEET, "%s: %s was draining already; it ends when it is idle", fl->slug, i->now.id);
}

/* NULL: no memory. */
static struct instance *instance_add(struct fleet *fl, const struct bp_instance *d)
{
    struct instance *i = calloc(1, sizeof *i);
    if (!i)
        return NULL;
    i->now = *d;
    if (!name_map_put(&fl->by_id, i->now.id, i)) {
        free(i);
        return NULL;
    }
    i->drain = DRAIN_NONE;
    i->next = fl->instances;
    fl->instances = i;
    return i;
}

static void merge_instance(struct fleets *f, struct fleet *fl, const struct bp_instance *d)
{
    struct instance *i = instance_find(fl, d->id);
    int is_new = !i;
    int32_t from = i ? i->now.state : 0;
    int was_interrupting = i ? i->now.interrupting : 0;
    if (is_new && (d->state == BP_INSTANCE_TERMINATED || !(i = instance_add(fl, d))))
        return;
    i->now = *d;
    i->now.interrupting |= i->noticed;
    i->known = 1;
    merge_worker(f, fl, i);
    stages_follow(f, fl, i);
    life_follow(f, i);
    if (!f->leading)
        drain_follow(i);
    else if (is_new)
        take_up_drain(fl, i);
    if (from != d->state)
        tell(f, fl, i, from, "");
    if (i->now.interrupting && !was_interrupting) {
        life_taken(f, i);
        tell(f, fl, i, d->state, "interruption notice");
    }
}

static void forget_unknown(struct fleets *f, struct fleet *fl)
{
    for (struct instance **at = &fl->instances; *at;) {
        struct instance *i = *at;
        int gone = !i->known || i->now.state == BP_INSTANCE_TERMINATED;
        if (!gone) {
            at = &i->next;
            continue;
        }
        if (i->drain == DRAIN_NONE && !i->now.interrupting && i->lived_ms)
            life_taken(f, i);
        if (!i->known) {
            int32_t from = i->now.state;
            i->now.state = BP_INSTANCE_TERMINATED;
            tell(f, fl, i, from, "not in the fleet any more");
        }
        *at = i->next;
        name_map_remove(&fl->by_id, i->now.id);
        free(i);
    }
}

static void merge_fleet(struct fleets *f, struct fleet *fl, const struct bp_fleet_state *st)
{
    fl->described_ms = fleets_now(f);
    fl->exists = st->exists;
    fl->desired = st->desired;
    fl->max_size = st->max_size;
    for (struct instance *i = fl->instances; i; i = i->next)
        i->known = 0;
    for (uint32_t k = 0; k < st->n_instances; k++)
        merge_instance(f, fl, &st->instances[k]);
    forget_unknown(f, fl);
    fl->met = 1;
    struct lead_term term;
    if (!f->started)
        return; /* stopping: looks and changes no more */
    activities_ask(f, fl);
    stages_ask(f, fl);
    if (!f->leading || !leads_now(&f->leads, &term))
        return;
    silent_follow(f, fl);
    broken_follow(f, fl);
    notice_follow(f, fl);
    drain_advance(f, fl, f->refresh_began_ms);
    rollout_follow(f, fl);
    protect_follow(f, fl);
}

static void forget_workers(struct fleets *f)
{
    if (f->workers_now)
        name_map_free(&f->workers_now->by_id);
    free(f->workers_now);
    f->workers_now = NULL;
}

static void refresh_end(struct fleets *f)
{
    forget_workers(f);
    f->refreshing = 0;
    if (f->again) {
        f->again = 0;
        fleets_poke(f);
    }
}

/* ---- the provider's instances ---- */

static void description_free(void *arg)
{
    struct description *d = arg;
    for (uint32_t k = 0; d->states && k < d->n; k++)
        free(d->states[k].memory);
    lore_free(&d->lore);
    free(d->slugs);
    free(d->names);
    free(d->states);
    free(d);
}

/* On the provider's thread. */
static int run_describe(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_fleet *t = table;
    struct description *d = args;
    lore_run(t, inst, &d->lore);
    return t->describe(inst, d->slugs, d->n, d->states, err);
}

static void described(void *args, const struct bp_err *err, void *arg)
{
    struct fleets *f = arg;
    struct description *d = args;
    struct lead_term term;
    if (leads_now(&f->leads, &term) != f->leading) { /* what it saw is from before that */
        f->again = 1;
        refresh_end(f);
        return;
    }
    if (d && err->rc != BP_TIMEOUT) /* else it is the provider's still */
        lore_got(f, &d->lore);
    f->first_jobs = 0;
    for (struct fleet *fl = f->list; fl; fl = fl->next) {
        if (!fl->asked) /* it has an error of its own */
            continue;
        if (err->rc < 0 && strcmp(fl->error, err->text) != 0)
            log_warn(LOG_FLEET, "%s: cannot be described, held as it is: %s", fl->slug, err->text);
        snprintf(fl->error, sizeof fl->error, "%s", err->rc < 0 ? err->text : "");
    }
    for (uint32_t k = 0; d && err->rc == 0 && k < d->n; k++) {
        struct fleet *fl = fleet_find(f, d->slugs[k]);
        if (fl)
            merge_fleet(f, fl, &d->states[k]);
    }
    refresh_end(f);
}

static struct description *description_new(struct fleets *f)
{
    struct description *d = calloc(1, sizeof *d);
    uint32_t n = 0;
    for (struct fleet *fl = f->list; fl; fl = fl->next) {
        fl->asked = fl->ensured || !f->leading; /* another controller ensures them then */
        n += fl->asked ? 1 : 0;
    }
    if (!d)
        return NULL;
    d->slugs = calloc(n + 1, sizeof *d->slugs);
    d->names = calloc(n + 1, sizeof *d->names);
    d->states = calloc(n + 1, sizeof *d->states);
    if (!d->slugs || !d->names || !d->states) {
        description_free(d);
        return NULL;
    }
    for (const struct fleet *fl = f->list; fl; fl = fl->next) {
        if (!fl->asked)
            continue;
        memcpy(d->names[d->n], fl->slug, sizeof fl->slug);
        d->slugs[d->n] = d->names[d->n];
        d->states[d->n].size = sizeof d->states[d->n];
        d->n++;
    }
    lore_ask(f, &d->lore);
    return d;
}

static void describe(struct fleets *f)
{
    struct bp_err err = {0};
    struct description *d = description_new(f);
    if (!d || d->n == 0) {
        if (d)
            description_free(d);
        refresh_end(f);
        return;
    }
    struct request_spec spec = {.service = "fleet",
                                .name = "fleet.describe",
                                .run = run_describe,
                                .args = d,
                                .args_free = description_free,
                                .reply = described,
                                .arg = f,
                                .timeout_ms = FLEET_CALL_MS};
    if (bus_request(f->bus, &spec, &err) < 0)
        described(NULL, &err, f);
}

/* ---- the queue's workers ---- */

static void take_workers(struct fleets *f, const struct bp_op_worker_list *l)
{
    f->workers_now = calloc(1, sizeof *f->workers_now + l->count * sizeof f->workers_now->list[0]);
    if (!f->workers_now)
        return;
    for (uint32_t k = 0; k < l->count; k++) {
        struct worker_seen *w = &f->workers_now->list[f->workers_now->n++];
        snprintf(w->id, sizeof w->id, "%s", l->workers[k].worker_id);
        w->leases = l->workers[k].live_leases;
        w->draining = l->workers[k].draining;
        w->registered_ms = l->workers[k].registered_ms;
        fault_in(l->workers[k].capabilities, w->fault, sizeof w->fault);
        w->sound = fault_is_sound(l->workers[k].capabilities, &w->sound_ms);
        if (!name_map_put(&f->workers_now->by_id, w->id, w)) {
            forget_workers(f); /* half of them would be taken for idle */
            return;
        }
    }
}

static void got_workers(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct fleets *f = arg;
    if (err->rc < 0) { /* who is busy is not known: change nothing, look again at the next tick */
        if (!f->queue_silent++)
            log_warn(LOG_FLEET, "fleets are held: the queue does not say who is busy: %s", err->text);
        refresh_end(f);
        return;
    }
    f->queue_silent = 0;
    assert(op); /* there is one whenever the call went well */
    take_workers(f, &op->u.worker_list);
    if (f->workers_now)
        describe(f);
    else
        refresh_end(f);
}

static void want(const struct workflow *w, void *arg)
{
    struct fleets *f = arg;
    struct fleet *fl = fleet_find(f, w->slug);
    if (!fl) {
        if (!(fl = calloc(1, sizeof *fl)))
            return;
        snprintf(fl->slug, sizeof fl->slug, "%s", w->slug);
        if (!name_map_put(&f->by_slug, fl->slug, fl)) {
            free(fl);
            return;
        }
        fl->next = f->list;
        f->list = fl;
    }
    fl->wanted = 1;
    fl->warmup_s = w->warmup_s;
    if (f->leading)
        ensure_fleet(f, fl, w);
}

/* A fleet whose workflow went away is kept in sight until it is empty, and brought there. */
static void retire_unwanted(struct fleets *f)
{
    struct bp_err err;
    for (struct fleet **at = &f->list; *at;) {
        struct fleet *fl = *at;
        if (fl->wanted || fl->instances || fl->ensuring || fl->growing || fl->asking_activities) {
            if (!fl->wanted && fl->instances)
                (void)fleet_resize(f, fl->slug, 0, "its workflow is gone", &err);
            at = &fl->next;
            continue;
        }
        *at = fl->next;
        name_map_remove(&f->by_slug, fl->slug);
        fleet_free(fl);
    }
}

void refresh_begin(struct fleets *f)
{
    struct bp_err err = {0};
    if (f->refreshing) {
        f->again = 1;
        return;
    }
    struct lead_term term;
    f->leading = leads_now(&f->leads, &term);
    f->n_fleets = 0;
    for (struct fleet *fl = f->list; fl; fl = fl->next) {
        fl->wanted = 0;
        f->n_fleets++;
    }
    host_each_workflow(f->host, want, f);
    retire_unwanted(f);
    struct queue_call *q = queue_call_new(BP_OP_WORKER_LIST, fleets_now(f));
    if (!q)
        return;
    f->refreshing = 1;
    f->refresh_began_ms = mono_ms();
    if (queue_call_send(f->bus, q, FLEET_QUEUE_MS, got_workers, f, &err) < 0)
        got_workers(NULL, &err, f);
}
