/* SPDX-License-Identifier: Apache-2.0 */
/* detail.c - a fleet, instance by instance, as a policy wants to see it. */
#include "fleet_priv.h"

#include <stdlib.h>
#include <string.h>

static void add(float *ages, int32_t *n, int64_t now_ms, int64_t since_ms)
{
    if (*n < POLICY_INSTANCES)
        ages[(*n)++] = since_ms && now_ms > since_ms ? (float)(now_ms - since_ms) / 1000.0f : 0;
}

static int longest_first(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

static void sort(float *ages, int32_t n)
{
    if (n > 1)
        qsort(ages, (size_t)n, sizeof *ages, longest_first);
}

void fleet_detail(struct fleets *f, const char *slug, struct policy_fleet *out)
{
    const struct fleet *fl = fleet_find(f, slug);
    int64_t now = fleets_now(f);
    out->n_busy = out->n_idle = out->n_booting = 0;
    for (const struct instance *i = fl && fl->described_ms ? fl->instances : NULL; i; i = i->next) {
        int live = instance_is_live(i);
        if (!live || drain_leaves(i->drain) || (i->fault[0] && i->leases == 0))
            continue;
        if (i->leases > 0)
            add(out->busy_s, &out->n_busy, now, i->busy_since_ms);
        else if (i->has_worker)
            add(out->idle_s, &out->n_idle, now, i->idle_since_ms);
        else
            add(out->booting_s, &out->n_booting, now, i->now.launched_ms);
    }
    sort(out->busy_s, out->n_busy);
    sort(out->idle_s, out->n_idle);
    sort(out->booting_s, out->n_booting);
}
