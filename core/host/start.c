/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that run plugin code run on the plugin's own thread and see only what is in their struct call. */
#include "host/queue_batch.h"
#include "host/self.h"
#include "host/state.h"
#include "log/err.h"
#include "log/log.h"
#include <bp/queue.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAILBOX 16384

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

static void text_clean(struct bp_err *err, const char *fallback)
{
    err->text[sizeof(err->text) - 1] = '\0';
    if (err->text[0] == '\0')
        err_set(err, BP_FAIL, "%s", fallback);
    for (char *p = err->text; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    }
}

/* dlerror() without the path of the private copy, which tells an operator nothing. */
static int load_error(const char *copy, struct bp_err *err)
{
    const char *why = dlerror();
    size_t n = strlen(copy);
    if (!why)
        why = "no reason given";
    if (strncmp(why, copy, n) == 0 && why[n] == ':')
        why += n + 1;
    while (*why == ' ')
        why++;
    return err_set(err, BP_INVALID, "it cannot be loaded: %.200s", why);
}

static int api_check(const struct bp_plugin *api, const struct manifest *m, struct bp_err *err)
{
    if (api->size < offsetof(struct bp_plugin, facet) + sizeof(api->facet))
        return err_set(err, BP_INVALID, "its table " BP_ENTRY_SYMBOL " has only %u bytes", api->size);
    if (BP_ABI_MAJOR(api->abi) != BP_ABI_MAJOR(BP_ABI_VERSION))
        return err_set(err, BP_INVALID, "its code is built for plugin ABI %u.%u, this bpd speaks %u; rebuild it",
                       BP_ABI_MAJOR(api->abi), BP_ABI_MINOR(api->abi), BP_ABI_MAJOR(BP_ABI_VERSION));
    if (!api->name || strcmp(api->name, m->name) != 0)
        return err_set(err, BP_INVALID, "name mismatch: its manifest says \"%s\", its code \"%.64s\"", m->name,
                       api->name ? api->name : "");
    if (!api->start || !api->stop || !api->facet)
        return err_set(err, BP_INVALID, "start, stop or facet is missing in its table " BP_ENTRY_SYMBOL);
    return BP_OK;
}

static int load_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct call *c = args;
    (void)table, (void)inst;
    if (dir_make(self_state_dir(c->self), err))
        return err->rc;
    dlerror();
    void *handle = dlopen(c->copy, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle)
        return load_error(c->copy, err);
    c->api = dlsym(handle, BP_ENTRY_SYMBOL);
    if (!c->api)
        return err_set(err, BP_INVALID, "it exports no symbol " BP_ENTRY_SYMBOL);
    return api_check(c->api, c->manifest, err);
}

static int offers_take(struct call *c, struct bp_err *err)
{
    int all = !manifest_lists_facets(c->manifest);
    for (int i = 0; i < FACETS; i++) {
        const struct facet *f = &facets[i];
        int listed = manifest_has_facet(c->manifest, f->id);
        if (f->kind != c->manifest->kind || (!listed && !all))
            continue;
        const void *t = c->api->facet(c->inst, f->id);
        if (!t && listed)
            return err_set(err, BP_INVALID, "its manifest lists the facet %s, but its code does not offer it", f->id);
        if (!t)
            continue;
        if (facet_check(f, t, err))
            return BP_INVALID;
        c->offers[c->n_offers++] = (struct offer){f, t};
    }
    if (c->n_offers == 0)
        return err_set(err, BP_INVALID, "it offers no facet that a %s plugin may offer", kind_name(c->manifest->kind));
    return BP_OK;
}

/* A store counts as running only with its schema up to date. */
static int migrate(const struct call *c, struct bp_err *err)
{
    char *plan = NULL;
    const struct bp_queue *q = c->offers[0].table;
    if (c->manifest->kind != KIND_QUEUE)
        return BP_OK;
    int32_t rc = q->migrate(c->inst, 0, &plan, err);
    free(plan);
    if (!rc)
        return BP_OK;
    text_clean(err, "it does not say why");
    err_prefix(err, "its schema cannot be brought up to date: ");
    return rc;
}

static int start_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct call *c = args;
    (void)table, (void)inst;
    int32_t rc = c->api->start(c->self, &host_table, &c->inst, err);
    if (rc) {
        text_clean(err, "it does not say why");
        err_prefix(err, "its start failed: ");
        return BP_FAIL; /* not rc: BP_TIMEOUT would read as if it had not returned */
    }
    memset(err, 0, sizeof(*err));
    if (offers_take(c, err) == BP_OK && migrate(c, err) == BP_OK)
        return BP_OK;
    c->api->stop(c->inst);
    return BP_FAIL;
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
    host_fault(f->host, f->name, f->what);
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
    generation_refuse(g, why);
}

static void start_done(void *args, const struct bp_err *err, void *arg)
{
    struct generation *g = arg;
    if (err->rc == BP_TIMEOUT) {
        too_slow(g, args);
        return;
    }
    if (err->rc) {
        generation_refuse(g, err->text);
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
    g->stuck = 0;
    log_info(LOG_HOST, "%s %u: its start has returned at last; it is stopped", g->plugin->name, g->number);
    g->inst = c->inst;
    g->started = err->rc == BP_OK;
    generation_close(g);
}

static void load_late(void *args, const struct bp_err *err, void *arg)
{
    struct generation *g = arg;
    (void)err;
    if (((const struct call *)args)->state == CALL_GIVEN_UP)
        return; /* g is gone */
    g->stuck = 0;
    generation_close(g);
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
