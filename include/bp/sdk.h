/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/sdk.h - small helpers for plugins of every kind. Linked from the static library bp_plugin_sdk; bp_workflow_sdk
 * brings it along. No part of the ABI: what a plugin uses of it is in the plugin.
 */
#ifndef BP_SDK_H
#define BP_SDK_H

#include <bp/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes rc and one sentence to err, which may be NULL; returns rc: `return bp_error(err, BP_BADINPUT, "...")`. */
int32_t bp_error(struct bp_err *err, int32_t rc, const char *fmt, ...) BP_PRINTF(3, 4);
#ifdef __clang_analyzer__ /* which does not look into another file: the return value, in words it can follow */
#define bp_error(err, rc, ...) ((void)(bp_error)(err, rc, __VA_ARGS__), (rc))
#endif

/*
 * A member of a JSON object by its name, from the text itself: of bp_host.config() or bp_job.params, which the host
 * validated against the manifest and completed with its defaults, so there is no error to return. What is absent or of
 * another type is the fallback, or "". Members of members are not looked at; names with escapes are never found.
 */
double bp_json_f(const char *json, const char *name, double fallback);
int64_t bp_json_i(const char *json, const char *name, int64_t fallback);
int32_t bp_json_b(const char *json, const char *name, int32_t fallback);
/* Copies a text to out (n >= 1 bytes, NUL-terminated, cut when too long) and returns out. */
const char *bp_json_s(const char *json, const char *name, char *out, uint32_t n);

/* The exported table of a queue or cloud plugin; the name is the manifest's, the functions are bp_plugin's. */
#define BP_PLUGIN(name_, start_, stop_, facet_)                                                                        \
    extern const struct bp_plugin bp_plugin_v1;                                                                        \
    BP_EXPORT const struct bp_plugin bp_plugin_v1 = {                                                                  \
        (uint32_t)sizeof(struct bp_plugin), BP_ABI_VERSION, name_, start_, stop_, facet_}

#ifdef __cplusplus
}
#endif
#endif
