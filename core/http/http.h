/* SPDX-License-Identifier: Apache-2.0 */
/* http.h - the HTTP door: workers, tenants, everybody, objects, and the page. All [loop]. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "app.h"

struct http;
/* Listens (http.listen, TLS when a certificate is configured) and sets app->url. BP_CONFLICT address in use,
 * BP_INVALID. */
struct http *http_new(struct app *app, struct bp_err *err);
/* Can http.listen and http.url be read? 0, or BP_INVALID. */
int http_config_check(const struct config *c, struct bp_err *err);
/* New certificate and limits; on error the old ones stay. */
int http_reconfigure(struct http *h, const struct config *c, struct bp_err *err);
/* Takes no new connections; keep-alive ones are closed after their answer. */
void http_drain(struct http *h);
uint32_t http_in_flight(const struct http *h);
void http_free(struct http *h);

#endif
