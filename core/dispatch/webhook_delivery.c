/* SPDX-License-Identifier: Apache-2.0 */
/* webhook_delivery.c - one delivery: what is said, saying it, and telling the store how it went. */
#include "dispatch/job_json.h"
#include "dispatch/text.h"
#include "dispatch/urls.h"
#include "dispatch/webhook_priv.h"
#include "dispatch/webhook_sign.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX    65536 /* bytes of an answer that are read; none of it is used */
#define RETRY_AFTER_S 86400 /* the longest wait a server may ask for */

struct delivery {
    struct webhooks *w; /* NULL: the engine's end, or the client's; only a URL being signed still comes back */
    struct delivery *next, **prev;
    int64_t job_id, finished_ms, began_ms;
    int32_t attempts, version;
    struct json_object *message;
    struct http_client_call *call;
    char *url, *tenant;
};

static void delivery_free(struct delivery *v)
{
    if (v->w) {
        v->w->in_flight--;
        *v->prev = v->next;
        if (v->next)
            v->next->prev = v->prev;
    }
    http_client_cancel(&v->call);
    json_object_put(v->message);
    free(v->url);
    free(v->tenant);
    free(v);
}

/* ---- how it went ---- */

static void tell_store(struct delivery *v, int delivered, int64_t retry_at_ms, const char *detail)
{
    struct dispatch *d = v->w->d;
    struct queue_call *q = queue_call_new(BP_OP_WEBHOOK_DONE, dispatch_now(d));
    struct bp_op_webhook_done *x = &queue_call_op(q)->u.webhook_done;
    x->job_id = v->job_id;
    x->finished_ms = v->finished_ms;
    x->delivered = delivered;
    x->retry_at_ms = retry_at_ms;
    x->detail = queue_call_str(q, detail);
    queue_tell(d, q);
}

static void delivered(struct delivery *v, int status)
{
    struct webhooks *w = v->w;
    char detail[64];
    int64_t ms = mono_ms() - v->began_ms;
    snprintf(detail, sizeof detail, "answered %d in %lld ms", status, (long long)ms);
    webhook_rest_over(&w->rests, v->url);
    tell_store(v, 1, 0, detail);
    bus_publish(w->d->bus, EVENT_WEBHOOK_DELIVERED, v->job_id, v->tenant, (int64_t)v->attempts + 1, ms);
    delivery_free(v);
    webhooks_freed(w);
}

/* wait_s: what the server asked for, 0: nothing. final: no further try will help. */
static void refused(struct delivery *v, const char *why, int64_t wait_s, int final)
{
    struct webhooks *w = v->w;
    char detail[400];
    int32_t attempts = v->attempts + 1;
    int64_t delay = bp_retry_delay_ms(attempts, w->retry_base_ms, w->retry_cap_ms, random_fraction());
    if (wait_s * 1000 > delay)
        delay = (wait_s < RETRY_AFTER_S ? wait_s : RETRY_AFTER_S) * 1000;
    int64_t retry_at_ms = final || attempts >= w->max_attempts ? 0 : dispatch_now(w->d) + delay;
    if (retry_at_ms)
        snprintf(detail, sizeof detail, "try %d: %.256s; again in %.1f s", attempts, why, (double)delay / 1000);
    else
        snprintf(detail, sizeof detail, "try %d: %.256s; given up", attempts, why);
    tell_store(v, 0, retry_at_ms, detail);
    bus_publish(w->d->bus, EVENT_WEBHOOK_FAILED, v->job_id, v->tenant, (int64_t)attempts, retry_at_ms, why);
    delivery_free(v);
    webhooks_freed(w);
}

/* 410: the receiver is gone for good, as the specification says. A 4xx is no sign that the server is down. */
static void answered(const struct http_client_answer *a, void *arg)
{
    struct delivery *v = arg;
    char why[300];
    v->call = NULL;
    if (a->status >= 200 && a->status < 300) {
        delivered(v, a->status);
        return;
    }
    if (a->status)
        snprintf(why, sizeof why, "answered %d", a->status);
    else
        snprintf(why, sizeof why, "%.250s", a->err.text);
    if (a->status == 0 || a->status >= 500)
        webhook_rest_failed(&v->w->rests, v->url, mono_ms());
    refused(v, why, a->retry_after_s, a->status == 410);
}

/* ---- saying it ---- */

/* With the key of the version before too, so that a receiver may change keys at its leisure. */
static void signature(const struct delivery *v, const struct webhook_message *m, char out[WEBHOOK_SIGNATURE_SIZE])
{
    out[0] = 0;
    for (int32_t version = v->version; version >= 1 && version >= v->version - 1; version--) {
        struct webhook_key key;
        webhook_key_derive(v->w->secret, v->tenant, version, &key);
        webhook_sign(m, &key, out);
        webhook_key_wipe(&key);
    }
}

static void post(struct delivery *v)
{
    char id[64], id_header[96], time_header[64], sign_header[WEBHOOK_SIGNATURE_SIZE + 32];
    char sign[WEBHOOK_SIGNATURE_SIZE];
    struct webhooks *w = v->w;
    struct webhook_message m = {id, json_text(v->message), dispatch_now(w->d) / 1000};
    struct bp_err err = {0};
    snprintf(id, sizeof id, "job_%lld_%lld", (long long)v->job_id, (long long)v->finished_ms);
    signature(v, &m, sign);
    snprintf(id_header, sizeof id_header, "webhook-id: %s", id);
    snprintf(time_header, sizeof time_header, "webhook-timestamp: %lld", (long long)m.timestamp_s);
    snprintf(sign_header, sizeof sign_header, "webhook-signature: %s", sign);
    const char *const headers[] = {"Content-Type: application/json", id_header, time_header, sign_header};
    struct http_client_request r = {.method = "POST",
                                    .url = v->url,
                                    .headers = headers,
                                    .n_headers = 4,
                                    .body = m.body,
                                    .max_bytes = ANSWER_MAX,
                                    .timeout_ms = w->timeout_ms,
                                    .done = answered,
                                    .arg = v};
    v->began_ms = mono_ms();
    v->call = http_client_send(w->client, &r, &err);
    if (!v->call)
        refused(v, err.text, 0, 0);
}

static void output_signed(const struct bp_err *err, void *arg)
{
    struct delivery *v = arg;
    if (err->rc != BP_OK) /* the end is told all the same: the URL can be asked for */
        log_warn(LOG_DISPATCH, "no URL for the output of job %lld in its webhook: %s", (long long)v->job_id, err->text);
    if (v->w)
        post(v);
    else
        delivery_free(v);
}

/* {"type":"job.completed","timestamp":...,"data":{the job as GET /api/jobs/{id} gives it}} */
static struct json_object *message_of(const struct bp_job_row *job, int64_t finished_ms)
{
    char type[32];
    struct json_object *o = json_object_new_object();
    snprintf(type, sizeof type, "job.%s", job_status_name(job->status));
    put_text(o, "type", type);
    put_time(o, "timestamp", finished_ms);
    put_new(o, "data", job_json(job, NULL, NULL));
    return o;
}

static void sign_output_and_send(struct delivery *v)
{
    struct url_set *urls = url_set_new(v->w->d);
    url_set_add_output(urls, json_member(v->message, "data"));
    url_set_sign(urls, output_signed, v);
}

void delivery_begin(struct webhooks *w, const struct bp_webhook_row *row)
{
    if (webhook_rest_left(&w->rests, row->url, mono_ms()))
        return; /* comes again when its hold ran out */
    struct delivery *v = calloc(1, sizeof *v);
    assert(v);
    *v = (struct delivery){.w = w,
                           .next = w->first,
                           .prev = &w->first,
                           .job_id = row->job_id,
                           .finished_ms = row->finished_ms,
                           .attempts = row->attempts,
                           .version = row->webhook_version,
                           .message = message_of(row->job, row->finished_ms),
                           .url = strdup(row->url),
                           .tenant = strdup(row->job->tenant)};
    assert(v->url && v->tenant);
    if (v->next)
        v->next->prev = &v->next;
    w->first = v;
    w->in_flight++;
    sign_output_and_send(v);
}

void deliveries_end(struct webhooks *w)
{
    while (w->first) {
        struct delivery *v = w->first;
        w->first = v->next;
        if (v->next)
            v->next->prev = &w->first;
        w->in_flight--;
        v->w = NULL;
        if (v->call)
            delivery_free(v); /* else output_signed() comes and frees it */
    }
}
