/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rollout.c - new instances for old ones. The provider replaces those that are idle and never touches a protected one;
 * the old ones with leases are drained here, a few at a time, so that each ends when its work is done and a new one
 * takes its place. What is looked after is in memory only: after a restart, asking how a roll-out goes takes it up
 * again.
 */
#include "fleet_priv.h"

#include "log/err.h"
#include "log/json.h"
#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_EVERY_MS 15000
#define DRAIN_SHARE  10 /* one in ten of the instances that run are drained at once, at least one */

/* The provider's until it is done. */
struct question {
    char slug[128];
    int32_t what;
    struct lead_term term;
    char *out;
};

/* Who asked. */
struct asker {
    struct fleets *fleets;
    char slug[128];
    int32_t what;
    fleet_answer done; /* NULL: the engine itself */
    void *arg;
};

static int is_old(const struct fleet *fl, const struct instance *i)
{
    return fl->rollout.before_ms && i->old && instance_is_live(i);
}

/* Those that are known when it starts. Of one begun by an earlier process, by their times: clouds tell whole seconds.
 */
static void mark_old(struct fleet *fl, int64_t launched_before_ms)
{
    for (struct instance *i = fl->instances; i; i = i->next)
        i->old = i->now.launched_ms < launched_before_ms;
}

static int32_t count_old(const struct fleet *fl)
{
    int32_t n = 0;
    for (const struct instance *i = fl->instances; i; i = i->next)
        n += is_old(fl, i);
    return n;
}

static void tell(struct fleets *f, struct fleet *fl, const char *status, const char *reason)
{
    struct rollout *r = &fl->rollout;
    log_info(LOG_FLEET, "%s: roll-out %s: %d %%, %d left%s%s", fl->slug, status, r->percent, r->left,
             reason[0] ? ": " : "", reason);
    bus_publish(f->bus, EVENT_FLEET_ROLLOUT, fl->slug, status, (int64_t)r->percent, (int64_t)r->left, reason);
    snprintf(r->status, sizeof r->status, "%s", status);
}

/* ---- what the provider says ---- */

/* Instances that it drained go on as they are. */
static void forget(struct fleets *f, struct fleet *fl)
{
    for (struct instance *i = fl->instances; i; i = i->next) {
        if (i->rolling && i->drain == DRAIN_MARKED && instance_is_live(i))
            drain_cancel(f, fl, i);
        i->rolling = i->old = 0;
    }
    memset(&fl->rollout, 0, sizeof fl->rollout);
}

static void learn(struct fleets *f, struct fleet *fl, int32_t what, struct json_object *o)
{
    struct rollout *r = &fl->rollout;
    const char *status = json_str(o, "status", "");
    int running = json_truth(o, "running", 0);
    int32_t percent = (int32_t)json_int(o, "percent", 0), left = (int32_t)json_int(o, "left", 0);
    int64_t began_ms = json_int(o, "began_ms", 0) > 0 ? json_int(o, "began_ms", 0) : fleets_now(f);
    if (what == BP_ROLLOUT_START) {
        *r = (struct rollout){.before_ms = fleets_now(f)};
        mark_old(fl, INT64_MAX);
    } else if (running && !r->before_ms && strcmp(status, "cancelling") != 0) {
        r->before_ms = began_ms;
        mark_old(fl, began_ms - 1000);
    }
    if (!r->before_ms)
        return;
    int told = strcmp(status, r->status) == 0 && percent == r->percent && left == r->left;
    r->percent = percent;
    r->left = left;
    r->provider_done = !running;
    int ended = strcmp(status, "successful") != 0 && (!running || strcmp(status, "cancelling") == 0);
    if (!told && (ended || running))
        tell(f, fl, status, json_str(o, "reason", ""));
    if (ended)
        forget(f, fl);
}

/* What the operator is told beside the provider's own words. */
static void add_own(const struct fleet *fl, struct json_object *o)
{
    if (!fl || !fl->rollout.before_ms)
        return;
    int32_t old = count_old(fl);
    json_put_int(o, "old", old);
    json_put_int(o, "began_ms", fl->rollout.before_ms);
    if (fl->rollout.provider_done && old > 0) {
        json_put_str(o, "status", "draining");
        json_put_bool(o, "running", 1);
    }
}

static void replied(void *args, const struct bp_err *err, void *arg)
{
    struct asker *a = arg;
    const struct question *q = args;
    struct bp_err bad = *err;
    struct fleet *fl = fleet_find(a->fleets, a->slug);
    struct json_object *o = err->rc == 0 && q && q->out ? json_parse(q->out, strlen(q->out), &bad) : NULL;
    if (fl)
        fl->rollout.asking = 0;
    if (o && fl)
        learn(a->fleets, fl, a->what, o);
    if (o)
        add_own(fl, o);
    if (bad.rc < 0 && !a->done)
        log_warn(LOG_FLEET, "%s: it is not known how the roll-out goes: %s", a->slug, bad.text);
    if (a->done)
        a->done(&bad, o, a->arg);
    json_object_put(o);
    if (a->what != BP_ROLLOUT_STATUS) {
        a->fleets->acting--;
        fleets_poke(a->fleets);
    }
    free(a);
}

/* On the provider's thread. */
static int run_rollout(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_fleet *t = table;
    struct question *q = args;
    if (!BP_HAS(t, rollout))
        return err_set(err, BP_UNSUPPORTED, "the provider of the fleets makes instances from no image");
    if (q->what != BP_ROLLOUT_STATUS && !lead_term_holds(&q->term))
        return err_set(err, BP_STALE, "this controller leads no more, or could not renew its term in time");
    return t->rollout(inst, q->slug, q->what, &q->out, err);
}

static void question_free(void *arg)
{
    struct question *q = arg;
    free(q->out);
    free(q);
}

static void refuse(fleet_answer done, void *arg, int rc, const char *why)
{
    struct bp_err err = {0};
    err_set(&err, rc, "%s", why);
    if (done)
        done(&err, NULL, arg);
}

void fleet_rollout(struct fleets *f, const char *slug, int32_t what, fleet_answer done, void *arg)
{
    struct bp_err err = {0};
    struct lead_term term = {0};
    if (!leads_now(&f->leads, &term) && what != BP_ROLLOUT_STATUS) {
        refuse(done, arg, BP_STALE, "another controller leads: bpctl controllers says which; give the command there");
        return;
    }
    struct question *q = calloc(1, sizeof *q);
    struct asker *a = calloc(1, sizeof *a);
    if (!q || !a) {
        free(q);
        free(a);
        refuse(done, arg, BP_NOMEM, "no memory");
        return;
    }
    snprintf(q->slug, sizeof q->slug, "%s", slug);
    q->what = what;
    q->term = term;
    *a = (struct asker){.fleets = f, .what = what, .done = done, .arg = arg};
    snprintf(a->slug, sizeof a->slug, "%s", slug);
    f->acting += what != BP_ROLLOUT_STATUS;
    struct request_spec spec = {.service = "fleet",
                                .name = "fleet.rollout",
                                .run = run_rollout,
                                .args = q,
                                .args_free = question_free,
                                .reply = replied,
                                .arg = a,
                                .timeout_ms = FLEET_CALL_MS};
    if (bus_request(f->bus, &spec, &err) < 0)
        replied(NULL, &err, a);
}

/* ---- the old ones that work ---- */

/* Those that work and those that are idle are counted apart: a long job keeps no idle one from being replaced. Idle
 * ones are the provider's, as long as it is at it. */
static void drain_old(struct fleets *f, struct fleet *fl)
{
    int32_t running = 0, rolling[2] = {0, 0};
    for (const struct instance *i = fl->instances; i; i = i->next) {
        running += i->now.state == BP_INSTANCE_RUNNING;
        rolling[i->leases > 0] += i->rolling && instance_is_live(i);
    }
    int32_t most = running / DRAIN_SHARE > 1 ? running / DRAIN_SHARE : 1;
    for (struct instance *i = fl->instances; i; i = i->next) {
        int busy = i->leases > 0;
        if (!is_old(fl, i) || i->now.state != BP_INSTANCE_RUNNING || i->drain != DRAIN_NONE || rolling[busy] >= most ||
            (!busy && !fl->rollout.provider_done))
            continue;
        i->rolling = 1;
        rolling[busy]++;
        drain_instance(f, fl, i, "a new image is rolled out");
    }
}

void rollout_follow(struct fleets *f, struct fleet *fl)
{
    struct rollout *r = &fl->rollout;
    int64_t now = mono_ms();
    if (!r->before_ms)
        return;
    if (!r->provider_done && !r->asking && now - r->asked_ms >= ASK_EVERY_MS) {
        r->asking = 1;
        r->asked_ms = now;
        fleet_rollout(f, fl->slug, BP_ROLLOUT_STATUS, NULL, NULL);
    }
    if (r->provider_done && count_old(fl) == 0) {
        r->percent = 100;
        r->left = 0;
        tell(f, fl, "successful", "");
        forget(f, fl);
        return;
    }
    drain_old(f, fl);
}
