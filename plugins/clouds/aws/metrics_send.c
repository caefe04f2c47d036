/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics_send.c - samples from the buffer to CloudWatch, as many at a time as it takes.
 *
 * What it refuses is tried again in halves until the one sample that is wrong is alone, and dropped. What fails in any
 * other way stays and is tried again.
 */
#include "background.h"
#include "client.h"
#include "err.h"
#include "form.h"
#include "metrics_priv.h"

#include <stdio.h>
#include <string.h>

#define REST_MS     5000
#define REST_MAX_MS 60000
#define TELL_MS     60000

/* ---- one request ---- */

static void put_dimension(struct form *f, int datum, int number, const char *name, const char *value)
{
    form_put(f, name, "MetricData.member.%d.Dimensions.member.%d.Name", datum, number);
    form_put(f, value, "MetricData.member.%d.Dimensions.member.%d.Value", datum, number);
}

static void put_datum(struct form *f, int i, const struct bp_metric *s, int with_stage)
{
    form_put(f, s->name, "MetricData.member.%d.MetricName", i);
    put_dimension(f, i, 1, "WorkflowSlug", s->workflow);
    if (with_stage)
        put_dimension(f, i, 2, "Stage", s->stage);
    form_put_time(f, s->at_ms, "MetricData.member.%d.Timestamp", i);
    form_put_num(f, s->value, "MetricData.member.%d.Value", i);
    form_put(f, s->unit[0] ? s->unit : "None", "MetricData.member.%d.Unit", i);
    form_put_int(f, METRIC_PERIOD_S, "MetricData.member.%d.StorageResolution", i);
}

/* The first samples of the batch that fit; returns how many. */
static uint32_t fill_form(const struct metrics *m, struct form *f, uint32_t n)
{
    int datum = 0;
    uint32_t taken = 0;
    size_t bytes = 0;
    form_put(f, m->namespace, "Namespace");
    while (taken < n && bytes < METRIC_BODY_MAX) {
        const struct bp_metric *s = &m->batch[taken++];
        put_datum(f, ++datum, s, 0);
        if (s->stage[0])
            put_datum(f, ++datum, s, 1);
        form_text(f, &bytes);
    }
    return taken;
}

/* CloudWatch read the request and will never take it as it is. */
static int is_refused(const struct reply *r)
{
    const char *code = r->error.code;
    return r->error.http_status == 413 || strncmp(code, "InvalidParameter", 16) == 0 ||
           strncmp(code, "Missing", 7) == 0 || strncmp(code, "Validation", 10) == 0 ||
           strcmp(code, "InvalidFormat") == 0;
}

static int send(struct metrics *m, uint32_t *n, int *refused, struct bp_err *err)
{
    struct reply r = {0};
    struct form *f = form_new();
    if (!f)
        return err_set(err, BP_NOMEM, "no memory to send metrics");
    *n = fill_form(m, f, *n);
    int rc = client_query(m->aws->client, AWS_OP_CLOUDWATCH_PUT_METRIC_DATA, f, m->namespace, &r, err);
    *refused = rc < 0 && is_refused(&r);
    reply_free(&r);
    form_free(f);
    return rc;
}

/* ---- from the buffer ---- */

/* The oldest samples into the batch; the first one has the number *begin. Those that CloudWatch would not take any
 * more, or not yet, go. */
static uint32_t collect(struct metrics *m, uint64_t *begin)
{
    int64_t now = AWS_NOW(m->aws);
    uint32_t n = 0;
    pthread_mutex_lock(&m->mutex);
    for (*begin = metric_buffer_first(m->buffer);
         n < m->limit && metric_buffer_read(m->buffer, *begin + n, &m->batch[n]);) {
        int64_t at = m->batch[n].at_ms;
        if (at >= now - m->keep_ms && at <= now + METRIC_FUTURE_MS) {
            n++;
        } else if (n == 0) {
            metric_buffer_drop(m->buffer, ++*begin);
            m->lost.late++;
        } else {
            break; /* it is the first one the next time */
        }
    }
    pthread_mutex_unlock(&m->mutex);
    return n;
}

static void drop(struct metrics *m, uint64_t until, uint32_t sent, uint32_t refused)
{
    pthread_mutex_lock(&m->mutex);
    metric_buffer_drop(m->buffer, until);
    m->sent += sent;
    m->lost.refused += refused;
    pthread_mutex_unlock(&m->mutex);
}

/* ---- telling ---- */

static void tell_losses(struct metrics *m)
{
    int64_t now = AWS_NOW(m->aws);
    pthread_mutex_lock(&m->mutex);
    struct metric_losses lost = m->lost;
    pthread_mutex_unlock(&m->mutex);
    uint64_t late = lost.late - m->told.late, full = lost.pushed_out - m->told.pushed_out,
             refused = lost.refused - m->told.refused;
    if (late + full + refused == 0 || (m->told_ms && now - m->told_ms < TELL_MS && now >= m->told_ms))
        return;
    AWS_LOG(m->aws, BP_LOG_WARN,
            "%llu samples of metrics are lost: %llu too old or from the future, %llu beyond metricsBufferSamples, %llu "
            "refused",
            (unsigned long long)(late + full + refused), (unsigned long long)late, (unsigned long long)full,
            (unsigned long long)refused);
    m->told = lost;
    m->told_ms = now;
}

static void set_error(struct metrics *m, const char *text)
{
    pthread_mutex_lock(&m->mutex);
    snprintf(m->error, sizeof m->error, "%s", text);
    pthread_mutex_unlock(&m->mutex);
}

static void failed(struct metrics *m, const struct bp_err *err)
{
    if (!m->rest_ms || strcmp(m->error, err->text) != 0)
        AWS_LOG(m->aws, BP_LOG_WARN, "CloudWatch does not take metrics; they are kept for %lld minutes: %s",
                (long long)(m->keep_ms / 60000), err->text);
    set_error(m, err->text);
    m->rest_ms = m->rest_ms ? m->rest_ms * 2 : REST_MS;
    if (m->rest_ms > REST_MAX_MS)
        m->rest_ms = REST_MAX_MS;
}

static void arrived(struct metrics *m)
{
    if (m->rest_ms)
        AWS_LOG(m->aws, BP_LOG_INFO, "CloudWatch takes metrics again");
    set_error(m, "");
    m->rest_ms = 0;
    m->limit = m->limit * 2 < METRIC_SAMPLES_MAX ? m->limit * 2 : METRIC_SAMPLES_MAX;
}

/* Halves what is tried next; alone, the wrong one is dropped. */
static void was_refused(struct metrics *m, uint32_t n, uint64_t until, const struct bp_err *err)
{
    m->limit = n > 1 ? n / 2 : 1;
    if (n > 1)
        return;
    AWS_LOG(m->aws, BP_LOG_WARN, "a sample of %s for %s is dropped: %s", m->batch[0].name, m->batch[0].workflow,
            err->text);
    drop(m, until, 0, 1);
}

int64_t metrics_send_step(void *metrics)
{
    struct metrics *m = metrics;
    uint64_t begin;
    struct bp_err err = {0};
    int refused = 0;
    uint32_t n = collect(m, &begin);
    if (n == 0) {
        tell_losses(m);
        return BACKGROUND_IDLE;
    }
    client_hurry(BACKGROUND_CALL_MS);
    int rc = send(m, &n, &refused, &err);
    if (rc == 0) {
        arrived(m);
        drop(m, begin + n, n, 0);
    } else if (refused) {
        was_refused(m, n, begin + n, &err);
    } else {
        failed(m, &err);
        tell_losses(m);
    }
    return rc == 0 || refused ? BACKGROUND_AGAIN : m->rest_ms;
}
