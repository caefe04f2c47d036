/* SPDX-License-Identifier: Apache-2.0 */
/* slo_floor.c - instances for a load that comes steadily, before anything waits. */
#include "policy/slo.h"

#include <math.h>

#define LEAST_LOAD    1.0 /* Erlang: below it an idle instance costs more than what it spares */
#define LEAST_SCATTER 0.3
#define UNKNOWN_CS2   0.5 /* squared coefficient of variation of the run times, until four were seen */
#define FOUR          4
#define LATE          0.05 /* jobs that may wait longer: p95 */
#define FLOOR_PRICE   0.2  /* of the price: launches spare some of the waiting that the formula sees */
#define P95_PERCENTS  4.0  /* that the p95 wait must fall by for each percent of instances, at price 1 */
#define KNOWN         0.1  /* standard deviation of the load, of itself, below which its p95 can be worked out */
#define SHORT_WAIT    0.65 /* boots: far below it a p95 that falls is worth little */

/* Share of the jobs that wait, Erlang C; load < c. */
static double share_waiting(double load, int32_t c)
{
    double blocked = 1; /* Erlang B, by its recursion */
    for (int32_t i = 1; i <= c; i++)
        blocked = load * blocked / (i + load * blocked);
    return blocked / (1 - load / c * (1 - blocked));
}

double slo_erlang_queue(double load, int32_t c)
{
    return load < c ? share_waiting(load, c) * load / (c - load) : 1e9;
}

double slo_erlang_p95(double load, int32_t c, double run_s)
{
    return load < c ? fmax(0, log(share_waiting(load, c) / LATE)) * run_s / (c - load) : 1e9;
}

static double run_scatter(const struct history *h)
{
    double mean2 = h->run_mean_s * h->run_mean_s;
    if (h->runs < FOUR || mean2 <= 0)
        return UNKNOWN_CS2;
    return fmax((h->run_square_s2 - mean2) / mean2, 0);
}

/* A steady load, and what one more instance than c does to it. */
struct steady {
    double load, run_s, boot_s, price;
    double scatter; /* Allen and Cunneen's factor */
    int is_known;   /* the load, to within a tenth */
};

static int is_worth_its_waiting(const struct steady *s, int32_t c)
{
    double spared = slo_erlang_queue(s->load, c) - slo_erlang_queue(s->load, c + 1);
    return FLOOR_PRICE * s->price * s->scatter * spared > 1;
}

/* In proportions: a large fleet makes its p95 a fraction of what it was with few percent more instances. */
static int is_worth_its_p95(const struct steady *s, int32_t c)
{
    double least_s = SHORT_WAIT * s->boot_s, run_s = s->scatter * s->run_s;
    double falls =
        log((slo_erlang_p95(s->load, c, run_s) + least_s) / (slo_erlang_p95(s->load, c + 1, run_s) + least_s));
    return s->is_known && s->price * falls > P95_PERCENTS * log((c + 1.0) / c);
}

struct slo_floor slo_floor(const struct policy_now *now, double price)
{
    const struct forecast *f = &now->history->forecast;
    const struct history *h = now->history;
    double window_s = forecast_window_s(f);
    struct slo_floor out = {0, forecast_trusted(f) * h->run_mean_s, forecast_is_daily(f) ? 0 : window_s};
    double dispersion = forecast_dispersion(f), n = forecast_count(f, window_s);
    struct steady s = {.load = out.load,
                       .run_s = h->run_mean_s,
                       .boot_s = now->view->boot_s,
                       .price = price,
                       .scatter = fmax((dispersion + run_scatter(h)) / 2, LEAST_SCATTER),
                       .is_known = n > dispersion / (KNOWN * KNOWN)};
    if (out.load <= LEAST_LOAD)
        return out;
    int32_t c = (int32_t)out.load + 1;
    while (c < now->view->max_size && (is_worth_its_waiting(&s, c) || is_worth_its_p95(&s, c)))
        c++;
    out.size = c;
    return out;
}
