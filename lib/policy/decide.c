/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/decide.h"

#include "policy/risk.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static void add_reason(struct bp_plan *p, const char *format, ...)
{
    size_t used = strnlen(p->reason, sizeof p->reason - 1);
    va_list args;
    va_start(args, format);
    vsnprintf(p->reason + used, sizeof p->reason - used, format, args);
    va_end(args);
}

static int32_t plan_built_in(void *arg, const struct policy_now *now, void *memory, struct bp_plan *p)
{
    return ((const struct policy *)arg)->plan(now, memory, p);
}

struct decide_planner decide_by(const struct policy *policy, void *memory)
{
    assert(policy);
    return (struct decide_planner){plan_built_in, (void *)policy, memory};
}

/* An operator's or a schedule's limits. */
static void keep_rules(const struct decide_rules *r, int32_t decided, struct bp_plan *p)
{
    if (r->min >= 0 && p->desired < r->min) {
        p->desired = r->min;
        add_reason(p, "; at least %d are set", r->min);
    }
    if (r->max >= 0 && p->desired > r->max) {
        p->desired = r->max;
        add_reason(p, "; at most %d are set", r->max);
    }
    if (r->pause_in && p->desired < decided) {
        p->desired = decided;
        add_reason(p, "; scale-in is paused");
    }
    if (r->pause_out && p->desired > decided) {
        p->desired = decided;
        add_reason(p, "; scale-out is paused");
    }
}

/* [busy, max_size]; what is busy goes first, also when max_size was lowered below it. */
static void clamp(const struct bp_view *v, struct bp_plan *p)
{
    int32_t most = v->max_size > 0 ? v->max_size : 0;
    if (p->desired > most) {
        p->desired = most;
        add_reason(p, "; limited to maxSize %d", most);
    }
    if (p->desired < 0)
        p->desired = 0;
    if (p->desired < v->busy) {
        p->desired = v->busy;
        add_reason(p, "; %d are busy", v->busy);
    }
}

void decide(const struct decide_rules *rules, const struct decide_planner *by, const struct policy_now *now,
            struct bp_plan *p)
{
    struct bp_view seen = *now->view;
    struct policy_now from = *now;
    seen.desired = seen.desired - seen.draining; /* what was decided, drains under way counted as gone */
    from.view = &seen;
    memset(p, 0, sizeof *p);
    p->size = sizeof *p;
    p->desired = seen.desired;
    if (seen.stale) {
        add_reason(p, "holding: the fleet has not been described for too long");
        return;
    }
    if (rules->hold >= 0) {
        p->desired = rules->hold;
        add_reason(p, "held at %d by %s", rules->hold, rules->hold_who);
    } else if (by->plan(by->arg, &from, by->memory, p) < 0) {
        p->desired = seen.desired;
        p->reason[0] = 0;
        add_reason(p, "holding: the policy failed");
    }
    p->reason[sizeof p->reason - 1] = 0;
    if (rules->hold < 0)
        keep_rules(rules, seen.desired, p);
    clamp(&seen, p);
}

int scale_in_before(const struct scale_in_candidate *a, const struct scale_in_candidate *b)
{
    if (a->ready != b->ready)
        return a->ready;
    if (a->ready && (risk_is_shorter(a->life_s, b->life_s) || risk_is_shorter(b->life_s, a->life_s)))
        return a->life_s < b->life_s;
    return a->ready ? a->idle_since_ms < b->idle_since_ms : a->launched_ms > b->launched_ms;
}
