/* SPDX-License-Identifier: Apache-2.0 */
/* secrets.h - the secrets of a controller: configured, kept in the params service, or, in stage local, made at the
 * first start. */
#ifndef CORE_SECRETS_H
#define CORE_SECRETS_H

#include "app.h"

/* Fills app->fleet_secret, webhook_secret and local_token; files fleet.secret, webhook.secret and local.token (0600) in
 * the state directory. */
int secrets_open(struct app *app, const struct config *c, struct bp_err *err);
/* After a reload: takes the secrets that app->config says now; the local token stays. What fails is logged. [loop] */
void secrets_reload(struct app *app);
/* Asks the params service for the secrets given as param:NAME; each takes effect when it answers, and stays in use
 * while it does not. Called now and then: that is how a rotation is seen. [loop] */
void secrets_fetch_params(struct app *app);
/* A worker came with another fleet secret: reads ours past any cache, every few seconds at most. [loop] */
void secrets_doubt_fleet(struct app *app);

#endif
