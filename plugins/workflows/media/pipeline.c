/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four counters say all: 0 <= sunk <= finished <= launched <= filled <= sunk + slots. Each is raised by one thread (the
 * sink's, the caller's for two, the source's); frame first + i is in slot i % slots.
 */
#include <bp/pipeline.h>
#include <bp/workflow.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define FLIGHT 3 /* frames given to the device and not yet waited for: one goes up, one is computed, one comes down */

struct flow {
    const struct bp_pipeline *p;
    const struct bp_device *dev;
    int64_t slots;
    int shared; /* host and device memory are the same */
    int queued; /* the device has queues */
    struct bp_queue *up, *run, *down;
    struct bp_pipeline_slot slot[BP_PIPELINE_SLOTS_MAX];
    struct bp_event *uploaded[BP_PIPELINE_SLOTS_MAX], *computed[BP_PIPELINE_SLOTS_MAX], *done[BP_PIPELINE_SLOTS_MAX];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under lock */
    int64_t filled, launched, finished, sunk;
    int64_t end; /* frames in all; negative: not known yet */
    int32_t rc;  /* the first error */
    int closed;  /* nothing will be finished any more */
    struct bp_err err;
    struct bp_pipeline_times times; /* each member of one thread */
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail_flow(struct flow *f, int32_t rc, const struct bp_err *err)
{
    pthread_mutex_lock(&f->lock);
    if (f->rc == BP_OK) {
        f->rc = rc;
        f->err = *err;
        f->err.rc = rc;
    }
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static void raise_count(struct flow *f, int64_t *count)
{
    pthread_mutex_lock(&f->lock);
    ++*count;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

/* ---- the source's thread ---- */

/* Waits for a free slot for the next frame. 0: there is none to come. */
static int wait_for_room(struct flow *f)
{
    pthread_mutex_lock(&f->lock);
    while (f->rc == BP_OK && !f->closed && f->filled - f->sunk == f->slots)
        pthread_cond_wait(&f->changed, &f->lock);
    int more = f->rc == BP_OK && !f->closed && (f->end < 0 || f->filled < f->end);
    pthread_mutex_unlock(&f->lock);
    return more;
}

static void *source_main(void *arg)
{
    struct flow *f = arg;
    struct bp_err err = {0};
    while (wait_for_room(f)) {
        struct bp_pipeline_slot *s = &f->slot[f->filled % f->slots];
        s->frame = f->p->first + f->filled;
        s->in_used = f->p->in_bytes;
        int64_t began = now_ns();
        int32_t rc = f->p->source(f->p->arg, s, &err);
        f->times.source_ns += now_ns() - began;
        if (rc == BP_OK && s->in_used > f->p->in_bytes)
            rc = bp_error(&err, BP_INVALID, "frame %lld has %llu bytes, a slot %llu", (long long)s->frame,
                          (unsigned long long)s->in_used, (unsigned long long)f->p->in_bytes);
        if (rc != BP_OK) {
            fail_flow(f, rc, &err);
        } else if (s->over) {
            pthread_mutex_lock(&f->lock);
            f->end = f->filled;
            pthread_cond_broadcast(&f->changed);
            pthread_mutex_unlock(&f->lock);
        } else {
            raise_count(f, &f->filled);
        }
    }
    return NULL;
}

/* ---- the sink's thread ---- */

static int wait_for_finished(struct flow *f)
{
    pthread_mutex_lock(&f->lock);
    while (f->rc == BP_OK && !f->closed && f->sunk == f->finished)
        pthread_cond_wait(&f->changed, &f->lock);
    int more = f->rc == BP_OK && f->sunk < f->finished;
    pthread_mutex_unlock(&f->lock);
    return more;
}

static void *sink_main(void *arg)
{
    struct flow *f = arg;
    struct bp_err err = {0};
    while (wait_for_finished(f)) {
        int64_t began = now_ns();
        int32_t rc = f->p->sink(f->p->arg, &f->slot[f->sunk % f->slots], &err);
        f->times.sink_ns += now_ns() - began;
        if (rc == BP_OK)
            raise_count(f, &f->sunk);
        else
            fail_flow(f, rc, &err);
    }
    return NULL;
}

/* ---- the caller's thread: the device ---- */

static int32_t upload(struct flow *f, struct bp_pipeline_slot *s, struct bp_err *err)
{
    const struct bp_device *dev = f->dev;
    if (f->p->in_bytes == 0 || f->shared)
        return BP_OK;
    if (!f->queued)
        return dev->upload(dev, &s->device_in, 0, s->in, s->in_used, err);
    int32_t rc = dev->upload_on(dev, f->up, &s->device_in, 0, s->in, s->in_used, err);
    if (rc == BP_OK)
        rc = dev->event_record(dev, f->uploaded[s->index], f->up, err);
    return rc == BP_OK ? dev->queue_wait(dev, f->run, f->uploaded[s->index], err) : rc;
}

static int32_t download(struct flow *f, struct bp_pipeline_slot *s, struct bp_err *err)
{
    const struct bp_device *dev = f->dev;
    int copies = f->p->out_bytes > 0 && !f->shared;
    if (!f->queued)
        return copies ? dev->download(dev, &s->device_out, 0, (void *)(uintptr_t)s->out, f->p->out_bytes, err)
                      : dev->sync(dev, err);
    if (!copies)
        return dev->event_record(dev, f->done[s->index], f->run, err);
    int32_t rc = dev->event_record(dev, f->computed[s->index], f->run, err);
    if (rc == BP_OK)
        rc = dev->queue_wait(dev, f->down, f->computed[s->index], err);
    if (rc == BP_OK)
        rc = dev->download_on(dev, f->down, &s->device_out, 0, (void *)(uintptr_t)s->out, f->p->out_bytes, err);
    return rc == BP_OK ? dev->event_record(dev, f->done[s->index], f->down, err) : rc;
}

static int32_t launch_next(struct flow *f, struct bp_err *err)
{
    struct bp_pipeline_slot *s = &f->slot[f->launched % f->slots];
    s->frame = f->p->first + f->launched;
    int32_t rc = f->p->begin ? f->p->begin(f->p->arg, s->frame, err) : BP_OK;
    if (rc != BP_OK)
        return rc;
    int64_t began = now_ns();
    rc = upload(f, s, err);
    if (rc == BP_OK)
        rc = f->p->launch(f->p->arg, s, err);
    if (rc == BP_OK)
        rc = download(f, s, err);
    f->times.launch_ns += now_ns() - began;
    if (rc == BP_OK)
        raise_count(f, &f->launched);
    return rc;
}

static int32_t finish_next(struct flow *f, struct bp_err *err)
{
    int64_t began = now_ns();
    int32_t rc = f->queued ? f->dev->event_wait(f->dev, f->done[f->finished % f->slots], err) : BP_OK;
    f->times.device_ns += now_ns() - began;
    if (rc == BP_OK)
        raise_count(f, &f->finished);
    return rc;
}

enum next { NEXT_NONE = 1, NEXT_LAUNCH, NEXT_FINISH };

/* A frame that is there is launched at once, unless enough are under way already. */
static enum next wait_for_next(struct flow *f)
{
    enum next next = NEXT_NONE;
    pthread_mutex_lock(&f->lock);
    while (f->rc == BP_OK) {
        int64_t flight = f->launched - f->finished;
        if (!f->p->source)
            f->filled = f->end < f->sunk + f->slots ? f->end : f->sunk + f->slots;
        if (f->launched < f->filled && flight < (f->queued ? FLIGHT : 1) && flight < f->slots)
            next = NEXT_LAUNCH;
        else if (flight > 0)
            next = NEXT_FINISH;
        if (next != NEXT_NONE || (f->end >= 0 && f->launched == f->end))
            break;
        pthread_cond_wait(&f->changed, &f->lock);
    }
    pthread_mutex_unlock(&f->lock);
    return next;
}

/* Told to stop: what was launched before is still finished. */
static int32_t drain(struct flow *f, struct bp_err *err)
{
    int32_t rc = BP_OK;
    while (rc == BP_OK && f->finished < f->launched)
        rc = finish_next(f, err);
    return rc;
}

static int32_t drive(struct flow *f, struct bp_err *err)
{
    for (;;) {
        enum next next = wait_for_next(f);
        if (next == NEXT_NONE)
            return BP_OK;
        int32_t rc = next == NEXT_LAUNCH ? launch_next(f, err) : finish_next(f, err);
        if (rc == BP_STOPPED && next == NEXT_LAUNCH) {
            struct bp_err why = {0};
            rc = drain(f, &why);
            if (rc == BP_OK)
                return BP_STOPPED;
            *err = why;
        }
        if (rc != BP_OK) {
            fail_flow(f, rc, err);
            return rc;
        }
    }
}

/* ---- beginning and end ---- */

static int32_t host_memory(struct flow *f, const struct bp_buffer *device, uint64_t bytes, void **out,
                           struct bp_err *err)
{
    if (f->shared) {
        *out = device->at;
        return BP_OK;
    }
    if (f->queued)
        return f->dev->host_alloc(f->dev, bytes, out, err);
    *out = calloc(1, bytes);
    return *out ? BP_OK : bp_error(err, BP_NOMEM, "no memory for a frame of %llu bytes", (unsigned long long)bytes);
}

static int32_t slot_open(struct flow *f, struct bp_pipeline_slot *s, struct bp_err *err)
{
    const struct bp_device *dev = f->dev;
    uint64_t in = f->p->in_bytes, out = f->p->out_bytes;
    void *out_memory = NULL;
    int32_t rc = in > 0 ? dev->alloc(dev, in, &s->device_in, err) : BP_OK;
    if (rc == BP_OK && in > 0)
        rc = host_memory(f, &s->device_in, in, &s->in, err);
    if (rc == BP_OK && out > 0)
        rc = dev->alloc(dev, out, &s->device_out, err);
    if (rc == BP_OK && out > 0)
        rc = host_memory(f, &s->device_out, out, &out_memory, err);
    s->out = out_memory;
    s->queue = f->run;
    return rc;
}

static int32_t events_open(struct flow *f, int64_t i, struct bp_err *err)
{
    const struct bp_device *dev = f->dev;
    int32_t rc = dev->event_open(dev, &f->done[i], err);
    if (rc == BP_OK && !f->shared)
        rc = dev->event_open(dev, &f->uploaded[i], err);
    if (rc == BP_OK && !f->shared)
        rc = dev->event_open(dev, &f->computed[i], err);
    return rc;
}

static int32_t flow_open(struct flow *f, struct bp_err *err)
{
    const struct bp_device *dev = f->dev;
    int32_t rc = f->queued ? dev->queue_open(dev, &f->run, err) : BP_OK;
    if (rc == BP_OK && f->queued && !f->shared)
        rc = dev->queue_open(dev, &f->up, err);
    if (rc == BP_OK && f->queued && !f->shared)
        rc = dev->queue_open(dev, &f->down, err);
    for (int64_t i = 0; i < f->slots && rc == BP_OK; i++) {
        f->slot[i].index = (int32_t)i;
        rc = slot_open(f, &f->slot[i], err);
        if (rc == BP_OK && f->queued)
            rc = events_open(f, i, err);
    }
    return rc;
}

static void host_release(struct flow *f, void *memory)
{
    if (f->shared)
        return;
    if (f->queued)
        f->dev->host_free(f->dev, &memory);
    else
        free(memory);
}

/* Also after an error in the middle of opening. Queues first: nothing is under way any more then. */
static void flow_close(struct flow *f)
{
    const struct bp_device *dev = f->dev;
    if (f->queued) {
        dev->queue_close(dev, &f->up);
        dev->queue_close(dev, &f->run);
        dev->queue_close(dev, &f->down);
    }
    for (int64_t i = 0; i < f->slots; i++) {
        struct bp_pipeline_slot *s = &f->slot[i];
        host_release(f, s->in);
        host_release(f, (void *)(uintptr_t)s->out);
        dev->free(dev, &s->device_in);
        dev->free(dev, &s->device_out);
        if (f->queued) {
            dev->event_close(dev, &f->uploaded[i]);
            dev->event_close(dev, &f->computed[i]);
            dev->event_close(dev, &f->done[i]);
        }
    }
}

static void close_flow_to_threads(struct flow *f)
{
    pthread_mutex_lock(&f->lock);
    f->closed = 1;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static int32_t no_thread(struct flow *f, struct bp_err *err)
{
    int32_t rc = bp_error(err, BP_NOMEM, "no thread to work beside the device: this process may start no more");
    fail_flow(f, rc, err);
    return rc;
}

static int32_t run_threads(struct flow *f, struct bp_err *err)
{
    pthread_t source, sink;
    int has_source = 0, has_sink = pthread_create(&sink, NULL, sink_main, f) == 0;
    int32_t rc = has_sink ? BP_OK : no_thread(f, err);
    if (rc == BP_OK && f->p->source) {
        has_source = pthread_create(&source, NULL, source_main, f) == 0;
        rc = has_source ? BP_OK : no_thread(f, err);
    }
    if (rc == BP_OK)
        rc = drive(f, err);
    close_flow_to_threads(f);
    if (has_source)
        pthread_join(source, NULL);
    if (has_sink)
        pthread_join(sink, NULL);
    if (f->rc != BP_OK && err)
        *err = f->err;
    return f->rc != BP_OK ? f->rc : rc;
}

static int32_t check(const struct bp_pipeline *p, struct bp_err *err)
{
    if (!p->dev || !p->launch || !p->sink || (p->in_bytes > 0) != (p->source != NULL))
        return bp_error(err, BP_INVALID,
                        "a pipeline needs a device, launch and sink, and a source just when in_bytes > 0");
    if (p->slots != 0 && (p->slots < 2 || p->slots > BP_PIPELINE_SLOTS_MAX))
        return bp_error(err, BP_INVALID, "a pipeline of %d slots; 2 to %d are allowed", p->slots,
                        BP_PIPELINE_SLOTS_MAX);
    if (p->end < 0 ? !p->source : p->end < p->first)
        return bp_error(err, BP_INVALID, "a pipeline from frame %lld to %lld", (long long)p->first, (long long)p->end);
    return BP_OK;
}

int32_t bp_pipeline_run(const struct bp_pipeline *p, struct bp_pipeline_times *times, struct bp_err *err)
{
    struct bp_err own = {0};
    err = err ? err : &own;
    int32_t rc = check(p, err);
    if (rc != BP_OK)
        return rc;
    struct flow *f = calloc(1, sizeof *f);
    if (!f)
        return bp_error(err, BP_NOMEM, "no memory for a pipeline");
    int64_t began = now_ns();
    f->p = p;
    f->dev = p->dev;
    f->slots = p->slots ? p->slots : BP_PIPELINE_SLOTS;
    f->end = p->end < 0 ? -1 : p->end - p->first;
    f->shared = p->dev->kind == BP_DEVICE_CPU;
    f->queued = BP_HAS(p->dev, stats);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    rc = flow_open(f, err);
    if (rc == BP_OK)
        rc = run_threads(f, err);
    flow_close(f);
    f->times.frames = f->sunk;
    f->times.wall_ns = now_ns() - began;
    if (times)
        *times = f->times;
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f);
    return rc;
}
