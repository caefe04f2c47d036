/* SPDX-License-Identifier: Apache-2.0 */
#include "http/rig.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define MAX_SETS 32

struct rig *rig_now;

struct start {
    struct rig *rig;
    const char *sets[MAX_SETS];
    uint32_t n;
    sem_t up;
    struct bp_err err;
};

struct errand {
    struct rig *rig;
    void (*fn)(struct rig *r, void *arg);
    void *arg;
    sem_t done;
};

static int open_door(struct start *s)
{
    struct rig *r = s->rig;
    struct config_sources src = {.sets = s->sets, .n_sets = s->n};

    r->app.loop = loop_new();
    r->app.bus = bus_new(r->app.loop);
    r->app.config = config_load(&src, &s->err);
    if (!r->app.config)
        return -1;
    snprintf(r->app.fleet_secret, sizeof(r->app.fleet_secret), "%s", FLEET_SECRET);
    snprintf(r->app.local_token, sizeof(r->app.local_token), "%s", TENANT_TOKEN);
    if (!getcwd(r->app.state_dir, sizeof(r->app.state_dir)))
        return -1;
    r->app.ready = 1;
    r->http = http_new(&r->app, &s->err);
    if (!r->http)
        return -1;
    r->port = (uint16_t)atoi(strrchr(r->app.url, ':') + 1);
    return 0;
}

static void *serve(void *arg)
{
    struct start *s = arg;
    struct rig *r = s->rig;
    int up = open_door(s) == 0;

    sem_post(&s->up); /* s is gone after this */
    if (up)
        loop_run(r->app.loop);
    http_free(r->http);
    doubles_release(r, NULL); /* engines may answer after the door is gone */
    bus_free(r->app.bus);
    loop_free(r->app.loop);
    config_free((struct config *)(uintptr_t)r->app.config);
    return NULL;
}

struct rig *rig_start(const char *first, ...)
{
    struct start s = {.sets = {"http.listen=127.0.0.1:0", "http.registerPerMinute=0"}, .n = 2};
    pthread_t *thread = malloc(sizeof(*thread));
    va_list ap;

    va_start(ap, first);
    for (const char *one = first; one && s.n < MAX_SETS; one = va_arg(ap, const char *))
        s.sets[s.n++] = one;
    va_end(ap);
    s.rig = calloc(1, sizeof(*s.rig));
    atomic_store(&s.rig->job_status, BP_JOB_LEASED);
    rig_now = s.rig;
    sem_init(&s.up, 0, 0);
    s.rig->thread = thread;
    assert_int_equal(pthread_create(thread, NULL, serve, &s), 0);
    while (sem_wait(&s.up))
        ;
    sem_destroy(&s.up);
    if (!s.rig->http)
        fail_msg("the door did not open: %s", s.err.text);
    return s.rig;
}

void rig_stop(struct rig *r)
{
    loop_stop(r->app.loop);
    pthread_join(*(pthread_t *)r->thread, NULL);
    free(r->thread);
    free(r);
    rig_now = NULL;
}

static void run_errand(void *arg)
{
    struct errand *e = arg;

    e->fn(e->rig, e->arg);
    sem_post(&e->done);
}

void rig_do(struct rig *r, void (*fn)(struct rig *r, void *arg), void *arg)
{
    struct errand e = {.rig = r, .fn = fn, .arg = arg};

    sem_init(&e.done, 0, 0);
    loop_post(r->app.loop, "test", run_errand, &e);
    while (sem_wait(&e.done))
        ;
    sem_destroy(&e.done);
}

void rig_release_polls(struct rig *r)
{
    rig_do(r, doubles_release, NULL);
}

void rig_await(atomic_int *counter, int n)
{
    struct timespec nap = {.tv_nsec = 2000000};

    for (int i = 0; i < 5000; i++) {
        if (atomic_load(counter) >= n)
            return;
        nanosleep(&nap, NULL);
    }
    fail_msg("waited in vain: %d of %d", atomic_load(counter), n);
}
