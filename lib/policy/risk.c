/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/risk.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PRIOR_HOURS 50.0 /* in which one interruption is taken to have been seen */
#define AGE_HOURS   20.0 /* of the pool's rate within one age */
#define EQUAL       1.5  /* lives that differ by less are equal */
#define SURELY      0.95 /* that a job ends before its machine does */

static const double age_ends_h[RISK_AGES] = {1, 6, INFINITY};

static struct risk_pool *pool_find(const struct risk *r, const char *type, const char *zone)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (strcmp(r->pools[i].type, type) == 0 && strcmp(r->pools[i].zone, zone) == 0)
            return (struct risk_pool *)(uintptr_t)&r->pools[i];
    return NULL;
}

static double pool_hours(const struct risk_pool *p)
{
    double sum = 0;
    for (int a = 0; a < RISK_AGES; a++)
        sum += p->hours[a];
    return sum;
}

static struct risk_pool *least_lived(struct risk *r)
{
    struct risk_pool *least = &r->pools[0];
    for (uint32_t i = 1; i < r->n; i++)
        if (pool_hours(&r->pools[i]) < pool_hours(least))
            least = &r->pools[i];
    return least;
}

static struct risk_pool *pool_get(struct risk *r, const char *type, const char *zone)
{
    struct risk_pool *p = pool_find(r, type, zone);
    if (p)
        return p;
    p = r->n < RISK_POOLS ? &r->pools[r->n++] : least_lived(r);
    memset(p, 0, sizeof *p);
    snprintf(p->type, sizeof p->type, "%s", type);
    snprintf(p->zone, sizeof p->zone, "%s", zone);
    return p;
}

static int age_of(double age_h)
{
    int a = 0;
    while (a < RISK_AGES - 1 && age_h >= age_ends_h[a])
        a++;
    return a;
}

void risk_lived(struct risk *r, const char *type, const char *zone, double from_s, double to_s)
{
    struct risk_pool *p = pool_get(r, type, zone);
    double from_h = fmax(from_s, 0) / 3600, to_h = to_s / 3600;
    while (from_h < to_h) {
        int a = age_of(from_h);
        double until_h = fmin(to_h, age_ends_h[a]);
        p->hours[a] += until_h - from_h;
        from_h = until_h;
    }
}

void risk_interrupted(struct risk *r, const char *type, const char *zone, double age_s)
{
    pool_get(r, type, zone)->interruptions[age_of(fmax(age_s, 0) / 3600)]++;
}

/* Per hour. */
static double rate(const struct risk_pool *p, int age)
{
    uint32_t events = 0;
    for (int a = 0; p && a < RISK_AGES; a++)
        events += p->interruptions[a];
    double of_pool = (1 + events) / (PRIOR_HOURS + (p ? pool_hours(p) : 0));
    return p ? (AGE_HOURS * of_pool + p->interruptions[age]) / (AGE_HOURS + p->hours[age]) : of_pool;
}

/* The integral of the survival function from its age on, the rate being constant within an age. */
double risk_life_s(const struct risk *r, const char *type, const char *zone, double age_s)
{
    const struct risk_pool *p = pool_find(r, type, zone);
    double at_h = fmax(age_s, 0) / 3600, alive = 1, life_h = 0;
    for (int a = age_of(at_h); a < RISK_AGES; a++) {
        double k = rate(p, a), ends = exp(-k * (age_ends_h[a] - at_h));
        life_h += alive * (1 - ends) / k;
        alive *= ends;
        at_h = age_ends_h[a];
    }
    return life_h * 3600;
}

/* ---- who takes a job ---- */

int risk_is_shorter(double a_s, double b_s)
{
    return a_s > 0 && b_s > 0 && a_s * EQUAL < b_s;
}

static int ends_surely(double life_s, double run_s)
{
    return exp(-run_s / life_s) >= SURELY;
}

uint32_t risk_choose(const struct risk_choice *list, uint32_t n, double run_s)
{
    uint32_t safest = 0, riskiest = n;
    int spare = 0;
    if (run_s <= 0)
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        spare |= list[i].longer_s > 2 * run_s;
        if (risk_is_shorter(list[safest].life_s, list[i].life_s))
            safest = i;
        if (ends_surely(list[i].life_s, run_s) &&
            (riskiest == n || risk_is_shorter(list[i].life_s, list[riskiest].life_s)))
            riskiest = i;
    }
    return spare && riskiest < n ? riskiest : safest;
}
