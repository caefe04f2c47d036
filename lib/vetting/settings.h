/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - a plugin's settings: what config says under plugin.<name>, checked against its manifest's "config"
 * table. */
#ifndef VETTING_SETTINGS_H
#define VETTING_SETTINGS_H

#include "pluginfile/manifest.h"

/*
 * Checks the table itself and `given` (plugin.<name>, or NULL) against it; fills in defaults and resolves secrets
 * (env:NAME, file:PATH). Returns the settings as an object to json_object_put(), or NULL with a sentence that names the
 * key and the nearest known one. Reads files; any thread.
 */
struct json_object *settings_resolve(const struct manifest *m, struct json_object *given, struct bp_err *err);

#endif
