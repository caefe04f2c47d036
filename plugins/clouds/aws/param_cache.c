/* SPDX-License-Identifier: Apache-2.0 */
#include "param_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <unistd.h>

struct entry {
    TAILQ_ENTRY(entry) next; /* last asked for first */
    char *name;
    char *value; /* pages of its own */
    size_t room;
    int64_t at_ms;
};

struct param_cache {
    pthread_mutex_t mutex;
    TAILQ_HEAD(param_entries, entry) all;
    uint32_t n, most;
};

/* ---- memory that is in no core dump ---- */

static char *pages_copy(const char *text, size_t *room)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = strlen(text) + 1;
    *room = (n + page - 1) / page * page;
    char *p = mmap(NULL, *room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    madvise(p, *room, MADV_DONTDUMP);
    memcpy(p, text, n);
    return p;
}

static void pages_drop(char *p, size_t room)
{
    explicit_bzero(p, room);
    munmap(p, room);
}

/* ---- the cache ---- */

static void entry_free(struct param_cache *c, struct entry *e)
{
    TAILQ_REMOVE(&c->all, e, next);
    c->n--;
    pages_drop(e->value, e->room);
    free(e->name);
    free(e);
}

static struct entry *find(struct param_cache *c, const char *name)
{
    struct entry *e;
    TAILQ_FOREACH(e, &c->all, next)
    if (strcmp(e->name, name) == 0)
        return e;
    return NULL;
}

struct param_cache *param_cache_new(uint32_t most)
{
    struct param_cache *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    pthread_mutex_init(&c->mutex, NULL);
    TAILQ_INIT(&c->all);
    c->most = most;
    return c;
}

void param_cache_free(struct param_cache *c)
{
    if (!c)
        return;
    for (struct entry *e = TAILQ_FIRST(&c->all), *next; e; e = next) {
        next = TAILQ_NEXT(e, next);
        entry_free(c, e);
    }
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

int64_t param_cache_get(struct param_cache *c, const char *name, int64_t now_ms, char **value)
{
    int64_t age = -1;
    *value = NULL;
    pthread_mutex_lock(&c->mutex);
    struct entry *e = find(c, name);
    if (e) {
        TAILQ_REMOVE(&c->all, e, next);
        TAILQ_INSERT_HEAD(&c->all, e, next);
        *value = strdup(e->value);
        age = *value ? now_ms - e->at_ms : -1;
    }
    pthread_mutex_unlock(&c->mutex);
    return age;
}

static void insert(struct param_cache *c, const char *name, const char *value, int64_t now_ms)
{
    struct entry *e = calloc(1, sizeof *e);
    if (e)
        e->name = strdup(name);
    if (e && e->name)
        e->value = pages_copy(value, &e->room);
    if (!e || !e->value) {
        if (e)
            free(e->name);
        free(e);
        return;
    }
    e->at_ms = now_ms;
    TAILQ_INSERT_HEAD(&c->all, e, next);
    if (++c->n > c->most)
        entry_free(c, TAILQ_LAST(&c->all, param_entries));
}

void param_cache_put(struct param_cache *c, const char *name, const char *value, int64_t now_ms)
{
    pthread_mutex_lock(&c->mutex);
    struct entry *e = find(c, name);
    if (e)
        entry_free(c, e);
    insert(c, name, value, now_ms);
    pthread_mutex_unlock(&c->mutex);
}

void param_cache_remove(struct param_cache *c, const char *name)
{
    pthread_mutex_lock(&c->mutex);
    struct entry *e = find(c, name);
    if (e)
        entry_free(c, e);
    pthread_mutex_unlock(&c->mutex);
}

void param_cache_drop_copy(char *value)
{
    if (value)
        explicit_bzero(value, strlen(value));
    free(value);
}
