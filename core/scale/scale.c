/* SPDX-License-Identifier: Apache-2.0 */
#include "scale_priv.h"

#include "host/queue_call.h"
#include "log/err.h"
#include "log/json.h"
#include "log/log.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOON_MS          50  /* a burst of submits is one decision */
#define UNKNOWN_MS       500 /* until a fleet that has jobs but is not known yet is asked for again */
#define STATS_TIMEOUT_MS 10000
#define JUMP_MS          60000 /* of the wall clock; less is a correction */
#define NEW_AT_ONCE      200   /* workflows that one round takes in: each has some 40 KiB to be cleared */

struct scale_item *scale_item_find(struct scale *s, const char *slug)
{
    return name_map_get(&s->by_slug, slug);
}

struct scale_item *scale_item_new(const char *slug)
{
    struct scale_item *i = calloc(1, sizeof *i);
    if (!i || !(i->history = calloc(1, sizeof *i->history))) {
        free(i);
        return NULL;
    }
    snprintf(i->slug, sizeof i->slug, "%s", slug);
    history_init(i->history);
    i->hold_size = -1;
    return i;
}

void scale_item_free(struct scale_item *i)
{
    shadow_free(i);
    plan_call_forget(i);
    rules_free(i);
    free(i->memory);
    json_object_put(i->learned);
    free(i->history);
    free(i);
}

struct scale_item *scale_item_get(struct scale *s, const char *slug)
{
    struct scale_item *i = scale_item_find(s, slug);
    if (i || !(i = scale_item_new(slug)))
        return i;
    if (!name_map_put(&s->by_slug, i->slug, i)) {
        scale_item_free(i);
        return NULL;
    }
    i->next = s->items;
    s->items = i;
    return i;
}

/* ---- one round: statistics, then a plan for each workflow ---- */

/* The item of a workflow that is served. NULL: no memory, or it is new and waits for a round soon. */
static struct scale_item *item_in_round(struct scale *s, const char *slug)
{
    struct scale_item *i = scale_item_find(s, slug);
    if (i)
        return i;
    if (s->taken_in >= NEW_AT_ONCE) {
        s->again = 1;
        return NULL;
    }
    s->taken_in++;
    return scale_item_get(s, slug);
}

/* Moments that lie ahead were noted before the clock was set back: nobody shall rest until they come round again. */
static void follow_clock(struct scale_item *item, int64_t now)
{
    if (item->last_scale_ms > now)
        item->last_scale_ms = now;
    if (item->empty_since_ms > now)
        item->empty_since_ms = now;
}

/* Another controller decides: what it did counts for the rest after a change, should this one take over. */
static void follow(struct scale_item *item, const struct bp_view *v, int known)
{
    int32_t desired = known ? v->desired - v->draining : item->desired;
    if (item->planned_ms && item->desired != desired)
        item->last_scale_ms = v->now_ms;
    item->desired = desired;
    item->planned_ms = v->now_ms;
    snprintf(item->reason, sizeof item->reason, "another controller leads");
}

/* How far the wall clock was set since the last round, 0: it went on as it should. */
static int64_t clock_jump(struct scale *s)
{
    int64_t now = loop_now_ms(bus_loop(s->bus)), steady = loop_steady_ms(bus_loop(s->bus));
    int64_t jump = s->wall_ms ? (now - s->wall_ms) - (steady - s->steady_ms) : 0;
    s->wall_ms = now;
    s->steady_ms = steady;
    return jump <= -JUMP_MS || jump >= JUMP_MS ? jump : 0;
}

/* No fleet has been idle, or rested, for as long as the clock was set forward. Times that a history was fed with lie
 * ahead of a clock that was set back: what the queue remembers is asked for again. */
static void follow_jump(struct scale *s)
{
    s->jump_ms = clock_jump(s);
    if (!s->jump_ms)
        return;
    log_warn(LOG_SCALE, "the clock was set by %+lld s: every fleet is held for one decision",
             (long long)s->jump_ms / 1000);
    for (struct scale_item *i = s->items; i; i = i->next) {
        i->last_scale_ms += i->last_scale_ms ? s->jump_ms : 0;
        i->empty_since_ms += i->empty_since_ms ? s->jump_ms : 0;
        promise_forget(&i->promises);
        if (s->jump_ms > 0)
            continue;
        history_init(i->history);
        i->recalled = 0;
        memos_forget(s, i);
    }
}

static void decide_for(const struct workflow *w, void *arg)
{
    struct scale *s = arg;
    struct scale_item *item = item_in_round(s, w->slug);
    struct bp_view v;
    struct bp_plan p;
    struct lead_term term;
    if (!item)
        return;
    item->seen = 1;
    if (item->plugin_generation != w->generation)
        item->retired = 0;
    snprintf(item->plugin, sizeof item->plugin, "%s", w->listed);
    item->plugin_generation = w->generation;
    int64_t now = loop_now_ms(bus_loop(s->bus));
    follow_clock(item, now);
    if ((w->quarantine ? 0 : item->stats.queued) + item->stats.leased > 0)
        item->empty_since_ms = 0;
    else if (!item->empty_since_ms)
        item->empty_since_ms = now;
    int known = view_build(s, w, item, &v) == 0;
    history_demand(item->history, now, item->stats.queued + item->stats.leased);
    learn_missed(s, item, now);
    if (known)
        history_instances(item->history, now, v.pending + v.running);
    if (!leads_now(&s->leads, &term)) {
        follow(item, &v, known);
        return;
    }
    if (!memos_known(s, item)) {
        snprintf(item->reason, sizeof item->reason, "holding: what is remembered of it has not been read yet");
        s->unknown = 1;
        return;
    }
    if (!known) {
        snprintf(item->reason, sizeof item->reason, "holding: the fleet is not known yet");
        if (!item->empty_since_ms) /* somebody waits for it */
            loop_timer_after(s->soon, UNKNOWN_MS);
        return;
    }
    if (s->jump_ms) {
        snprintf(item->reason, sizeof item->reason, "holding: the clock was set by %+lld s",
                 (long long)s->jump_ms / 1000);
        return;
    }
    plan_make(s, w, item, &v, &p);
    item->desired = p.desired;
    item->planned_ms = now;
    memcpy(item->reason, p.reason, sizeof item->reason);
    afford_follow(s, w, item, &v);
    if (p.desired != v.desired - v.draining)
        plan_apply(s, item, &v, &p);
}

/* Workflows that went away are forgotten. */
static void forget_unseen(struct scale *s)
{
    for (struct scale_item **at = &s->items; *at;) {
        struct scale_item *i = *at;
        if (i->seen) {
            at = &i->next;
            continue;
        }
        *at = i->next;
        name_map_remove(&s->by_slug, i->slug);
        if (i->retired && s->started)
            alarms_drop(s, i);
        scale_item_free(i);
    }
}

/* Only what an operator took away is gone for good; a plugin that fails shall keep its alarms. */
static void on_plugin(const struct event_msg *e, void *arg)
{
    struct scale *s = arg;
    struct json_object *f = event_fields(e);
    if (!s->started || strcmp(json_str(f, "to", ""), "retired") != 0)
        return;
    for (struct scale_item *i = s->items; i; i = i->next)
        i->retired |= strcmp(i->plugin, json_str(f, "plugin", "")) == 0 &&
                      json_int(f, "generation", 0) == (int64_t)i->plugin_generation;
}

static void take_stats(struct scale *s, const struct bp_op_stats *st)
{
    for (struct scale_item *i = s->items; i; i = i->next) {
        memset(&i->stats, 0, sizeof i->stats);
        i->seen = 0;
    }
    s->taken_in = 0;
    for (uint32_t n = 0; n < st->count; n++) {
        const char *slug = st->rows[n].workflow;
        struct scale_item *i = host_workflow(s->host, slug) ? item_in_round(s, slug) : NULL;
        if (i)
            i->stats = st->rows[n];
    }
}

static void ask(struct scale *s);

static void got_stats(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct scale *s = arg;
    s->asking = 0;
    if (err->rc < 0) {
        if (!s->stats_error[0]) {
            log_warn(LOG_SCALE, "holding every fleet: no statistics: %s", err->text);
            bus_publish(s->bus, EVENT_QUEUE_STATE, "down", err->text);
        }
        snprintf(s->stats_error, sizeof s->stats_error, "%s", err->text);
    } else {
        assert(op); /* there is one whenever the call went well */
        if (s->stats_error[0])
            bus_publish(s->bus, EVENT_QUEUE_STATE, "up", "");
        s->stats_error[0] = 0;
        s->last_stats_ms = loop_now_ms(bus_loop(s->bus));
        int64_t began_us = mono_us();
        take_stats(s, &op->u.stats);
        follow_jump(s);
        if (s->started)
            host_each_workflow(s->host, decide_for, s);
        forget_unseen(s);
        if (s->started)
            alarms_keep(s);
        s->round_us = mono_us() - began_us;
        if (s->unknown)
            memos_follow(s);
        s->unknown = 0;
        recall_next(s);
        if (s->started)
            runs_follow(s);
        if (s->started && s->taking_over && s->taken_in < NEW_AT_ONCE)
            metrics_publish(s);
        s->taking_over &= s->taken_in >= NEW_AT_ONCE;
    }
    if (s->again && s->started) {
        s->again = 0;
        loop_timer_after(s->soon, SOON_MS);
    }
}

static void ask(struct scale *s)
{
    struct bp_err err = {0};
    if (s->asking) {
        s->again = 1;
        return;
    }
    struct queue_call *q = queue_call_new(BP_OP_STATS, loop_now_ms(bus_loop(s->bus)));
    if (!q)
        return;
    queue_call_op(q)->u.stats.window_ms = STATS_WINDOW_MS;
    s->asking = 1;
    if (queue_call_send(s->bus, q, STATS_TIMEOUT_MS, got_stats, s, &err) < 0)
        got_stats(NULL, &err, s);
}

void scale_look(struct scale *s)
{
    ask(s);
}

static void on_tick(void *arg)
{
    memos_follow(arg);
    ask(arg);
}

static void on_soon(void *arg)
{
    ask(arg);
}

static void poke(const struct event_msg *e, void *arg)
{
    struct scale *s = arg;
    struct lead_term term;
    if (e->id == EVENT_LEADER_GAINED) {
        s->taking_over = 1;
        memos_forget(s, NULL);
        for (struct scale_item *i = s->items; i; i = i->next)
            i->recalled = 0; /* of what came and ended elsewhere only a part was heard */
    }
    learn_event(s, e);
    for (struct scale_item *i = e->id == EVENT_LEADER_LOST ? s->items : NULL; i; i = i->next)
        i->n_latest = 0; /* what it published last is not the latest any more */
    if (!leads_now(&s->leads, &term))
        return;
    if (!s->started || e->id == EVENT_JOB_PROGRESS || e->id == EVENT_JOB_LEASED)
        return;
    if (s->asking)
        s->again = 1;
    else
        loop_timer_after(s->soon, SOON_MS);
}

/* ---- life ---- */

struct scale *scale_new(struct bus *b, struct host *h, const struct config *c, const struct scale_fleet *fleet)
{
    struct scale *s = calloc(1, sizeof *s);
    struct loop *l = bus_loop(b);
    if (!s)
        return NULL;
    s->bus = b;
    s->host = h;
    s->config = c;
    s->fleet = *fleet;
    s->tick = loop_timer_new(l, "scale.tick", on_tick, s);
    s->soon = loop_timer_new(l, "scale.soon", on_soon, s);
    s->minute = loop_timer_new(l, "scale.metrics", metrics_publish, s);
    s->jobs = bus_subscribe(b, "job.*", poke, s);
    s->instances = bus_subscribe(b, "fleet.instance", poke, s);
    s->boots = bus_subscribe(b, "fleet.boot", poke, s);
    s->workers = bus_subscribe(b, "worker.registered", poke, s);
    s->failures = bus_subscribe(b, "fleet.launch_failed", poke, s);
    s->arrivals = bus_subscribe(b, "queue.arrived", poke, s);
    s->leader = bus_subscribe(b, "leader.*", poke, s);
    s->plugins = bus_subscribe(b, "plugin.state", on_plugin, s);
    s->memos = memos_new(s);
    if (s->memos)
        return s;
    scale_free(s);
    return NULL;
}

void scale_free(struct scale *s)
{
    if (!s)
        return;
    loop_timer_free(s->tick);
    loop_timer_free(s->soon);
    loop_timer_free(s->minute);
    bus_unsubscribe(s->jobs);
    bus_unsubscribe(s->instances);
    bus_unsubscribe(s->arrivals);
    bus_unsubscribe(s->workers);
    bus_unsubscribe(s->boots);
    bus_unsubscribe(s->failures);
    bus_unsubscribe(s->leader);
    bus_unsubscribe(s->plugins);
    recall_free(s);
    memos_free(s);
    name_map_free(&s->by_slug);
    while (s->items) {
        struct scale_item *i = s->items;
        s->items = i->next;
        scale_item_free(i);
    }
    free(s);
}

static void arm(struct scale *s)
{
    loop_timer_every(s->tick, config_int(s->config, CONFIG_SCALE_TICK_MS));
    loop_timer_every(s->minute, (int64_t)(config_num(s->config, CONFIG_METRICS_PERIOD_S) * 1000));
}

void scale_reconfigure(struct scale *s, const struct config *c)
{
    s->config = c;
    if (!s->started)
        return;
    arm(s);
    memos_start(s);
    ask(s);
}

void scale_set_leads(struct scale *s, const struct leads *leads)
{
    s->leads = *leads;
}

void scale_start(struct scale *s)
{
    s->started = 1;
    arm(s);
    memos_start(s);
    ask(s);
}

void scale_stop(struct scale *s)
{
    if (s->started)
        memos_stop(s);
    s->started = 0;
    loop_timer_cancel(s->tick);
    loop_timer_cancel(s->soon);
    loop_timer_cancel(s->minute);
}

int scale_hold(struct scale *s, const char *slug, int32_t size, int64_t expires_ms, const char *who, struct bp_err *err)
{
    struct scale_item *i = scale_item_named(s, slug, err);
    if (!i)
        return err->rc;
    i->hold_size = size < 0 ? -1 : size;
    i->hold_until_ms = expires_ms;
    snprintf(i->hold_who, sizeof i->hold_who, "%s", who ? who : "an operator");
    memos_changed(s, i);
    if (s->started)
        ask(s);
    return 0;
}

/* ---- the operator's view ---- */

struct json_object *decisions_json(const struct scale_decision *ring, uint32_t made)
{
    struct json_object *list = json_object_new_array();
    uint32_t n = made < SCALE_DECISIONS ? made : SCALE_DECISIONS;
    for (uint32_t k = 0; k < n; k++) {
        const struct scale_decision *d = &ring[(made - 1 - k) % SCALE_DECISIONS];
        struct json_object *o = json_object_new_object();
        json_put_int(o, "at_ms", d->at_ms);
        json_put_int(o, "from", d->from);
        json_put_int(o, "to", d->to);
        json_put_str(o, "policy", d->policy);
        json_put_str(o, "reason", d->reason);
        json_object_array_add(list, o);
    }
    return list;
}

static struct json_object *item_json(const struct scale_item *i)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "workflow", i->slug);
    json_put_int(o, "desired", i->desired);
    json_put_str(o, "policy", i->policy);
    json_put_str(o, "reason", i->reason);
    json_put_int(o, "queued", i->stats.queued);
    json_put_int(o, "leased", i->stats.leased);
    json_put_int(o, "workers", i->stats.active_workers);
    json_put_int(o, "planned_ms", i->planned_ms);
    json_put_int(o, "last_scale_ms", i->last_scale_ms);
    rules_describe(i, o);
    shadow_describe(i, o);
    afford_describe(i, o);
    struct json_object *measured = memo_view(i);
    if (measured)
        json_object_object_add(o, "measured", measured);
    json_object_object_add(o, "decisions", decisions_json(i->decisions, i->n_decisions));
    return o;
}

double scale_round_s(const struct scale *s)
{
    return (double)s->round_us / 1e6;
}

const struct history *scale_history(struct scale *s, const char *slug)
{
    const struct scale_item *i = scale_item_find(s, slug);
    return i ? i->history : NULL;
}

struct promises *scale_promises(struct scale *s, const char *slug)
{
    struct scale_item *i = scale_item_find(s, slug);
    return i ? &i->promises : NULL;
}

struct json_object *scale_describe(struct scale *s, const char *slug)
{
    struct json_object *list = json_object_new_array();
    for (struct scale_item *i = s->items; i; i = i->next) {
        const struct workflow *w = !slug || strcmp(slug, i->slug) == 0 ? host_workflow(s->host, i->slug) : NULL;
        struct json_object *o = w ? item_json(i) : NULL;
        if (!o)
            continue;
        json_put_str(o, "configured", policy_configured(s, w));
        if (i->offences)
            json_put_int(o, "offences", i->offences);
        json_object_array_add(list, o);
    }
    return list;
}
