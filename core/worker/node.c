/* SPDX-License-Identifier: Apache-2.0 */
/* node.c - the instance this worker runs on: who it is, and whether it is about to be taken away. */
#include "log/log.h"
#include "worker/attempt.h"
#include "worker/worker_priv.h"

#include <bp/cloud.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDENTITY_MS 10000
#define NOTICE_MS   10000
#define ENDING_MS   5000  /* to say that the instance may end */
#define HOLD_MS     60000 /* between words that it may not yet */
#define SPARE_MS    2000  /* before the instance ends */
/* An answer may be on its way to a poll as young as this; one that brings a job must not be missed. */
#define ASKED_LATELY_MS 1000

/* args of either request. */
struct node_ask {
    struct worker_link *link;
    struct bp_node_identity identity;
    int32_t kind;
    int64_t deadline_ms;
    int32_t done;
};

static void ask_free(void *arg)
{
    struct node_ask *ask = arg;
    if (--ask->link->refs == 0)
        free(ask->link);
    free(ask);
}

static int ask_service(struct worker *w, struct request_spec *spec, int32_t done, struct bp_err *err)
{
    struct node_ask *ask = calloc(1, sizeof(*ask));
    if (!ask)
        return BP_NOMEM;
    ask->done = done;
    ask->link = w->link;
    ask->link->refs++;
    spec->service = "node";
    spec->args = ask;
    spec->args_free = ask_free;
    spec->arg = w->link; /* alive as long as args are: read only when the reply came in time */
    return bus_request(w->bus, spec, err);
}

static int run_identity(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct node_ask *ask = args;
    const struct bp_node *node = table;
    return node->identity(inst, &ask->identity, err);
}

static void no_identity(struct worker *w, const char *why)
{
    log_debug(LOG_WORKER, "no identity from the node service: %s", why);
    worker_register(w);
}

static void identified(void *args, const struct bp_err *err, void *arg)
{
    struct worker_link *link = arg;
    struct worker *w = link->worker;
    if (!w || w->phase != WORKER_IDENTIFYING || worker_is_stopping(w))
        return;
    if (err->rc != BP_OK) {
        no_identity(w, err->text);
        return;
    }
    struct node_ask *ask = args;
    w->identity = malloc(sizeof(*w->identity));
    if (w->identity)
        *w->identity = ask->identity;
    if (!config_str(w->config, CONFIG_WORKER_ID)[0] && ask->identity.instance_id[0])
        snprintf(w->id, sizeof(w->id), "%.63s", ask->identity.instance_id);
    worker_register(w);
}

void worker_identify(struct worker *w)
{
    struct bp_err err = {0};
    struct request_spec spec = {
        .name = "node.identity", .run = run_identity, .reply = identified, .timeout_ms = IDENTITY_MS};
    w->phase = WORKER_IDENTIFYING;
    if (ask_service(w, &spec, 0, &err) < 0)
        no_identity(w, err.text);
}

/* ---- notices ---- */

static int run_notice(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct node_ask *ask = args;
    const struct bp_node *node = table;
    return node->notice(inst, &ask->kind, &ask->deadline_ms, err);
}

/* ---- the fleet waits for us ---- */

static int run_ending(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct node_ask *ask = args;
    const struct bp_node *node = table;
    return BP_HAS(node, ending) ? node->ending(inst, ask->done, err) : BP_OK;
}

static void held_up(void *args, const struct bp_err *err, void *arg)
{
    (void)args, (void)arg;
    if (err->rc != BP_OK)
        log_warn(LOG_WORKER, "the end of this instance cannot be held up: %s", err->text);
}

static void hold_again(void *arg)
{
    struct worker *w = arg;
    struct bp_err err = {0};
    struct request_spec spec = {.name = "node.ending", .run = run_ending, .reply = held_up, .timeout_ms = ENDING_MS};
    ask_service(w, &spec, 0, &err);
}

static void hold_end(struct worker *w)
{
    w->ends_with_fleet = 1;
    hold_again(w);
    w->hold = loop_timer_new(w->loop, "worker.hold", hold_again, w);
    if (w->hold)
        loop_timer_every(w->hold, HOLD_MS);
}

static void released(void *args, const struct bp_err *err, void *arg)
{
    struct worker_link *link = arg;
    (void)args;
    if (err->rc != BP_OK)
        log_warn(LOG_WORKER, "the fleet could not be told that this instance may end: %s", err->text);
    if (link->worker)
        worker_end(link->worker);
}

void worker_release_instance(struct worker *w)
{
    struct bp_err err = {0};
    struct request_spec spec = {.name = "node.ending", .run = run_ending, .reply = released, .timeout_ms = ENDING_MS};
    if (w->hold)
        loop_timer_cancel(w->hold);
    if (!w->ends_with_fleet || ask_service(w, &spec, 1, &err) < 0)
        worker_end(w);
}

static const char *const reasons[] = {
    [BP_NOTICE_INTERRUPTION] = "spot_interruption",
    [BP_NOTICE_TERMINATION] = "asg_termination",
};

static void heed(struct worker *w, int32_t kind, int64_t deadline_ms)
{
    int64_t grace = (int64_t)(config_num(w->config, CONFIG_SHUTDOWN_GRACE_S) * 1000);
    if (deadline_ms > 0) {
        int64_t left = deadline_ms - loop_now_ms(w->loop);
        left -= left > 2 * SPARE_MS ? SPARE_MS : left / 2;
        grace = left < grace ? left : grace;
    }
    log_warn(LOG_WORKER, "notice %s: this instance goes away%s; handing back what runs", reasons[kind],
             deadline_ms ? " soon" : "");
    if (kind == BP_NOTICE_TERMINATION)
        hold_end(w);
    worker_stop(w, reasons[kind], grace > 0 ? grace : 0);
}

/* A poll that waits is made anew when it asked for what must not come any more, once it is old enough; a younger one
 * at a later look for notices. */
static void ask_anew(struct worker *w)
{
    if (w->polled_at_risk == w->at_risk || w->phase != WORKER_POLLING || !w->call ||
        mono_ms() - w->polled_ms <= ASKED_LATELY_MS)
        return;
    api_cancel(&w->call);
    worker_poll(w);
}

/* More likely to be taken than before, and mostly not taken after all: what runs goes on, with its checkpoint in a safe
 * place, and nothing long is asked for. */
static void worker_at_risk(struct worker *w, int at_risk)
{
    if (w->at_risk != at_risk) {
        w->at_risk = at_risk;
        log_info(LOG_WORKER, at_risk ? "notice rebalance: this instance may be taken away"
                                     : "this instance is no longer said to be at risk");
        if (at_risk && w->attempt)
            attempt_save(w->attempt);
    }
    ask_anew(w);
}

static void noticed(void *args, const struct bp_err *err, void *arg)
{
    struct worker_link *link = arg;
    struct worker *w = link->worker;
    if (!w)
        return;
    w->asking = 0;
    if (err->rc != BP_OK || worker_is_stopping(w))
        return;
    struct node_ask *ask = args;
    if (ask->kind == BP_NOTICE_INTERRUPTION || ask->kind == BP_NOTICE_TERMINATION)
        heed(w, ask->kind, ask->deadline_ms);
    else
        worker_at_risk(w, ask->kind == BP_NOTICE_REBALANCE);
}

static void ask_notice(void *arg)
{
    struct worker *w = arg;
    struct bp_err err = {0};
    struct request_spec spec = {.name = "node.notice", .run = run_notice, .reply = noticed, .timeout_ms = NOTICE_MS};
    if (w->asking || worker_is_stopping(w))
        return;
    w->asking = ask_service(w, &spec, 0, &err) == BP_OK;
}

void worker_watch_notices(struct worker *w)
{
    if (!w->notice)
        w->notice = loop_timer_new(w->loop, "worker.notice", ask_notice, w);
    if (w->notice)
        loop_timer_every(w->notice, (int64_t)(config_num(w->config, CONFIG_WORKER_NODE_PERIOD_S) * 1000));
}
