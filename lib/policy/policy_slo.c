/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_kit.h"
#include "slo.h"

/* slo: instances and waiting together as cheap as can be, the price of waiting being one knob and the wait target the
 * other; the rest is measured. The most of what is busy, what a steady load needs, what is kept through a gap, and what
 * the queue is worth launching. */
int32_t policy_slo_plan(const struct policy_now *now, void *memory, struct bp_plan *p)
{
    const struct bp_view *v = now->view;
    const struct policy_fleet *f = now->fleet;
    struct slo_memory *m = memory;
    double left_s, price = slo_price_now(&m->price, now);
    enum slo_manner manner = slo_manner(&m->price, now, price);
    int32_t told = f->n_busy + f->n_idle + f->n_booting, counted = v->running - v->draining + v->pending;
    int32_t live = told > counted ? told : counted; /* of a large fleet not all are told of */
    if (manner == SLO_PER_JOB) {
        p->desired = instances_for(v, 1);
        SAY(p, "jobs of %.0f min wait a boot of %.0f s as a rule (%.0f %%): an instance for each of %lld, none ahead",
            slo_run(now->history, v->boot_s) / 60, v->boot_s, 100 * m->price.late, (long long)(v->queued + v->leased));
        return 0;
    }
    int32_t kept = slo_keep_level(&m->keep, now, price, live, &left_s);
    struct slo_floor floor = slo_floor(now, price);
    int32_t size = floor.size > kept ? floor.size : kept;
    p->desired = size;
    if (v->queued > 0) {
        struct slo_launch l = slo_launch(now, slo_launch_weight(now, manner) * price, size);
        p->desired = l.size;
        if (l.size > size) {
            SAY(p, "%lld queued and %.0f expected within a boot of %.0f s: %d instances spare %.0f min of waiting",
                (long long)v->queued, l.expected, v->boot_s, l.size, l.saved_s / 60);
            return 0;
        }
    }
    if (floor.size >= kept && floor.size > 0 && floor.window_s <= 0)
        SAY(p, "%.1f instances' load comes steadily at this time of day: %d keep the waiting cheap", floor.load, size);
    else if (floor.size >= kept && floor.size > 0)
        SAY(p, "%.1f instances' load comes steadily (last %.0f min): %d keep the waiting cheap", floor.load,
            floor.window_s / 60, size);
    else if (left_s > 0)
        SAY(p, "%d kept for %.0f s more: demand comes back to it soon as a rule, a boot takes %.0f s", size, left_s,
            v->boot_s);
    else if (v->queued > 0)
        SAY(p, "%lld queued wait less for %lld running jobs than another launch (%.0f s) is worth",
            (long long)v->queued, (long long)v->leased, v->boot_s);
    else
        SAY(p, "%lld jobs run; nothing waits, and nothing is worth keeping", (long long)v->leased);
    return 0;
}
