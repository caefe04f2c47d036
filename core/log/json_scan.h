/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_scan.h - reads JSON text for its grammar alone: strict (RFC 8259), or with comments and trailing commas for
 * config files. It finds the line of each key, and refuses what json-c lets through: NaN, numbers out of range, NUL in
 * strings, text that is not UTF-8, nesting deeper than JSON_DEPTH_MAX.
 */
#ifndef LOG_JSON_SCAN_H
#define LOG_JSON_SCAN_H

#include <bp/plugin.h>

#define JSON_DEPTH_MAX 32

enum json_dialect { JSON_STRICT = 1, JSON_CONFIG };

/* Called for each key of an object: depth 1 is the outermost object; key is raw text without quotes, not terminated. */
typedef void (*json_key_fn)(uint32_t depth, const char *key, size_t bytes, uint32_t line, void *arg);

/* 0, or BP_INVALID with line and column of the first mistake. keys may be NULL. Any thread. */
struct json_scan_keys {
    json_key_fn fn;
    void *arg;
};
int json_scan(const char *text, size_t bytes, enum json_dialect dialect, const struct json_scan_keys *keys,
              struct bp_err *err);

#endif
