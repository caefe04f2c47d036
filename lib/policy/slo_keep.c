/* SPDX-License-Identifier: Apache-2.0 */
/* slo_keep.c - how long to keep an instance that nothing needs: to hold it costs the gap, to let it go costs a boot and
 * the waiting for it. Ski rental with a learned distribution of the gaps. */
#include "policy/slo.h"

#include <math.h>

#define LONGEST_S    3600.0
#define PRIOR_WEIGHT 4.0 /* spells that the prior counts for */
#define PRIOR_HOT    0.5 /* boots: length of its spells */
#define LEARNED      0.35 /* of the price, for spells that were seen: not all of them would have waited, nor all booted */

/* The prior: gaps of these many boots, and one that never ends. Nothing learned yet, the best is to keep for one boot:
 * the break-even that costs at most twice the least possible, whatever comes. */
static const double prior_gaps[] = {0.125, 0.25, 0.5, 1, INFINITY};
#define PRIOR_GAPS ((int)(sizeof prior_gaps / sizeof prior_gaps[0]))

struct costs {
    const struct history_level *level;
    double boot_s, price;
};

/* Of one gap when the instance is kept for tau_s. */
static double gap_cost(const struct costs *c, double gap_s, double wait_s, double tau_s)
{
    return gap_s < tau_s ? gap_s : tau_s + c->boot_s + c->price * wait_s;
}

static double cost(const struct costs *c, double tau_s)
{
    double sum = 0;
    uint32_t n = history_kept_spells(c->level);
    for (int i = 0; i < PRIOR_GAPS; i++)
        sum += gap_cost(c, prior_gaps[i] * c->boot_s, PRIOR_HOT * c->boot_s, tau_s) * PRIOR_WEIGHT / PRIOR_GAPS;
    for (uint32_t i = 0; i < n; i++)
        sum += gap_cost(c, c->level->gap_s[i], LEARNED * fmin(c->level->hot_s[i], c->boot_s), tau_s);
    return sum;
}

/* The least cost is at 0 or just after one of the gaps. */
static double least(const struct costs *c)
{
    double best_s = 0, best = cost(c, 0);
    uint32_t n = history_kept_spells(c->level);
    for (uint32_t i = 0; i < n + PRIOR_GAPS - 1; i++) {
        double tau_s = (i < n ? c->level->gap_s[i] : prior_gaps[i - n] * c->boot_s) + 0.5;
        double now = tau_s <= LONGEST_S ? cost(c, tau_s) : INFINITY;
        if (now < best) {
            best = now;
            best_s = tau_s;
        }
    }
    return best_s;
}

double slo_keep_s(struct slo_keep *m, const struct history *h, int32_t k, double boot_s, double price)
{
    const struct history_level *l = &h->level[k];
    if (fabs(m->boot_s - boot_s) > 0.5 || fabs(m->price - price) > 0.01 * price) {
        *m = (struct slo_keep){.boot_s = (float)boot_s, .price = (float)price};
    }
    if (m->spells[k] != l->spells + 1) {
        struct costs c = {l, boot_s, price};
        m->tau_s[k] = (float)least(&c);
        m->spells[k] = l->spells + 1;
    }
    return m->tau_s[k];
}

int32_t slo_keep_level(struct slo_keep *m, const struct policy_now *now, double price, int32_t live, double *left_s)
{
    const struct history *h = now->history;
    const struct bp_view *v = now->view;
    int64_t demand = v->queued + v->leased;
    int32_t k = live < HISTORY_LEVELS ? live : HISTORY_LEVELS;
    *left_s = 0;
    for (; k > demand; k--) {
        int64_t low_ms = h->level[k].low_since_ms;
        double left = low_ms ? slo_keep_s(m, h, k, v->boot_s, price) - (double)(v->now_ms - low_ms) / 1000.0 : 0;
        if (left > 0) {
            *left_s = left;
            return k;
        }
    }
    return demand < live ? (int32_t)demand : live;
}
