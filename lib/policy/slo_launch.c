/* SPDX-License-Identifier: Apache-2.0 */
/* slo_launch.c - how many launches the queue is worth: a list schedule with and without each one more. */
#include "policy/slo.h"

#include <math.h>

#define JOBS_MOST  400 /* looked at; more than that only say the same */
#define STEPS_MOST 32  /* launches are weighed one by one in a fleet of up to so many, else in so many steps */
#define OF_SHORT   0.2 /* weight of a wait of one boot at a launch, for runs of no length ... */
#define OF_LONG    2.0 /* ... and for those of a boot or more */
#define SPARING    0.4 /* of it, in the sparing manner */
#define SOONEST_S  5.0 /* a boot that takes longer than usual may be ready so soon; not later than a new one */

/* ---- the heap of times at which instances are free, the first on top ---- */

static void sink(double *heap, int32_t n, int32_t at)
{
    double moved = heap[at];
    for (int32_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= moved)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

struct slo_waits slo_schedule_waits(const struct slo_schedule *s)
{
    double heap[POLICY_INSTANCES];
    struct slo_waits sum = {0, 0};
    int32_t coming = (int32_t)fmin(s->arrivals_per_s * s->within_s, JOBS_MOST);
    int32_t jobs = s->queued < JOBS_MOST ? s->queued : JOBS_MOST;
    for (int32_t i = 0; i < s->n; i++)
        heap[i] = s->free_s[i];
    for (int32_t i = s->n / 2 - 1; i >= 0; i--)
        sink(heap, s->n, i);
    for (int32_t i = 0; i < jobs + coming && i < JOBS_MOST; i++) {
        double came_s = i < jobs ? 0 : (i - jobs + 0.5) / s->arrivals_per_s;
        double start_s = fmax(heap[0], came_s), wait_s = start_s - came_s;
        sum.wait_s += wait_s;
        sum.square_s2 += wait_s * wait_s;
        heap[0] = start_s + s->run_s;
        sink(heap, s->n, 0);
    }
    return sum;
}

/* ---- what there is ---- */

double slo_run(const struct history *h, double boot_s)
{
    return h->runs ? h->run_mean_s : boot_s;
}

double slo_rest(const struct history *h, double age_s, double boot_s)
{
    double sum_s = 0;
    uint32_t n = history_kept_runs(h), longer = 0;
    for (uint32_t i = 0; i < n; i++)
        if (h->run_s[i] > age_s) {
            sum_s += h->run_s[i] - age_s;
            longer++;
        }
    if (longer)
        return sum_s / longer;
    return slo_run(h, boot_s) / 2;
}

static void put(struct slo_schedule *s, double free_s, int32_t n)
{
    for (; n > 0 && s->n < POLICY_INSTANCES; n--)
        s->free_s[s->n++] = free_s;
}

/* Those told of stand for all of them. */
static int32_t entries(const struct slo_schedule *s, int32_t told, int32_t counted)
{
    return s->group == 1 ? told : (told > counted ? told : counted) / s->group;
}

void slo_schedule_fill(struct slo_schedule *s, const struct policy_now *now, int32_t size)
{
    const struct policy_fleet *f = now->fleet;
    const struct bp_view *v = now->view;
    int32_t idle = entries(s, f->n_idle, v->running - v->draining - v->busy), busy = entries(s, f->n_busy, v->busy);
    int32_t booting = entries(s, f->n_booting, v->pending);
    s->n = 0;
    put(s, 0, idle);
    for (int32_t i = 0; i < busy; i++)
        put(s, slo_rest(now->history, f->n_busy ? f->busy_s[i % f->n_busy] : 0, v->boot_s), 1);
    for (int32_t i = 0; i < booting; i++)
        put(s, fmax(v->boot_s - (f->n_booting ? f->booting_s[i % f->n_booting] : 0), fmin(SOONEST_S, v->boot_s)), 1);
    put(s, v->boot_s, size / s->group - s->n);
}

/* ---- the decision ---- */

/* Launches one after the other (or `step` at a time), each weighed against its boot; a wait counts by its length in
 * boots, so that many short ones are no reason and few long ones are. Adds to s, returns the waiting that they take
 * away. */
static double add_worthwhile(struct slo_schedule *s, double boot_s, double price, int32_t most)
{
    int32_t step = 1 + (most - s->n) / STEPS_MOST;
    if (s->n == 0 && most > 0)
        put(s, boot_s, 1); /* without any instance the jobs would wait for ever */
    struct slo_waits first = s->n ? slo_schedule_waits(s) : (struct slo_waits){0, 0}, last = first;
    while (s->n > 0 && s->n + step <= most) {
        put(s, boot_s, step);
        struct slo_waits less = slo_schedule_waits(s);
        /* a boot of nothing is no reason for one more */
        if (price * (last.square_s2 - less.square_s2) <= step * boot_s * boot_s) {
            s->n -= step;
            break;
        }
        last = less;
    }
    return first.wait_s - last.wait_s;
}

double slo_launch_weight(const struct policy_now *now, enum slo_manner manner)
{
    double boot_s = now->view->boot_s, run_s = slo_run(now->history, boot_s), run = run_s < boot_s ? run_s / boot_s : 1;
    return (OF_SHORT + (OF_LONG - OF_SHORT) * run) * (manner == SLO_SPARING ? SPARING : 1);
}

struct slo_launch slo_launch(const struct policy_now *now, double price, int32_t size)
{
    const struct bp_view *v = now->view;
    const struct forecast *f = &now->history->forecast;
    double rate = forecast_expected(f, forecast_trusted(f));
    struct slo_launch out = {size, 0, rate * v->boot_s};
    int32_t most = (int32_t)fmin((double)(v->queued + v->leased) + out.expected + 1, v->max_size);
    if (most <= size)
        return out;
    int32_t group = 1 + (most - 1) / POLICY_INSTANCES;
    int64_t queued = (v->queued + group - 1) / group;
    struct slo_schedule s = {.group = group,
                             .queued = queued < JOBS_MOST ? (int32_t)queued : JOBS_MOST,
                             .arrivals_per_s = rate / group,
                             .within_s = v->boot_s,
                             .run_s = slo_run(now->history, v->boot_s)};
    slo_schedule_fill(&s, now, size);
    out.saved_s = group * add_worthwhile(&s, v->boot_s, price, most / group);
    out.size = s.n * group > size ? s.n * group : size;
    return out;
}
