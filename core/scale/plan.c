/* SPDX-License-Identifier: Apache-2.0 */
#include "scale_priv.h"

#include "log/json.h"
#include "log/log.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    v->arrivals_per_s = (double)q->submitted_recent / 300.0;
    v->run_p50_s = q->run_p50_s;
    v->boot_s = history_boot_s(item->history, w->warmup_s);
    v->workers = (int32_t)q->active_workers;
    v->max_size = w->max_size;
    v->backlog_target = w->backlog_target;
    v->scale_to_zero_s = w->scale_to_zero_s;
    v->cooldown_s = config_num(s->config, CONFIG_SCALE_COOLDOWN_S);
    v->last_scale_ms = item->last_scale_ms;
    v->empty_since_ms = item->empty_since_ms;
    int rc = s->fleet.counts(s->fleet.fleets, w->slug, v, &described_ms);
    if (w->quarantine)
        v->queued = 0; /* no job of it is leased: nobody is needed for them */
    v->oldest_wait_ms = v->queued && q->oldest_queued_ms && now > q->oldest_queued_ms ? now - q->oldest_queued_ms : 0;
    v->stale = now - described_ms > (limit > STALE_LEAST_MS ? limit : STALE_LEAST_MS);
    return rc;
}

/* The workflow's choice where it can be had, else the configured one. */
const char *policy_configured(const struct scale *s, const struct workflow *w)
{
    const char *name = w->policy ? w->policy : w->scaling ? "plugin" : "";
    if (strcmp(name, "plugin") == 0 && w->scaling)
        return "plugin";
    return policy_find(name) ? name : config_str(s->config, CONFIG_SCALE_POLICY);
}

/* An adoption is over once the settings name another policy than they did then: that is the later word. */
static void adopted_follow(struct scale *s, struct scale_item *item, const char *configured)
{
    if (!item->adopted || strcmp(item->adopted_over, configured) == 0)
        return;
    log_info(LOG_SCALE, "%s: its settings name policy %s now, and it decides instead of %s, which was adopted",
             item->slug, configured, item->adopted->name);
    item->adopted = NULL;
    memos_changed(s, item);
}

/* Which policy plans; direct in the place of a plugin's that cannot be trusted. */
static const char *policy_name(struct scale *s, const struct workflow *w, struct scale_item *item,
                               const struct schedule_now *scheduled)
{
    if (item->generation != w->generation) { /* new code of the plugin starts without offences */
        item->generation = w->generation;
        item->offences = 0;
    }
    const char *name = policy_configured(s, w);
    adopted_follow(s, item, name);
    if (item->adopted)
        return item->adopted->name;
    if (scheduled->policy)
        return scheduled->policy;
    return strcmp(name, "plugin") != 0 || item->offences < SCALE_OFFENCES ? name : "direct";
}

/* A policy starts with empty memory when it takes over from another. 0: no memory can be had. */
static int take_over(struct scale_item *item, const char *name)
{
    const struct policy *policy = policy_find(name);
    size_t bytes = policy ? policy->memory_bytes : BP_SCALING_MEMORY;
    if (strcmp(item->policy, name) == 0)
        return 1;
    learned_keep(item);
    free(item->memory);
    item->memory = bytes ? calloc(1, bytes) : NULL;
    snprintf(item->policy, sizeof item->policy, "%s", !bytes || item->memory ? name : "");
    learned_give(item);
    return !bytes || item->memory;
}

void plan_make(struct scale *s, const struct workflow *w, struct scale_item *item, const struct bp_view *v,
               struct bp_plan *p)
{
    static struct policy_fleet fleet; /* [loop], of this call alone */
    struct schedule_now scheduled = rules_schedule(item, w, v->now_ms);
    const char *name = policy_name(s, w, item, &scheduled);
    const struct policy *policy = policy_find(name);
    struct plugin_policy plugin = {w, item};
    memset(&fleet, 0, offsetof(struct policy_fleet, busy_s));
    if (s->fleet.detail)
        s->fleet.detail(s->fleet.fleets, w->slug, &fleet);
    rules_forget(s, item, v->now_ms);
    struct decide_rules rules = rules_of(item, &scheduled);
    struct policy_now now = {.view = v,
                             .fleet = &fleet,
                             .history = item->history,
                             .wait_target_s = json_num(w->manifest, "targetP95WaitSeconds", 0),
                             .wait_price = json_num(w->manifest, "waitPrice", 1)};
    if (!take_over(item, name)) {
        memset(p, 0, sizeof *p);
        p->desired = v->desired - v->draining;
        snprintf(p->reason, sizeof p->reason, "holding: no memory for policy %s", name);
        return;
    }
    struct decide_planner by =
        policy ? decide_by(policy, item->memory) : (struct decide_planner){plan_by_plugin, &plugin, item->memory};
    decide(&rules, &by, &now, p);
    shadow_decide(item, &rules, &now);
}

void scale_foresee(struct scale *s, const char *slug, struct growth *out)
{
    static struct policy_fleet fleet; /* [loop], of this call alone */
    const struct workflow *w = host_workflow(s->host, slug);
    struct scale_item *item = w ? scale_item_find(s, slug) : NULL;
    const struct policy *policy = item ? policy_find(item->policy) : NULL;
    struct bp_view v;
    out->n = 0;
    if (!policy || !s->fleet.detail || view_build(s, w, item, &v) < 0 || v.stale || v.launch_failures > 0)
        return;
    struct schedule_now scheduled = rules_schedule(item, w, v.now_ms);
    struct decide_rules rules = rules_of(item, &scheduled);
    struct policy_now now = {.view = &v, .fleet = &fleet, .history = item->history};
    if (rules.hold >= 0 || rules.pause_out)
        return;
    v.max_size = rules.max >= 0 && rules.max < v.max_size ? rules.max : v.max_size;
    s->fleet.detail(s->fleet.fleets, slug, &fleet);
    growth_foresee(policy, item->memory, &now, item->history->run_mean_s, out);
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
