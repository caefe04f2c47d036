/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/leader.h"

#include "dispatch/job_json.h"
#include "dispatch/sweep.h"
#include "dispatch/text.h"
#include "dispatch/watch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASK_MIN_MS 50

/* Parts of the lease: asked for again after a third (those that wait: a sixth), nothing new begins outside the store
 * after two thirds, and it counts as lost when a twelfth is left. */
#define RENEW(lease_ms)  ((lease_ms) / 3)
#define WAIT(lease_ms)   ((lease_ms) / 6)
#define ACT(lease_ms)    ((lease_ms) / 3 * 2)
#define SURELY(lease_ms) ((lease_ms) / 12 * 11)

struct leader {
    struct dispatch *d;
    struct loop_timer *timer, *end;
    char id[UUID_SIZE], former[UUID_SIZE], name[256], url[1024];
    int64_t started_ms; /* wall clock */
    int asking, failing, resigned;
    int leading;                   /* as last told by an event */
    int64_t epoch;                 /* of the term, or of the present leader */
    int64_t act_until, lead_until; /* of lead_clock_ms() */
    int64_t asked_at;
    uint32_t n_others;
    uint64_t gained, lost;
    struct json_object *list; /* of controllers, as last told */
};

/* ---- what is so ---- */

/* 1 and the term while this controller leads; `until_ms` leaves time for what the store cannot fence. */
static int leader_now(const struct leader *l, struct lead_term *term)
{
    *term = (struct lead_term){l->epoch, l->act_until};
    return l->leading && lead_term_holds(term);
}

int leader_epoch(const struct leader *l, int64_t *epoch)
{
    *epoch = l->epoch;
    return l->leading && lead_clock_ms() < l->lead_until;
}

uint32_t leader_others(const struct leader *l)
{
    return l->n_others;
}

const char *leader_id(const struct leader *l)
{
    return l->id;
}

/* ---- gained and lost ---- */

static void lose(struct leader *l, const char *why)
{
    if (!l->leading)
        return;
    l->leading = 0;
    l->act_until = l->lead_until = 0;
    l->lost++;
    loop_timer_cancel(l->end);
    log_write(LOG_DISPATCH, l->resigned ? BP_LOG_INFO : BP_LOG_WARN, "this controller leads no more (epoch %lld): %s",
              (long long)l->epoch, why);
    bus_publish(l->d->bus, EVENT_LEADER_LOST, l->name, l->epoch, why);
}

static void gain(struct leader *l, int64_t epoch)
{
    l->epoch = epoch;
    l->leading = 1;
    l->gained++;
    log_info(LOG_DISPATCH, "this controller leads (epoch %lld)", (long long)epoch);
    bus_publish(l->d->bus, EVENT_LEADER_GAINED, l->name, epoch);
    sweeper_lead(l->d->sweeper);
}

static void end_of_term(void *arg)
{
    struct leader *l = arg;
    int64_t left = l->lead_until - lead_clock_ms();
    if (left > 0)
        loop_timer_after(l->end, left);
    else
        lose(l, "it could not ask the store again in time");
}

/* ---- asking ---- */

static int64_t lease_ms(const struct leader *l)
{
    return l->d->set.lead_ms;
}

static void arm(struct leader *l, int64_t delay)
{
    if (!l->resigned)
        loop_timer_after(l->timer, delay > ASK_MIN_MS ? delay : ASK_MIN_MS);
}

void leader_refused(struct leader *l)
{
    lose(l, "the store refused what it asked for as the leader");
    if (!l->asking)
        arm(l, 0);
}

static void take_list(struct leader *l, const struct bp_op_lead *op)
{
    json_object_put(l->list);
    l->list = json_object_new_array_ext((int)op->count + 1);
    l->n_others = 0;
    for (uint32_t i = 0; i < op->count; i++) {
        const struct bp_controller_row *r = &op->controllers[i];
        struct json_object *o = json_object_new_object();
        int is_this = strcmp(r->id, l->id) == 0;
        put_text(o, "name", r->name);
        put_text(o, "url", r->url);
        put_text(o, "version", r->version);
        put_new(o, "leader", json_object_new_boolean(r->leader != 0));
        put_new(o, "this", json_object_new_boolean(is_this));
        put_int(o, "started_ms", r->started_ms);
        put_int(o, "seen_ms", r->seen_ms);
        put_text(o, "id", r->id);
        json_object_array_add(l->list, o);
        l->n_others += !is_this;
    }
}

/* The term counts from when it was asked for: the store's began later. */
static void take_answer(struct leader *l, const struct bp_op_lead *op)
{
    int64_t lease = lease_ms(l);
    int64_t others = l->n_others;
    take_list(l, op);
    if (!op->leader) {
        lose(l, "the store says so");
        l->epoch = op->epoch;
    } else if (lead_clock_ms() < l->asked_at + SURELY(lease)) {
        if (l->leading && l->epoch != op->epoch)
            lose(l, "its term ended in between");
        l->act_until = l->asked_at + ACT(lease);
        l->lead_until = l->asked_at + SURELY(lease);
        loop_timer_after(l->end, l->lead_until - lead_clock_ms());
        if (!l->leading)
            gain(l, op->epoch);
    }
    if (others != l->n_others)
        watcher_wanted(l->d->watcher);
}

/* One controller, one store: nobody to agree with. */
static void stay_alone(struct leader *l)
{
    l->n_others = 0;
    l->act_until = l->lead_until = INT64_MAX;
    loop_timer_cancel(l->end);
    if (!l->leading)
        gain(l, 0);
}

/* The store said why it takes nothing, which says more than that others had no answer from it. */
static void take_error(struct leader *l, const struct bp_op *op, const struct bp_err *err)
{
    if (op && err->rc == BP_LATER)
        queue_heard(l->d, op, err);
    if (!l->failing++)
        log_warn(LOG_DISPATCH, "cannot ask the store who leads: %s; trying again", err->text);
}

static void answered(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct dispatch *d = arg;
    struct leader *l = d->leader;
    if (!d->dead) {
        l->asking = 0;
        if (l->resigned)
            ;
        else if (err->rc == BP_OK)
            take_answer(l, &op->u.lead);
        else if (err->rc == BP_UNSUPPORTED)
            stay_alone(l);
        else
            take_error(l, op, err);
        if (err->rc == BP_OK || err->rc == BP_UNSUPPORTED)
            l->failing = 0;
        int64_t next = l->leading ? RENEW(lease_ms(l)) : WAIT(lease_ms(l));
        arm(l, l->asked_at + (l->failing ? WAIT(lease_ms(l)) : next) - lead_clock_ms());
    }
    dispatch_unref(d);
}

static int lead_send(struct leader *l, const char *resigning, queue_reply fn, void *arg)
{
    struct bp_err err = {0};
    struct queue_call *q = queue_call_new(BP_OP_LEAD, dispatch_now(l->d));
    struct bp_op_lead *op = &queue_call_op(q)->u.lead;
    op->id = queue_call_str(q, resigning ? resigning : l->id);
    op->name = queue_call_str(q, l->name);
    op->url = queue_call_str(q, l->url);
    op->version = BP_VERSION;
    op->started_ms = l->started_ms;
    op->ttl_ms = lease_ms(l);
    op->resign = resigning != NULL;
    return queue_call_send(l->d->bus, q, lease_ms(l) / 2 + ASK_MIN_MS, fn, arg, &err);
}

static void ask_store(void *arg)
{
    struct leader *l = arg;
    if (l->asking || l->resigned)
        return;
    l->asked_at = lead_clock_ms();
    dispatch_ref(l->d);
    if (lead_send(l, NULL, answered, l->d) == BP_OK) {
        l->asking = 1;
        return;
    }
    dispatch_unref(l->d);
    arm(l, WAIT(lease_ms(l)));
}

/* ---- leaving ---- */

static void resigned(struct bp_op *op, const struct bp_err *err, void *arg)
{
    (void)op;
    (void)arg;
    if (err->rc != BP_OK && err->rc != BP_UNSUPPORTED)
        log_warn(LOG_DISPATCH, "the store was not told that this controller leaves: %s; its lease runs out", err->text);
}

void dispatch_resign(struct dispatch *d)
{
    struct leader *l = d->leader;
    ASSERT_LOOP(d->loop);
    l->resigned = 1;
    loop_timer_cancel(l->timer);
    lose(l, "it ends");
    (void)lead_send(l, l->id, resigned, NULL);
}

/* ---- life ---- */

struct leader *leader_new(struct dispatch *d)
{
    struct leader *l = calloc(1, sizeof *l);
    assert(l);
    l->d = d;
    uuid_make(l->id);
    if (gethostname(l->name, sizeof l->name - 1) != 0 || !l->name[0])
        snprintf(l->name, sizeof l->name, "controller");
    l->list = json_object_new_array();
    l->started_ms = dispatch_now(d);
    l->timer = loop_timer_new(d->loop, "dispatch.lead", ask_store, l);
    l->end = loop_timer_new(d->loop, "dispatch.lead_end", end_of_term, l);
    return l;
}

void leader_free(struct leader *l)
{
    loop_timer_free(l->timer);
    loop_timer_free(l->end);
    json_object_put(l->list);
    free(l);
}

void leader_start(struct leader *l)
{
    l->resigned = 0;
    if (l->former[0])
        (void)lead_send(l, l->former, NULL, NULL);
    l->former[0] = 0;
    ask_store(l);
}

/* ---- for main and the doors ---- */

void dispatch_set_url(struct dispatch *d, const char *url)
{
    snprintf(d->leader->url, sizeof d->leader->url, "%s", url);
}

const char *dispatch_run(const struct dispatch *d)
{
    return d->leader->id;
}

void dispatch_former_run(struct dispatch *d, const char *run)
{
    snprintf(d->leader->former, sizeof d->leader->former, "%s", run);
}

int dispatch_leads(void *dispatch, struct lead_term *term)
{
    return leader_now(((struct dispatch *)dispatch)->leader, term);
}

int dispatch_others(const struct dispatch *d)
{
    return d->leader->n_others > 0;
}

static struct json_object *leader_row(const struct leader *l)
{
    for (size_t i = 0; i < json_object_array_length(l->list); i++) {
        struct json_object *o = json_object_array_get_idx(l->list, i);
        if (json_truth(o, "leader", 0))
            return o;
    }
    return NULL;
}

void dispatch_leadership(const struct dispatch *d, struct leadership *out)
{
    const struct leader *l = d->leader;
    struct json_object *row = leader_row(l);
    int64_t epoch;
    memset(out, 0, sizeof *out);
    out->leads = leader_epoch(l, &epoch);
    out->epoch = epoch;
    out->gained = l->gained;
    out->lost = l->lost;
    out->controllers = l->n_others + 1;
    if (out->leads)
        snprintf(out->who, sizeof out->who, "this controller");
    else if (row && !json_truth(row, "this", 0))
        snprintf(out->who, sizeof out->who, "%.200s at %.300s", json_str(row, "name", ""), json_str(row, "url", ""));
    else
        snprintf(out->who, sizeof out->who, "nobody yet");
}

/* A store that knows no controllers has this one. */
struct json_object *dispatch_controllers(const struct dispatch *d)
{
    const struct leader *l = d->leader;
    struct lead_term term;
    if (json_object_array_length(l->list) > 0)
        return json_object_get(l->list);
    struct json_object *list = json_object_new_array_ext(1);
    struct json_object *o = json_object_new_object();
    put_text(o, "name", l->name);
    put_text(o, "url", l->url);
    put_text(o, "version", BP_VERSION);
    put_new(o, "leader", json_object_new_boolean(leader_now(l, &term)));
    put_new(o, "this", json_object_new_boolean(1));
    put_int(o, "started_ms", l->started_ms);
    put_int(o, "seen_ms", dispatch_now(d));
    put_text(o, "id", l->id);
    json_object_array_add(list, o);
    return list;
}
