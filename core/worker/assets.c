/* SPDX-License-Identifier: Apache-2.0 */
#include "assets/asset_place.h"
#include "log/err.h"
#include "log/log.h"
#include "spawn/scratch.h"
#include "worker/assets_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REMOVED_WAIT_MS 100

/* ---- bundles ---- */

static void let_go(struct bundle *b, uint32_t i)
{
    if (b->fd[i] >= 0)
        close(b->fd[i]);
    b->fd[i] = -1;
}

static void bundle_free(struct bundle *b)
{
    for (uint32_t i = 0; i < b->n; i++)
        let_go(b, i);
    if (b->dir[0])
        scratch_remove(b->dir);
    json_object_put(b->manifest);
    free(b->list);
    free(b);
}

static const char *list_text(struct json_object *manifest)
{
    return json_text(json_member(manifest, "assets"));
}

static struct bundle *bundle_find(const struct assets *as, const char *slug)
{
    for (struct bundle *b = as->bundles; b; b = b->next) {
        if (strcmp(b->slug, slug) == 0)
            return b;
    }
    return NULL;
}

static void bundle_add(struct assets *as, const struct workflow *flow)
{
    struct bundle *b = calloc(1, sizeof(*b));
    assert(b);
    snprintf(b->slug, sizeof(b->slug), "%s", flow->slug);
    b->manifest = json_object_get(flow->manifest);
    b->list = strdup(list_text(flow->manifest));
    assert(b->list);
    b->n = assets_count(flow->manifest);
    for (uint32_t i = 0; i < ASSETS_MAX; i++)
        b->fd[i] = -1;
    b->seen = 1;
    b->next = as->bundles;
    as->bundles = b;
}

/* The bundle that is worked on is no more, or waits: what is under way for it ends. */
static void put_down(struct assets *as)
{
    assets_fetch_cancel(as);
    if (as->cache)
        asset_cache_unlock(as->cache);
    as->now = NULL;
    as->at = 0;
}

static void bundle_drop(struct assets *as, struct bundle **place)
{
    struct bundle *b = *place;
    if (as->now == b)
        put_down(as);
    as->version += b->fault[0] != '\0';
    *place = b->next;
    bundle_free(b);
}

static void note_workflow(const struct workflow *flow, void *arg)
{
    struct assets *as = arg;
    if (assets_count(flow->manifest) == 0)
        return;
    struct bundle *b = bundle_find(as, flow->slug);
    if (b && strcmp(b->list, list_text(flow->manifest)) == 0)
        b->seen = 1;
    else if (!b)
        bundle_add(as, flow);
}

/* Not while a job runs, which may read what would be let go. */
static void follow_workflows(struct assets *as)
{
    if (as->w->attempt)
        return;
    for (struct bundle *b = as->bundles; b; b = b->next)
        b->seen = 0;
    host_each_workflow(as->w->host, note_workflow, as);
    for (struct bundle **at = &as->bundles; *at;) {
        if (!(*at)->seen)
            bundle_drop(as, at);
        else
            at = &(*at)->next;
    }
    host_each_workflow(as->w->host, note_workflow, as); /* what has another list than before is new now */
}

/* ---- a bundle that is complete ---- */

static int make_links(struct assets *as, struct bundle *b, struct bp_err *err)
{
    char dir[4150], link[4400];
    snprintf(dir, sizeof(dir), "%.4096s/assets", as->w->work_dir);
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return err_set(err, BP_IO, "make %s: %s", dir, strerror(errno));
    snprintf(b->dir, sizeof(b->dir), "%.4140s/%u", dir, ++as->links);
    if (mkdir(b->dir, 0700) < 0)
        return err_set(err, BP_IO, "make %s: %s", b->dir, strerror(errno));
    for (uint32_t i = 0; i < b->n; i++) {
        struct asset a = asset_at(b->manifest, i);
        snprintf(link, sizeof(link), "%s/%s", b->dir, a.name);
        if (symlink(asset_cache_path(as->cache, a.sha256, "", b->path[i]), link) < 0)
            return err_set(err, BP_IO, "make %s: %s", link, strerror(errno));
    }
    return BP_OK;
}

/* Where a server of the machine looks for them. The links stay: another worker may need them, too. */
static int place_links(struct assets *as, struct bundle *b, struct bp_err *err)
{
    const char *models = config_str(as->w->config, CONFIG_WORKER_MODELS_DIR);
    for (uint32_t i = 0; i < b->n; i++) {
        struct asset a = asset_at(b->manifest, i);
        if (a.place && !*models)
            return err_set(err, BP_INVALID,
                           "%s: its place is %s, but worker.modelsDir does not say in which folder: name that of the "
                           "server's models there",
                           a.name, a.place);
        if (a.place && asset_place_make(models, a.place, b->path[i], as->cache_dir, err) < 0)
            return err_prefix(err, "%s: ", a.name);
    }
    return BP_OK;
}

static void unmake_links(struct bundle *b)
{
    if (b->dir[0])
        scratch_remove(b->dir);
    b->dir[0] = '\0';
    b->ready = 0;
}

static void complete(struct assets *as)
{
    struct bp_err err = {0};
    struct bundle *b = as->now;
    if (make_links(as, b, &err) < 0 || place_links(as, b, &err) < 0) {
        unmake_links(b);
        assets_give_up(as, 0, "%s", err.text);
        return;
    }
    put_down(as);
    as->version += b->fault[0] != '\0';
    if (b->fault[0])
        log_info(LOG_WORKER, "the assets of %s are here now: its jobs are taken", b->slug);
    b->fault[0] = '\0';
    b->backoff.tries = 0;
    b->ready = 1;
    loop_timer_after(as->again, 0);
    worker_assets_changed(as->w);
}

/* Was any of it written to, replaced, or removed? */
static void look_again(struct assets *as, struct bundle *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        struct asset a = asset_at(b->manifest, i);
        if (b->fd[i] >= 0 && asset_cache_is_sound(as->cache, &a, b->fd[i]))
            continue;
        if (b->ready)
            log_warn(LOG_WORKER, "%s of %s was changed in the asset cache: no job of it is taken until it is proven",
                     a.name, b->slug);
        let_go(b, i);
        unmake_links(b);
    }
}

/* ---- one step after another ---- */

struct asset assets_current(const struct assets *as)
{
    return asset_at(as->now->manifest, as->at);
}

void assets_postpone(struct assets *as, int64_t ms)
{
    as->now->due_ms = mono_ms() + ms;
    put_down(as);
    loop_timer_after(as->again, 0);
}

void assets_give_up(struct assets *as, int64_t least_ms, const char *fmt, ...)
{
    struct bundle *b = as->now;
    char why[sizeof(b->fault)];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    int64_t wait_ms = backoff_next_ms(&b->backoff, 0);
    int news = strcmp(b->fault, why) != 0;
    snprintf(b->fault, sizeof(b->fault), "%s", why);
    as->version += news;
    if (news)
        log_error(LOG_WORKER, "no job of %s is taken, for its assets cannot be had: %s", b->slug, why);
    assets_postpone(as, wait_ms > least_ms ? wait_ms : least_ms);
    if (news)
        worker_assets_changed(as->w);
}

/* Its SHA-256 is another one: with the lock, lest another worker's good file is removed in its place. */
static void remove_corrupt(struct assets *as, const struct asset *a, const char *why)
{
    struct bp_err err = {0};
    int rc = asset_cache_lock(as->cache, &err);
    if (rc == BP_LATER) {
        assets_postpone(as, REMOVED_WAIT_MS);
    } else if (rc < 0) {
        assets_give_up(as, 0, "%s: %s", a->name, err.text);
    } else {
        log_warn(LOG_WORKER, "%s of %s is corrupt in the asset cache (%s): it is fetched again", a->name, as->now->slug,
                 why);
        asset_cache_remove(as->cache, a->sha256);
        loop_timer_after(as->again, 0);
    }
}

static void proven(struct assets *as)
{
    struct bp_err err = {0};
    struct asset a = assets_current(as);
    int rc = asset_proof_end(as->proof, &a, &err);
    int recorded = rc == BP_OK ? asset_cache_record(as->cache, &a, as->now->fd[as->at], &err) : rc;
    asset_proof_free(as->proof);
    as->proof = NULL;
    as->proving = 0;
    let_go(as->now, as->at);
    if (rc == BP_INVALID)
        remove_corrupt(as, &a, err.text);
    else if (rc < 0 || recorded < 0)
        assets_give_up(as, 0, "%s: %s", a.name, err.text);
    else
        loop_timer_after(as->again, 0);
}

static void prove(struct assets *as)
{
    struct bp_err err = {0};
    struct asset a = assets_current(as);
    int rc = as->proof ? asset_proof_step(as->proof, &err) : err_set(&err, BP_NOMEM, "no memory to prove it");
    if (rc > 0) {
        loop_timer_after(as->again, 0);
    } else if (rc == 0) {
        proven(as);
    } else {
        let_go(as->now, as->at);
        assets_give_up(as, 0, "%s: %s", a.name, err.text);
    }
}

/* Of the asset that is worked on: BP_OK when it is held. */
static int hold(struct assets *as)
{
    struct bp_err err = {0};
    struct asset a = assets_current(as);
    int *fd = &as->now->fd[as->at];
    if (*fd >= 0 && asset_cache_is_sound(as->cache, &a, *fd))
        return BP_OK;
    let_go(as->now, as->at);
    int rc = asset_cache_hold(as->cache, &a, fd, &err);
    if (rc == BP_NOTFOUND) {
        assets_fetch(as);
    } else if (rc == BP_LATER && *fd >= 0) {
        as->proof = asset_proof_new(*fd);
        as->proving = 1;
        prove(as);
    } else if (rc == BP_LATER) {
        assets_postpone(as, REMOVED_WAIT_MS);
    } else if (rc < 0) {
        assets_give_up(as, 0, "%s: %s", a.name, err.text);
    }
    return rc;
}

/* The one that may be worked on now, or the timer is set for the first that may. */
static struct bundle *next_due(struct assets *as)
{
    struct bundle *due = NULL;
    int64_t now = mono_ms();
    for (struct bundle *b = as->bundles; b; b = b->next) {
        if (!b->ready && (!due || b->due_ms < due->due_ms))
            due = b;
    }
    if (due && due->due_ms > now) {
        loop_timer_after(as->again, due->due_ms - now);
        due = NULL;
    }
    return due;
}

static int open_cache(struct assets *as)
{
    struct bp_err err = {0};
    if (!as->cache)
        as->cache = asset_cache_open(as->cache_dir, &err);
    if (!as->cache)
        assets_give_up(as, 0, "%s", err.text);
    return as->cache != NULL;
}

void assets_work(void *arg)
{
    struct assets *as = arg;
    if (as->ask || as->get || worker_is_stopping(as->w))
        return;
    if (as->proving) {
        prove(as);
        return;
    }
    if (as->part_fd >= 0) {
        assets_read_part(as);
        return;
    }
    if (!as->now)
        as->now = next_due(as);
    if (!as->now || !open_cache(as))
        return;
    for (; as->at < as->now->n; as->at++) {
        if (hold(as) != BP_OK)
            return; /* it goes on by itself */
    }
    complete(as);
}

/* ---- for the worker ---- */

struct assets *assets_new(struct worker *w, const char *state_dir, struct bp_err *err)
{
    struct assets *as = calloc(1, sizeof(*as));
    const char *dir = config_str(w->config, CONFIG_WORKER_ASSET_DIR);
    if (as) {
        as->w = w;
        as->part_fd = -1;
        as->again = loop_timer_new(w->loop, "worker.assets", assets_work, as);
        snprintf(as->cache_dir, sizeof(as->cache_dir), *dir ? "%.4000s" : "%.4000s/assets", *dir ? dir : state_dir);
    }
    if (as && as->again)
        return as;
    free(as);
    err_set(err, BP_NOMEM, "no memory for the worker");
    return NULL;
}

void assets_free(struct assets *as)
{
    if (!as)
        return;
    put_down(as);
    assets_forget_part(as);
    while (as->bundles)
        bundle_drop(as, &as->bundles);
    loop_timer_free(as->again);
    asset_cache_close(as->cache);
    free(as);
}

void assets_except(struct assets *as, struct json_object *slugs)
{
    int any = 0;
    follow_workflows(as);
    for (struct bundle *b = as->bundles; b; b = b->next) {
        if (b->ready)
            look_again(as, b);
        if (b->ready)
            continue;
        json_object_array_add(slugs, json_object_new_string(b->slug));
        any = 1;
    }
    if (any && !as->now)
        loop_timer_after(as->again, 0);
}

int assets_are_ready(struct assets *as, const struct workflow *flow)
{
    if (assets_count(flow->manifest) == 0)
        return 1;
    struct bundle *b = bundle_find(as, flow->slug);
    if (!b || strcmp(b->list, list_text(flow->manifest)) != 0)
        return 0;
    if (b->ready)
        look_again(as, b);
    return b->ready;
}

const char *assets_dir(const struct assets *as, const char *slug)
{
    const struct bundle *b = bundle_find(as, slug);
    return b && b->ready ? b->dir : "";
}

uint32_t assets_reads(const struct assets *as, const char *slug, const char **out, uint32_t max)
{
    const struct bundle *b = bundle_find(as, slug);
    uint32_t n = 0;
    if (!b || !b->ready)
        return 0;
    if (n < max)
        out[n++] = b->dir;
    for (uint32_t i = 0; i < b->n && n < max; i++)
        out[n++] = b->path[i];
    return n;
}

struct json_object *assets_json(const struct assets *as)
{
    struct json_object *o = NULL;
    for (const struct bundle *b = as->bundles; b; b = b->next) {
        if (!b->fault[0])
            continue;
        o = o ? o : json_object_new_object();
        json_put_str(o, b->slug, b->fault);
    }
    return o;
}

int assets_version(const struct assets *as)
{
    return as->version;
}
