/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runs.c - how long jobs run that end at other controllers. What ends here is told by events; when the queue counts
 * more ends of late than these, and these alone are few, the newest completed jobs are looked into, every few ticks.
 * The leader's, one workflow at a time.
 */
#include "scale_priv.h"

#include "host/queue_call.h"
#include <stdlib.h>
#include <string.h>

#define EVERY_TICKS 6
#define JOBS        100
#define TIMEOUT_MS  10000
#define WINDOW_MS   305000 /* of the statistics, and a little more */

void runs_ended_here(struct scale_item *i, int64_t job, int64_t at_ms)
{
    i->own.ended[i->own.n++ % OWN_RUNS] = (struct own_run){job, at_ms};
}

static int64_t ended_here(const struct own_runs *own, int64_t now_ms)
{
    int64_t n = 0;
    for (int k = 0; k < OWN_RUNS; k++)
        n += own->ended[k].at_ms > now_ms - WINDOW_MS;
    return n;
}

static int is_own(const struct own_runs *own, int64_t job)
{
    for (int k = 0; k < OWN_RUNS; k++)
        if (own->ended[k].job == job)
            return 1;
    return 0;
}

static int by_end(const void *a, const void *b)
{
    const struct bp_job_row *x = a, *y = b;
    return (x->finished_ms > y->finished_ms) - (x->finished_ms < y->finished_ms);
}

/* Those that ended since the last time. What ended before this controller looked is in the history already. */
static void take(struct scale_item *i, struct bp_op_list *l)
{
    int64_t since_ms = i->own.looked_ms;
    qsort(l->jobs, l->count, sizeof *l->jobs, by_end);
    for (uint32_t k = 0; k < l->count; k++) {
        const struct bp_job_row *j = &l->jobs[k];
        if (j->status != BP_JOB_COMPLETED || !j->leased_ms || j->finished_ms < j->leased_ms ||
            j->finished_ms <= since_ms || is_own(&i->own, j->id))
            continue;
        history_finished(i->history, j->finished_ms, (double)(j->finished_ms - j->leased_ms) / 1000);
        i->own.looked_ms = j->finished_ms;
    }
}

static void got(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct scale *s = arg;
    struct scale_item *i = scale_item_find(s, s->runs_of);
    s->runs_of[0] = 0;
    if (i && op && err->rc == 0)
        take(i, &op->u.list);
    if (s->started)
        runs_follow(s);
}

static int is_due(struct scale *s, struct scale_item *i, int64_t now)
{
    int64_t every_ms = EVERY_TICKS * config_int(s->config, CONFIG_SCALE_TICK_MS), steady = mono_ms();
    if (!i->own.looked_ms)
        i->own.looked_ms = now;
    if (!i->recalled || steady - i->own.asked_ms < every_ms)
        return 0;
    int64_t here = ended_here(&i->own, now);
    return i->stats.completed_recent > here && here < OWN_RUNS;
}

void runs_follow(struct scale *s)
{
    struct bp_err err = {0};
    struct lead_term term;
    int64_t now = loop_now_ms(bus_loop(s->bus));
    struct scale_item *i = s->runs_of[0] || !leads_now(&s->leads, &term) ? NULL : s->items;
    while (i && !is_due(s, i, now))
        i = i->next;
    struct queue_call *q = i ? queue_call_new(BP_OP_LIST, now) : NULL;
    if (!q)
        return;
    struct bp_op_list *l = &queue_call_op(q)->u.list;
    i->own.asked_ms = mono_ms();
    memcpy(s->runs_of, i->slug, sizeof s->runs_of);
    l->workflow = queue_call_str(q, i->slug);
    l->status = BP_JOB_COMPLETED;
    l->limit = JOBS;
    if (queue_call_send(s->bus, q, TIMEOUT_MS, got, s, &err) < 0)
        s->runs_of[0] = 0;
}
