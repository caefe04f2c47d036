/* SPDX-License-Identifier: Apache-2.0 */
#include "slugs.h"

#include <json-c/json.h>

struct json_object *slugs_parse(const char *text)
{
    struct json_object *a = text ? json_tokener_parse(text) : json_object_new_array();
    if (!json_object_is_type(a, json_type_array)) {
        json_object_put(a);
        return NULL;
    }
    for (size_t i = 0; i < json_object_array_length(a); i++) {
        struct json_object *slug = json_object_array_get_idx(a, i);
        if (!json_object_is_type(slug, json_type_string) || json_object_get_string_len(slug) < 1 ||
            json_object_get_string_len(slug) > 127) {
            json_object_put(a);
            return NULL;
        }
    }
    return a;
}
