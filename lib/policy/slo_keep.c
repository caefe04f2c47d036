/* SPDX-License-Identifier: Apache-2.0 */
/* slo_keep.c - how long to keep an instance that nothing needs: to hold it costs the gap, to let it go costs a boot and
 * the waiting for it. Ski rental with a learned distribution of the gaps. */
#include "policy/slo.h"

#include <math.h>

#define LONGEST_S    3600.0
#define PRIOR_WEIGHT 4.0 /* spells that the prior counts for */
#define PRIOR_HOT    0.5 /* boots: length of its spells */
#define LEARNED      0.25 /* of the price, for spells that were seen: not all of them would have waited, nor all booted */
#define OWN_SHARE    0.7 /* of what its level is kept: an instance is, since its own last job or since it came */

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

/* How long the instance that goes when `gone` others have gone does nothing: it is idle, or boots for longer than a
 * boot takes. The longest idle goes first, then the youngest that boots. */
static double unused_s(const struct policy_fleet *f, double boot_s, int32_t gone)
{
    int32_t boots = f->n_booting - 1 - (gone - f->n_idle);
    if (gone < f->n_idle)
        return f->idle_s[gone];
    return boots >= 0 ? fmax(f->booting_s[boots] - boot_s, 0) : INFINITY; /* not told of */
}

/* Level k by its own clock, or by that of the instance which would go: demand may not have come near k for long, or
 * ever, when one was launched for jobs that are expected. */
static double left_of(struct slo_keep *m, const struct policy_now *now, double price, int32_t live, int32_t k)
{
    int64_t low_ms = now->history->level[k].low_since_ms;
    double tau_s = slo_keep_s(m, now->history, k, now->view->boot_s, price);
    double own_s = OWN_SHARE * tau_s - unused_s(now->fleet, now->view->boot_s, live - k);
    return low_ms ? fmax(tau_s - (double)(now->view->now_ms - low_ms) / 1000.0, own_s) : own_s;
}

int32_t slo_keep_level(struct slo_keep *m, const struct policy_now *now, double price, int32_t live, double *left_s)
{
    int64_t demand = now->view->queued + now->view->leased;
    int32_t k = live < HISTORY_LEVELS ? live : HISTORY_LEVELS;
    *left_s = 0;
    for (; k > demand; k--) {
        double left = left_of(m, now, price, live, k);
        if (left > 0) {
            *left_s = left;
            return k;
        }
    }
    return demand < live ? (int32_t)demand : live;
}
