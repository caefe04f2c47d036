/* SPDX-License-Identifier: Apache-2.0 */
/* secrets.h - the secrets of a controller: configured, kept in the params service, or, in stage local, made at the
 * first start. */
#ifndef CORE_SECRETS_H
#define CORE_SECRETS_H

#include "app.h"

/* Fills app->fleet_secret and app->local_token; files fleet.secret and local.token (0600) in the state directory. */
int secrets_open(struct app *app, const struct config *c, struct bp_err *err);
/* After a reload: takes the fleet secret that app->config says now; the local token stays. What fails is logged. [loop]
 */
void secrets_reload(struct app *app);
/* Asks the params service for a fleet secret given as param:NAME; takes effect when it answers. [loop] */
void secrets_fetch_params(struct app *app);

#endif
