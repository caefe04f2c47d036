/* SPDX-License-Identifier: Apache-2.0 */
#include "scale/scale.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int64_t depth_of(const struct bp_view *v)
{
    return v->queued + v->leased;
}

/* Instances that take work now: running and not about to go. */
static int32_t ready_of(const struct bp_view *v)
{
    int32_t n = v->running - v->draining;
    return n > 0 ? n : 0;
}

static double since_s(const struct bp_view *v, int64_t at_ms)
{
    return at_ms ? (double)(v->now_ms - at_ms) / 1000.0 : 1e18;
}

#define SAY(plan, ...) snprintf((plan)->reason, sizeof(plan)->reason, __VA_ARGS__)

/* Nothing queued, nothing running: keep what is there until scale_to_zero_s has passed, then nothing. */
static int32_t plan_empty(const struct bp_view *v, struct bp_plan *p)
{
    double idle = v->empty_since_ms ? since_s(v, v->empty_since_ms) : 0;
    p->desired = v->desired;
    if (v->desired == 0) {
        SAY(p, "no jobs");
    } else if (idle >= v->scale_to_zero_s) {
        p->desired = 0;
        SAY(p, "no jobs for %.0f s (limit %.0f s)", idle, v->scale_to_zero_s);
    } else {
        SAY(p, "no jobs for %.0f s; to zero after %.0f s", idle, v->scale_to_zero_s);
    }
    return 0;
}

/*
 * step: what operators run today. From zero to one at the first job; then one more when the backlog per ready instance
 * exceeds T = backlog_target, two more above 2.5 T, with a rest of cooldown_s after each change; in only to zero.
 */
static int32_t plan_step(const struct bp_view *v, void *memory, struct bp_plan *p)
{
    (void)memory;
    int64_t depth = depth_of(v);
    double target = v->backlog_target > 0 ? v->backlog_target : 1;
    if (depth == 0)
        return plan_empty(v, p);
    p->desired = v->desired;
    if (v->desired == 0) {
        p->desired = 1;
        SAY(p, "%lld queued and no instance: start the first", (long long)v->queued);
        return 0;
    }
    int32_t ready = ready_of(v);
    double backlog = (double)depth / (ready > 0 ? ready : 1);
    double rest = v->cooldown_s - since_s(v, v->last_scale_ms);
    int32_t more = backlog > 2.5 * target ? 2 : backlog > target ? 1 : 0;
    if (more == 0) {
        SAY(p, "backlog %.1f per instance, at most %.0f wanted", backlog, target);
    } else if (ready == 0) {
        SAY(p, "%lld jobs wait for the first of %d starting instances", (long long)depth, v->pending);
    } else if (rest > 0) {
        SAY(p, "backlog %.1f per instance over %.0f, but resting %.0f s more after the last change", backlog, target,
            rest);
    } else {
        p->desired = v->desired + more;
        SAY(p, "backlog %.1f per instance over %.1f: %d more", backlog, more == 2 ? 2.5 * target : target, more);
    }
    return 0;
}

#define WINDOW_SLOTS 16

/* What `target` remembers: the highest target of each sixteenth of the scale-in window. */
struct target_memory {
    int64_t slot;
    int32_t high[WINDOW_SLOTS];
};
_Static_assert(sizeof(struct target_memory) <= BP_SCALING_MEMORY, "the host gives no more");

/* The highest target asked for within the last window_s, the present one included. */
static int32_t window_high(struct target_memory *m, const struct bp_view *v, double window_s, int32_t now)
{
    int64_t slot_ms = (int64_t)(window_s * 1000 / WINDOW_SLOTS);
    if (slot_ms < 1)
        return now;
    int64_t slot = v->now_ms / slot_ms;
    int64_t passed = m->slot && slot >= m->slot ? slot - m->slot : WINDOW_SLOTS;
    for (int64_t i = 1; i <= passed && i <= WINDOW_SLOTS; i++)
        m->high[(m->slot + i) % WINDOW_SLOTS] = 0;
    m->slot = slot;
    int32_t high = now;
    if (m->high[slot % WINDOW_SLOTS] < now)
        m->high[slot % WINDOW_SLOTS] = now;
    for (int i = 0; i < WINDOW_SLOTS; i++)
        if (m->high[i] > high)
            high = m->high[i];
    return high;
}

/*
 * target: ceil(depth / T) instances at once when that is more, and less only when nothing asked for more within
 * cooldown_s (the stabilisation window of the Kubernetes autoscaler, so that a short lull does not end warm instances).
 */
static int32_t plan_target(const struct bp_view *v, void *memory, struct bp_plan *p)
{
    int64_t depth = depth_of(v);
    int32_t target = v->backlog_target > 0 ? v->backlog_target : 1;
    int64_t now = (depth + target - 1) / target;
    int32_t want = now > v->max_size ? v->max_size : (int32_t)now;
    int32_t high = window_high(memory, v, v->cooldown_s, want);
    if (depth == 0 && (v->desired == 0 || v->scale_to_zero_s > v->cooldown_s || high == 0))
        return plan_empty(v, p);
    p->desired = want > v->desired ? want : high < v->desired ? high : v->desired;
    if (want >= v->desired)
        SAY(p, "%lld jobs at %d per instance: %d instances", (long long)depth, target, want);
    else
        SAY(p, "%lld jobs need %d instances; the last %.0f s needed %d", (long long)depth, want, v->cooldown_s, high);
    return 0;
}

policy_fn policy_find(const char *name)
{
    static const struct {
        const char *name;
        policy_fn fn;
    } table[] = {{"step", plan_step}, {"target", plan_target}};
    for (size_t i = 0; name && i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].fn;
    return NULL;
}
