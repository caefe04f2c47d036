/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/auth.h"

#include "dispatch/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define CACHE_TTL_MS   5000
#define CACHE_MAX      16384
#define BUCKETS        4096
#define TOUCH_EVERY_MS 15000 /* a worker's last_seen is written at most so often, if that keeps it from being stale */
#define TOUCH_FLUSH_MS 1000  /* touches are collected so long: many workers share one transaction */

struct entry {
    TAILQ_ENTRY(entry) used; /* least recently used first */
    LIST_ENTRY(entry) in_bucket;
    char digest[DIGEST_SIZE];
    int64_t read_ms; /* monotonic */
    struct worker_auth *worker;
};

struct touch {
    STAILQ_ENTRY(touch) next;
    char worker_id[];
};

struct auth_cache {
    struct dispatch *d;
    uint32_t n;
    TAILQ_HEAD(entries, entry) used;
    LIST_HEAD(bucket, entry) bucket[BUCKETS];
    STAILQ_HEAD(touches, touch) touches;
    struct loop_timer *flush;
};

struct auth_ask {
    struct dispatch *d;
    worker_auth_reply fn;
    void *arg;
    char digest[DIGEST_SIZE];
};

static void touches_send(void *arg)
{
    struct auth_cache *c = arg;
    while (!STAILQ_EMPTY(&c->touches)) {
        struct touch *t = STAILQ_FIRST(&c->touches);
        STAILQ_REMOVE_HEAD(&c->touches, next);
        struct queue_call *q = queue_call_new(BP_OP_WORKER_SET, dispatch_now(c->d));
        struct bp_op_worker_set *set = &queue_call_op(q)->u.worker_set;
        set->worker_id = queue_call_str(q, t->worker_id);
        set->approved = set->draining = set->max_concurrency = -1;
        set->touch = 1;
        queue_tell(c->d, q);
        free(t);
    }
}

struct auth_cache *auth_cache_new(struct dispatch *d)
{
    struct auth_cache *c = calloc(1, sizeof *c);
    assert(c);
    c->d = d;
    TAILQ_INIT(&c->used);
    STAILQ_INIT(&c->touches);
    c->flush = loop_timer_new(d->loop, "dispatch.touch", touches_send, c);
    return c;
}

static void entry_free(struct auth_cache *c, struct entry *e)
{
    TAILQ_REMOVE(&c->used, e, used);
    LIST_REMOVE(e, in_bucket);
    c->n--;
    worker_auth_free(e->worker);
    free(e);
}

void auth_cache_free(struct auth_cache *c)
{
    while (!TAILQ_EMPTY(&c->used))
        entry_free(c, TAILQ_FIRST(&c->used));
    while (!STAILQ_EMPTY(&c->touches)) {
        struct touch *t = STAILQ_FIRST(&c->touches);
        STAILQ_REMOVE_HEAD(&c->touches, next);
        free(t);
    }
    loop_timer_free(c->flush);
    free(c);
}

void auth_forget(struct dispatch *d, const char *worker_id)
{
    struct entry *e = TAILQ_FIRST(&d->auth->used);
    while (e) {
        struct entry *next = TAILQ_NEXT(e, used);
        if (strcmp(e->worker->worker_id, worker_id) == 0)
            entry_free(d->auth, e);
        e = next;
    }
}

/* ---- records ---- */

struct worker_auth *worker_auth_ref(const struct worker_auth *w)
{
    struct worker_auth *own = (struct worker_auth *)(uintptr_t)w; /* only the count changes */
    own->refs++;
    return own;
}

void worker_auth_free(struct worker_auth *w)
{
    if (!w || --w->refs > 0)
        return;
    for (uint32_t i = 0; i < w->n_workflows; i++)
        free(w->workflows[i]);
    free(w->workflows);
    free(w->worker_id);
    free(w->display_name);
    free(w->capabilities);
    free(w->source);
    free(w);
}

const char *worker_auth_id(const struct worker_auth *w)
{
    return w->worker_id;
}

static char *copy(const char *s)
{
    char *c = strdup(s ? s : "");
    assert(c);
    return c;
}

static void read_workflows(struct worker_auth *w, const char *text)
{
    struct json_object *list = text ? json_parse(text, strlen(text), NULL) : NULL;
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    w->workflows = calloc(n + 1, sizeof *w->workflows);
    assert(w->workflows);
    for (size_t i = 0; i < n; i++) {
        struct json_object *v = json_object_array_get_idx(list, i);
        if (json_object_is_type(v, json_type_string))
            w->workflows[w->n_workflows++] = copy(json_object_get_string(v));
    }
    json_object_put(list);
}

static struct worker_auth *record_of(const struct bp_worker_row *row)
{
    struct worker_auth *w = calloc(1, sizeof *w);
    assert(w);
    w->refs = 1;
    w->approved = row->approved;
    w->draining = row->draining;
    w->max_concurrency = row->max_concurrency;
    w->last_seen_ms = row->last_seen_ms;
    w->worker_id = copy(row->worker_id);
    w->display_name = copy(row->display_name);
    w->capabilities = copy(row->capabilities);
    w->source = copy(row->source);
    read_workflows(w, row->workflows);
    return w;
}

/* ---- the cache ---- */

static uint32_t bucket_of(const char *digest)
{
    uint32_t h = 0;
    for (int i = 0; i < 8; i++)
        h = h << 4 | (uint32_t)(digest[i] <= '9' ? digest[i] - '0' : digest[i] - 'a' + 10);
    return h & (BUCKETS - 1);
}

static struct entry *cache_find(struct auth_cache *c, const char *digest)
{
    struct entry *e;
    for (e = LIST_FIRST(&c->bucket[bucket_of(digest)]); e; e = LIST_NEXT(e, in_bucket)) {
        if (memcmp(e->digest, digest, DIGEST_SIZE) != 0)
            continue;
        if (mono_ms() - e->read_ms > CACHE_TTL_MS) {
            entry_free(c, e);
            return NULL;
        }
        return e;
    }
    return NULL;
}

static void cache_put(struct auth_cache *c, const char *digest, struct worker_auth *w)
{
    struct entry *e = cache_find(c, digest);
    if (e)
        entry_free(c, e);
    if (c->n >= CACHE_MAX)
        entry_free(c, TAILQ_FIRST(&c->used));
    e = calloc(1, sizeof *e);
    assert(e);
    memcpy(e->digest, digest, DIGEST_SIZE);
    e->read_ms = mono_ms();
    e->worker = worker_auth_ref(w);
    LIST_INSERT_HEAD(&c->bucket[bucket_of(digest)], e, in_bucket);
    TAILQ_INSERT_TAIL(&c->used, e, used);
    c->n++;
}

void auth_follow(struct dispatch *d, const struct bp_worker_row *row)
{
    struct entry *e =
        row->token_hash && strlen(row->token_hash) == DIGEST_SIZE - 1 ? cache_find(d->auth, row->token_hash) : NULL;
    if (e && (e->worker->approved != row->approved || e->worker->draining != row->draining))
        entry_free(d->auth, e);
}

void auth_touch(struct dispatch *d, const struct worker_auth *w)
{
    struct auth_cache *c = d->auth;
    size_t n = strlen(w->worker_id) + 1;
    struct touch *t = calloc(1, sizeof *t + n);
    assert(t);
    memcpy(t->worker_id, w->worker_id, n);
    if (STAILQ_EMPTY(&c->touches))
        loop_timer_after(c->flush, TOUCH_FLUSH_MS);
    STAILQ_INSERT_TAIL(&c->touches, t, next);
}

/* last_seen of a worker that did nothing but call: leases and heartbeats are noted by the store itself. */
static void touch_later(struct dispatch *d, const struct worker_auth *w)
{
    int64_t quarter = d->set.stale_ms / 4;
    if (dispatch_now(d) - w->last_seen_ms >= (quarter < TOUCH_EVERY_MS ? quarter : TOUCH_EVERY_MS))
        auth_touch(d, w);
}

/* ---- authenticate ---- */

static void say_denied(worker_auth_reply fn, void *arg, const char *why)
{
    struct dispatch_answer answer = {.rc = BP_DENIED, .message = why};
    fn(&answer, NULL, arg);
}

static void admit(struct worker_auth *w, worker_auth_reply fn, void *arg)
{
    struct dispatch_answer answer = {.rc = BP_OK};
    if (w->approved)
        fn(&answer, worker_auth_ref(w), arg);
    else
        say_denied(fn, arg, "Worker not approved.");
}

static void auth_replied(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct auth_ask *a = arg;
    struct dispatch *d = a->d;
    char text[400];
    struct dispatch_answer answer;
    if (d->dead) {
        ;
    } else if (err->rc == BP_NOTFOUND) {
        say_denied(a->fn, a->arg, "Unauthorized.");
    } else if (err->rc != BP_OK) {
        answer_from_err(d, err, &answer, text);
        a->fn(&answer, NULL, a->arg);
    } else {
        struct worker_auth *w = record_of(op->u.worker_auth.worker);
        cache_put(d->auth, a->digest, w);
        touch_later(d, w);
        admit(w, a->fn, a->arg);
        worker_auth_free(w);
    }
    free(a);
    dispatch_unref(d);
}

static void auth_send(struct dispatch *d, const char *digest, worker_auth_reply fn, void *arg)
{
    struct auth_ask *a = calloc(1, sizeof *a);
    assert(a);
    *a = (struct auth_ask){.d = d, .fn = fn, .arg = arg};
    memcpy(a->digest, digest, DIGEST_SIZE);
    struct queue_call *q = queue_call_new(BP_OP_WORKER_AUTH, dispatch_now(d));
    queue_call_op(q)->u.worker_auth.token_hash = queue_call_str(q, digest);
    struct bp_err err = {0};
    dispatch_ref(d);
    if (queue_call_send(d->bus, q, QUEUE_TIMEOUT_MS, auth_replied, a, &err) == BP_OK)
        return;
    send_error(&err, "queue");
    char text[400];
    struct dispatch_answer answer;
    answer_from_err(d, &err, &answer, text);
    fn(&answer, NULL, arg);
    free(a);
    dispatch_unref(d);
}

void dispatch_authenticate(struct dispatch *d, const char *token, worker_auth_reply fn, void *arg)
{
    char digest[DIGEST_SIZE];
    if (!token || !*token || strlen(token) > 1024) {
        say_denied(fn, arg, "Unauthorized.");
        return;
    }
    digest_make(token, strlen(token), digest);
    struct entry *e = cache_find(d->auth, digest);
    if (!e) {
        auth_send(d, digest, fn, arg);
        return;
    }
    TAILQ_REMOVE(&d->auth->used, e, used);
    TAILQ_INSERT_TAIL(&d->auth->used, e, used);
    admit(e->worker, fn, arg);
}
