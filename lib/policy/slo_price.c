/* SPDX-License-Identifier: Apache-2.0 */
/* slo_price.c - what waiting must cost for the wait target to be met: a multiplier that follows the share of jobs that
 * waited too long. And how jobs are served when most of a boot is what they wait anyway. */
#include "policy/slo.h"

#include <math.h>

#define MISSES       0.05 /* jobs that may wait longer: p95 */
#define GAIN         0.05 /* how far one job moves the logarithm */
#define DEAREST      16.0 /* times wait_price */
#define JOBS_AT_ONCE 20
#define NEARLY       0.9   /* of a boot: who waited longer has waited for one */
#define FIRST_BOOTS  3.0   /* of a workflow: until then they wait since nothing was there yet */
#define SEEN_LEAST   100.0 /* jobs, before their share of late ones counts */
#define SEEN_MOST    500.0
#define SEEN_PRIOR   20.0 /* jobs, none of them late */
#define LONG_RUN     0.9  /* boots */
#define STEADY       0.9  /* of the arrivals can be trusted */
#define DEAR         2.0  /* a price from which on waiting is spared at any rate */

/* Jobs that have started since the last call, the oldest of the queue first. */
static uint64_t started(const struct slo_price *m, const struct policy_now *now)
{
    int64_t n = m->queued + (int64_t)(now->history->arrivals - m->arrivals) - now->view->queued;
    return n > 0 ? (uint64_t)n : 0;
}

static void note_late(struct slo_price *m, double n, int late)
{
    m->late += ((late ? 1.0 : 0.0) - m->late) * n / (m->seen + SEEN_PRIOR + n);
    m->seen = fmin(m->seen + n, SEEN_MOST);
}

double slo_price_now(struct slo_price *m, const struct policy_now *now)
{
    const struct bp_view *v = now->view;
    double n = m->at_ms ? (double)started(m, now) : 0;
    double waited_s = m->queued ? (double)(m->oldest_wait_ms + v->now_ms - m->at_ms) / 1000.0 : 0;
    if (n > 0)
        note_late(m, n, waited_s > NEARLY * v->boot_s && history_age_s(now->history) >= FIRST_BOOTS * v->boot_s);
    if (n > 0 && now->wait_target_s > 0) {
        m->log_factor += fmin(n, JOBS_AT_ONCE) * GAIN * ((waited_s > now->wait_target_s) - MISSES);
        m->log_factor = fmax(0, fmin(m->log_factor, log(DEAREST)));
    }
    m->arrivals = now->history->arrivals;
    m->queued = v->queued;
    m->oldest_wait_ms = v->oldest_wait_ms;
    m->at_ms = v->now_ms;
    return now->wait_price * exp(now->wait_target_s > 0 ? m->log_factor : 0);
}

/* Such a load is worth holding instances for, whatever those waited that came before they were there. */
static int is_steady(const struct policy_now *now, double run_s)
{
    const struct forecast *f = &now->history->forecast;
    double window_s = forecast_window_s(f), trusted = forecast_trusted(f);
    return trusted * run_s > 1 && trusted > STEADY * forecast_count(f, window_s) / window_s;
}

enum slo_manner slo_manner(const struct slo_price *m, const struct policy_now *now, double price)
{
    double boot_s = now->view->boot_s, run_s = slo_run(now->history, boot_s);
    if (m->seen < SEEN_LEAST || m->late <= MISSES || price >= DEAR || is_steady(now, run_s))
        return SLO_AHEAD;
    return run_s > LONG_RUN * boot_s ? SLO_PER_JOB : SLO_SPARING;
}
