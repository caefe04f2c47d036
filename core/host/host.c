/* SPDX-License-Identifier: Apache-2.0 */
#include "host/candidate.h"
#include "host/self.h"
#include "host/serving.h"
#include "host/state.h"
#include "log/err.h"
#include "log/log.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_THREADS 2
#define STOP_TURN_US  5000

/* ---- plugins by name ---- */

struct plugin *plugin_find(struct host *h, const char *name)
{
    for (struct plugin *p = h->plugins; p; p = p->next) {
        if (strcmp(p->name, name) == 0)
            return p;
    }
    return NULL;
}

struct plugin *plugin_take(struct host *h, const char *name)
{
    struct plugin **at = &h->plugins;
    while (*at && strcmp((*at)->name, name) < 0)
        at = &(*at)->next;
    if (*at && strcmp((*at)->name, name) == 0)
        return *at;
    struct plugin *p = calloc(1, sizeof(*p));
    assert(p);
    p->host = h;
    p->name = strdup(name);
    p->file = strdup("");
    p->history = json_object_new_array();
    assert(p->name && p->file && p->history);
    p->next = *at;
    *at = p;
    return p;
}

static void plugin_free(struct plugin *p)
{
    free(p->name);
    free(p->file);
    free(p->quarantined);
    json_object_put(p->history);
    free(p);
}

/* ---- outcomes ---- */

void outcome_end(struct host *h, struct outcome *o, const struct bp_err *err)
{
    if (o->done)
        o->done(err, o->arg);
    if (o->initial) {
        assert(h->open > 0);
        h->open--;
        settle_check(h);
    }
}

struct outcome_post {
    struct host *host;
    struct outcome outcome;
    struct bp_err err;
};

static void outcome_deliver(void *arg)
{
    struct outcome_post *p = arg;
    outcome_end(p->host, &p->outcome, &p->err);
    free(p);
}

void outcome_end_soon(struct host *h, struct outcome *o, const struct bp_err *err)
{
    struct outcome_post *p = calloc(1, sizeof(*p));
    assert(p);
    *p = (struct outcome_post){h, *o, *err};
    loop_post(h->loop, "host.outcome", outcome_deliver, p);
}

/* ---- the host ---- */

static char *copy_or_null(const char *s)
{
    char *copy = s && *s ? strdup(s) : NULL;
    assert(copy || !s || !*s);
    return copy;
}

/* Absolute, so that a file has one name however it was given. */
static int dirs_take(struct host *h, const struct host_spec *spec, struct bp_err *err)
{
    h->dirs = calloc(spec->n_dirs + 2, sizeof(*h->dirs));
    assert(h->dirs);
    for (uint32_t i = 0; i < spec->n_dirs; i++) {
        struct stat st;
        h->dirs[i] = realpath(spec->dirs[i], NULL);
        if (!h->dirs[i])
            return err_set(err, BP_NOTFOUND,
                           "plugins directory %.160s: %s; make it, or name another with --plugins-dir", spec->dirs[i],
                           strerror(errno));
        h->n_dirs++;
        if (stat(h->dirs[i], &st) || !S_ISDIR(st.st_mode))
            return err_set(err, BP_INVALID, "plugins directory %.160s: it is no directory; name one with --plugins-dir",
                           spec->dirs[i]);
    }
    return BP_OK;
}

/* workflows.d may be made later: then it is found by a later look. */
static void definitions_dir_take(struct host *h, const char *dir)
{
    char *path = dir && *dir ? realpath(dir, NULL) : NULL, *here = NULL;
    if (!dir || !*dir)
        return;
    if (!path && *dir == '/')
        path = strdup(dir);
    else if (!path && (here = getcwd(NULL, 0)) && asprintf(&path, "%s/%s", here, dir) < 0)
        path = NULL;
    free(here);
    assert(path);
    h->dirs[h->n_dirs++] = path;
    h->n_definition_dirs = 1;
}

int host_signers(const struct config *c, struct signers **out, struct bp_err *err)
{
    const char *const *list;
    uint32_t n = config_strs(c, CONFIG_PLUGINS_SIGNERS, &list);
    return signers_read(list, n, out, err);
}

int host_config_check(const struct config *c, struct bp_err *err)
{
    struct signers *ignored = NULL;
    int rc = host_signers(c, &ignored, err);
    free(ignored);
    return rc;
}

const char *host_state_path(const struct host *h)
{
    return h->state_dir;
}

struct host *host_new(const struct host_spec *spec, struct bp_err *err)
{
    struct host *h = calloc(1, sizeof(*h));
    assert(h);
    h->magic = HOST_MAGIC;
    h->bus = spec->bus;
    h->loop = bus_loop(spec->bus);
    h->config = spec->config;
    h->role = spec->role;
    h->state_dir = copy_or_null(spec->state_dir);
    h->leases = json_object_new_object();
    h->runner = copy_or_null(spec->runner);
    h->about = copy_or_null(spec->about);
    assert(h->state_dir && h->leases);
    if (asprintf(&h->copies, "%s/plugins", h->state_dir) < 0 || dirs_take(h, spec, err) || dir_make(h->copies, err) ||
        serving_open(h, err) || host_signers(h->config, &h->signers, err)) {
        host_free(h);
        return NULL;
    }
    definitions_dir_take(h, spec->workflows_dir);
    return h;
}

static void settle(void *arg)
{
    settle_check(arg);
}

/* Tells `settled`, once, when all plugins found at first are running or refused. */
void settle_check(struct host *h)
{
    void (*settled)(void *arg) = h->settled;
    if (h->scanned && h->held > 0 && h->open == h->held && !h->stopping)
        definitions_release(h);
    if (!h->started || !h->scanned || h->open > 0 || !settled || h->stopping)
        return;
    h->settled = NULL;
    routes_update(h);
    routes_warn_unknown(h);
    serving_sweep(h);
    settled(h->settled_arg);
}

static void nothing_settled(void *arg)
{
    (void)arg;
}

void host_start(struct host *h, void (*settled)(void *arg), void *arg)
{
    struct bp_err err = {0};
    ASSERT_HOST(h);
    assert(!h->started);
    h->started = 1;
    h->settled = settled ? settled : nothing_settled;
    h->settled_arg = arg;
    copy_sweep(h->copies);
    struct actor_spec files = {.name = "host", .threads = FILES_THREADS, .batch_max = 1, .capacity = 1024};
    h->files = actor_new(h->bus, &files, &err);
    if (h->files) {
        bus_route(h->bus, FILES_SERVICE, h->files, NULL, NULL);
        struct watch_spec w = {.bus = h->bus,
                               .service = FILES_SERVICE,
                               .dirs = h->dirs,
                               .n_dirs = h->n_dirs,
                               .n_definition_dirs = h->n_definition_dirs,
                               .scanned = source_scanned,
                               .arg = h};
        h->watch = watch_new(&w, &err);
    }
    if (h->watch)
        return;
    log_error(LOG_HOST, "no plugins are loaded: %s", err.text);
    h->scanned = 1;
    loop_post(h->loop, "host.settle", settle, h);
}

/* ---- stopping ---- */

static void files_drained(struct actor *a, void *arg)
{
    struct host *h = arg;
    actor_free(a);
    h->files = NULL;
    h->stopped(h->stopped_arg);
}

static void stop_finish(struct host *h)
{
    loop_timer_free(h->stop_limit);
    h->stop_limit = NULL;
    bus_route(h->bus, FILES_SERVICE, NULL, NULL, NULL);
    actor_drain(h->files, files_drained, h);
}

static int all_ended(const struct host *h)
{
    for (const struct generation *g = h->generations; g; g = g->next) {
        if (!g->ended)
            return 0;
    }
    for (const struct source *s = h->sources; s; s = s->next) {
        if (s->busy)
            return 0;
    }
    return 1;
}

void stop_check(struct host *h)
{
    if (h->stopping && h->stop_limit && all_ended(h))
        stop_finish(h);
}

/* Plugin code that never returns does not keep the daemon. */
static void stop_overdue(void *arg)
{
    struct host *h = arg;
    for (const struct generation *g = h->generations; g; g = g->next) {
        if (!g->ended)
            log_warn(LOG_HOST, "%s %u: it does not come to an end (%s); it is left behind", g->plugin->name, g->number,
                     state_name(g->state));
    }
    stop_finish(h);
}

static void sources_stop(struct host *h)
{
    struct bp_err err;
    err_set(&err, BP_STOPPED, "bpd is stopping");
    for (struct source *s = h->sources; s; s = s->next) {
        loop_timer_cancel(s->retry);
        if (s->busy)
            continue;
        struct outcome o = s->outcome;
        memset(&s->outcome, 0, sizeof(s->outcome));
        outcome_end(h, &o, &err);
    }
}

/* Takes down as many plugins as fit into a turn of the loop: of a thousand, each tells of its end, twice. */
static void stop_some(void *arg)
{
    struct host *h = arg;
    int64_t end = mono_us() + STOP_TURN_US;
    if (!h->stop_limit)
        return; /* it is overdue, and the rest was left behind */
    while (h->stop_next && mono_us() < end) {
        struct generation *g = h->stop_next->current;
        h->stop_next = h->stop_next->next;
        if (g)
            generation_drain(g, RETIRED, "bpd is stopping");
    }
    if (h->stop_next)
        loop_post(h->loop, "host.stop", stop_some, h);
    else
        stop_check(h);
}

static void stop_begin(void *arg)
{
    struct host *h = arg;
    sources_stop(h);
    for (struct generation *g = h->generations; g; g = g->next) {
        g->abandon = 1;
        if (g->probe)
            probe_cancel(g);
    }
    routes_update(h); /* to nobody */
    workflows_update(h);
    h->stop_next = h->plugins;
    stop_some(h);
}

void host_stop(struct host *h, void (*done)(void *arg), void *arg)
{
    ASSERT_HOST(h);
    assert(!h->stopping);
    h->stopping = 1;
    h->stopped = done;
    h->stopped_arg = arg;
    watch_free(h->watch);
    h->watch = NULL;
    if (!h->files) {
        loop_post(h->loop, "host.stopped", done, arg);
        return;
    }
    h->stop_limit = loop_timer_new(h->loop, "host.stop", stop_overdue, h);
    loop_timer_after(h->stop_limit, (int64_t)(config_num(h->config, CONFIG_SHUTDOWN_GRACE_S) * 1000));
    loop_post(h->loop, "host.stop", stop_begin, h);
}

static void generations_free(struct host *h)
{
    for (struct generation *g = h->generations, *next; g; g = next) {
        next = g->next;
        if (!g->actor && !g->probe)
            generation_free(g);
    }
    for (uint32_t i = 0; i < h->n_selves; i++)
        self_free(h->selves[i]);
    free(h->selves);
}

static void lists_free(struct host *h)
{
    while (h->sources)
        source_free(h->sources);
    for (struct plugin *p = h->plugins, *next; p; p = next) {
        next = p->next;
        plugin_free(p);
    }
    for (uint32_t i = 0; i < h->n_dirs; i++)
        free(h->dirs[i]);
    candidates_free(h);
    free(h->dirs);
    free(h->workflows);
    for (uint32_t i = 0; i < h->n_old_copies; i++)
        free(h->old_copies[i]);
    free(h->old_copies);
}

void host_free(struct host *h)
{
    if (!h)
        return;
    ASSERT_HOST(h);
    for (struct generation *g = h->generations; g; g = g->next)
        if (g->self)
            self_detach(g->self);
    if (h->files) {
        log_debug(LOG_HOST, "not stopped before the end; left to the end of the process");
        return;
    }
    generations_free(h);
    if (h->generations)
        return; /* a thread that never came back still looks at it */
    lists_free(h);
    free(h->state_dir);
    free(h->copies);
    json_object_put(h->leases);
    free(h->runner);
    free(h->about);
    free(h->signers);
    h->magic = 0;
    free(h);
}
