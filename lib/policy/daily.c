/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/daily.h"

#include <math.h>

#define DAYS_MOST     5
#define COMPARED_MOST 720 /* minutes */
#define COMPARED_MIN  60
#define LEVEL_PRIOR   5.0 /* arrivals, as many as past days had */
#define STEP_S        120.0

/* A slot looked back to may lie before 1970: a simulated clock begins there. */
static int slot_of_day(int64_t slot)
{
    return (int)((slot % DAILY_SLOTS + DAILY_SLOTS) % DAILY_SLOTS);
}

void daily_begin(struct daily *d, int64_t now_s, uint32_t total)
{
    d->slot = now_s / DAILY_SLOT_S;
    d->begun = total;
    d->whole = 0;
}

void daily_advance(struct daily *d, int64_t now_s, uint32_t total)
{
    int64_t slot = now_s / DAILY_SLOT_S;
    int k = slot_of_day(d->slot);
    if (slot == d->slot)
        return;
    if (slot != d->slot + 1) {
        daily_begin(d, now_s, total);
        return;
    }
    if (d->whole) {
        if (d->days[k] < DAYS_MOST)
            d->days[k]++;
        d->mean[k] += ((float)(total - d->begun) - d->mean[k]) / (float)d->days[k];
    }
    daily_begin(d, now_s, total);
    d->whole = 1;
}

void daily_judge(struct daily *d, double mine, double others, double came)
{
    d->compared += d->compared < COMPARED_MOST;
    d->loss += (float)((mine - came * log(mine) - d->loss) / d->compared);
    d->other_loss += (float)((others - came * log(others) - d->other_loss) / d->compared);
}

int daily_is_known(const struct daily *d, int64_t now_s)
{
    int64_t last = now_s / DAILY_SLOT_S + 2;
    for (int64_t slot = (now_s - DAILY_LEVEL_S) / DAILY_SLOT_S; slot <= last; slot++)
        if (!d->days[slot_of_day(slot)])
            return 0;
    return 1;
}

int daily_is_better(const struct daily *d)
{
    return d->compared > COMPARED_MIN && d->loss < d->other_loss;
}

double daily_rate(const struct daily *d, double at_s)
{
    double at = at_s / DAILY_SLOT_S - 0.5, before = floor(at);
    int64_t slot = (int64_t)before;
    double next = at - before; /* weight of the next slot's middle */
    return ((1 - next) * d->mean[slot_of_day(slot)] + next * d->mean[slot_of_day(slot + 1)]) / DAILY_SLOT_S;
}

double daily_level(const struct daily *d, int64_t now_s, double over_s, double count)
{
    double then = LEVEL_PRIOR;
    for (int i = 0; (i + 0.5) * STEP_S < over_s; i++)
        then += daily_rate(d, (double)now_s - (i + 0.5) * STEP_S) * STEP_S;
    return (count + LEVEL_PRIOR) / then;
}

double daily_learned_from(const struct daily *d, int64_t now_s)
{
    int k = slot_of_day(now_s / DAILY_SLOT_S), next = (k + 1) % DAILY_SLOTS;
    return d->days[k] * (d->mean[k] + d->mean[next]);
}
