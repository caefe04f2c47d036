/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recall.c - after a start, what the queue remembers of each workflow becomes its history again: when jobs came and
 * ended, how long they ran, how long each level of demand lasted and stayed away. The queue is the one place that
 * survives whatever happens to a controller, and it has all of that already. One workflow at a time, a page at a time.
 */
#include "scale_priv.h"

#include "host/queue_call.h"
#include "log/log.h"
#include <stdlib.h>
#include <string.h>

#define PAGE       1000
#define JOBS_MOST  10000
#define BACK_MS    604800000LL /* a week */
#define HOUR_MS    3600000LL
#define TIMEOUT_MS 30000

enum past_kind { PAST_CAME = 1, PAST_ENDED, PAST_COMPLETED };

struct past {
    int64_t at_ms;
    enum past_kind kind;
    float ran_s;
};

struct recall {
    struct scale *scale;
    char slug[128];
    struct past *list;
    uint32_t n, room, jobs;
    int64_t before_id, since_ms; /* nothing older counts */
};

void recall_free(struct scale *s)
{
    if (!s->recall)
        return;
    free(s->recall->list);
    free(s->recall);
    s->recall = NULL;
}

int recall_is_of(const struct scale *s, const struct scale_item *item)
{
    return s->recall && strcmp(s->recall->slug, item->slug) == 0;
}

static int keep(struct recall *r, int64_t at_ms, enum past_kind kind, double ran_s)
{
    if (r->n == r->room) {
        uint32_t room = r->room ? r->room * 2 : 2 * PAGE;
        struct past *more = realloc(r->list, room * sizeof *more);
        if (!more)
            return 0;
        r->list = more;
        r->room = room;
    }
    r->list[r->n++] = (struct past){at_ms, kind, (float)ran_s};
    return 1;
}

/* A job that still waits for its time, or for others, has not come yet. */
static int take_job(struct recall *r, const struct bp_job_row *j)
{
    int64_t came = j->not_before_ms > j->created_ms ? j->not_before_ms : j->created_ms;
    if (j->status == BP_JOB_SCHEDULED || came < r->since_ms)
        return 1;
    if (j->finished_ms && came > j->finished_ms) /* ended before its time had come */
        return 1;
    if (!keep(r, came, PAST_CAME, 0))
        return 0;
    if (!j->finished_ms)
        return 1;
    int ran = j->status == BP_JOB_COMPLETED && j->leased_ms && j->finished_ms >= j->leased_ms;
    return keep(r, j->finished_ms, ran ? PAST_COMPLETED : PAST_ENDED,
                ran ? (double)(j->finished_ms - j->leased_ms) / 1000 : 0);
}

static int by_time(const void *a, const void *b)
{
    const struct past *x = a, *y = b;
    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    return (int)x->kind - (int)y->kind;
}

/* The queue knows that nothing came between: quiet hours are learned like busy ones. */
static void pass(struct history *h, int64_t to_ms, int64_t demand)
{
    while (h->since_ms && h->now_ms + HOUR_MS < to_ms)
        history_demand(h, h->now_ms + HOUR_MS, demand);
}

static void replay(const struct recall *r, struct history *h, int64_t now_ms)
{
    int64_t demand = 0;
    for (uint32_t i = 0; i < r->n; i++) {
        const struct past *p = &r->list[i];
        pass(h, p->at_ms, demand);
        if (p->kind == PAST_CAME)
            history_arrived(h, p->at_ms, 1);
        if (p->kind == PAST_COMPLETED)
            history_finished(h, p->at_ms, p->ran_s);
        demand += p->kind == PAST_CAME ? 1 : -1;
        history_demand(h, p->at_ms, demand);
    }
    pass(h, now_ms, demand);
}

/* What was learned of instances since the start stays. */
static void finish(struct scale *s)
{
    struct recall *r = s->recall;
    struct scale_item *item = scale_item_find(s, r->slug);
    struct history *h = item && r->n ? malloc(sizeof *h) : NULL;
    if (h) {
        history_init(h);
        qsort(r->list, r->n, sizeof *r->list, by_time);
        replay(r, h, loop_now_ms(bus_loop(s->bus)));
        history_take_fleet(h, item->history);
        free(item->history);
        item->history = h;
        log_info(LOG_SCALE, "%s: its history is made of the %llu jobs that the queue remembers of a week", r->slug,
                 (unsigned long long)h->arrivals);
    }
    recall_free(s);
    recall_next(s);
}

/* The queue takes no request now: the next round asks again. */
static void put_off(struct scale *s)
{
    struct scale_item *item = scale_item_find(s, s->recall->slug);
    if (item)
        item->recalled = 0;
    recall_free(s);
}

static void ask_page(struct scale *s);

static void got_page(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct scale *s = arg;
    struct recall *r = s->recall;
    const struct bp_op_list *l = op && err->rc == 0 ? &op->u.list : NULL;
    int good = l != NULL, more = l && l->count == l->limit;
    if (!l)
        log_warn(LOG_SCALE, "%s: its history begins now: the queue does not tell of past jobs: %s", r->slug, err->text);
    for (uint32_t i = 0; l && good && i < l->count; i++)
        good = take_job(r, &l->jobs[i]);
    if (l && l->count) {
        r->jobs += l->count;
        r->before_id = l->jobs[l->count - 1].id;
        more &= l->jobs[l->count - 1].created_ms >= r->since_ms;
    }
    if (s->started && good && more && r->jobs < JOBS_MOST)
        ask_page(s);
    else
        finish(s);
}

static void ask_page(struct scale *s)
{
    struct bp_err err = {0};
    struct recall *r = s->recall;
    struct queue_call *q = queue_call_new(BP_OP_LIST, loop_now_ms(bus_loop(s->bus)));
    if (!q) {
        put_off(s);
        return;
    }
    struct bp_op_list *l = &queue_call_op(q)->u.list;
    l->workflow = queue_call_str(q, r->slug);
    l->limit = PAGE;
    l->before_id = r->before_id;
    if (queue_call_send(s->bus, q, TIMEOUT_MS, got_page, s, &err) < 0)
        put_off(s);
}

void recall_next(struct scale *s)
{
    struct scale_item *i = s->recall || !s->started ? NULL : s->items;
    while (i && i->recalled)
        i = i->next;
    if (!i || !(s->recall = calloc(1, sizeof *s->recall)))
        return;
    i->recalled = 1;
    s->recall->scale = s;
    s->recall->since_ms = loop_now_ms(bus_loop(s->bus)) - BACK_MS;
    memcpy(s->recall->slug, i->slug, sizeof s->recall->slug);
    ask_page(s);
}
