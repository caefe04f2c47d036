/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/bus_private.h"

#include "log/log.h"
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
    TAILQ_INIT(&b->free_requests);
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
        actor_abandon(b->actors); /* and with them their services */
    bus_free_events(b);
    for (struct request *r; (r = list_pop(&b->free_requests));)
        free(r);
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

static void remove_service(struct service **link)
{
    struct service *s = *link;
    *link = s->next;
    free(s->name);
    free(s);
}

static struct service *add_service(struct bus *b, const char *name)
{
    struct service *s = calloc(1, sizeof *s);
    char *copy = strdup(name);
    if (!s || !copy) {
        log_error(LOG_BUS, "service %s cannot be offered: no memory", name);
        free(s);
        free(copy);
        return NULL;
    }
    s->name = copy;
    s->next = b->services;
    b->services = s;
    return s;
}

static void unroute(struct bus *b, const char *service)
{
    struct service **link = &b->services;
    while (*link && strcmp((*link)->name, service) != 0)
        link = &(*link)->next;
    if (*link)
        remove_service(link);
}

void bus_route(struct bus *b, const char *service, struct actor *a, const void *table, void *inst)
{
    ASSERT_LOOP(b->loop);
    if (!a) {
        unroute(b, service);
        return;
    }
    struct service *s = bus_find(b, service);
    if (!s && !(s = add_service(b, service)))
        return;
    s->actor = a;
    s->table = table;
    s->inst = inst;
}

int bus_has_service(struct bus *b, const char *service)
{
    ASSERT_LOOP(b->loop);
    return bus_find(b, service) != NULL;
}

void bus_unroute(struct bus *b, struct actor *a)
{
    for (struct service **link = &b->services; *link;) {
        if ((*link)->actor == a)
            remove_service(link);
        else
            link = &(*link)->next;
    }
}
