/* SPDX-License-Identifier: Apache-2.0 */
/* slo_floor.c - instances for a load that comes steadily, before anything waits. */
#include "policy/slo.h"

#include <math.h>

#define LEAST_LOAD    1.0 /* Erlang: below it an idle instance costs more than what it spares */
#define LEAST_SCATTER 0.3
#define UNKNOWN_CS2   0.5 /* squared coefficient of variation of the run times, until four were seen */
#define FOUR          4

double slo_erlang_queue(double load, int32_t c)
{
    double blocked = 1; /* Erlang B, by its recursion */
    if (load >= c)
        return 1e9;
    for (int32_t i = 1; i <= c; i++)
        blocked = load * blocked / (i + load * blocked);
    double use = load / c, waits = blocked / (1 - use * (1 - blocked)); /* Erlang C */
    return waits * use / (1 - use);
}

static double run_scatter(const struct history *h)
{
    double mean2 = h->run_mean_s * h->run_mean_s;
    if (h->runs < FOUR || mean2 <= 0)
        return UNKNOWN_CS2;
    return fmax((h->run_square_s2 - mean2) / mean2, 0);
}

struct slo_floor slo_floor(const struct policy_now *now, double price)
{
    const struct forecast *f = &now->history->forecast;
    const struct history *h = now->history;
    struct slo_floor out = {0, forecast_trusted(f) * h->run_mean_s, forecast_window_s(f)};
    double scatter =
        fmax((forecast_dispersion(f) + run_scatter(h)) / 2, LEAST_SCATTER); /* Allen and Cunneen's factor */
    if (out.load <= LEAST_LOAD)
        return out;
    int32_t c = (int32_t)out.load + 1;
    while (c < now->view->max_size &&
           price * scatter * (slo_erlang_queue(out.load, c) - slo_erlang_queue(out.load, c + 1)) > 1)
        c++;
    out.size = c;
    return out;
}
