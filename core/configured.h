/* SPDX-License-Identifier: Apache-2.0 */
/* configured.h - the settings that a command line names, read and found sound. */
#ifndef CORE_CONFIGURED_H
#define CORE_CONFIGURED_H

#include "config/config.h"
#include "options.h"

/* The file, its conf.d, the environment and --set. Beyond the types and ranges of the table, all that can be known
 * without starting anything is checked here, the same at start, in --check-config and in a reload. The caller frees the
 * settings with config_free(). NULL: *err names the key and what is wrong with it. */
struct config *configured_load(const struct options *o, struct bp_err *err);

#endif
