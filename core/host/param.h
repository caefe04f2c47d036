/* SPDX-License-Identifier: Apache-2.0 */
/* param.h - one value of the params service, for whoever asks it. */
#ifndef HOST_PARAM_H
#define HOST_PARAM_H

#include <bp/cloud.h>
#include <stddef.h>

/* Reads `name` into value, at most size - 1 bytes; what the plugin gave is wiped. fresh = 1: past its cache, where it
 * can. The plugin's error, or BP_FAIL (no value), BP_INVALID (too long). On the provider's thread; blocks. */
int param_read(const struct bp_params *params, void *inst, const char *name, int fresh, char *value, size_t size,
               struct bp_err *err);

#endif
