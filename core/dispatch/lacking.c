/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/lacking.h"

#include "dispatch/engine.h"
#include "policy/fault.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STALE_MS 300000 /* a worker with a fault says so with each poll */
#define ROWS_MAX 1000

struct lack {
    struct lack *next;
    char worker[256], workflow[129], why[FAULT_BYTES];
    int64_t said_ms; /* monotonic */
};

struct lacking {
    struct lack *first;
    int n;
};

struct lacking *lacking_new(void)
{
    struct lacking *l = calloc(1, sizeof *l);
    assert(l);
    return l;
}

static void drop(struct lacking *l, struct lack **at)
{
    struct lack *gone = *at;
    *at = gone->next;
    free(gone);
    l->n--;
}

void lacking_free(struct lacking *l)
{
    while (l->first)
        drop(l, &l->first);
    free(l);
}

static void add(struct lacking *l, const char *worker_id, const char *slug, const char *why)
{
    struct lack *k = l->n < ROWS_MAX ? calloc(1, sizeof *k) : NULL;
    if (!k)
        return;
    snprintf(k->worker, sizeof k->worker, "%s", worker_id);
    snprintf(k->workflow, sizeof k->workflow, "%s", slug);
    snprintf(k->why, sizeof k->why, "%s", why);
    k->said_ms = mono_ms();
    k->next = l->first;
    l->first = k;
    l->n++;
}

void lacking_note(struct dispatch *d, const char *worker_id, const char *capabilities)
{
    struct lacking *l = d->lacking;
    struct json_object *now = lacks_in(capabilities);
    int64_t stale_ms = mono_ms() - STALE_MS;
    for (struct lack **at = &l->first; *at;) {
        if (strcmp((*at)->worker, worker_id) == 0 || (*at)->said_ms < stale_ms)
            drop(l, at);
        else
            at = &(*at)->next;
    }
    if (!now)
        return;
    json_object_object_foreach(now, slug, why)
    {
        add(l, worker_id, slug, json_object_get_string(why));
    }
    json_object_put(now);
}

int dispatch_lacking(struct dispatch *d, const char *workflow, const char **worker_id, const char **why)
{
    int n = 0;
    int64_t stale_ms = mono_ms() - STALE_MS;
    for (const struct lack *k = d->lacking->first; k; k = k->next) {
        if (strcmp(k->workflow, workflow) != 0 || k->said_ms < stale_ms)
            continue;
        n++;
        *worker_id = k->worker;
        *why = k->why;
    }
    return n;
}

/* One that was lacked, and is not any more, or not for the same reason. */
static int is_news(struct json_object *than, const char *slug, const char *why)
{
    const char *other = json_str(than, slug, NULL);
    return !other || (why && strcmp(other, why) != 0);
}

void lacking_tell(struct bus *b, const char *worker_id, const char *before, const char *now)
{
    struct json_object *was = lacks_in(before), *is = lacks_in(now);
    if (is) {
        json_object_object_foreach(is, slug, why)
        {
            if (is_news(was, slug, json_object_get_string(why)))
                bus_publish(b, EVENT_WORKER_ASSETS_MISSING, worker_id, slug, json_object_get_string(why));
        }
    }
    if (was) {
        json_object_object_foreach(was, had, ignored)
        {
            (void)ignored;
            if (is_news(is, had, NULL))
                bus_publish(b, EVENT_WORKER_ASSETS_READY, worker_id, had);
        }
    }
    json_object_put(was);
    json_object_put(is);
}
