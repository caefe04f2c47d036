/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memo.c - what must survive this process and goes to the queue: when it is written, and when it is read.
 *
 * A controller that begins to lead, or meets a new workflow, reads all memos before it decides anything; what was in
 * memory then is replaced. With a queue that keeps none, everything is as long-lived as the process.
 */
#include "scale_priv.h"

#include "host/queue_call.h"
#include "log/hash.h"
#include "log/json.h"
#include "log/log.h"
#include <stdlib.h>
#include <string.h>

#define RULES      "scale.rules"
#define VIEW       "scale.view"
#define LIVES      "fleet.lives"
#define TIMEOUT_MS 10000

/* One who waits for rules to be in the queue. */
struct waiter {
    struct waiter *next;
    char slug[128];
    int64_t changed; /* the change that it waits for */
    host_done done;
    void *arg;
};

struct memos {
    struct scale *scale;
    struct loop_timer *minute, *next;
    int none;            /* the queue keeps no memos */
    int reading;         /* answers that are awaited before a read is whole; 0: none is under way */
    int failed;          /* one of them failed, or brings what may be too old */
    int asking_rules;    /* a read of what other controllers changed is under way */
    int lives_known;     /* since this controller leads */
    int64_t rules_as_of; /* changes that the answer under way cannot know */
    uint64_t lives_hash;
    uint32_t pass;   /* of the walk that writes views */
    int walking;     /* it awaits an answer */
    int lives_due;   /* they have not been written by it */
    char error[252]; /* told once */
    struct waiter *waiters;
};

static struct memos *memos_of(struct scale *s)
{
    return s->memos;
}

static void complain(struct memos *m, const char *doing, const struct bp_err *err)
{
    if (err->rc == BP_UNSUPPORTED && !m->none)
        log_warn(LOG_SCALE,
                 "the queue keeps no memos: holds, limits, shadows and what is measured of instances end with "
                 "this process; a newer queue plugin keeps them");
    else if (err->rc != BP_UNSUPPORTED && strcmp(m->error, err->text) != 0)
        log_warn(LOG_SCALE, "cannot %s, trying again: %s", doing, err->text);
    m->none |= err->rc == BP_UNSUPPORTED;
    snprintf(m->error, sizeof m->error, "%s", err->text);
}

/* ---- reading ---- */

static struct json_object *parsed(const struct bp_memo_row *row)
{
    struct bp_err err = {0};
    struct json_object *o = row->text ? json_parse(row->text, strlen(row->text), &err) : NULL;
    if (!o)
        log_warn(LOG_SCALE, "the memo %s of %s counts for nothing: %s", row->kind, row->workflow, err.text);
    return o;
}

/* Rules as another controller, or this one before it was started, has left them; not over what was changed here. */
static void take_rules(struct memos *m, const struct bp_op_memo_list *l, int64_t as_of)
{
    for (struct scale_item *i = m->scale->items; i; i = i->next)
        i->memo.listed = 0;
    for (uint32_t n = 0; n < l->count; n++) {
        struct scale_item *i = scale_item_find(m->scale, l->rows[n].workflow);
        if (!i)
            continue;
        i->memo.listed = 1;
        if (i->memo.rules_unsaved || i->memo.rules_changed > as_of)
            continue;
        struct json_object *o = parsed(&l->rows[n]);
        i->memo.rules_stored = 1;
        if (o)
            memo_rules_take(i, o);
        json_object_put(o);
    }
    for (struct scale_item *i = m->scale->items; i; i = i->next) {
        if (i->memo.listed || !i->memo.rules_stored || i->memo.rules_unsaved || i->memo.rules_changed > as_of)
            continue;
        i->memo.rules_stored = 0;
        memo_rules_take(i, NULL);
    }
}

static void take_views(struct memos *m, const struct bp_op_memo_list *l)
{
    for (uint32_t n = 0; n < l->count; n++) {
        struct scale_item *i = scale_item_find(m->scale, l->rows[n].workflow);
        struct json_object *o = i && !i->memo.known ? parsed(&l->rows[n]) : NULL;
        if (o)
            memo_view_take(i, o, loop_now_ms(bus_loop(m->scale->bus)));
        json_object_put(o);
    }
}

static void take_lives(struct memos *m, const struct bp_op_memo_list *l)
{
    const struct scale_fleet *f = &m->scale->fleet;
    struct json_object *o = l->count && !m->lives_known && f->take_lives ? parsed(&l->rows[0]) : NULL;
    if (o)
        f->take_lives(f->fleets, o);
    json_object_put(o);
}

static void answered(struct memos *m, const struct bp_err *err)
{
    if (err->rc < 0) {
        m->failed = 1;
        complain(m, "read what is remembered of fleets", err);
    } else {
        m->error[0] = 0;
    }
    if (--m->reading > 0)
        return;
    if (m->failed && !m->none)
        return; /* nothing is decided; the next tick asks again */
    for (struct scale_item *i = m->scale->items; i; i = i->next)
        i->memo.known = 1;
    m->lives_known = 1;
    if (m->scale->started)
        scale_look(m->scale);
}

static void got_whole_rules(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct memos *m = memos_of(arg);
    if (op && err->rc == 0)
        take_rules(m, &op->u.memo_list, m->rules_as_of);
    answered(m, err);
}

static void got_views(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct memos *m = memos_of(arg);
    if (op && err->rc == 0)
        take_views(m, &op->u.memo_list);
    answered(m, err);
}

static void got_lives(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct memos *m = memos_of(arg);
    if (op && err->rc == 0)
        take_lives(m, &op->u.memo_list);
    answered(m, err);
}

/* 1: fn will be called. */
static int ask(struct memos *m, const char *kind, queue_reply fn)
{
    struct bp_err err = {0};
    struct queue_call *q = queue_call_new(BP_OP_MEMO_LIST, loop_now_ms(bus_loop(m->scale->bus)));
    if (!q)
        return 0;
    queue_call_op(q)->u.memo_list.kind = kind;
    return queue_call_send(m->scale->bus, q, TIMEOUT_MS, fn, m->scale, &err) == 0;
}

/* Rules before views: a shadow's hours belong to one that runs. */
static void read_all(struct memos *m)
{
    struct bp_err later = {.rc = BP_LATER, .text = "the queue takes no request now"};
    if (m->reading)
        return;
    m->failed = 0;
    m->reading = 3;
    m->rules_as_of = m->scale->rule_changes;
    bus_cork(m->scale->bus);
    int sent = ask(m, RULES, got_whole_rules) + ask(m, VIEW, got_views) + ask(m, LIVES, got_lives);
    bus_uncork(m->scale->bus);
    for (; sent < 3; sent++)
        answered(m, &later);
}

static void got_rules(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct memos *m = memos_of(arg);
    m->asking_rules = 0;
    if (op && err->rc == 0)
        take_rules(m, &op->u.memo_list, m->rules_as_of);
    else
        complain(m, "read the rules of fleets", err);
}

/* ---- writing ---- */

/* A put of up to BP_MEMOS_MAX rows. */
static struct queue_call *put_new(struct memos *m, int64_t epoch)
{
    struct queue_call *q = queue_call_new(BP_OP_MEMO_PUT, loop_now_ms(bus_loop(m->scale->bus)));
    if (!q)
        return NULL;
    struct bp_op_memo_put *p = &queue_call_op(q)->u.memo_put;
    p->rows = queue_call_mem(q, BP_MEMOS_MAX * sizeof *p->rows);
    p->epoch = epoch;
    return q;
}

/* text NULL: the row goes. */
static void put_row(struct queue_call *q, const char *kind, const char *slug, const char *text)
{
    struct bp_op_memo_put *p = &queue_call_op(q)->u.memo_put;
    struct bp_memo_row *row = (struct bp_memo_row *)(uintptr_t)&p->rows[p->n++];
    *row = (struct bp_memo_row){
        .size = sizeof *row, .kind = kind, .workflow = queue_call_str(q, slug), .text = queue_call_str(q, text)};
}

static int put_send(struct memos *m, struct queue_call *q, queue_reply fn, void *arg, struct bp_err *err)
{
    if (queue_call_op(q)->u.memo_put.n)
        return queue_call_send(m->scale->bus, q, TIMEOUT_MS, fn, arg, err);
    queue_call_free(q);
    return err->rc = BP_NOTFOUND;
}

static void walk(struct memos *m);

static void wrote_views(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct memos *m = memos_of(arg);
    (void)op;
    m->walking = 0;
    if (err->rc == 0) {
        walk(m);
        return;
    }
    m->lives_hash = 0;
    for (struct scale_item *i = m->scale->items; i; i = i->next)
        i->memo.view_hash = 0; /* which of them were in it is not worth keeping */
    if (err->rc != BP_STALE)
        complain(m, "write down what is measured of fleets", err);
}

/* When its view is another one than the last that was written. */
static void add_view(struct queue_call *q, struct scale_item *i)
{
    struct json_object *o = i->memo.known ? memo_view_whole(i) : NULL;
    const char *text = o ? json_text(o) : NULL;
    uint64_t h = text ? hash_text(HASH_START, text) : i->memo.view_hash;
    if (h != i->memo.view_hash)
        put_row(q, VIEW, i->slug, text);
    i->memo.view_hash = h;
    json_object_put(o);
}

static void add_lives(struct memos *m, struct queue_call *q)
{
    const struct scale_fleet *f = &m->scale->fleet;
    struct json_object *o = m->lives_known && f->lives ? f->lives(f->fleets) : NULL;
    uint64_t h = o ? hash_text(HASH_START, json_text(o)) : 0;
    if (o && h != m->lives_hash)
        put_row(q, LIVES, "", json_text(o));
    m->lives_hash = h;
    json_object_put(o);
}

/* Writes what has changed of the views that this walk has not looked at yet, as many as one put takes and the loop has
 * time for; the next ones follow. */
static void walk(struct memos *m)
{
    struct bp_err err = {0};
    struct lead_term term;
    struct queue_call *q = leads_now(&m->scale->leads, &term) ? put_new(m, term.epoch) : NULL;
    uint32_t looked = 0;
    if (!q)
        return;
    if (m->lives_due)
        add_lives(m, q);
    m->lives_due = 0;
    for (struct scale_item *i = m->scale->items; i && looked < BP_MEMOS_MAX - 1; i = i->next) {
        if (i->memo.pass == m->pass)
            continue;
        i->memo.pass = m->pass;
        looked++;
        add_view(q, i);
    }
    m->walking = put_send(m, q, wrote_views, m->scale, &err) == 0;
    if (!m->walking && looked == BP_MEMOS_MAX - 1) /* nothing new among these */
        loop_timer_after(m->next, 1);
}

static void on_next(void *arg)
{
    walk(memos_of(arg));
}

static void on_minute(void *arg)
{
    struct memos *m = memos_of(arg);
    if (m->none || m->walking)
        return;
    m->pass++;
    m->lives_due = 1;
    walk(m);
}

/* ---- rules ---- */

/* Those who wait for a change of the workflow up to that one; slug NULL: all. */
static void tell(struct memos *m, const char *slug, int64_t changed, const struct bp_err *err)
{
    for (struct waiter **at = &m->waiters; *at;) {
        struct waiter *w = *at;
        if (slug && (strcmp(w->slug, slug) != 0 || w->changed > changed)) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        w->done(err, w->arg);
        free(w);
    }
}

/* Whose rules a put has, and as of which change. */
struct sent {
    struct scale *scale;
    char slug[128];
    int64_t changed;
};

static void wrote_rules(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct sent *sent = arg;
    struct memos *m = memos_of(sent->scale);
    struct scale_item *i = scale_item_find(sent->scale, sent->slug);
    (void)op;
    if (err->rc < 0)
        complain(m, "write down an operator's rules", err);
    if (i && err->rc == 0 && i->memo.rules_changed == sent->changed) {
        struct json_object *o = memo_rules(i);
        i->memo.rules_unsaved = 0;
        i->memo.rules_stored = o != NULL;
        json_object_put(o);
    }
    tell(m, sent->slug, i ? sent->changed : INT64_MAX, err); /* what changed since has a write of its own */
    free(sent);
}

static void write_rules(struct memos *m, struct scale_item *i)
{
    struct bp_err err = {0};
    struct sent *sent = malloc(sizeof *sent);
    struct queue_call *q = sent ? put_new(m, 0) : NULL;
    struct json_object *o = memo_rules(i);
    if (q) {
        *sent = (struct sent){.scale = m->scale, .changed = i->memo.rules_changed};
        memcpy(sent->slug, i->slug, sizeof sent->slug);
        put_row(q, RULES, i->slug, o ? json_text(o) : NULL);
        err.rc = put_send(m, q, wrote_rules, sent, &err);
    }
    if (!q || err.rc < 0) {
        free(sent);
        err.rc = err.rc ? err.rc : BP_NOMEM;
        tell(m, i->slug, i->memo.rules_changed, &err);
    }
    json_object_put(o);
}

void memos_changed(struct scale *s, struct scale_item *i)
{
    i->memo.rules_changed = ++s->rule_changes;
    i->memo.rules_unsaved = 1;
}

void scale_keep(struct scale *s, const char *slug, host_done done, void *arg)
{
    struct memos *m = s->memos;
    struct scale_item *i = scale_item_find(s, slug);
    struct bp_err none = {.rc = m->none ? BP_UNSUPPORTED : BP_OK, .text = ""};
    struct waiter *w = i && i->memo.rules_unsaved && !m->none ? calloc(1, sizeof *w) : NULL;
    if (!w) {
        done(&none, arg);
        return;
    }
    snprintf(w->slug, sizeof w->slug, "%s", slug);
    w->changed = i->memo.rules_changed;
    w->done = done;
    w->arg = arg;
    w->next = m->waiters;
    m->waiters = w;
    write_rules(m, i);
}

/* ---- life ---- */

void memos_follow(struct scale *s)
{
    struct memos *m = s->memos;
    struct lead_term term;
    int unknown = !m->lives_known;
    if (m->none) {
        for (struct scale_item *i = s->items; i; i = i->next)
            i->memo.known = 1;
        return;
    }
    for (struct scale_item *i = s->items; i; i = i->next) {
        unknown |= !i->memo.known;
        if (i->memo.rules_unsaved)
            write_rules(m, i);
    }
    if (unknown && leads_now(&s->leads, &term)) {
        read_all(m);
        return;
    }
    if (m->asking_rules || m->reading)
        return;
    m->rules_as_of = m->scale->rule_changes;
    m->asking_rules = ask(m, RULES, got_rules);
}

int memos_known(const struct scale *s, const struct scale_item *item)
{
    return item->memo.known || s->memos->none;
}

void memos_forget(struct scale *s, struct scale_item *item)
{
    s->memos->failed = 1; /* what was asked for before may be older than what is forgotten now */
    if (item) {
        item->memo.known = 0;
        return;
    }
    for (struct scale_item *i = s->items; i; i = i->next)
        i->memo.known = 0;
    s->memos->lives_known = 0;
}

struct memos *memos_new(struct scale *s)
{
    struct memos *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->scale = s;
    m->minute = loop_timer_new(bus_loop(s->bus), "scale.memos", on_minute, s);
    m->next = loop_timer_new(bus_loop(s->bus), "scale.memos", on_next, s);
    return m;
}

void memos_free(struct scale *s)
{
    struct memos *m = s->memos;
    struct bp_err stopped = {.rc = BP_STOPPED, .text = "the controller stops"};
    if (!m)
        return;
    tell(m, NULL, 0, &stopped);
    loop_timer_free(m->minute);
    loop_timer_free(m->next);
    free(m);
    s->memos = NULL;
}

void memos_start(struct scale *s)
{
    loop_timer_every(s->memos->minute, (int64_t)(config_num(s->config, CONFIG_SCALE_REMEMBER_S) * 1000));
}

void memos_stop(struct scale *s)
{
    loop_timer_cancel(s->memos->minute);
    on_minute(s);
}
