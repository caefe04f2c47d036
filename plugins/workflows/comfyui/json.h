/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - json-c with bounds, and members that may be absent. */
#ifndef COMFYUI_JSON_H
#define COMFYUI_JSON_H

#include <json-c/json.h>
#include <stddef.h>

#define JSON_DEPTH_MAX 64

/* Parses exactly one object or array of n bytes, nested at most JSON_DEPTH_MAX deep, text in UTF-8; NULL: it is none.
 */
struct json_object *json_read(const char *text, size_t n);
/* A member of an object, borrowed; NULL when there is none or `o` is no object. */
struct json_object *json_member(struct json_object *o, const char *key);
/* A text member, borrowed; `fallback` when there is none or it is no text. */
const char *json_str(struct json_object *o, const char *key, const char *fallback);

#endif
