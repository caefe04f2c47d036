/* SPDX-License-Identifier: Apache-2.0 */
/* tenants.h - who may submit, by the settings: bearer token -> tenant. Tokens are kept as SHA-256 digests only. Tokens
 * that are not here may be in the store: dispatch_tenant_authenticate(). */
#ifndef HTTP_TENANTS_H
#define HTTP_TENANTS_H

#include "config/config.h"

struct tenants;
/* From config `tenants`; when none there has a token and local_token is not empty: tenant "local" with that token.
 * BP_INVALID names the tenant whose token cannot be read or whose other settings are wrong. */
struct tenants *tenants_new(const struct config *c, const char *local_token, struct bp_err *err);
void tenants_free(struct tenants *t);
/* The tenant of a token, or NULL. Takes the same time whatever the token is. Borrowed until tenants_free. */
const char *tenants_find(const struct tenants *t, const char *token);

#endif
