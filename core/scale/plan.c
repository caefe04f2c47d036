/* SPDX-License-Identifier: Apache-2.0 */
#include "scale_priv.h"

#include "log/log.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PLUGIN_PLAN_MS 5
#define STALE_TICKS    3
#define STALE_LEAST_MS 30000

int view_build(struct scale *s, const struct workflow *w, struct scale_item *item, struct bp_view *v)
{
    const struct bp_queue_stats_row *q = &item->stats;
    int64_t described_ms = 0;
    int64_t now = loop_now_ms(bus_loop(s->bus));
    int64_t limit = config_int(s->config, CONFIG_SCALE_TICK_MS) * STALE_TICKS;
    memset(v, 0, sizeof *v);
    v->size = sizeof *v;
    v->now_ms = now;
    v->queued = q->queued;
    v->leased = q->leased;
    v->oldest_wait_ms = q->oldest_queued_ms && now > q->oldest_queued_ms ? now - q->oldest_queued_ms : 0;
    v->arrivals_per_s = (double)q->submitted_recent / 300.0;
    v->run_p50_s = q->run_p50_s;
    v->boot_s = w->warmup_s;
    v->workers = (int32_t)q->active_workers;
    v->max_size = w->max_size;
    v->backlog_target = w->backlog_target;
    v->scale_to_zero_s = w->scale_to_zero_s;
    v->cooldown_s = config_num(s->config, CONFIG_SCALE_COOLDOWN_S);
    v->last_scale_ms = item->last_scale_ms;
    v->empty_since_ms = item->empty_since_ms;
    int rc = s->fleet.counts(s->fleet.fleets, w->slug, v, &described_ms);
    v->stale = now - described_ms > (limit > STALE_LEAST_MS ? limit : STALE_LEAST_MS);
    return rc;
}

/* A hold that has expired is forgotten. */
static int is_held(struct scale_item *item, int64_t now_ms)
{
    if (item->hold_until_ms && now_ms >= item->hold_until_ms)
        item->hold_size = -1;
    return item->hold_size >= 0;
}

/* CPU time of this thread. */
static int64_t thread_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* The plugin's own policy; offences are counted, and after three the configured policy takes over. */
static int plan_by_plugin(const struct workflow *w, struct scale_item *item, const struct bp_view *v, struct bp_plan *p)
{
    const struct bp_scaling *table = w->scaling;
    struct bp_err err = {0};
    int64_t began = thread_us(); /* not the wall clock: a loaded machine is not the plugin's offence */
    int32_t rc = table->plan(w->scaling_inst, v, item->memory, p, &err);
    int64_t took_ms = (thread_us() - began) / 1000;
    err.text[sizeof err.text - 1] = 0;
    const char *offence = rc < 0                     ? err.text
                          : p->desired > v->max_size ? "asked for more than maxSize"
                          : p->desired < v->busy     ? "asked for fewer instances than are busy"
                          : took_ms > PLUGIN_PLAN_MS ? "took longer than 5 ms"
                                                     : NULL;
    p->reason[sizeof p->reason - 1] = 0;
    if (offence) {
        item->offences++;
        log_warn(LOG_SCALE, "%s: its plugin's policy %s (offence %d of %d)", w->slug, offence, item->offences,
                 SCALE_OFFENCES);
    }
    return rc;
}

/* Which policy plans: the workflow's choice where it can be had, else the configured one. */
static const char *policy_name(const struct scale *s, const struct workflow *w, struct scale_item *item)
{
    const char *name = w->policy ? w->policy : w->scaling ? "plugin" : "";
    if (item->generation != w->generation) { /* new code of the plugin starts without offences */
        item->generation = w->generation;
        item->offences = 0;
    }
    if (strcmp(name, "plugin") == 0 && w->scaling && item->offences < SCALE_OFFENCES)
        return name;
    return policy_find(name) ? name : config_str(s->config, CONFIG_SCALE_POLICY);
}

/* A policy starts with empty memory when it takes over from another. */
static void take_over(struct scale_item *item, const char *name)
{
    if (strcmp(item->policy, name) == 0)
        return;
    snprintf(item->policy, sizeof item->policy, "%s", name);
    memset(item->memory, 0, sizeof item->memory);
}

static void clamp(const struct bp_view *v, struct bp_plan *p)
{
    int32_t busy = v->busy;
    int32_t most = v->max_size > 0 ? v->max_size : 0;
    size_t used = strlen(p->reason);
    if (p->desired > most) {
        snprintf(p->reason + used, sizeof p->reason - used, "; limited to maxSize %d", most);
        p->desired = most;
    }
    if (p->desired < 0)
        p->desired = 0;
    if (p->desired < busy) { /* also when maxSize was lowered below what is busy */
        used = strlen(p->reason);
        snprintf(p->reason + used, sizeof p->reason - used, "; %d are busy", busy);
        p->desired = busy;
    }
}

void plan_make(struct scale *s, const struct workflow *w, struct scale_item *item, const struct bp_view *v,
               struct bp_plan *p)
{
    const char *name = policy_name(s, w, item);
    policy_fn fn = policy_find(name);
    int held = is_held(item, v->now_ms);
    memset(p, 0, sizeof *p);
    p->size = sizeof *p;
    p->desired = v->desired - v->draining;
    take_over(item, name);
    if (v->stale) {
        snprintf(p->reason, sizeof p->reason, "holding: the fleet has not been described for too long");
        return;
    }
    if (held) {
        p->desired = item->hold_size;
        snprintf(p->reason, sizeof p->reason, "held at %d by %s", item->hold_size, item->hold_who);
    } else {
        struct bp_view seen = *v;
        seen.desired = v->desired - v->draining; /* what was decided, drains under way counted as gone */
        if (fn ? fn(&seen, item->memory, p) < 0 : plan_by_plugin(w, item, &seen, p) < 0) {
            p->desired = seen.desired;
            snprintf(p->reason, sizeof p->reason, "holding: the policy failed");
        }
    }
    clamp(v, p);
}

static const struct scale_decision *remember(struct scale_item *item, int64_t now_ms, int32_t from,
                                             const struct bp_plan *p)
{
    struct scale_decision *d = &item->decisions[item->n_decisions++ % SCALE_DECISIONS];
    d->at_ms = now_ms;
    d->from = from;
    d->to = p->desired;
    snprintf(d->policy, sizeof d->policy, "%s", item->hold_size >= 0 ? "hold" : item->policy);
    memcpy(d->reason, p->reason, sizeof d->reason);
    item->last_scale_ms = now_ms;
    return d;
}

void plan_apply(struct scale *s, struct scale_item *item, const struct bp_view *v, const struct bp_plan *p)
{
    int32_t from = v->desired - v->draining;
    int dry = config_bool(s->config, CONFIG_SCALE_DRY_RUN);
    struct bp_err err = {0};
    int rc = dry ? 0 : s->fleet.resize(s->fleet.fleets, item->slug, p->desired, p->reason, &err);
    if (rc == BP_LATER || rc == BP_STALE)
        return; /* an earlier change is under way, or another controller leads; the next tick looks again */
    if (rc < 0) {
        log_warn(LOG_SCALE, "%s: cannot go from %d to %d instances: %s", item->slug, from, p->desired, err.text);
        return;
    }
    if (dry && item->n_decisions && item->decisions[(item->n_decisions - 1) % SCALE_DECISIONS].to == p->desired)
        return; /* nothing changes in dry run, so the same decision comes again: tell it once */
    const struct scale_decision *d = remember(item, v->now_ms, from, p);
    log_info(LOG_SCALE, "%s: %d -> %d instances%s (%s): %s", item->slug, from, d->to, dry ? ", dry run" : "", d->policy,
             d->reason);
    bus_publish(s->bus, EVENT_SCALE_DECIDED, item->slug, (int64_t)from, (int64_t)d->to, d->policy, d->reason);
}
