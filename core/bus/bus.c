/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/bus_private.h"

#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bus *bus_new(struct loop *l)
{
    ASSERT_LOOP(l);
    struct bus *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->magic = BUS_MAGIC;
    b->loop = l;
    if (recent_open(&b->recent) < 0 || deadlines_open(&b->deadlines, l, request_timed_out) < 0) {
        recent_close(&b->recent);
        free(b);
        return NULL;
    }
    return b;
}

struct loop *bus_loop(struct bus *b)
{
    return b->loop;
}

/* Runs after everything that was posted for this bus before bus_free(). */
static void free_last(void *arg)
{
    free(arg);
}

void bus_free(struct bus *b)
{
    if (!b)
        return;
    assert(b->magic == BUS_MAGIC);
    ASSERT_LOOP(b->loop);
    while (b->actors)
        actor_abandon(b->actors);
    bus_free_events(b);
    while (b->services) {
        struct service *s = b->services;
        b->services = s->next;
        free(s);
    }
    while (b->free_requests) {
        struct request *r = b->free_requests;
        b->free_requests = r->next;
        free(r);
    }
    deadlines_close(&b->deadlines);
    b->magic = 0;
    loop_post(b->loop, "bus.free", free_last, b);
}

struct service *bus_find(struct bus *b, const char *name)
{
    for (struct service *s = b->services; s; s = s->next) {
        if (strcmp(s->name, name) == 0)
            return s;
    }
    return NULL;
}

void bus_route(struct bus *b, const char *service, struct actor *a, const void *table, void *inst)
{
    ASSERT_LOOP(b->loop);
    struct service *s = bus_find(b, service);
    if (!s) {
        s = calloc(1, sizeof *s);
        assert(strlen(service) < sizeof s->name);
        if (!s) {
            log_error(LOG_BUS, "service %s cannot be offered: no memory", service);
            return;
        }
        snprintf(s->name, sizeof s->name, "%s", service);
        s->next = b->services;
        b->services = s;
    }
    s->actor = a;
    s->table = table;
    s->inst = inst;
}

int bus_has_service(struct bus *b, const char *service)
{
    ASSERT_LOOP(b->loop);
    struct service *s = bus_find(b, service);
    return s && s->actor;
}

void bus_unroute(struct bus *b, struct actor *a)
{
    for (struct service *s = b->services; s; s = s->next) {
        if (s->actor == a)
            s->actor = NULL;
    }
}
