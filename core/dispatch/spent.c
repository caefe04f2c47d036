/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/spent.h"

#include "dispatch/order.h"

#include <bp/cloud.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define WAITING_MAX 20000
#define REQUEST_MAX 32  /* keys of one request: others need the object store too */
#define LIST_PAGE   100 /* objects of one listing */
#define PAGES_MAX   20

/* One key, or all keys with a prefix (one that ends in '/'). */
struct spent_key {
    STAILQ_ENTRY(spent_key) next;
    char key[];
};
STAILQ_HEAD(spent_keys, spent_key);

struct spent {
    struct dispatch *d;
    struct spent_keys waiting;
    uint32_t n;
    int on_its_way;
    int failed; /* waits for spent_again() */
};

/* What the object store's thread works on. */
struct removal {
    struct dispatch *d;
    struct spent_keys keys;
    uint32_t n;
};

struct spent *spent_new(struct dispatch *d)
{
    struct spent *s = calloc(1, sizeof *s);
    assert(s);
    s->d = d;
    STAILQ_INIT(&s->waiting);
    return s;
}

static void keys_free(struct spent_keys *keys)
{
    while (!STAILQ_EMPTY(keys)) {
        struct spent_key *k = STAILQ_FIRST(keys);
        STAILQ_REMOVE_HEAD(keys, next);
        free(k);
    }
}

void spent_free(struct spent *s)
{
    keys_free(&s->waiting);
    free(s);
}

int spent_is_full(const struct spent *s)
{
    return s->n >= WAITING_MAX;
}

/* ---- on the object store's thread ---- */

static int remove_all(const struct bp_objects *objects, void *inst, const char *prefix, struct bp_err *err)
{
    struct bp_object_info *found = BP_HAS(objects, list) ? calloc(LIST_PAGE, sizeof *found) : NULL;
    int rc = BP_OK;
    uint32_t n = found ? LIST_PAGE : 0;
    for (int page = 0; rc == BP_OK && n == LIST_PAGE && page < PAGES_MAX; page++) {
        rc = objects->list(inst, prefix, NULL, found, &n, err); /* what was listed before is gone */
        for (uint32_t i = 0; rc == BP_OK && i < n; i++)
            rc = objects->remove(inst, found[i].key, err);
    }
    free(found);
    return rc == BP_UNSUPPORTED ? BP_OK : rc;
}

/* [actor] Those done are taken out, so that a failure leaves the rest. */
static int removal_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_objects *objects = table;
    struct removal *r = args;
    while (BP_HAS(objects, remove) && !STAILQ_EMPTY(&r->keys)) {
        struct spent_key *k = STAILQ_FIRST(&r->keys);
        size_t n = strlen(k->key);
        int rc = k->key[n - 1] == '/' ? remove_all(objects, inst, k->key, err) : objects->remove(inst, k->key, err);
        if (rc != BP_OK && rc != BP_NOTFOUND && rc != BP_INVALID)
            return rc;
        STAILQ_REMOVE_HEAD(&r->keys, next);
        r->n--;
        free(k);
    }
    return BP_OK;
}

/* What was not removed waits again, whatever kept it. */
static void removal_free(void *args)
{
    struct removal *r = args;
    struct dispatch *d = r->d;
    if (d->dead) {
        keys_free(&r->keys);
    } else {
        STAILQ_CONCAT(&r->keys, &d->spent->waiting);
        STAILQ_CONCAT(&d->spent->waiting, &r->keys);
        d->spent->n += r->n;
    }
    free(r);
    dispatch_unref(d);
}

/* ---- on the loop ---- */

static void send_next(struct spent *s);

static void removed(void *args, const struct bp_err *err, void *arg)
{
    struct dispatch *d = arg;
    (void)args;
    if (d->dead)
        return;
    d->spent->on_its_way = 0;
    if (err->rc == BP_OK) {
        send_next(d->spent);
        return;
    }
    d->spent->failed = 1;
    log_warn(LOG_DISPATCH, "remove the objects of jobs that are gone: %s; trying again in a minute", err->text);
}

static struct removal *take(struct spent *s)
{
    struct removal *r = calloc(1, sizeof *r);
    assert(r);
    r->d = s->d;
    STAILQ_INIT(&r->keys);
    while (r->n < REQUEST_MAX && !STAILQ_EMPTY(&s->waiting)) {
        struct spent_key *k = STAILQ_FIRST(&s->waiting);
        STAILQ_REMOVE_HEAD(&s->waiting, next);
        STAILQ_INSERT_TAIL(&r->keys, k, next);
        r->n++;
        s->n--;
    }
    dispatch_ref(s->d);
    return r;
}

static void send_next(struct spent *s)
{
    struct bp_err err = {0};
    if (s->on_its_way || s->failed || s->n == 0 || !bus_has_service(s->d->bus, "objects"))
        return;
    struct request_spec spec = {.service = "objects",
                                .name = "objects.remove",
                                .run = removal_run,
                                .args = take(s),
                                .args_free = removal_free,
                                .reply = removed,
                                .arg = s->d,
                                .timeout_ms = 60000};
    s->on_its_way = bus_request(s->d->bus, &spec, &err) == BP_OK;
    s->failed = !s->on_its_way;
}

void spent_again(struct spent *s)
{
    s->failed = 0;
    send_next(s);
}

static void add_key(struct spent *s, const struct bp_job_row *job, const char *key)
{
    if (!key || !key_is_tenants(key, job->tenant))
        return;
    size_t n = strlen(key) + 1;
    struct spent_key *k = malloc(sizeof *k + n);
    assert(k);
    memcpy(k->key, key, n);
    STAILQ_INSERT_TAIL(&s->waiting, k, next);
    s->n++;
}

/* Everything below the job's own folder. */
static void add_folder(struct spent *s, const struct bp_job_row *job)
{
    char prefix[400];
    int n = snprintf(prefix, sizeof prefix, "tenants/%s/jobs/%lld/", job->tenant, (long long)job->id);
    if (n < 0 || (size_t)n >= sizeof prefix)
        return;
    struct spent_key *k = malloc(sizeof *k + (size_t)n + 1);
    assert(k);
    memcpy(k->key, prefix, (size_t)n + 1);
    STAILQ_INSERT_TAIL(&s->waiting, k, next);
    s->n++;
}

/* Can this workflow's jobs have objects of their own? One that is not loaded any more may have had. */
static int has_objects(const struct spent *s, const struct bp_job_row *job)
{
    const struct workflow *w = host_workflow(s->d->host, job->workflow);
    return job->leased_ms > 0 && (!w || job->checkpoint_key || json_str(w->manifest, "produces", NULL));
}

void spent_add(struct spent *s, const struct bp_job_row *jobs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct bp_job_row *job = &jobs[i];
        if (!job->tenant || !job->workflow || !has_objects(s, job))
            continue;
        if (job->attempts > 1 || job->requeues > 0) {
            add_folder(s, job);
            continue;
        }
        add_key(s, job, job->output_key);
        add_key(s, job, job->checkpoint_key);
    }
    send_next(s);
}
