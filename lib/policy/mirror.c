/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/mirror.h"

#include <math.h>

#define GAP_MS 600000 /* what is longer was not watched: nothing is billed for it */

void mirror_arrived(struct mirror *m, int64_t at_ms, uint32_t n)
{
    for (; n > 0 && m->waiting < MIRROR_WAITING; n--)
        m->waiting_ms[(m->first + m->waiting++) % MIRROR_WAITING] = at_ms;
    m->crowd += n;
}

/* ---- waits ---- */

static uint32_t bucket_of(double wait_s)
{
    double at = wait_s < 1 ? 0 : 1 + floor(log(wait_s) / log(1.1));
    return at < MIRROR_BUCKETS - 1 ? (uint32_t)at : MIRROR_BUCKETS - 1;
}

static double bucket_most_s(uint32_t at)
{
    return pow(1.1, at);
}

static void note_wait(struct mirror *m, double wait_s)
{
    m->jobs++;
    m->wait_s += wait_s;
    m->buckets[bucket_of(wait_s)]++;
}

struct mirror_sum mirror_sum(const struct mirror *m)
{
    struct mirror_sum s = {.hours = m->instance_s / 3600,
                           .wait_hours = m->wait_s / 3600,
                           .wait_mean_s = m->jobs ? m->wait_s / (double)m->jobs : 0,
                           .jobs = m->jobs,
                           .waiting = m->waiting + m->crowd};
    uint64_t below = 0;
    uint32_t at = 0;
    while (at < MIRROR_BUCKETS - 1 && (below += m->buckets[at]) * 20 < m->jobs * 19)
        at++;
    s.wait_p95_s = at ? bucket_most_s(at) : 0;
    return s;
}

/* ---- service ---- */

static int32_t first_free(const struct mirror *m)
{
    int32_t first = 0;
    for (int32_t i = 1; i < m->live; i++)
        if (m->free_ms[i] < m->free_ms[first])
            first = i;
    return first;
}

static int64_t next_run_ms(struct mirror *m, const struct history *h, uint32_t n)
{
    return (int64_t)(1000 * (double)h->run_s[m->run++ % n]);
}

static int64_t take(struct mirror *m)
{
    int64_t came_ms = m->waiting_ms[m->first];
    if (m->crowd && m->waiting == 1) {
        m->crowd--;
        return came_ms;
    }
    m->first = (m->first + 1) % MIRROR_WAITING;
    m->waiting--;
    return came_ms;
}

static void serve(struct mirror *m, const struct history *h, int64_t now_ms)
{
    uint32_t n = history_kept_runs(h);
    while (n && m->waiting && m->live) {
        int32_t i = first_free(m);
        int64_t came_ms = m->waiting_ms[m->first];
        int64_t start_ms = came_ms > m->free_ms[i] ? came_ms : m->free_ms[i];
        if (start_ms > now_ms)
            return;
        note_wait(m, (double)(start_ms - take(m)) / 1000);
        m->free_ms[i] = start_ms + next_run_ms(m, h, n);
    }
}

/* ---- size ---- */

static void shrink(struct mirror *m, int64_t now_ms, int32_t desired)
{
    for (int32_t i = m->live - 1; i >= 0 && m->live > desired; i--)
        if (m->free_ms[i] <= now_ms)
            m->free_ms[i] = m->free_ms[--m->live];
}

void mirror_step(struct mirror *m, const struct history *h, int64_t now_ms, int32_t desired, double boot_s)
{
    int64_t passed = now_ms - m->at_ms;
    if (m->at_ms && passed > 0 && passed <= GAP_MS)
        m->instance_s += m->live * (double)passed / 1000;
    m->at_ms = now_ms;
    serve(m, h, now_ms);
    shrink(m, now_ms, desired);
    desired = desired < MIRROR_INSTANCES ? desired : MIRROR_INSTANCES;
    while (m->live < desired)
        m->free_ms[m->live++] = now_ms + (int64_t)(1000 * boot_s);
}
