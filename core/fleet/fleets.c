/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet_priv.h"

#include "log/err.h"
#include "log/json.h"
#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOON_MS           30
#define FAILURE_WINDOW_MS 600000

struct fleet *fleet_find(struct fleets *f, const char *slug)
{
    return name_map_get(&f->by_slug, slug);
}

int instance_is_live(const struct instance *i)
{
    return i->now.state == BP_INSTANCE_PENDING || i->now.state == BP_INSTANCE_RUNNING;
}

struct instance *instance_find(struct fleet *fl, const char *id)
{
    return name_map_get(&fl->by_id, id);
}

int64_t fleets_now(const struct fleets *f)
{
    return loop_now_ms(bus_loop(f->bus));
}

void fleets_poke(struct fleets *f)
{
    if (!f->started)
        return;
    if (f->refreshing)
        f->again = 1;
    else
        loop_timer_after(f->soon, SOON_MS + (int64_t)f->n_fleets); /* a look at many costs more: fewer of them */
}

static void on_tick(void *arg)
{
    if (((struct fleets *)arg)->started)
        refresh_begin(arg);
}

/* Before it is answered, so before it asks for work. */
static void on_registered(struct fleets *f, const struct event_msg *e)
{
    const char *id = json_str(event_fields(e), "worker", "");
    struct lead_term term;
    if (!f->started || !leads_now(&f->leads, &term))
        return;
    for (struct fleet *fl = f->list; fl; fl = fl->next) {
        struct instance *i = instance_find(fl, id);
        if (i)
            drain_worker_up(f, fl, i);
    }
}

/* A draining instance may have become idle; a worker may have come up or gone; a workflow may be new. */
static void on_worker(const struct event_msg *e, void *arg)
{
    if (e->id == EVENT_WORKER_REGISTERED)
        on_registered(arg, e);
    if (e->id == EVENT_WORKER_GONE)
        notice_heard(arg, e);
    fleets_poke(arg);
}

static void on_job(const struct event_msg *e, void *arg)
{
    if (e->id == EVENT_JOB_LEASED)
        stages_leased(arg, e);
    if (e->id != EVENT_JOB_PROGRESS && e->id != EVENT_JOB_SUBMITTED)
        on_worker(e, arg);
}

/* A cloud that comes up anew may be set otherwise: what it made before is held against that. */
static void cloud_again(struct fleets *f)
{
    for (struct fleet *fl = f->list; fl; fl = fl->next)
        fl->ensured_as = fl->ensure_tried = 0;
    lore_again(f);
}

static void on_plugin(const struct event_msg *e, void *arg)
{
    struct fleets *f = arg;
    struct json_object *fields = event_fields(e);
    if (strcmp(json_str(fields, "kind", ""), "cloud") == 0 && strcmp(json_str(fields, "to", ""), "running") == 0)
        cloud_again(f);
    fleets_poke(f);
}

/* What another leader did in between is not known: as if this process had just started. */
static void on_leader(const struct event_msg *e, void *arg)
{
    struct fleets *f = arg;
    for (struct fleet *fl = f->list; fl; fl = fl->next) {
        fl->described_ms = 0;
        fl->ensured = 0;
        for (struct instance *i = fl->instances; i; i = i->next)
            drain_follow(i);
    }
    if (e->id == EVENT_LEADER_GAINED)
        fleets_poke(f);
}

void fleets_set_leads(struct fleets *f, const struct leads *leads)
{
    f->leads = *leads;
}

struct fleets *fleets_new(struct bus *b, struct host *h, const struct config *c)
{
    struct fleets *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->bus = b;
    f->host = h;
    f->config = c;
    f->tick = loop_timer_new(bus_loop(b), "fleet.tick", on_tick, f);
    f->soon = loop_timer_new(bus_loop(b), "fleet.soon", on_tick, f);
    return f;
}

void fleet_free(struct fleet *fl)
{
    while (fl->instances) {
        struct instance *i = fl->instances;
        fl->instances = i->next;
        free(i);
    }
    name_map_free(&fl->by_id);
    json_object_put(fl->penalties);
    json_object_put(fl->prices);
    free(fl);
}

void fleets_free(struct fleets *f)
{
    if (!f)
        return;
    loop_timer_free(f->tick);
    loop_timer_free(f->soon);
    bus_unsubscribe(f->jobs);
    bus_unsubscribe(f->workers);
    bus_unsubscribe(f->plugins);
    bus_unsubscribe(f->leaders);
    name_map_free(&f->by_slug);
    while (f->list) {
        struct fleet *fl = f->list;
        f->list = fl->next;
        fleet_free(fl);
    }
    free(f->learned);
    free(f->to_recall);
    free(f);
}

void fleets_reconfigure(struct fleets *f, const struct config *c)
{
    f->config = c;
    if (!f->started)
        return;
    loop_timer_every(f->tick, config_int(c, CONFIG_SCALE_TICK_MS));
    fleets_poke(f);
}

void fleets_start(struct fleets *f)
{
    f->started = 1;
    f->jobs = bus_subscribe(f->bus, "job.*", on_job, f);
    f->workers = bus_subscribe(f->bus, "worker.*", on_worker, f);
    f->plugins = bus_subscribe(f->bus, "plugin.state", on_plugin, f); /* a new workflow gets its fleet at once */
    f->leaders = bus_subscribe(f->bus, "leader.*", on_leader, f);
    loop_timer_every(f->tick, config_int(f->config, CONFIG_SCALE_TICK_MS));
    refresh_begin(f);
}

/* ---- the end ---- */

/* On the provider's thread. */
static int run_leave(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_fleet *t = table;
    (void)args;
    return BP_HAS(t, leave) ? t->leave(inst, err) : 0;
}

static void left(void *args, const struct bp_err *err, void *arg)
{
    struct fleets *f = arg;
    (void)args;
    if (err->rc < 0 && err->rc != BP_NOTFOUND)
        log_warn(LOG_FLEET, "instances may be left behind: %s", err->text);
    f->ending.left(f->ending.arg);
}

static void tell_quiet(struct fleets *f)
{
    void (*quiet)(void *arg) = f->ending.quiet;
    if (f->started || f->acting || !quiet)
        return;
    f->ending.quiet = NULL;
    quiet(f->ending.arg);
}

void fleets_stop(struct fleets *f, const struct fleets_ending *ending)
{
    struct bp_err err = {0};
    f->started = 0;
    f->ending = *ending;
    loop_timer_cancel(f->tick);
    loop_timer_cancel(f->soon);
    tell_quiet(f);
    struct request_spec spec = {.service = "fleet",
                                .name = "fleet.leave",
                                .run = run_leave,
                                .reply = left,
                                .arg = f,
                                .timeout_ms = FLEET_CALL_MS};
    if (bus_request(f->bus, &spec, &err) < 0)
        left(NULL, &err, f);
}

void fleet_count(const struct fleet *fl, int64_t now_ms, struct fleet_counts *out)
{
    memset(out, 0, sizeof *out);
    out->desired = fl->desired;
    out->max_size = fl->max_size;
    out->described_ms = fl->described_ms;
    out->boot_s = fl->boot_s;
    for (const struct instance *i = fl->instances; i; i = i->next) {
        int32_t state = i->now.state;
        out->pending += state == BP_INSTANCE_PENDING;
        out->running += state == BP_INSTANCE_RUNNING;
        out->terminating += state == BP_INSTANCE_TERMINATING;
        out->busy += state == BP_INSTANCE_RUNNING && i->leases > 0 && i->drain == DRAIN_NONE;
        out->returning += i->now.interrupting ? i->leases : 0;
        out->draining += drain_leaves(i->drain) && state != BP_INSTANCE_TERMINATED && state != BP_INSTANCE_TERMINATING;
    }
    for (uint32_t k = 0; k < fl->n_activities; k++)
        out->launch_failures += fl->activities[k].failed && fl->activities[k].at_ms > now_ms - FAILURE_WINDOW_MS;
}

int fleet_counts(struct fleets *f, const char *slug, struct fleet_counts *out)
{
    const struct fleet *fl = fleet_find(f, slug);
    if (!fl || !fl->described_ms || (!fl->exists && !fl->ensured_dry))
        return BP_NOTFOUND;
    fleet_count(fl, fleets_now(f), out);
    return 0;
}

void fleets_each(struct fleets *f, void (*fn)(const char *slug, const struct fleet_counts *n, void *arg), void *arg)
{
    struct fleet_counts n;
    int64_t now = fleets_now(f);
    for (const struct fleet *fl = f->list; fl; fl = fl->next) {
        fleet_count(fl, now, &n);
        fn(fl->slug, &n, arg);
    }
}

/* ---- calls to the fleet service ---- */

struct fleet_call *fleet_call_new(struct fleets *f, const char *slug, const char *instance)
{
    struct fleet_call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->fleets = f;
    snprintf(c->slug, sizeof c->slug, "%s", slug);
    snprintf(c->instance, sizeof c->instance, "%s", instance ? instance : "");
    return c;
}

static void call_free(void *arg)
{
    struct fleet_call *c = arg;
    free(c->diff);
    free(c->ids);
    free(c);
}

/* What the reply may look at whatever became of the request, whose own arguments are the provider's until it is done.
 */
struct waiting {
    struct fleet_call call;
    request_reply reply;
};

static void call_replied(void *args, const struct bp_err *err, void *arg)
{
    struct waiting *w = arg;
    struct fleet_call *sent = args;
    if (err->rc == 0 && sent) {
        w->call.diff = sent->diff;
        sent->diff = NULL;
    }
    w->reply(&w->call, err, w->call.fleets);
    w->call.fleets->acting--;
    tell_quiet(w->call.fleets);
    free(w->call.diff);
    free(w);
}

/* On the provider's thread: a cloud fences nothing, and the call may have waited for longer than the term. */
static int run_in_term(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct fleet_call *c = args;
    if (!lead_term_holds(&c->term))
        return err_set(err, BP_STALE, "this controller leads no more, or could not renew its term in time");
    return c->run(table, inst, args, err);
}

void fleet_call_send(struct fleet_call *c, const char *name, request_run run, request_reply reply)
{
    struct bp_err err = {0};
    int leads = leads_now(&c->fleets->leads, &c->term);
    struct waiting *w = leads ? calloc(1, sizeof *w) : NULL;
    if (!w) {
        err_set(&err, leads ? BP_NOMEM : BP_STALE, leads ? "no memory" : "another controller leads");
        reply(c, &err, c->fleets);
        call_free(c);
        return;
    }
    c->run = run;
    w->call = *c;
    w->call.ids = NULL;
    w->reply = reply;
    c->fleets->acting++;
    struct request_spec spec = {.service = "fleet",
                                .name = name,
                                .run = run_in_term,
                                .args = c,
                                .args_free = call_free,
                                .reply = call_replied,
                                .arg = w,
                                .timeout_ms = FLEET_CALL_MS};
    if (bus_request(w->call.fleets->bus, &spec, &err) < 0) /* c is freed */
        call_replied(NULL, &err, w);
}

/* ---- injected trouble ---- */

struct inject {
    char slug[128], what[64], arg[128];
};

static int run_inject(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_fleet *t = table;
    const struct inject *in = args;
    if (!BP_HAS(t, inject))
        return err_set(err, BP_UNSUPPORTED, "this fleet provider takes no injected trouble");
    return t->inject(inst, in->slug, in->what, in->arg, err);
}

/* Who is told how it went. */
struct injection {
    struct fleets *fleets;
    host_done done;
    void *cb_arg;
};

static void injected(void *args, const struct bp_err *err, void *arg)
{
    struct injection *i = arg;
    (void)args;
    fleets_poke(i->fleets);
    i->done(err, i->cb_arg);
    free(i);
}

void fleet_inject(struct fleets *f, const char *slug, const char *what, const char *arg, host_done done, void *cb_arg)
{
    struct bp_err err = {0};
    struct inject *in = calloc(1, sizeof *in);
    struct injection *i = calloc(1, sizeof *i);
    if (!in || !i) {
        free(in);
        free(i);
        err_set(&err, BP_NOMEM, "no memory");
        done(&err, cb_arg);
        return;
    }
    snprintf(in->slug, sizeof in->slug, "%s", slug);
    snprintf(in->what, sizeof in->what, "%s", what);
    snprintf(in->arg, sizeof in->arg, "%s", arg ? arg : "");
    *i = (struct injection){f, done, cb_arg};
    struct request_spec spec = {.service = "fleet",
                                .name = "fleet.inject",
                                .run = run_inject,
                                .args = in,
                                .args_free = free,
                                .reply = injected,
                                .arg = i,
                                .timeout_ms = FLEET_CALL_MS};
    if (bus_request(f->bus, &spec, &err) < 0)
        injected(NULL, &err, i);
}
