/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - small helpers over json-c that all of core uses. Each is safe from any thread on its own objects. */
#ifndef LOG_JSON_H
#define LOG_JSON_H

#include <bp/plugin.h>
#include <json-c/json.h>

/* Parses exactly one JSON value of at most `bytes` bytes, depth at most 32; NULL with err (line and column) otherwise.
 */
struct json_object *json_parse(const char *text, size_t bytes, struct bp_err *err);
/* The same with // and C comments and trailing commas allowed, for config files. */
struct json_object *json_parse_config(const char *text, size_t bytes, struct bp_err *err);
/* Member of an object: NULL when absent, null, or obj is no object. Borrowed. */
struct json_object *json_member(struct json_object *obj, const char *key);
/* Typed members with a default for absent or of another type. Strings are borrowed. */
const char *json_str(struct json_object *obj, const char *key, const char *fallback);
int64_t json_int(struct json_object *obj, const char *key, int64_t fallback);
double json_num(struct json_object *obj, const char *key, double fallback);
int json_truth(struct json_object *obj, const char *key, int fallback);
/* Adds a string member, null when s is NULL. */
void json_put_str(struct json_object *obj, const char *key, const char *s);
void json_put_int(struct json_object *obj, const char *key, int64_t v);
void json_put_num(struct json_object *obj, const char *key, double v);
void json_put_bool(struct json_object *obj, const char *key, int v);
/* Adds text that is itself JSON (parsed); null when it is NULL or does not parse. */
void json_put_raw(struct json_object *obj, const char *key, const char *json_text);
/* Compact text, borrowed from obj until it changes. Slashes are not escaped. */
const char *json_text(struct json_object *obj);

/* Nearest of n names to `word` by edit distance, NULL when none is near enough to suggest. Borrowed. */
const char *nearest_name(const char *word, const char *const *names, size_t n);

#endif
