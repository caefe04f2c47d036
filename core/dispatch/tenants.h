/* SPDX-License-Identifier: Apache-2.0 */
/* tenants.h - tenants inside the engine: who a token belongs to, and what the settings say about them. All [loop]. */
#ifndef DISPATCH_TENANTS_H
#define DISPATCH_TENANTS_H

#include "dispatch/engine.h"

struct tenant_auth *tenant_auth_new(void);
void tenant_auth_free(struct tenant_auth *c);
/* Drops what is cached of this tenant's tokens: one was removed, or the tenant changed. */
void tenant_auth_forget(struct dispatch *d, const char *tenant);

struct queue_call *tenant_put_call(struct dispatch *d, const struct dispatch_tenant *t);
/* Puts what the setting `tenants` says into the store: any controller may, as often as it likes. */
void tenant_settings_store(struct dispatch *d);
/* The same for those that could not be stored before. */
void tenant_settings_again(struct dispatch *d);

/* Looks whether some tenant has a limit of running jobs: then the end of a lease may let another tenant's job go. */
void tenant_limits_look(struct dispatch *d);

#endif
