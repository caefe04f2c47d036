/* SPDX-License-Identifier: Apache-2.0 */
/* webhook_priv.h - what looking for deliveries and making one share. Private to webhook*.c. All [loop]. */
#ifndef DISPATCH_WEBHOOK_PRIV_H
#define DISPATCH_WEBHOOK_PRIV_H

#include "client/http_client.h"
#include "dispatch/webhook.h"
#include "dispatch/webhook_rest.h"

struct delivery;

struct webhooks {
    struct dispatch *d;
    struct http_client *client; /* NULL: libcurl cannot be set up with these settings */
    char ca_file[4096];
    struct loop_timer *timer;
    struct subscription *ends[3]; /* of jobs */
    struct delivery *first;       /* on their way */
    uint32_t in_flight, concurrency;
    int started, asking, quiet; /* quiet: the last look found nothing, due or to come */
    int64_t fires_ms;           /* monotonic, when the timer does; 0: not armed */
    int64_t timeout_ms, retry_base_ms, retry_cap_ms;
    int32_t max_attempts;
    char secret[1025];
    struct webhook_rests rests;
};

/* Begins one: its body, its output's URL, the request; then tells the store how it went. Copies what it needs. */
void delivery_begin(struct webhooks *w, const struct bp_webhook_row *row);
/* Ends all without a word to the store. */
void deliveries_end(struct webhooks *w);
/* One is over: there is room for the next. */
void webhooks_freed(struct webhooks *w);

#endif
