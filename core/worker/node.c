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
#define SPARE_MS    2000 /* before the instance ends */
/* An answer may be on its way to a poll as young as this; one that brings a job must not be missed. */
#define ASKED_LATELY_MS 1000

/* args of either request. */
struct node_ask {
    struct worker_link *link;
    struct bp_node_identity identity;
    int32_t kind;
    int64_t deadline_ms;
};

static void ask_free(void *arg)
{
    struct node_ask *ask = arg;
    if (--ask->link->refs == 0)
        free(ask->link);
    free(ask);
}

static int ask_service(struct worker *w, struct request_spec *spec, struct bp_err *err)
{
    struct node_ask *ask = calloc(1, sizeof(*ask));
    if (!ask)
        return BP_NOMEM;
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
    if (ask_service(w, &spec, &err) < 0)
        no_identity(w, err.text);
}

/* ---- notices ---- */

static int run_notice(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct node_ask *ask = args;
    const struct bp_node *node = table;
    return node->notice(inst, &ask->kind, &ask->deadline_ms, err);
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
    worker_stop(w, reasons[kind], grace > 0 ? grace : 0);
}

/* More likely to be taken than before, and mostly not taken after all: what runs goes on, with its checkpoint in a safe
 * place; a poll that waits is asked again, so that it brings nothing long. */
static void worker_at_risk(struct worker *w, int at_risk)
{
    if (w->at_risk == at_risk)
        return;
    w->at_risk = at_risk;
    log_info(LOG_WORKER, at_risk ? "notice rebalance: this instance may be taken away; it asks for short jobs only"
                                 : "this instance is no longer said to be at risk; it asks for any job");
    if (at_risk && w->attempt)
        attempt_save(w->attempt);
    if (w->phase == WORKER_POLLING && w->call && mono_ms() - w->polled_ms > ASKED_LATELY_MS) {
        api_cancel(&w->call);
        worker_poll(w);
    }
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
    w->asking = ask_service(w, &spec, &err) == BP_OK;
}

void worker_watch_notices(struct worker *w)
{
    if (!w->notice)
        w->notice = loop_timer_new(w->loop, "worker.notice", ask_notice, w);
    if (w->notice)
        loop_timer_every(w->notice, (int64_t)(config_num(w->config, CONFIG_WORKER_NODE_PERIOD_S) * 1000));
}
