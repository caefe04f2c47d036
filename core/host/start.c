/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that run plugin code run on the plugin's own thread and see only what is in their struct call. */
#include "host/queue_batch.h"
#include "host/self.h"
#include "host/state.h"
#include "log/err.h"
#include "log/log.h"
#include "pluginfile/load.h"
#include <bp/queue.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAILBOX 16384
#define EVEN_US 1500 /* not much more than the loop needs to answer a batch and its callers to ask again */

enum call_state { CALL_WAITING = 1, CALL_BEGUN, CALL_GIVEN_UP };

/* One call of load, start or stop. In: what the thread needs; out: what the loop takes over when it is done. */
struct call {
    _Atomic enum call_state state; /* waiting becomes begun on its thread, or given up on the loop */
    request_run run;
    const struct manifest *manifest; /* read only; lives until the generation is freed, which waits for this call */
    char *copy;
    struct bp_self *self;
    /* out of load, in of start and stop */
    const struct bp_plugin *api;
    void *inst;
    /* out of start */
    struct offer offers[FACETS];
    uint32_t n_offers;
};

/* ---- on the plugin's thread ---- */

static int load_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct call *c = args;
    (void)table, (void)inst;
    if (dir_make(self_state_dir(c->self), err))
        return err->rc;
    return load_code(c->copy, c->manifest, &c->api, err);
}

/* A store counts as running only when it can be reached and its schema is the one it needs. */
static int migrate(const struct call *c, struct bp_err *err)
{
    const struct bp_migrate ready = {.size = sizeof ready, .mode = BP_MIGRATE_CHECK};
    const struct bp_queue *q = c->offers[0].table;
    if (c->manifest->kind != KIND_QUEUE)
        return BP_OK;
    int32_t rc = q->migrate(c->inst, &ready, NULL, err);
    if (rc)
        load_text_clean(err, "it does not say why");
    return rc;
}

/* Not the plugin's own rc: BP_TIMEOUT would read as if it had not returned. A full disk is one that has room later. */
static int start_rc(int32_t rc)
{
    return rc == BP_OK ? BP_OK : rc == BP_LATER || rc == BP_NOSPACE ? BP_LATER : BP_FAIL;
}

static int start_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct call *c = args;
    (void)table, (void)inst;
    int32_t rc = c->api->start(c->self, &host_table, &c->inst, err);
    if (rc) {
        load_text_clean(err, "it does not say why");
        err_prefix(err, "its start failed: ");
        return start_rc(rc);
    }
    memset(err, 0, sizeof(*err));
    rc = load_offers(c->api, c->inst, c->manifest, c->offers, &c->n_offers, err);
    rc = rc ? rc : migrate(c, err);
    if (rc)
        c->api->stop(c->inst);
    return start_rc(rc);
}

static int stop_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct call *c = args;
    (void)table, (void)inst, (void)err;
    c->api->stop(c->inst);
    return BP_OK;
}

/* ---- faults found on a thread ---- */

struct fault_post {
    struct host *host;
    char name[65], what[160];
};

static void fault_deliver(void *arg)
{
    struct fault_post *f = arg;
    host_fault(f->host, f->name, 0, f->what);
    free(f);
}

/* [any thread] The generation, its plugin and the host outlive its actor. */
static void fault_tell(void *arg, const char *what)
{
    struct generation *g = arg;
    struct fault_post *f = calloc(1, sizeof(*f));
    assert(f);
    f->host = g->host;
    snprintf(f->name, sizeof(f->name), "%s", g->plugin->name);
    snprintf(f->what, sizeof(f->what), "%s", what);
    loop_post(g->host->loop, "host.fault", fault_deliver, f);
}

/* ---- on the loop ---- */

static void call_free(void *args)
{
    struct call *c = args;
    free(c->copy);
    free(c);
}

/* On the thread: a call the loop gave up before it began does nothing. */
static int call_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct call *c = args;
    enum call_state waiting = CALL_WAITING;
    if (!atomic_compare_exchange_strong(&c->state, &waiting, CALL_BEGUN))
        return err_set(err, BP_STOPPED, "given up before it began");
    return c->run(table, inst, args, err);
}

/* In the reply to a timeout: 1 when the call runs, so that its late reply will come; else it never will run. */
static int call_runs(struct call *c)
{
    enum call_state waiting = CALL_WAITING;
    return !atomic_compare_exchange_strong(&c->state, &waiting, CALL_GIVEN_UP);
}

struct step {
    const char *name;
    request_run run;
    request_reply reply, late;
};

static int call_send(struct generation *g, const struct step *step, int64_t timeout_ms, struct bp_err *err)
{
    struct call *c = calloc(1, sizeof(*c));
    assert(c);
    *c = (struct call){.run = step->run, .manifest = g->manifest, .self = g->self, .api = g->api, .inst = g->inst};
    atomic_init(&c->state, CALL_WAITING);
    c->copy = strdup(g->copy);
    assert(c->copy);
    struct request_spec spec = {.name = step->name,
                                .run = call_run,
                                .args = c,
                                .args_free = call_free,
                                .reply = step->reply,
                                .late = step->late,
                                .arg = g,
                                .timeout_ms = timeout_ms > 0 ? timeout_ms : 1};
    return actor_call(g->actor, &spec, err);
}

static void too_slow(struct generation *g, struct call *c)
{
    char why[96];
    snprintf(why, sizeof(why), "it did not start within %lld s (plugins.startTimeoutSeconds)",
             (long long)config_int(g->host->config, CONFIG_PLUGINS_START_TIMEOUT_S));
    g->stuck = call_runs(c);
    g->later = g->manifest->kind == KIND_QUEUE; /* its server may not answer */
    generation_refuse(g, why);
}

/* A call that the refusal could not wait for has returned. */
static void returned_late(struct generation *g)
{
    struct source *s = source_find(g->host, g->file);
    g->stuck = 0;
    if (s && g->later)
        source_again(s);
    generation_close(g);
}

static void start_done(void *args, const struct bp_err *err, void *arg)
{
    struct generation *g = arg;
    if (err->rc == BP_TIMEOUT) {
        too_slow(g, args);
        return;
    }
    if (err->rc) {
        (err->rc == BP_LATER ? generation_refuse_for_now : generation_refuse)(g, err->text);
        return;
    }
    const struct call *c = args;
    g->inst = c->inst;
    g->started = 1;
    g->n_offers = c->n_offers;
    memcpy(g->offers, c->offers, sizeof(g->offers));
    const struct offer *scaling = generation_offer(g, "bp.scaling/1");
    if (g->workflow && scaling) {
        g->workflow->scaling = scaling->table;
        g->workflow->scaling_inst = g->inst;
        g->workflow->actor = g->actor;
    }
    generation_ready(g);
}

/* The generation was refused long ago; what came up after all is taken down again. */
static void start_late(void *args, const struct bp_err *err, void *arg)
{
    struct generation *g = arg;
    const struct call *c = args;
    if (c->state == CALL_GIVEN_UP)
        return; /* g is gone */
    log_info(LOG_HOST, "%s %u: its start has returned at last; it is stopped", g->plugin->name, g->number);
    g->inst = c->inst;
    g->started = err->rc == BP_OK;
    returned_late(g);
}

static void load_late(void *args, const struct bp_err *err, void *arg)
{
    struct generation *g = arg;
    (void)err;
    if (((const struct call *)args)->state == CALL_GIVEN_UP)
        return; /* g is gone */
    returned_late(g);
}

static void load_done(void *args, const struct bp_err *err, void *arg)
{
    static const struct step step = {"plugin.start", start_run, start_done, start_late};
    struct generation *g = arg;
    struct bp_err why = {0};
    if (err->rc == BP_TIMEOUT) {
        too_slow(g, args);
        return;
    }
    if (err->rc) {
        generation_refuse(g, err->text);
        return;
    }
    g->api = ((const struct call *)args)->api;
    generation_move(g, LOADED, NULL);
    if (call_send(g, &step, g->deadline_ms - mono_ms(), &why))
        generation_refuse(g, why.text);
}

static int actor_make(struct generation *g, struct bp_err *err)
{
    const struct manifest *m = g->manifest;
    struct actor_spec spec = {
        .name = g->plugin->name, .threads = m->threads, .batch_max = m->batch_max, .capacity = MAILBOX};
    if (m->kind == KIND_QUEUE) {
        g->faults = calloc(1, sizeof(*g->faults));
        assert(g->faults);
        *g->faults = (struct queue_watch){fault_tell, g};
        spec.batch = queue_batch;
        spec.arg = g->faults;
        spec.even_us = EVEN_US;
    }
    g->actor = actor_new(g->host->bus, &spec, err);
    return g->actor ? BP_OK : err->rc;
}

void generation_start(struct generation *g)
{
    static const struct step step = {"plugin.load", load_run, load_done, load_late};
    struct bp_err err = {0};
    if (actor_make(g, &err) || call_send(g, &step, g->deadline_ms - mono_ms(), &err))
        generation_refuse(g, err.text);
}

static void stop_done(void *args, const struct bp_err *err, void *arg)
{
    struct generation *g = arg;
    if (err->rc != BP_TIMEOUT || !call_runs(args)) {
        generation_ended(g);
        return;
    }
    g->stuck = 1;
    log_warn(LOG_HOST, "%s %u: its stop has not returned; it is left behind until it does", g->plugin->name, g->number);
}

static void stop_late(void *args, const struct bp_err *err, void *arg)
{
    struct generation *g = arg;
    (void)err;
    if (((const struct call *)args)->state == CALL_GIVEN_UP)
        return; /* g is gone */
    g->stuck = 0;
    generation_ended(g);
}

void generation_stop(struct generation *g)
{
    static const struct step step = {"plugin.stop", stop_run, stop_done, stop_late};
    struct bp_err err = {0};
    g->started = 0;
    if (call_send(g, &step, config_int(g->host->config, CONFIG_PLUGINS_START_TIMEOUT_S) * 1000, &err) == 0)
        return;
    log_warn(LOG_HOST, "%s %u: cannot be stopped: %s", g->plugin->name, g->number, err.text);
    generation_ended(g);
}
