/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tenant_auth.c - whose a tenant's token is, as the store says, cached for a few seconds.
 *
 * Two tables of fixed size, one for tokens that are somebody's, one for those that are nobody's: guessing cannot push
 * the good ones out, and what it asks of the store is bounded by the look-ups on their way.
 */
#include "dispatch/tenants.h"
#include "dispatch/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define CACHE_TTL_MS  5000
#define KNOWN_SLOTS   4096 /* a power of two */
#define UNKNOWN_SLOTS 1024
#define LOOKUPS_MAX   64

struct slot {
    char digest[DIGEST_SIZE];
    int64_t read_ms; /* monotonic; 0: empty */
    char *tenant;    /* NULL: nobody's */
    int disabled;
};

struct waiter {
    STAILQ_ENTRY(waiter) next;
    tenant_auth_reply fn;
    void *arg;
};

/* One question to the store, for all who asked the same meanwhile. */
struct lookup {
    LIST_ENTRY(lookup) next;
    struct dispatch *d;
    STAILQ_HEAD(waiters, waiter) waiters;
    char digest[DIGEST_SIZE];
};

struct tenant_auth {
    struct slot known[KNOWN_SLOTS], unknown[UNKNOWN_SLOTS];
    LIST_HEAD(lookups, lookup) lookups; /* on their way; those of a dead engine free themselves */
    uint32_t n_lookups;
};

struct tenant_auth *tenant_auth_new(void)
{
    struct tenant_auth *c = calloc(1, sizeof *c);
    assert(c);
    LIST_INIT(&c->lookups);
    return c;
}

static void slot_clear(struct slot *s)
{
    free(s->tenant);
    memset(s, 0, sizeof *s);
}

void tenant_auth_free(struct tenant_auth *c)
{
    for (size_t i = 0; i < KNOWN_SLOTS; i++)
        slot_clear(&c->known[i]);
    free(c);
}

void tenant_auth_forget(struct dispatch *d, const char *tenant)
{
    for (size_t i = 0; i < KNOWN_SLOTS; i++) {
        struct slot *s = &d->tenants->known[i];
        if (s->tenant && strcmp(s->tenant, tenant) == 0)
            slot_clear(s);
    }
}

static uint32_t hash_of(const char *digest)
{
    char first[9] = {0};
    memcpy(first, digest, 8);
    return (uint32_t)strtoul(first, NULL, 16);
}

/* The slot of a digest in a table of n, when it holds it and is fresh; else NULL. */
static struct slot *find(struct slot *table, uint32_t n, const char *digest)
{
    struct slot *s = &table[hash_of(digest) & (n - 1)];
    if (!s->read_ms || memcmp(s->digest, digest, DIGEST_SIZE) != 0)
        return NULL;
    return mono_ms() - s->read_ms <= CACHE_TTL_MS ? s : NULL;
}

static struct slot *put(struct slot *table, uint32_t n, const char *digest)
{
    struct slot *s = &table[hash_of(digest) & (n - 1)];
    slot_clear(s);
    memcpy(s->digest, digest, DIGEST_SIZE);
    s->read_ms = mono_ms();
    return s;
}

/* ---- answers ---- */

static void say(tenant_auth_reply fn, void *arg, int rc, const char *message)
{
    struct dispatch_answer a = {.rc = rc, .message = message, .retry_after_s = rc == BP_LATER ? 1 : 0};
    fn(&a, NULL, arg);
}

static void say_unknown(tenant_auth_reply fn, void *arg)
{
    say(fn, arg, BP_DENIED, TENANT_UNKNOWN);
}

static void admit(const struct slot *s, tenant_auth_reply fn, void *arg)
{
    struct dispatch_answer ok = {.rc = BP_OK};
    if (s->disabled)
        say(fn, arg, BP_DENIED, "This tenant is disabled; its operator can enable it again.");
    else
        fn(&ok, s->tenant, arg);
}

static void fail(struct dispatch *d, const struct bp_err *err, tenant_auth_reply fn, void *arg)
{
    char text[400];
    struct dispatch_answer a;
    answer_from_err(d, err, &a, text);
    fn(&a, NULL, arg);
}

static struct slot *note(struct dispatch *d, const struct lookup *l, const struct bp_tenant_row *row)
{
    struct slot *s = put(d->tenants->known, KNOWN_SLOTS, l->digest);
    s->tenant = strdup(row->name);
    assert(s->tenant);
    s->disabled = row->disabled;
    return s;
}

/* Whoever is told may forget what is cached: each is told from what the store said. */
static void tell(struct lookup *l, const struct slot *s, const struct bp_err *err)
{
    struct waiter *w;
    while ((w = STAILQ_FIRST(&l->waiters))) {
        STAILQ_REMOVE_HEAD(&l->waiters, next);
        if (l->d->dead)
            ;
        else if (s)
            admit(s, w->fn, w->arg);
        else if (err->rc == BP_NOTFOUND || err->rc == BP_UNSUPPORTED) /* a store without tenants knows nobody's */
            say_unknown(w->fn, w->arg);
        else
            fail(l->d, err, w->fn, w->arg);
        free(w);
    }
}

static void replied(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct lookup *l = arg;
    struct dispatch *d = l->d;
    struct slot found = {0};
    if (!d->dead) {
        LIST_REMOVE(l, next);
        d->tenants->n_lookups--;
        if (err->rc == BP_OK) {
            found = *note(d, l, op->u.token_auth.tenant);
            found.tenant = strdup(found.tenant);
            assert(found.tenant);
        } else if (err->rc == BP_NOTFOUND || err->rc == BP_UNSUPPORTED) {
            put(d->tenants->unknown, UNKNOWN_SLOTS, l->digest);
        }
    }
    tell(l, found.tenant ? &found : NULL, err);
    free(found.tenant);
    free(l);
    dispatch_unref(d);
}

static void wait_for(struct lookup *l, tenant_auth_reply fn, void *arg)
{
    struct waiter *w = calloc(1, sizeof *w);
    assert(w);
    w->fn = fn;
    w->arg = arg;
    STAILQ_INSERT_TAIL(&l->waiters, w, next);
}

static struct lookup *lookup_find(struct dispatch *d, const char *digest)
{
    struct lookup *l;
    for (l = LIST_FIRST(&d->tenants->lookups); l; l = LIST_NEXT(l, next)) {
        if (memcmp(l->digest, digest, DIGEST_SIZE) == 0)
            return l;
    }
    return NULL;
}

static void look_up(struct dispatch *d, const char *digest, tenant_auth_reply fn, void *arg)
{
    struct bp_err err = {0};
    struct lookup *l = calloc(1, sizeof *l);
    assert(l);
    l->d = d;
    STAILQ_INIT(&l->waiters);
    memcpy(l->digest, digest, DIGEST_SIZE);
    struct queue_call *q = queue_call_new(BP_OP_TOKEN_AUTH, dispatch_now(d));
    queue_call_op(q)->u.token_auth.token_hash = queue_call_str(q, digest);
    dispatch_ref(d);
    if (queue_call_send(d->bus, q, QUEUE_TIMEOUT_MS, replied, l, &err) == BP_OK) {
        wait_for(l, fn, arg);
        LIST_INSERT_HEAD(&d->tenants->lookups, l, next);
        d->tenants->n_lookups++;
        return;
    }
    send_error(&err, "queue");
    fail(d, &err, fn, arg);
    free(l);
    dispatch_unref(d);
}

void dispatch_tenant_authenticate(struct dispatch *d, const char *token, tenant_auth_reply fn, void *arg)
{
    char digest[DIGEST_SIZE];
    if (!token || !*token || strlen(token) > 1024) {
        say_unknown(fn, arg);
        return;
    }
    digest_make(token, strlen(token), digest);
    const struct slot *s = find(d->tenants->known, KNOWN_SLOTS, digest);
    struct lookup *same = s ? NULL : lookup_find(d, digest);
    if (s)
        admit(s, fn, arg);
    else if (find(d->tenants->unknown, UNKNOWN_SLOTS, digest))
        say_unknown(fn, arg);
    else if (same)
        wait_for(same, fn, arg);
    else if (d->tenants->n_lookups >= LOOKUPS_MAX)
        say(fn, arg, BP_LATER, "Too many unknown tokens are being looked up; try again in a second.");
    else
        look_up(d, digest, fn, arg);
}
