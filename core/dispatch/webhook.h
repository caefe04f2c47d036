/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhook.h - tells a tenant's server that a job ended: at least once, signed, tried again until it was taken.
 *
 * What is still to be told is in the store, written in the transaction of the job's end; nothing here outlives the
 * process. A delivery is held while it is on its way, so that no two controllers send it at once; one whose sender died
 * is sent again by whoever looks next. All [loop].
 */
#ifndef DISPATCH_WEBHOOK_H
#define DISPATCH_WEBHOOK_H

#include "dispatch/engine.h"

struct webhooks *webhooks_new(struct dispatch *d);
/* Ends what is on its way; it is sent again when its hold ran out. */
void webhooks_free(struct webhooks *w);
void webhooks_start(struct webhooks *w);
void webhooks_reconfigure(struct webhooks *w, const struct config *c);
/* The key all tenants' keys are derived from; "": nothing is sent. Copied. */
void webhooks_secret(struct webhooks *w, const char *secret);
/* Borrowed until it changes. */
const char *webhooks_secret_now(const struct webhooks *w);

#endif
