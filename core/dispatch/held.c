/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/held.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS   4096   /* a power of two; ids ascend, so they spread evenly */
#define HELD_MAX  100000 /* what ended at another controller is not heard of: memory stays bounded */
#define EXPIRE_MS 60000  /* an expired lease is kept so long, for the sweep that finds it */

struct held_table {
    struct held *bucket[BUCKETS];
    uint32_t n, hand; /* hand: the bucket that gives way next */
};

struct held_table *held_table_new(void)
{
    struct held_table *t = calloc(1, sizeof *t);
    assert(t);
    return t;
}

void held_table_free(struct held_table *t)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        while (t->bucket[i]) {
            struct held *h = t->bucket[i];
            t->bucket[i] = h->next;
            free(h);
        }
    }
    free(t);
}

static struct held **place(struct dispatch *d, int64_t id)
{
    struct held **p = &d->held->bucket[(uint64_t)id & (BUCKETS - 1)];
    while (*p && (*p)->id != id)
        p = &(*p)->next;
    return p;
}

static struct held *unlink_held(struct dispatch *d, struct held **p)
{
    struct held *h = *p;
    *p = h->next;
    d->held->n--;
    h->lane->leases--;
    return h;
}

static void take_out(struct dispatch *d, struct held **p)
{
    free(unlink_held(d, p));
}

/* Any one: what is missing here is asked for in the store. */
static void make_room(struct dispatch *d)
{
    struct held_table *t = d->held;
    while (t->n >= HELD_MAX) {
        struct held **p = &t->bucket[t->hand++ & (BUCKETS - 1)];
        if (*p)
            take_out(d, p);
    }
}

struct held *held_find(struct dispatch *d, int64_t id)
{
    return *place(d, id);
}

struct held *held_match(struct dispatch *d, int64_t id, const char *token, const char *worker)
{
    struct held *h = held_find(d, id);
    return h && strcmp(h->token, token) == 0 && strcmp(h->worker, worker) == 0 ? h : NULL;
}

void held_drop(struct dispatch *d, int64_t id)
{
    struct held **p = place(d, id);
    if (*p)
        take_out(d, p);
}

static const char *pack(char **at, const char *s)
{
    size_t n = strlen(s) + 1;
    char *start = *at;
    memcpy(start, s, n);
    *at += n;
    return start;
}

struct held *held_put(struct dispatch *d, const struct bp_job_row *job)
{
    const char *s[4] = {job->lease_token, job->worker, job->tenant, job->output_key};
    size_t bytes = sizeof(struct held);
    for (int i = 0; i < 4; i++) {
        s[i] = s[i] ? s[i] : "";
        bytes += strlen(s[i]) + 1;
    }
    struct held *h = calloc(1, bytes);
    assert(h);
    char *at = (char *)(h + 1);
    h->token = pack(&at, s[0]);
    h->worker = pack(&at, s[1]);
    h->tenant = pack(&at, s[2]);
    h->output_key = pack(&at, s[3]);
    h->id = job->id;
    h->expires_ms = job->lease_expires_ms;
    h->cancel = job->cancel_requested;
    h->lane = lane_get(d, job->workflow);
    const struct workflow *w = host_workflow(d->host, job->workflow);
    h->produces = w && json_str(w->manifest, "produces", NULL) != NULL;
    held_drop(d, job->id);
    make_room(d);
    struct held **p = place(d, job->id);
    *p = h;
    d->held->n++;
    h->lane->leases++;
    return h;
}

static void tell_released(struct dispatch *d, const struct held *h, const char *reason)
{
    const char *slug = h->lane->slug;
    lane_arrived(h->lane);
    if (h->cancel) {
        d->counters.cancelled++;
        bus_publish(d->bus, EVENT_JOB_CANCELLED, h->id, h->tenant, slug, h->worker);
    } else {
        d->counters.requeued++;
        bus_publish(d->bus, EVENT_JOB_REQUEUED, h->id, h->tenant, slug, h->worker, reason);
    }
}

void held_release_worker(struct dispatch *d, const char *worker, const char *reason)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        struct held **p = &d->held->bucket[i];
        while (*p) {
            if (strcmp((*p)->worker, worker) != 0) {
                p = &(*p)->next;
                continue;
            }
            struct held *h = unlink_held(d, p);
            tell_released(d, h, reason);
            free(h);
            p = &d->held->bucket[i]; /* a listener may have changed it */
        }
    }
}

void held_drain_worker(struct dispatch *d, const char *worker, int draining)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct held *h = d->held->bucket[i]; h; h = h->next) {
            if (strcmp(h->worker, worker) == 0)
                h->draining = draining;
        }
    }
}

void held_expire(struct dispatch *d, int64_t now_ms)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        struct held **p = &d->held->bucket[i];
        while (*p) {
            if ((*p)->expires_ms + EXPIRE_MS < now_ms)
                take_out(d, p);
            else
                p = &(*p)->next;
        }
    }
}
