/* SPDX-License-Identifier: Apache-2.0 */
#include "log_forward.h"

#include "log/err.h"
#include "log/log.h"
#include "log_queue.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD_MS      1000 /* lines wait at most so long for company */
#define REST_MS        1000 /* after a failure; doubles */
#define REST_MAX_MS    60000
#define BATCH_LINES    2000
#define BATCH_BYTES    (512U << 10)
#define PUT_TIMEOUT_MS 60000
#define END_MS         2000

/* Lines on their way; shared by the forwarder and the request, the last one frees it. [loop], but for the lines. */
struct batch {
    int refs;
    uint32_t n;
    struct bp_log_line *lines;
    char group[513], stream[257];
};

struct log_forward {
    struct bus *bus;
    struct log_queue *queue;
    int level; /* 0: off */
    struct loop_timer *timer, *end_timer;
    char group[513];
    const char *(*stream)(void *arg);
    void *arg;
    struct batch *batch; /* on its way, or waiting to be sent again */
    int flying;
    int64_t rest_ms; /* > 0: the last try failed */
    uint64_t sent, refused, lost_told;
    void (*done)(void *arg);
    void *done_arg;
};

static void batch_unref(void *arg)
{
    struct batch *b = arg;
    if (!b || --b->refs > 0)
        return;
    log_lines_free(b->lines, b->n);
    free(b);
}

/* The tap: on the thread that logs, under the log's lock. Debug lines of plugins stay here: the logs provider may write
 * one for each line it takes, on threads of its own. */
static void take_line(enum log_sub sub, int level, int64_t at_ms, const char *line, size_t n, void *arg)
{
    struct log_forward *f = arg;
    if (sub != LOG_PLUGIN || level < BP_LOG_DEBUG)
        log_queue_add(f->queue, at_ms, line, n);
}

/* For providers that keep no times. */
static int put_texts(const struct bp_logs *t, void *inst, const struct batch *b, struct bp_err *err)
{
    const char **texts = calloc(b->n, sizeof *texts);
    if (!texts)
        return err_set(err, BP_NOMEM, "no memory for %u log lines", b->n);
    for (uint32_t i = 0; i < b->n; i++)
        texts[i] = b->lines[i].text;
    int rc = t->put(inst, b->group, b->stream, texts, b->n, err);
    free(texts);
    return rc;
}

/* On the provider's thread. */
static int run_put(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_logs *t = table;
    const struct batch *b = args;
    log_tap_mute(1);
    int rc = BP_HAS(t, put_at) ? t->put_at(inst, b->group, b->stream, b->lines, b->n, err) : put_texts(t, inst, b, err);
    log_tap_mute(0);
    return rc;
}

static uint64_t lost(const struct log_forward *f)
{
    return log_queue_lost(f->queue) + f->refused;
}

static void drop_batch(struct log_forward *f)
{
    batch_unref(f->batch);
    f->batch = NULL;
}

static void went_out(struct log_forward *f)
{
    f->sent += f->batch->n;
    drop_batch(f);
    if (f->rest_ms)
        log_info(LOG_CORE, "log lines reach the logs service again; %llu were lost so far",
                 (unsigned long long)lost(f));
    else if (lost(f) > f->lost_told)
        log_warn(LOG_CORE, "%llu log lines did not reach the logs service: more came than it took",
                 (unsigned long long)(lost(f) - f->lost_told));
    f->lost_told = lost(f);
    f->rest_ms = 0;
}

/* Said here only, and once per outage. */
static void failed(struct log_forward *f, const struct bp_err *err)
{
    log_tap_mute(1);
    if (!f->rest_ms)
        log_warn(LOG_CORE, "log lines do not reach the logs service (the newest %d wait): %s", LOG_QUEUE_LINES,
                 err->text);
    log_tap_mute(0);
    f->rest_ms = f->rest_ms ? f->rest_ms * 2 : REST_MS;
    if (f->rest_ms > REST_MAX_MS)
        f->rest_ms = REST_MAX_MS;
}

/* What is refused for good, or went nobody knows where, is not sent again. */
static int is_final(int rc)
{
    return rc == BP_INVALID || rc == BP_TOOLARGE || rc == BP_TIMEOUT;
}

static void end_now(void *arg)
{
    struct log_forward *f = arg;
    void (*done)(void *arg) = f->done;
    f->done = NULL;
    log_tap(0, NULL, NULL);
    loop_timer_cancel(f->timer);
    loop_timer_cancel(f->end_timer);
    if (done)
        done(f->done_arg);
}

static void next(struct log_forward *f)
{
    int waiting = log_queue_waiting(f->queue) > 0;
    if (f->done && (f->rest_ms || (!waiting && !f->batch)))
        end_now(f);
    else if (waiting || f->batch || f->level)
        loop_timer_after(f->timer, f->rest_ms ? f->rest_ms : waiting && f->done ? 0 : PERIOD_MS);
}

static void was_put(void *args, const struct bp_err *err, void *arg)
{
    struct log_forward *f = arg;
    (void)args;
    f->flying = 0;
    if (err->rc == 0) {
        went_out(f);
    } else {
        failed(f, err);
        if (is_final(err->rc)) {
            f->refused += f->batch->n;
            drop_batch(f);
        }
    }
    next(f);
}

static int fill_batch(struct log_forward *f)
{
    const char *stream = f->stream(f->arg);
    if (f->batch || !stream)
        return f->batch != NULL;
    struct batch *b = calloc(1, sizeof *b);
    if (!b)
        return 0;
    b->refs = 1;
    b->n = log_queue_take(f->queue, &b->lines, BATCH_LINES, BATCH_BYTES);
    snprintf(b->group, sizeof b->group, "%s", f->group);
    snprintf(b->stream, sizeof b->stream, "%s", stream);
    if (b->n)
        f->batch = b;
    else
        batch_unref(b);
    return f->batch != NULL;
}

static void send_batch(void *arg)
{
    struct log_forward *f = arg;
    struct bp_err err = {0};
    if (f->flying)
        return;
    if (!fill_batch(f)) {
        next(f);
        return;
    }
    struct request_spec spec = {.service = "logs",
                                .name = "logs.put",
                                .run = run_put,
                                .args = f->batch,
                                .args_free = batch_unref,
                                .reply = was_put,
                                .arg = f,
                                .timeout_ms = PUT_TIMEOUT_MS};
    f->batch->refs++;
    f->flying = 1;
    if (bus_request(f->bus, &spec, &err) < 0) {
        f->flying = 0;
        failed(f, &err);
        next(f);
    }
}

void log_forward_reconfigure(struct log_forward *f, const struct config *c)
{
    f->level = log_level_find(config_str(c, CONFIG_LOG_FORWARD)); /* "off": 0 */
    log_tap(f->level, f->level ? take_line : NULL, f);
    if (f->level && !f->flying)
        loop_timer_after(f->timer, PERIOD_MS);
}

struct log_forward *log_forward_new(const struct log_forward_spec *spec, struct bp_err *err)
{
    struct log_forward *f = calloc(1, sizeof *f);
    struct log_queue *q = f ? log_queue_new() : NULL;
    if (!q) {
        free(f);
        err_set(err, BP_NOMEM, "no memory to forward log lines");
        return NULL;
    }
    f->bus = spec->bus;
    f->queue = q;
    f->stream = spec->stream;
    f->arg = spec->arg;
    snprintf(f->group, sizeof f->group, "%s", spec->group);
    f->timer = loop_timer_new(bus_loop(f->bus), "log.forward", send_batch, f);
    f->end_timer = loop_timer_new(bus_loop(f->bus), "log.forward.end", end_now, f);
    log_forward_reconfigure(f, spec->config);
    return f;
}

void log_forward_end(struct log_forward *f, void (*done)(void *arg), void *arg)
{
    f->done = done;
    f->done_arg = arg;
    loop_timer_after(f->end_timer, END_MS);
    if (!f->flying)
        loop_timer_after(f->timer, 0);
}

void log_forward_free(struct log_forward *f)
{
    if (!f)
        return;
    log_tap(0, NULL, NULL);
    loop_timer_free(f->timer);
    loop_timer_free(f->end_timer);
    drop_batch(f);
    log_queue_free(f->queue);
    free(f);
}

void log_forward_counts(struct log_forward *f, struct log_forward_counts *out)
{
    *out = (struct log_forward_counts){f->sent, lost(f), log_queue_waiting(f->queue) + (f->batch ? f->batch->n : 0)};
}
