/* SPDX-License-Identifier: Apache-2.0 */
#include "credentials_priv.h"

#include "client.h"
#include "clock.h"
#include "err.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define EARLY_MS    600000
#define JITTER_MS   180000
#define LAST_MS     60000 /* before the end: callers wait for a new set */
#define SAME_MS     60000 /* until a source is asked again that gave the same set */
#define REST_MS     1000  /* after a failure; doubles */
#define REST_MAX_MS 300000
#define DEAD_MAX_MS 30000 /* the same without a set that works */
#define AGAIN_MS    1000  /* callers do not try more often */
#define LOOK_MS     5000  /* is_changed is asked no more often */
#define FORCED_MAX  3     /* renewals a minute that AWS's refusals cause */
#define LATE_MS     300000
#define MINUTE_MS   60000
#define FLIGHT_MS   20000 /* of the thread */

#define NO_SOURCE                                                                                                      \
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile (plugin.aws.profile), or give the instance a role"

static int64_t now_of(struct credentials *c)
{
    return c->clock_ms() + atomic_load(&c->skew_ms);
}

static int is_usable(const struct aws_creds *s, int64_t now)
{
    return s->key_id[0] && (!s->expires_ms || s->expires_ms > now);
}

/* ---- a flight ---- */

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When a set is to be renewed. */
static int64_t due_of(const struct aws_creds *s, int64_t now, int is_same)
{
    int64_t left = s->expires_ms - now, early = EARLY_MS + arc4random_uniform(JITTER_MS + 1);
    if (!s->expires_ms)
        return INT64_MAX;
    if (is_same && left < 2 * EARLY_MS)
        return now + smaller(SAME_MS, left > 4000 ? left / 4 : 1000);
    return s->expires_ms - smaller(early, left / 2);
}

/* The rest after a failure, with jitter. */
static int64_t rest_of(const struct credentials *c, int64_t now)
{
    int64_t left = c->now->expires_ms - now;
    int64_t ms = c->failures < 10 ? (int64_t)REST_MS << (c->failures - 1) : REST_MAX_MS;
    int64_t most = is_usable(c->now, now) ? smaller(REST_MAX_MS, left / 2) : DEAD_MAX_MS;
    ms = smaller(ms, most > REST_MS ? most : REST_MS);
    return ms - arc4random_uniform((uint32_t)(ms / 4) + 1);
}

static void take_new(struct credentials *c, struct aws_creds *fresh, int64_t now)
{
    int is_same = strcmp(fresh->key_id, c->now->key_id) == 0 && strcmp(fresh->secret, c->now->secret) == 0 &&
                  strcmp(fresh->token, c->now->token) == 0;
    fresh->serial = c->now->serial + !is_same;
    if (!fresh->source[0])
        snprintf(fresh->source, sizeof fresh->source, "%s", c->source->name);
    if (!c->now->key_id[0])
        AWS_LOG(c->aws, BP_LOG_INFO, "credentials come from %s", fresh->source);
    else if (c->failures)
        AWS_LOG(c->aws, BP_LOG_INFO, "credentials from %s are renewed again", fresh->source);
    else if (!is_same)
        AWS_LOG(c->aws, BP_LOG_DEBUG, "credentials from %s were renewed", fresh->source);
    memcpy(c->now, fresh, sizeof *fresh);
    c->failures = 0;
    c->due_ms = due_of(c->now, now, is_same);
}

static void take_failure(struct credentials *c, int64_t now, const struct bp_err *err)
{
    c->failures++;
    c->why = *err;
    c->due_ms = c->now->expires_ms || !c->now->key_id[0] ? now + rest_of(c, now) : INT64_MAX;
    AWS_LOG(c->aws, BP_LOG_WARN, "no new credentials%s: %s",
            is_usable(c->now, now) ? "; those before go on being used" : "", err->text);
}

static void *keep(void *arg);

static void thread_start(struct credentials *c)
{
    if (!c->has_thread && c->due_ms != INT64_MAX && !c->stopping && c->clock_ms == wall_ms)
        c->has_thread = pthread_create(&c->thread, NULL, keep, c) == 0;
}

/* A set that is over already. While the service behind an instance's role is away, the instance goes on giving the last
 * one, and AWS goes on taking it: better than none, for a while. */
static int take_late(const struct credentials *c, struct aws_creds *fresh, int64_t now, struct bp_err *err)
{
    if (c->source->may_be_late && !is_usable(c->now, now)) {
        AWS_LOG(c->aws, BP_LOG_WARN, "%s gives credentials that are over already; they are used all the same",
                c->source->name);
        fresh->expires_ms = now + LATE_MS;
        return 0;
    }
    return err_set(err, BP_DENIED, "%.90s gives credentials that are over already; is its clock or ours wrong?",
                   c->source->name);
}

/* Asks the source, with the mutex let go meanwhile. */
static int fly(struct credentials *c, struct bp_err *err)
{
    struct aws_creds fresh = {0};
    struct bp_err why = {0};
    c->flying = 1;
    pthread_mutex_unlock(&c->mutex);
    int rc = c->source->fetch(c->source, &fresh, &why);
    pthread_mutex_lock(&c->mutex);
    int64_t now = now_of(c);
    if (rc == 0 && fresh.expires_ms && fresh.expires_ms <= now)
        rc = take_late(c, &fresh, now, &why);
    c->flying = 0;
    c->tried_ms = now;
    if (rc == 0)
        take_new(c, &fresh, now);
    else
        take_failure(c, now, &why);
    explicit_bzero(&fresh, sizeof fresh);
    thread_start(c);
    pthread_cond_broadcast(&c->moved);
    if (rc < 0)
        *err = why;
    return rc;
}

/* ---- the thread ---- */

static int64_t tick(struct credentials *c)
{
    struct bp_err ignored;
    if (c->source && !c->flying && c->due_ms != INT64_MAX && now_of(c) >= c->due_ms)
        fly(c, &ignored);
    if (c->flying) /* its end wakes whoever waits */
        return MINUTE_MS;
    int64_t left = c->due_ms == INT64_MAX ? MINUTE_MS : c->due_ms - now_of(c);
    return left < 1 ? 1 : smaller(left, MINUTE_MS);
}

int64_t creds_tick(struct credentials *c)
{
    pthread_mutex_lock(&c->mutex);
    int64_t ms = tick(c);
    pthread_mutex_unlock(&c->mutex);
    return ms;
}

static void *keep(void *arg)
{
    struct credentials *c = arg;
    pthread_mutex_lock(&c->mutex);
    while (!c->stopping) {
        struct timespec t;
        client_hurry(FLIGHT_MS);
        int64_t ms = tick(c);
        if (c->stopping)
            break;
        clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_sec += ms / 1000;
        t.tv_nsec += ms % 1000 * 1000000;
        t.tv_sec += t.tv_nsec / 1000000000;
        t.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&c->moved, &c->mutex, &t);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

/* ---- life ---- */

static int room_make(struct credentials *c)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    c->room = (sizeof *c->now + page - 1) / page * page;
    void *p = mmap(NULL, c->room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return 0;
    madvise(p, c->room, MADV_DONTDUMP);
    c->now = p;
    return 1;
}

static struct credentials *open_any(struct aws *aws, int64_t (*clock_ms)(void), struct bp_err *err)
{
    pthread_condattr_t monotonic;
    struct credentials *c = calloc(1, sizeof *c);
    if (!c || !room_make(c)) {
        free(c);
        err_set(err, BP_NOMEM, "no memory for credentials");
        return NULL;
    }
    c->aws = aws;
    c->clock_ms = clock_ms;
    c->due_ms = INT64_MAX;
    pthread_mutex_init(&c->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->moved, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return c;
}

struct credentials *creds_open_with(struct aws *aws, struct source *s, int64_t (*clock_ms)(void), struct bp_err *err)
{
    struct credentials *c = open_any(aws, clock_ms, err);
    if (c)
        c->source = s;
    else
        source_close(s);
    return c;
}

struct credentials *creds_open(struct aws *aws, struct bp_err *err)
{
    struct credentials *c = open_any(aws, wall_ms, err);
    if (c && !(c->source = source_choose(aws, &c->broken)))
        AWS_LOG(aws, BP_LOG_WARN, "%s", c->broken.text);
    return c;
}

void creds_close(struct credentials *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->mutex);
    c->stopping = 1;
    int joins = c->has_thread;
    pthread_cond_broadcast(&c->moved);
    pthread_mutex_unlock(&c->mutex);
    if (joins)
        pthread_join(c->thread, NULL);
    source_close(c->source);
    pthread_cond_destroy(&c->moved);
    pthread_mutex_destroy(&c->mutex);
    explicit_bzero(c->now, c->room);
    munmap(c->now, c->room);
    free(c);
}

/* ---- the doors ---- */

/* The source says that what it is made of changed: files, once in a while. */
static int has_changed(struct credentials *c, int64_t now)
{
    if (!c->source->is_changed || !c->now->key_id[0] || (now >= c->looked_ms && now - c->looked_ms < LOOK_MS))
        return 0;
    c->looked_ms = now;
    return c->source->is_changed(c->source);
}

/* Is the set good enough not to wait for another? */
static int is_good(struct credentials *c, int64_t now)
{
    return is_usable(c->now, now) &&
           (!c->now->expires_ms || c->now->expires_ms - now > LAST_MS ||
            c->due_ms > now) /* it lives short, or it failed just now */
           && !has_changed(c, now);
}

/* A usable set, or why there is none. */
static int wait_for_set(struct credentials *c, struct bp_err *err)
{
    while (!is_good(c, now_of(c))) {
        int64_t now = now_of(c);
        int tried = c->failures && now >= c->tried_ms && now - c->tried_ms < AGAIN_MS;
        if (c->flying) {
            pthread_cond_wait(&c->moved, &c->mutex);
        } else if (tried || fly(c, err) < 0) {
            if (is_usable(c->now, now_of(c)))
                return 0;
            *err = c->why;
            return c->why.rc;
        }
    }
    return 0;
}

int creds_get(struct credentials *c, struct aws_creds *out, struct bp_err *err)
{
    if (!c->source) {
        *err = c->broken;
        return err->rc;
    }
    pthread_mutex_lock(&c->mutex);
    int rc = wait_for_set(c, err);
    if (rc == 0)
        *out = *c->now;
    pthread_mutex_unlock(&c->mutex);
    return rc;
}

/* May a refusal cause another flight? A service that refuses everything must not make every call one. */
static int may_force(struct credentials *c, int64_t now)
{
    if (!c->forced_ms || now < c->forced_ms || now - c->forced_ms >= MINUTE_MS) {
        c->forced_ms = now;
        c->forced = 0;
    }
    return c->forced++ < FORCED_MAX;
}

static int force(struct credentials *c, uint64_t serial, struct bp_err *err)
{
    while (c->flying && c->now->serial == serial)
        pthread_cond_wait(&c->moved, &c->mutex);
    if (c->now->serial != serial)
        return 0;
    if (!may_force(c, now_of(c)))
        return err_set(err, BP_DENIED,
                       "credentials from %.90s were renewed %d times within a minute; they are not again",
                       c->source->name, FORCED_MAX);
    int rc = fly(c, err);
    if (rc == 0 && c->now->serial == serial)
        rc = err_set(err, BP_DENIED, "%.90s gives the same credentials again", c->source->name);
    return rc;
}

int creds_refresh(struct credentials *c, const struct aws_creds *used, struct bp_err *err)
{
    if (!c->source) {
        *err = c->broken;
        return err->rc;
    }
    pthread_mutex_lock(&c->mutex);
    int rc = force(c, used->serial, err);
    pthread_mutex_unlock(&c->mutex);
    return rc;
}

void creds_set_skew(struct credentials *c, int64_t skew_ms)
{
    atomic_store(&c->skew_ms, skew_ms);
}

const char *creds_source(const struct credentials *c)
{
    return c->source ? c->source->name : "no source of credentials";
}

const char *creds_remedy(const struct credentials *c)
{
    return c->source ? c->source->remedy : NO_SOURCE;
}
