/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/allowance.h"

#include <stdio.h>
#include <string.h>

#define DAY_MS  86400000
#define HOUR_MS 3600000.0
#define GAP_MS  600000 /* a longer silence between ticks is not charged: nobody knows what lived */

static int32_t least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static void charge(struct allowance *a, const struct allowance_view *v)
{
    int64_t passed = v->now_ms - a->last_ms;
    if (a->last_ms && passed > 0 && passed <= GAP_MS)
        a->spent_h += least(v->on_demand, a->most) * (double)passed / HOUR_MS;
    a->last_ms = v->now_ms;
    if (v->on_demand == 0)
        a->most = a->n;
    if (v->now_ms / DAY_MS != a->day) {
        a->day = v->now_ms / DAY_MS;
        a->spent_h = 0;
    }
}

static int set(struct allowance *a, int32_t n, const char *why)
{
    if (n == a->n)
        return 0;
    a->n = n;
    a->most = n > a->most ? n : a->most;
    snprintf(a->why, sizeof a->why, "%s", why);
    return 1;
}

/* Spot is out: launches failed since the last Spot instance came up. */
static int spot_is_out(const struct allowance_view *v)
{
    return v->failures > 0 && v->last_failure_ms > v->last_spot_ms;
}

int allowance_step(struct allowance *a, const struct allowance_limits *l, const struct allowance_view *v)
{
    char why[128];
    charge(a, v);
    if (l->max <= 0)
        return set(a, 0, "spot.onDemandMax is 0");
    if (a->spent_h >= l->hours_per_day) {
        snprintf(why, sizeof why, "the day's %.1f on-demand instance-hours are used up", l->hours_per_day);
        return set(a, 0, why);
    }
    if (v->last_spot_ms > v->last_failure_ms && v->last_failure_ms > 0)
        return set(a, 0, "Spot instances can be had again");
    if (v->depth == 0)
        return set(a, 0, "no job is left");
    if (a->n > l->max)
        return set(a, l->max, "spot.onDemandMax was lowered");
    if (!spot_is_out(v) || v->lacking <= 0 || (double)v->oldest_wait_ms < l->wait_s * 1000)
        return 0;
    int32_t n = least(v->on_demand + v->lacking, l->max);
    snprintf(why, sizeof why, "%d launches failed for want of Spot capacity and a job has waited for %lld s",
             v->failures, (long long)(v->oldest_wait_ms / 1000));
    return n > a->n ? set(a, n, why) : 0;
}
