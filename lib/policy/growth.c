/* SPDX-License-Identifier: Apache-2.0 */
/* growth.c - the queue as a fluid that the ready instances draw from, and the policy's own plans on the way. */
#include "policy/growth.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define STEP_S       10.0
#define HORIZON_S    14400.0
#define MEMORY_BYTES 256 /* of a policy that grows */

struct course {
    struct bp_view view;
    union {
        char bytes[MEMORY_BYTES];
        max_align_t aligned;
    } memory;
    double at_s, depth;                             /* queued + leased */
    double coming_per_s, run_s;                     /* arrivals within a boot; of a job */
    double ready_s[POLICY_INSTANCES + GROWTH_MOST]; /* of those that boot, never decreasing */
    int32_t n_booting, ready;
};

static void begin(struct course *c, const struct policy *policy, const void *memory, const struct policy_now *now)
{
    const struct policy_fleet *f = now->fleet;
    const struct bp_view *v = now->view;
    c->view = *v;
    c->view.desired -= v->draining;
    if (memory)
        memcpy(c->memory.bytes, memory, policy->memory_bytes);
    c->depth = (double)(v->queued + v->leased);
    c->coming_per_s = forecast_trusted(&now->history->forecast);
    c->ready = v->running - v->draining;
    for (int32_t i = 0; i < f->n_booting; i++) /* the longest first */
        c->ready_s[c->n_booting++] = fmax(v->boot_s - (double)f->booting_s[i], 0);
    while (c->n_booting < POLICY_INSTANCES && c->ready + c->n_booting < c->view.desired)
        c->ready_s[c->n_booting++] = v->boot_s;
}

static void pass(struct course *c, double boot_s)
{
    double works = fmin(c->depth, c->ready);
    int32_t done = 0;
    c->depth += STEP_S * ((c->at_s < boot_s ? c->coming_per_s : 0) - works / c->run_s);
    c->depth = fmax(c->depth, 0);
    c->at_s += STEP_S;
    while (done < c->n_booting && c->ready_s[done] <= c->at_s)
        done++;
    c->ready += done;
    c->n_booting -= done;
    memmove(c->ready_s, c->ready_s + done, (size_t)c->n_booting * sizeof c->ready_s[0]);
}

/* What a policy sees then. */
static void look(struct course *c, const struct policy_now *now)
{
    struct bp_view *v = &c->view;
    int64_t depth = (int64_t)ceil(c->depth);
    v->now_ms = now->view->now_ms + (int64_t)(1000 * c->at_s);
    v->leased = depth < c->ready ? depth : c->ready;
    v->queued = depth - v->leased;
    v->running = c->ready + v->draining;
    v->pending = c->n_booting;
    v->busy = (int32_t)v->leased;
}

static void grow(struct course *c, int32_t to, struct growth *out)
{
    to = to < c->view.max_size ? to : c->view.max_size;
    if (to != c->view.desired)
        c->view.last_scale_ms = c->view.now_ms;
    for (; c->view.desired < to && out->n < GROWTH_MOST; c->view.desired++) {
        out->at_s[out->n++] = (float)c->at_s;
        c->ready_s[c->n_booting++] = c->at_s + c->view.boot_s;
    }
}

void growth_foresee(const struct policy *policy, const void *memory, const struct policy_now *now, double run_s,
                    struct growth *out)
{
    static const struct policy_fleet unseen;
    struct course c = {.run_s = run_s};
    struct policy_now then = {&c.view, &unseen, now->history, now->wait_target_s, now->wait_price};
    struct bp_plan plan;
    out->n = 0;
    if (!policy->grows || policy->memory_bytes > MEMORY_BYTES || run_s <= 0)
        return;
    begin(&c, policy, memory, now);
    while (c.at_s < HORIZON_S && c.depth > c.ready && c.view.desired < c.view.max_size && out->n < GROWTH_MOST) {
        pass(&c, now->view->boot_s);
        look(&c, now);
        memset(&plan, 0, sizeof plan);
        if (policy->plan(&then, c.memory.bytes, &plan) < 0)
            return;
        grow(&c, plan.desired, out);
    }
}
