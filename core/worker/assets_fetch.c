/* SPDX-License-Identifier: Apache-2.0 */
/* assets_fetch.c - one asset comes down: its URL from the controller, its bytes from the object store, proven as they
 * come. */
#include "log/err.h"
#include "log/log.h"
#include "worker/assets_priv.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOCK_WAIT_MS    500
#define TOKEN_WAIT_MS   1000
#define FOREIGN_WAIT_MS 300000 /* it may become one of ours: then its jobs wait so long at most */
#define URLS_MS         60000  /* older ones may run out before the fetch begins */
#define RESUME_WAIT_MS  1000   /* after a fetch that broke, but brought something */
#define CORRUPT_SHARE   4      /* a fetch for nothing is tried again after so many times the time it took */

static const char *url_of(const struct assets *as, const struct asset *a)
{
    struct json_object *list = json_member(as->urls, "assets");
    int fresh = as->urls && mono_ms() - as->urls_ms < URLS_MS;
    size_t n = fresh && json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        if (strcmp(json_str(one, "sha256", ""), a->sha256) == 0)
            return json_str(one, "url", NULL);
    }
    return NULL;
}

/* ---- the bytes ---- */

static void forget_urls(struct assets *as)
{
    json_object_put(as->urls);
    as->urls = NULL;
}

static void forget_proof(struct assets *as)
{
    asset_proof_free(as->proof);
    as->proof = NULL;
}

static void written(const void *bytes, size_t n, int64_t at, void *arg)
{
    struct assets *as = arg;
    if (at ==
        0) { /* from the beginning, though the rest was asked for: the object is another one, or always given whole */
        asset_proof_restart(as->proof);
        as->resumed_at = 0;
    }
    asset_proof_add(as->proof, bytes, n);
}

/* ---- what came before a connection broke ---- */

void assets_forget_part(struct assets *as)
{
    asset_proof_free(as->part.proof);
    as->part = (struct asset_part){.sha256 = ""};
}

/* The next fetch goes on where this one broke. */
static void keep_part(struct assets *as, const struct asset *a, const struct http_client_answer *h)
{
    struct asset_part *p = &as->part;
    snprintf(p->sha256, sizeof(p->sha256), "%s", a->sha256);
    const char *known = as->resumed_at > 0 ? as->tag_sent : "";
    snprintf(p->tag, sizeof(p->tag), "%s", h->status == 0 && h->tag[0] ? h->tag : known);
    asset_cache_part_text(as->cache, a->sha256, p->text);
    p->bytes = h->part;
    p->proof = as->proof;
    as->proof = NULL;
}

/* To *out what came, if <sha>.part is as it was left: another worker may have fetched in between. */
static void take_part(struct assets *as, const struct asset *a, struct asset_part *out)
{
    char text[ASSET_RECORD_BYTES];
    struct asset_part *p = &as->part;
    asset_cache_part_text(as->cache, a->sha256, text);
    int same = p->sha256[0] && strcmp(p->sha256, a->sha256) == 0 && text[0] && strcmp(p->text, text) == 0;
    if (same) {
        *out = *p;
        p->proof = NULL;
    }
    assets_forget_part(as);
}

/* An earlier run of this worker, or another one, fetched it and was ended: its bytes are read, for the proof needs
 * them. 1: that begins. */
static int begin_reading(struct assets *as, const struct asset *a)
{
    as->part_fd = asset_cache_part_open(as->cache, a);
    if (as->part_fd < 0)
        return 0;
    as->proof = asset_proof_new(as->part_fd);
    loop_timer_after(as->again, 0);
    return 1;
}

static void end_reading(struct assets *as)
{
    if (as->part_fd >= 0)
        close(as->part_fd);
    as->part_fd = -1;
}

/* All of it was read: as if it had just broken off. */
static void take_over(struct assets *as, const struct asset *a)
{
    struct asset_part *p = &as->part;
    snprintf(p->sha256, sizeof(p->sha256), "%s", a->sha256);
    asset_cache_part_text(as->cache, a->sha256, p->text);
    p->bytes = asset_proof_bytes(as->proof);
    p->proof = as->proof;
    as->proof = NULL;
    log_info(LOG_WORKER, "%s of %s: %lld of %lld bytes are there from an earlier fetch, which is gone on with", a->name,
             as->now->slug, (long long)p->bytes, (long long)a->bytes);
}

void assets_read_part(struct assets *as)
{
    char part[ASSET_PATH_BYTES];
    struct bp_err err = {0};
    struct asset a = assets_current(as);
    int rc = as->proof ? asset_proof_step(as->proof, &err) : err_set(&err, BP_NOMEM, "no memory to prove it");
    loop_timer_after(as->again, 0);
    if (rc > 0)
        return;
    end_reading(as);
    if (rc == 0) {
        take_over(as, &a);
        return;
    }
    remove(asset_cache_path(as->cache, a.sha256, ".part", part));
    forget_proof(as);
}

static void proved(struct assets *as, const struct asset *a)
{
    struct bp_err err = {0};
    char part[ASSET_PATH_BYTES];
    int64_t took_ms = mono_ms() - as->began_ms;
    int rc = asset_proof_end(as->proof, a, &err);
    forget_proof(as);
    if (rc < 0 && as->resumed_at > 0) { /* its first part may have been of another object */
        remove(asset_cache_path(as->cache, a->sha256, ".part", part));
        log_warn(LOG_WORKER, "%s of %s was gone on with at byte %lld and is not what it should be: it is fetched anew",
                 a->name, as->now->slug, (long long)as->resumed_at);
        assets_postpone(as, 0);
    } else if (rc < 0) {
        remove(asset_cache_path(as->cache, a->sha256, ".part", part));
        assets_give_up(as, CORRUPT_SHARE * took_ms, "%s: the object %.100s is not what it should be: %s", a->name,
                       a->object, err.text);
    } else if (asset_cache_publish(as->cache, a, &err) < 0) {
        assets_give_up(as, 0, "%s: %s", a->name, err.text);
    } else {
        log_info(LOG_WORKER, "fetched %s of %s: %lld bytes in %.1f s", a->name, as->now->slug,
                 (long long)(a->bytes - as->resumed_at), (double)took_ms / 1000);
        assets_work(as);
    }
}

static void refused(struct assets *as, const struct asset *a, const struct http_client_answer *h)
{
    forget_urls(as);
    if (h->status == 404)
        assets_give_up(as, 0, "%s: there is no object %.100s: put it there with bpctl asset put", a->name, a->object);
    else if (h->status)
        assets_give_up(as, 0, "%s: the object store answered with status %d", a->name, h->status);
    else if (h->err.rc == BP_INVALID)
        assets_give_up(as, CORRUPT_SHARE * (mono_ms() - as->began_ms),
                       "%s: the object %.100s is not what it should be: it has more than %lld bytes", a->name,
                       a->object, (long long)a->bytes);
    else
        assets_give_up(as, 0, "%s: %s", a->name, h->err.text);
}

/* Something came: nothing is wrong yet, and the rest is asked for as soon as others had their turn. */
static void broke_off(struct assets *as, const struct asset *a, const struct http_client_answer *h)
{
    forget_urls(as);
    log_warn(LOG_WORKER, "fetching %s of %s broke off after %lld of %lld bytes and is gone on with: %s", a->name,
             as->now->slug, (long long)h->part, (long long)a->bytes, h->err.text);
    as->now->backoff.tries = 0;
    assets_postpone(as, RESUME_WAIT_MS);
}

static void got(const struct http_client_answer *h, void *arg)
{
    struct assets *as = arg;
    struct asset a = assets_current(as);
    as->get = NULL;
    if (h->status == 200 || h->status == 206) {
        proved(as, &a);
        return;
    }
    int64_t more = h->part - as->resumed_at;
    if (h->part > 0)
        keep_part(as, &a, h);
    forget_proof(as);
    if (h->part > 0 && more > 0 && h->status == 0)
        broke_off(as, &a, h);
    else
        refused(as, &a, h);
}

/* The part is the whole: its worker was ended before it could say so. */
static int is_whole(struct assets *as, const struct asset *a)
{
    if (!as->proof || as->resumed_at != a->bytes)
        return 0;
    proved(as, a);
    return 1;
}

static void get(struct assets *as, const struct asset *a, const char *url)
{
    struct bp_err err = {0};
    char part[ASSET_PATH_BYTES];
    struct http_client_request r = {.method = "GET",
                                    .url = url,
                                    .to_file = asset_cache_path(as->cache, a->sha256, ".part", part),
                                    .keep_part = 1,
                                    .written = written,
                                    .max_bytes = a->bytes,
                                    .done = got,
                                    .arg = as};
    struct asset_part begun = {.sha256 = ""};
    as->began_ms = mono_ms();
    take_part(as, a, &begun);
    if (!begun.proof && begin_reading(as, a))
        return;
    as->proof = begun.proof ? begun.proof : asset_proof_new(-1);
    as->resumed_at = r.resume_at = begun.bytes;
    snprintf(as->tag_sent, sizeof(as->tag_sent), "%s", begun.tag);
    r.resume_tag = as->tag_sent;
    if (is_whole(as, a))
        return;
    as->get = as->proof ? http_client_send(as->w->http, &r, &err) : NULL;
    if (as->get)
        return;
    forget_proof(as);
    assets_give_up(as, 0, "%s: %s", a->name, err.text[0] ? err.text : "no memory");
}

/* ---- its URL ---- */

static void unanswered(struct assets *as, const struct api_answer *a)
{
    if (a->status == 401)
        assets_postpone(as, TOKEN_WAIT_MS); /* the next poll sees to it */
    else if (a->status == 409)
        assets_postpone(as, FOREIGN_WAIT_MS); /* its plugin lies here, but its jobs are not for this worker */
    else
        assets_give_up(as, 0, "the controller gives no URLs: %.200s (status %d)", a->message, a->status);
}

static void asked(const struct api_answer *a, void *arg)
{
    struct assets *as = arg;
    struct asset wanted = assets_current(as);
    as->ask = NULL;
    if (a->status != 200) {
        unanswered(as, a);
        return;
    }
    forget_urls(as);
    as->urls = json_object_get(a->data);
    as->urls_ms = mono_ms();
    if (url_of(as, &wanted))
        assets_work(as);
    else
        assets_give_up(as, 0, "%s: the controller knows no such asset of %s: it has another version of its manifest",
                       wanted.name, as->now->slug);
}

static void ask(struct assets *as)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "worker_id", as->w->id);
    json_put_str(o, "workflow", as->now->slug);
    as->ask = api_post(as->w, "assets", o, API_TIMEOUT_MS, asked, as);
}

/* ---- all ---- */

/* Another worker of the machine may have fetched it just before this one got the lock. */
static int came_meanwhile(struct assets *as, const struct asset *a)
{
    struct bp_err err = {0};
    int fd, rc = asset_cache_hold(as->cache, a, &fd, &err);
    if (fd >= 0)
        close(fd);
    return rc == BP_OK || rc == BP_LATER;
}

/* The lock is kept until the bundle is ready, or waits. */
static int make_room(struct assets *as, const struct asset *a)
{
    struct bp_err err = {0};
    int64_t limit = config_int(as->w->config, CONFIG_WORKER_ASSET_CACHE);
    int rc = asset_cache_room(as->cache, a, limit, &err);
    if (rc < 0)
        assets_give_up(as, 0, "%s: %s", a->name, err.text);
    return rc;
}

void assets_fetch(struct assets *as)
{
    struct bp_err err = {0};
    struct asset a = assets_current(as);
    const char *url = url_of(as, &a);
    int rc = url || as->w->token[0] ? asset_cache_lock(as->cache, &err) : BP_LATER;
    if (rc == BP_LATER)
        assets_postpone(as, LOCK_WAIT_MS);
    else if (rc < 0)
        assets_give_up(as, 0, "%s: %s", a.name, err.text);
    else if (came_meanwhile(as, &a))
        assets_work(as);
    else if (!url)
        ask(as);
    else if (make_room(as, &a) == BP_OK)
        get(as, &a, url);
}

void assets_fetch_cancel(struct assets *as)
{
    api_cancel(&as->ask);
    http_client_cancel(&as->get);
    forget_proof(as);
    forget_urls(as);
    end_reading(as);
    as->proving = 0;
}
