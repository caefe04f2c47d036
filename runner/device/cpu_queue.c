/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues of the CPU device: each has a thread that does what it is given, in order, while the caller goes on. A kernel
 * still runs on all cores, one at a time; copies run beside it.
 */
#include "device/cpu.h"
#include "device/module.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define COMMANDS 64 /* that may wait; who gives one more waits himself */

enum command_kind { COMMAND_COPY = 1, COMMAND_LAUNCH, COMMAND_REACH, COMMAND_AWAIT };

struct command {
    enum command_kind kind;
    union {
        struct {
            void *to;
            const void *from;
            uint64_t n;
        } copy;
        struct {
            const struct bp_kernel_twin *twin;
            struct bp_grid grid;
        } launch;
        struct {
            struct bp_event *event;
            uint64_t record;
        } moment;
    } u;
    _Alignas(16) unsigned char args[BP_ARGS_MAX];
};

struct bp_queue {
    struct cpu *cpu;
    struct bp_queue *next;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t given, done;
    /* under lock: how many commands were ever given and done */
    uint64_t n_given, n_done;
    int32_t ending;
    struct command commands[COMMANDS]; /* command i is at i % COMMANDS */
};

/* Records are numbered from 1. What waits for one was given after it, so nothing waits for ever. */
struct bp_event {
    pthread_mutex_t lock;
    pthread_cond_t reached_one;
    uint64_t recorded, reached; /* recorded: of the caller alone; reached: under lock */
};

static void event_await(struct bp_event *e, uint64_t record)
{
    pthread_mutex_lock(&e->lock);
    while (e->reached < record)
        pthread_cond_wait(&e->reached_one, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

static void event_reach(struct bp_event *e, uint64_t record)
{
    pthread_mutex_lock(&e->lock);
    if (record > e->reached)
        e->reached = record;
    pthread_cond_broadcast(&e->reached_one);
    pthread_mutex_unlock(&e->lock);
}

static void run_command(struct bp_queue *q, const struct command *c)
{
    if (c->kind == COMMAND_COPY)
        memcpy(c->u.copy.to, c->u.copy.from, c->u.copy.n);
    else if (c->kind == COMMAND_LAUNCH)
        cpu_run(q->cpu, c->u.launch.twin, c->u.launch.grid, c->args);
    else if (c->kind == COMMAND_REACH)
        event_reach(c->u.moment.event, c->u.moment.record);
    else
        event_await(c->u.moment.event, c->u.moment.record);
}

static void *queue_main(void *arg)
{
    struct bp_queue *q = arg;
    pthread_mutex_lock(&q->lock);
    for (;;) {
        while (q->n_done == q->n_given && !q->ending)
            pthread_cond_wait(&q->given, &q->lock);
        if (q->n_done == q->n_given)
            break;
        const struct command *c = &q->commands[q->n_done % COMMANDS];
        pthread_mutex_unlock(&q->lock);
        run_command(q, c);
        pthread_mutex_lock(&q->lock);
        q->n_done++;
        pthread_cond_signal(&q->done);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

/* The next command, to be filled in by the caller, whose alone it is until give(). */
static struct command *next_command(struct bp_queue *q, enum command_kind kind)
{
    pthread_mutex_lock(&q->lock);
    while (q->n_given - q->n_done == COMMANDS)
        pthread_cond_wait(&q->done, &q->lock);
    struct command *c = &q->commands[q->n_given % COMMANDS];
    pthread_mutex_unlock(&q->lock);
    c->kind = kind;
    return c;
}

static void give(struct bp_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->n_given++;
    pthread_cond_signal(&q->given);
    pthread_mutex_unlock(&q->lock);
}

static void queue_drain(struct bp_queue *q)
{
    pthread_mutex_lock(&q->lock);
    while (q->n_done < q->n_given)
        pthread_cond_wait(&q->done, &q->lock);
    pthread_mutex_unlock(&q->lock);
}

void cpu_drain(struct cpu *cpu)
{
    for (struct bp_queue *q = cpu->queues; q; q = q->next)
        queue_drain(q);
}

static int32_t queue_open(const struct bp_device *dev, struct bp_queue **out, struct bp_err *err)
{
    struct cpu *cpu = dev->ctx;
    *out = NULL;
    struct bp_queue *q = aligned_alloc(64, (sizeof *q + 63) / 64 * 64);
    if (!q)
        return device_fail(err, BP_NOMEM, "no memory for a queue of the CPU device");
    memset(q, 0, offsetof(struct bp_queue, commands));
    q->cpu = cpu;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->given, NULL);
    pthread_cond_init(&q->done, NULL);
    if (pthread_create(&q->thread, NULL, queue_main, q) != 0) {
        free(q);
        return device_fail(err, BP_NOMEM, "no thread for a queue of the CPU device: this process may start no more");
    }
    q->next = cpu->queues;
    cpu->queues = q;
    *out = q;
    return BP_OK;
}

static void queue_close(const struct bp_device *dev, struct bp_queue **queue)
{
    struct cpu *cpu = dev->ctx;
    struct bp_queue *q = *queue;
    if (!q)
        return;
    *queue = NULL;
    for (struct bp_queue **p = &cpu->queues; *p; p = &(*p)->next) {
        if (*p == q) {
            *p = q->next;
            break;
        }
    }
    pthread_mutex_lock(&q->lock);
    q->ending = 1;
    pthread_cond_signal(&q->given);
    pthread_mutex_unlock(&q->lock);
    pthread_join(q->thread, NULL);
    pthread_cond_destroy(&q->given);
    pthread_cond_destroy(&q->done);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

static void copy_on(struct bp_queue *q, void *to, const void *from, uint64_t n)
{
    struct command *c = next_command(q, COMMAND_COPY);
    c->u.copy.to = to;
    c->u.copy.from = from;
    c->u.copy.n = n;
    give(q);
}

static int32_t upload_on(const struct bp_device *dev, struct bp_queue *q, const struct bp_buffer *to, uint64_t offset,
                         const void *from, uint64_t n, struct bp_err *err)
{
    struct cpu *cpu = dev->ctx;
    int32_t rc = device_check_span(to, offset, n, "upload", err);
    if (rc != BP_OK || n == 0)
        return rc;
    cpu->stats.uploads++;
    cpu->stats.uploaded_bytes += (int64_t)n;
    copy_on(q, (char *)to->at + offset, from, n);
    return BP_OK;
}

static int32_t download_on(const struct bp_device *dev, struct bp_queue *q, const struct bp_buffer *from,
                           uint64_t offset, void *to, uint64_t n, struct bp_err *err)
{
    struct cpu *cpu = dev->ctx;
    int32_t rc = device_check_span(from, offset, n, "download", err);
    if (rc != BP_OK || n == 0)
        return rc;
    cpu->stats.downloads++;
    cpu->stats.downloaded_bytes += (int64_t)n;
    copy_on(q, to, (const char *)from->at + offset, n);
    return BP_OK;
}

static int32_t launch_on(const struct bp_device *dev, struct bp_queue *q, struct bp_kernel *kernel, struct bp_grid grid,
                         const void *args, uint32_t args_bytes, struct bp_err *err)
{
    struct cpu *cpu = dev->ctx;
    int32_t rc = device_check_launch(kernel->twin, grid, args_bytes, err);
    if (rc == BP_OK && args_bytes > BP_ARGS_MAX)
        rc = device_fail(err, BP_INVALID, "launch of kernel %s with %u bytes of arguments, a queue takes %d",
                         kernel->twin->name, args_bytes, BP_ARGS_MAX);
    if (rc != BP_OK)
        return rc;
    cpu->stats.launches++;
    struct command *c = next_command(q, COMMAND_LAUNCH);
    c->u.launch.twin = kernel->twin;
    c->u.launch.grid = grid;
    memcpy(c->args, args, args_bytes);
    give(q);
    return BP_OK;
}

static int32_t event_open(const struct bp_device *dev, struct bp_event **out, struct bp_err *err)
{
    (void)dev;
    struct bp_event *e = calloc(1, sizeof *e);
    *out = e;
    if (!e)
        return device_fail(err, BP_NOMEM, "no memory for an event");
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->reached_one, NULL);
    return BP_OK;
}

/* Queues may still have to reach it, or to wait for it. */
static void event_close(const struct bp_device *dev, struct bp_event **event)
{
    struct bp_event *e = *event;
    if (!e)
        return;
    *event = NULL;
    cpu_drain(dev->ctx);
    pthread_cond_destroy(&e->reached_one);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

static void moment(struct bp_queue *q, enum command_kind kind, struct bp_event *e)
{
    struct command *c = next_command(q, kind);
    c->u.moment.event = e;
    c->u.moment.record = e->recorded;
    give(q);
}

static int32_t event_record(const struct bp_device *dev, struct bp_event *e, struct bp_queue *q, struct bp_err *err)
{
    (void)dev, (void)err;
    e->recorded++;
    moment(q, COMMAND_REACH, e);
    return BP_OK;
}

static int32_t queue_wait(const struct bp_device *dev, struct bp_queue *q, struct bp_event *e, struct bp_err *err)
{
    (void)dev, (void)err;
    if (e->recorded > 0)
        moment(q, COMMAND_AWAIT, e);
    return BP_OK;
}

static int32_t event_wait(const struct bp_device *dev, struct bp_event *e, struct bp_err *err)
{
    (void)dev, (void)err;
    event_await(e, e->recorded);
    return BP_OK;
}

void cpu_queue_functions(struct bp_device *dev)
{
    dev->queue_open = queue_open;
    dev->queue_close = queue_close;
    dev->upload_on = upload_on;
    dev->download_on = download_on;
    dev->launch_on = launch_on;
    dev->event_open = event_open;
    dev->event_close = event_close;
    dev->event_record = event_record;
    dev->queue_wait = queue_wait;
    dev->event_wait = event_wait;
}
