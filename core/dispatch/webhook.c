/* SPDX-License-Identifier: Apache-2.0 */
/* webhook.c - when to look for deliveries, and how many to have on their way. */
#include "dispatch/webhook_priv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY_MS 15000 /* for what another controller's jobs left behind */
#define SOON_MS       50    /* after a job's end: those that end together are told together */
#define QUIET_MS      1000  /* the same while nobody wants to be told */
#define TAKE_MAX      100
#define HOLD_SPARE_MS 20000 /* for signing a URL and telling the store, beyond the request's own time */

static void look(void *arg);

/* Looks within delay_ms, or before when that was planned already. */
static void look_within(struct webhooks *w, int64_t delay_ms)
{
    int64_t at = mono_ms() + delay_ms;
    if (!w->started || (w->fires_ms && w->fires_ms <= at))
        return;
    w->fires_ms = at;
    loop_timer_after(w->timer, delay_ms);
}

static void job_ended(const struct event_msg *e, void *arg)
{
    (void)e;
    const struct webhooks *w = arg;
    look_within(arg, w->quiet ? QUIET_MS : SOON_MS);
}

static void look_when_due(struct webhooks *w, int64_t next_due_ms)
{
    int64_t left = next_due_ms ? next_due_ms - dispatch_now(w->d) : LOOK_EVERY_MS;
    look_within(w, left < SOON_MS ? SOON_MS : left < LOOK_EVERY_MS ? left : LOOK_EVERY_MS);
}

static void taken(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct dispatch *d = arg;
    struct webhooks *w = d->webhooks;
    if (!d->dead) {
        w->asking = 0;
        if (err->rc == BP_OK) {
            const struct bp_op_webhook_take *t = &op->u.webhook_take;
            for (uint32_t i = 0; i < t->count; i++)
                delivery_begin(w, &t->rows[i]);
            w->quiet = t->count == 0 && t->next_due_ms == 0;
            look_when_due(w, t->next_due_ms);
        } else if (err->rc != BP_UNSUPPORTED) {
            log_debug(LOG_DISPATCH, "look for webhook deliveries: %s; trying again", err->text);
            look_within(w, LOOK_EVERY_MS);
        }
    }
    dispatch_unref(d);
}

static void look(void *arg)
{
    struct webhooks *w = arg;
    struct dispatch *d = w->d;
    struct bp_err err = {0};
    w->fires_ms = 0;
    if (w->asking || w->in_flight >= w->concurrency || !w->client || !w->secret[0])
        return; /* looked again when that changes */
    struct queue_call *q = queue_call_new(BP_OP_WEBHOOK_TAKE, dispatch_now(d));
    struct bp_op_webhook_take *t = &queue_call_op(q)->u.webhook_take;
    uint32_t room = w->concurrency - w->in_flight;
    t->limit = room < TAKE_MAX ? room : TAKE_MAX;
    t->hold_ms = w->timeout_ms + HOLD_SPARE_MS;
    w->asking = 1;
    dispatch_ref(d);
    if (queue_call_send(d->bus, q, QUEUE_TIMEOUT_MS, taken, d, &err) == BP_OK)
        return;
    w->asking = 0;
    dispatch_unref(d);
    look_within(w, LOOK_EVERY_MS);
}

void webhooks_freed(struct webhooks *w)
{
    look_within(w, SOON_MS);
}

/* ---- life ---- */

static void client_renew(struct webhooks *w)
{
    struct bp_err err = {0};
    deliveries_end(w);
    http_client_free(w->client);
    w->client = http_client_new(w->d->loop, "http", w->ca_file, &err);
    if (!w->client)
        log_error(LOG_DISPATCH, "no webhooks can be sent: %s", err.text);
}

void webhooks_reconfigure(struct webhooks *w, const struct config *c)
{
    const char *ca = config_str(c, CONFIG_WEBHOOKS_CA);
    w->concurrency = (uint32_t)config_int(c, CONFIG_WEBHOOKS_CONCURRENCY);
    w->timeout_ms = (int64_t)(config_num(c, CONFIG_WEBHOOKS_TIMEOUT_S) * 1000);
    w->retry_base_ms = (int64_t)(config_num(c, CONFIG_WEBHOOKS_RETRY_BASE_S) * 1000);
    w->retry_cap_ms = (int64_t)(config_num(c, CONFIG_WEBHOOKS_RETRY_CAP_S) * 1000);
    w->max_attempts = (int32_t)config_int(c, CONFIG_WEBHOOKS_MAX_ATTEMPTS);
    if (w->client && strcmp(ca, w->ca_file) == 0)
        return;
    snprintf(w->ca_file, sizeof w->ca_file, "%s", ca);
    client_renew(w);
    look_within(w, SOON_MS);
}

void webhooks_secret(struct webhooks *w, const char *secret)
{
    snprintf(w->secret, sizeof w->secret, "%s", secret);
    look_within(w, SOON_MS);
}

const char *webhooks_secret_now(const struct webhooks *w)
{
    return w->secret;
}

struct webhooks *webhooks_new(struct dispatch *d)
{
    static const char *const ENDS[] = {"job.completed", "job.failed", "job.cancelled"};
    struct webhooks *w = calloc(1, sizeof *w);
    assert(w);
    w->d = d;
    w->timer = loop_timer_new(d->loop, "dispatch.webhooks", look, w);
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++)
        w->ends[i] = bus_subscribe(d->bus, ENDS[i], job_ended, w);
    webhooks_reconfigure(w, d->config);
    return w;
}

void webhooks_start(struct webhooks *w)
{
    w->started = 1;
    look_within(w, SOON_MS);
}

void webhooks_free(struct webhooks *w)
{
    deliveries_end(w);
    http_client_free(w->client);
    for (size_t i = 0; i < sizeof w->ends / sizeof *w->ends; i++)
        bus_unsubscribe(w->ends[i]);
    loop_timer_free(w->timer);
    explicit_bzero(w->secret, sizeof w->secret);
    free(w);
}
