/* SPDX-License-Identifier: Apache-2.0 */
/* effects.h - effects as configured: a workflow plus preset params under a slug. All [loop]. */
#ifndef DISPATCH_EFFECTS_H
#define DISPATCH_EFFECTS_H

#include "dispatch/engine.h"

/* The effect's object in the config, or NULL. Borrowed until the next reload. */
struct json_object *effect_find(const struct dispatch *d, const char *slug);
/* Nearest known slug, or NULL. Borrowed likewise. */
const char *effect_nearest(const struct dispatch *d, const char *slug);
/* The number field workers know it by ("id" in the config), 0: none. slug may be NULL. */
int64_t effect_number(const struct dispatch *d, const char *slug);
/* The effect's preset params with the tenant's over them (either may be NULL). A param the effect locks is not the
 * tenant's to set: it is named in fields. The result is the caller's. */
struct json_object *effect_merge(struct json_object *effect, struct json_object *params, struct json_object *fields);

#endif
