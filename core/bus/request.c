/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's side of requests: made here, answered here once, recycled here. */
#include "bus/bus_private.h"

#include "log/err.h"
#include "log/log.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct request *list_pop(struct request_list *l)
{
    struct request *r = TAILQ_FIRST(l);
    if (r)
        TAILQ_REMOVE(l, r, in_list);
    return r;
}

static struct request *take_free(struct bus *b)
{
    struct request *r = list_pop(&b->free_requests);
    if (!r)
        return malloc(sizeof *r);
    b->n_free--;
    return r;
}

static struct request *make(struct bus *b, const struct request_spec *spec)
{
    struct request *r = take_free(b);
    if (!r)
        return NULL;
    memset(r, 0, offsetof(struct request, err));
    r->magic = REQUEST_MAGIC;
    r->timeout_ms = spec->timeout_ms;
    r->name = spec->name;
    r->run = spec->run;
    r->args = spec->args;
    r->args_free = spec->args_free;
    r->reply = spec->reply;
    r->late = spec->late;
    r->early = spec->early;
    r->arg = spec->arg;
    r->err.rc = 0;
    r->err.text[0] = 0;
    return r;
}

void request_release(struct bus *b, struct request *r)
{
    if (r->args_free)
        r->args_free(r->args);
    r->magic = 0;
    if (b->n_free >= FREE_REQUESTS_MAX) {
        free(r);
        return;
    }
    TAILQ_INSERT_HEAD(&b->free_requests, r, in_list);
    b->n_free++;
}

static void free_args(const struct request_spec *spec)
{
    if (spec->args_free)
        spec->args_free(spec->args);
}

static void send_to(struct actor *a, struct request *r, int64_t timeout_ms)
{
    r->actor = a;
    deadline_set(&a->bus->deadlines, &r->deadline, timeout_ms);
    a->outstanding++;
    actor_send(a, r);
}

/* 0 when actor a takes n more requests. */
static int admit(struct actor *a, const char *name, uint32_t n, struct bp_err *err)
{
    if (a->draining)
        return err_set(err, BP_STOPPED, "%s: %s is draining", name, a->name);
    uint32_t waiting = atomic_load_explicit(&a->waiting, memory_order_relaxed) + a->n_corked;
    if (waiting < a->capacity && n <= a->capacity - waiting)
        return 0;
    a->refused += n;
    return err_set(err, BP_LATER, "%s: %s is busy, %u requests wait already; try again later", name, a->name, waiting);
}

int bus_group(struct bus *b, const char *service, uint32_t n, struct bp_err *err)
{
    ASSERT_LOOP(b->loop);
    assert(b->corks > 0 && n > 0);
    struct service *s = bus_find(b, service);
    if (!s)
        return err_set(err, BP_NOTFOUND, "no running plugin offers the service \"%s\"", service);
    if (n > s->actor->batch_max)
        return err_set(err, BP_INVALID, "%s takes %u requests at once, not %u", service, s->actor->batch_max, n);
    int rc = admit(s->actor, service, n, err);
    s->actor->group = rc == 0 ? n : 0;
    return rc;
}

int bus_request(struct bus *b, const struct request_spec *spec, struct bp_err *err)
{
    assert(b->magic == BUS_MAGIC && spec->timeout_ms > 0);
    ASSERT_LOOP(b->loop);
    struct service *s = bus_find(b, spec->service);
    int rc;
    if (!s)
        rc = err_set(err, BP_NOTFOUND, "%s: no running plugin offers the service \"%s\"", spec->name, spec->service);
    else
        rc = admit(s->actor, spec->name, 1, err);
    struct request *r = rc == 0 ? make(b, spec) : NULL;
    if (!r) {
        free_args(spec);
        return rc < 0 ? rc : err_set(err, BP_LATER, "%s: no memory", spec->name);
    }
    assert(spec->run || s->actor->batch);
    r->table = s->table;
    r->inst = s->inst;
    send_to(s->actor, r, spec->timeout_ms);
    return 0;
}

int actor_call(struct actor *a, const struct request_spec *spec, struct bp_err *err)
{
    assert(a->magic == ACTOR_MAGIC && spec->run && spec->timeout_ms > 0);
    ASSERT_LOOP(a->bus->loop);
    struct request *r = make(a->bus, spec);
    if (!r) {
        free_args(spec);
        return err_set(err, BP_NOMEM, "%s: no memory", spec->name);
    }
    r->direct = 1;
    send_to(a, r, spec->timeout_ms);
    return 0;
}

static int is_fault(int rc)
{
    return rc == BP_FAIL || rc == BP_TIMEOUT || rc == BP_IO || rc == BP_NOSPACE || rc == BP_NOMEM;
}

void request_timed_out(struct deadline *d)
{
    struct request *r = (struct request *)((char *)d - offsetof(struct request, deadline));
    struct actor *a = r->actor;
    struct bp_err err;
    assert(r->magic == REQUEST_MAGIC);
    err_set(&err, BP_TIMEOUT, "%s: no answer from %s within %lld ms", r->name, a->name, (long long)r->timeout_ms);
    int mine = actor_withdraw(a, r);
    atomic_store_explicit(&r->answered, 1, memory_order_relaxed);
    a->timed_out++;
    a->last_error_ms = loop_now_ms(a->bus->loop);
    if (r->reply)
        r->reply(r->args, &err, r->arg);
    if (mine) {
        request_release(a->bus, r);
        actor_gone(a);
        actor_free_if_asked(a);
    }
}

void request_reply_one(struct request *r)
{
    struct actor *a = r->actor;
    struct bus *b = a->bus;
    assert(r->magic == REQUEST_MAGIC && r->done);
    deadline_clear(&b->deadlines, &r->deadline);
    if (!atomic_load_explicit(&r->answered, memory_order_relaxed)) {
        if (is_fault(r->err.rc))
            a->last_error_ms = loop_now_ms(b->loop);
        a->served++;
        if (r->reply)
            r->reply(r->args, &r->err, r->arg);
    } else if (r->ran && r->late) {
        r->late(r->args, &r->err, r->arg);
    }
    request_release(b, r);
    actor_gone(a);
}

/* ---- for batch functions, on the actor's thread ---- */

void *request_args(struct request *r)
{
    return r->args;
}

const void *request_table(struct request *r)
{
    return r->table;
}

void *request_inst(struct request *r)
{
    return r->inst;
}

void request_early(struct request *r)
{
    struct actor *a = r->actor;
    pthread_mutex_lock(&a->lock);
    r->early_after = a->n_done;
    STAILQ_INSERT_TAIL(&a->early, r, in_early);
    actor_post_replies(a);
    pthread_mutex_unlock(&a->lock);
}

void request_done(struct request *r, int rc, const struct bp_err *err)
{
    assert(r->magic == REQUEST_MAGIC && !r->done);
    r->done = 1;
    r->ran = 1;
    r->err.rc = rc;
    if (rc == 0)
        return;
    if (rc > 0)
        err_set(&r->err, BP_FAIL, "%s by %s: %d is no return code", r->name, r->actor->name, rc);
    else if (err && err->text[0])
        err_set(&r->err, rc, "%.*s", (int)sizeof err->text, err->text);
    else
        err_set(&r->err, rc, "%s by %s: %s", r->name, r->actor->name, err_name(rc));
}
