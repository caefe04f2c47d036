/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of a plugin under test: it listens, counts and, when asked to, fails. */
#include "test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* bp_host.alloc has no handle: one plugin at a time is under test. */
static struct bp_test *current;

void test_host_of(struct bp_test *t)
{
    current = t;
}

static struct bp_test *of(struct bp_self *self)
{
    return (struct bp_test *)(void *)self;
}

/* With the lock held. */
static void append(struct notes *n, const char *line, size_t bytes)
{
    if (n->used + bytes + 2 > TEXT_BYTES) {
        size_t half = n->used / 2;
        memmove(n->text, n->text + half, n->used - half);
        n->used -= half;
    }
    memcpy(n->text + n->used, line, bytes);
    n->used += bytes;
    n->text[n->used++] = '\n';
    n->text[n->used] = 0;
}

BP_PRINTF(3, 0)
static void note(struct bp_test *t, struct notes *n, const char *fmt, va_list ap)
{
    char line[4096];
    int bytes = vsnprintf(line, sizeof line, fmt, ap);
    size_t used = bytes < 0 ? 0 : (size_t)bytes < sizeof line ? (size_t)bytes : sizeof line - 1;
    pthread_mutex_lock(&t->lock);
    append(n, line, used);
    pthread_mutex_unlock(&t->lock);
}

void test_note(struct bp_test *t, struct notes *n, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    note(t, n, fmt, ap);
    va_end(ap);
}

static const char *show(struct bp_test *t, const struct notes *n)
{
    pthread_mutex_lock(&t->lock);
    free(t->shown);
    t->shown = strdup(n->text);
    pthread_mutex_unlock(&t->lock);
    return t->shown ? t->shown : "";
}

const char *bp_test_log(struct bp_test *t)
{
    return show(t, &t->log);
}

const char *bp_test_events(struct bp_test *t)
{
    return show(t, &t->events);
}

int32_t test_fails_now(struct bp_test *t)
{
    pthread_mutex_lock(&t->lock);
    int32_t now = t->fail_in == 1;
    t->fail_in -= t->fail_in > 0;
    t->failed |= now;
    pthread_mutex_unlock(&t->lock);
    return now;
}

void bp_test_fail(struct bp_test *t, int64_t n)
{
    pthread_mutex_lock(&t->lock);
    t->fail_in = n;
    t->failed = 0;
    pthread_mutex_unlock(&t->lock);
}

int32_t bp_test_failed(const struct bp_test *t)
{
    return t->failed;
}

void bp_test_clock(struct bp_test *t, int64_t now_ms)
{
    pthread_mutex_lock(&t->lock);
    t->now_ms = now_ms;
    pthread_mutex_unlock(&t->lock);
}

/* ---- the table ---- */

static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...) BP_PRINTF(3, 4);
static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...)
{
    (void)level;
    va_list ap;
    va_start(ap, fmt);
    note(of(self), &of(self)->log, fmt, ap);
    va_end(ap);
}

static int64_t host_now_ms(struct bp_self *self)
{
    struct bp_test *t = of(self);
    struct timespec now;
    pthread_mutex_lock(&t->lock);
    int64_t set = t->now_ms;
    pthread_mutex_unlock(&t->lock);
    clock_gettime(CLOCK_REALTIME, &now);
    return set ? set : (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *host_config(struct bp_self *self)
{
    return of(self)->settings;
}

static const char *host_state_dir(struct bp_self *self)
{
    return of(self)->dir;
}

static int32_t is_event(const char *name)
{
#undef BP_EVENT
#define BP_EVENT(id, event, help, fields) event,
    static const char *const events[] = {
#include <bp/event.def>
    };
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (strcmp(events[i], name) == 0)
            return 1;
    return 0;
}

static int32_t host_emit(struct bp_self *self, const char *event, const char *fields, struct bp_err *err)
{
    if (!event || !fields || fields[0] != '{')
        return bp_error(err, BP_INVALID, "an event needs a name and its fields as a JSON object");
    if (!is_event(event))
        return bp_error(err, BP_INVALID, "there is no event %.60s; bp/event.def has all there are", event);
    test_note(of(self), &of(self)->events, "%s %s", event, fields);
    return BP_OK;
}

static void count_block(int64_t n)
{
    pthread_mutex_lock(&current->lock);
    current->blocks += n;
    pthread_mutex_unlock(&current->lock);
}

static void *host_alloc(size_t bytes)
{
    void *p = test_fails_now(current) ? NULL : calloc(1, bytes ? bytes : 1);
    if (p)
        count_block(1);
    return p;
}

static void host_free(void *memory)
{
    if (memory)
        count_block(-1);
    free(memory);
}

void bp_test_free(struct bp_test *t, void *memory)
{
    (void)t;
    host_free(memory);
}

const struct bp_host test_host = {
    .size = sizeof test_host,
    .abi = BP_ABI_VERSION,
    .log = host_log,
    .now_ms = host_now_ms,
    .config = host_config,
    .state_dir = host_state_dir,
    .emit = host_emit,
    .alloc = host_alloc,
    .free = host_free,
};
