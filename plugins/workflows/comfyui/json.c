/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <limits.h>

struct json_object *json_read(const char *text, size_t n)
{
    struct json_tokener *t = n <= INT_MAX ? json_tokener_new_ex(JSON_DEPTH_MAX) : NULL;
    if (!t)
        return NULL;
    json_tokener_set_flags(t, JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *o = json_tokener_parse_ex(t, text, (int)n);
    size_t end = json_tokener_get_parse_end(t);
    int whole = json_tokener_get_error(t) == json_tokener_success;
    for (; whole && end < n; end++)
        whole = text[end] == ' ' || text[end] == '\t' || text[end] == '\r' || text[end] == '\n';
    json_tokener_free(t);
    if (whole)
        return o;
    json_object_put(o);
    return NULL;
}

struct json_object *json_member(struct json_object *o, const char *key)
{
    struct json_object *v = NULL;
    return json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, key, &v) ? v : NULL;
}

const char *json_str(struct json_object *o, const char *key, const char *fallback)
{
    struct json_object *v = json_member(o, key);
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : fallback;
}
