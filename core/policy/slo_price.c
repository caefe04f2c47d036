/* SPDX-License-Identifier: Apache-2.0 */
/* slo_price.c - what waiting must cost for the wait target to be met: a multiplier that follows the share of jobs that
 * waited too long. */
#include "policy/slo.h"

#include <math.h>

#define MISSES       0.05 /* jobs that may wait longer: p95 */
#define GAIN         0.05 /* how far one job moves the logarithm */
#define DEAREST      16.0 /* times wait_price */
#define JOBS_AT_ONCE 20

/* Jobs that have started since the last call, the oldest of the queue first. */
static uint64_t started(const struct slo_price *m, const struct policy_now *now)
{
    int64_t n = m->queued + (int64_t)(now->history->arrivals - m->arrivals) - now->view->queued;
    return n > 0 ? (uint64_t)n : 0;
}

double slo_price_now(struct slo_price *m, const struct policy_now *now)
{
    const struct bp_view *v = now->view;
    if (m->at_ms && now->wait_target_s > 0) {
        double n = fmin((double)started(m, now), JOBS_AT_ONCE);
        double waited_s = m->queued ? (double)(m->oldest_wait_ms + v->now_ms - m->at_ms) / 1000.0 : 0;
        m->log_factor += n * GAIN * ((waited_s > now->wait_target_s) - MISSES);
        m->log_factor = fmax(0, fmin(m->log_factor, log(DEAREST)));
    }
    m->arrivals = now->history->arrivals;
    m->queued = v->queued;
    m->oldest_wait_ms = v->oldest_wait_ms;
    m->at_ms = v->now_ms;
    return now->wait_price * exp(now->wait_target_s > 0 ? m->log_factor : 0);
}
