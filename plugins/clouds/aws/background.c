/* SPDX-License-Identifier: Apache-2.0 */
#include "background.h"

#include "err.h"
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct background {
    int64_t (*step)(void *arg);
    void *arg;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int woken;
    int64_t stop_ms; /* 0: goes on; else the time by which it ends */
};

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Until due_ms (< 0: until woken) or until it is to stop. Under the mutex. */
static void wait_until(struct background *b, int64_t due_ms)
{
    const struct timespec t = {due_ms / 1000, due_ms % 1000 * 1000000};
    while (!b->stop_ms && (due_ms < 0 ? !b->woken : mono_ms() < due_ms)) {
        if (due_ms < 0)
            pthread_cond_wait(&b->changed, &b->mutex);
        else
            pthread_cond_timedwait(&b->changed, &b->mutex, &t);
    }
}

static void *run(void *arg)
{
    struct background *b = arg;
    int64_t rest = BACKGROUND_IDLE;
    pthread_mutex_lock(&b->mutex);
    for (;;) {
        if (rest != BACKGROUND_AGAIN)
            wait_until(b, rest > 0 ? mono_ms() + rest : -1);
        if (b->stop_ms && (rest > 0 || (rest < 0 && !b->woken) || mono_ms() >= b->stop_ms))
            break;
        b->woken = 0;
        pthread_mutex_unlock(&b->mutex);
        rest = b->step(b->arg);
        pthread_mutex_lock(&b->mutex);
    }
    pthread_mutex_unlock(&b->mutex);
    return NULL;
}

struct background *background_start(int64_t (*step)(void *arg), void *arg, struct bp_err *err)
{
    pthread_condattr_t attr;
    struct background *b = calloc(1, sizeof *b);
    if (!b) {
        err_set(err, BP_NOMEM, "no memory for a thread that sends to AWS");
        return NULL;
    }
    b->step = step;
    b->arg = arg;
    pthread_mutex_init(&b->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&b->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&b->thread, NULL, run, b) == 0)
        return b;
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->mutex);
    free(b);
    err_set(err, BP_FAIL, "the system gives no thread to send to AWS with; see ulimit -u");
    return NULL;
}

void background_wake(struct background *b)
{
    pthread_mutex_lock(&b->mutex);
    b->woken = 1;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->mutex);
}

void background_stop(struct background *b, int64_t drain_ms)
{
    if (!b)
        return;
    pthread_mutex_lock(&b->mutex);
    b->stop_ms = mono_ms() + drain_ms;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->mutex);
    pthread_join(b->thread, NULL);
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->mutex);
    free(b);
}
