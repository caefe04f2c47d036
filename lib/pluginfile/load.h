/* SPDX-License-Identifier: Apache-2.0 */
/* load.h - a vetted plugin's code: opening it and checking what it says of itself. Blocking; any thread. */
#ifndef PLUGINFILE_LOAD_H
#define PLUGINFILE_LOAD_H

#include "pluginfile/facet.h"
#include "pluginfile/manifest.h"
#include <bp/plugin.h>

/* Opens a private copy, for good, and checks its table against the manifest. */
int load_code(const char *copy, const struct manifest *m, const struct bp_plugin **api, struct bp_err *err);
/* The facets a started plugin offers; offers has room for FACETS. */
int load_offers(const struct bp_plugin *api, void *inst, const struct manifest *m, struct offer *offers,
                uint32_t *n_offers, struct bp_err *err);
/* Makes what a plugin wrote into err one printable line, `fallback` when it wrote nothing. */
void load_text_clean(struct bp_err *err, const char *fallback);

#endif
