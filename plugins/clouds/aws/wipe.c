/* SPDX-License-Identifier: Apache-2.0 */
#include "wipe.h"

#include <json-c/json.h>
#include <stdint.h>
#include <string.h>

void json_wipe(struct json_object *o)
{
    if (json_object_is_type(o, json_type_string)) {
        explicit_bzero((char *)(uintptr_t)json_object_get_string(o), (size_t)json_object_get_string_len(o));
    } else if (json_object_is_type(o, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(o); i++)
            json_wipe(json_object_array_get_idx(o, i));
    } else if (json_object_is_type(o, json_type_object)) {
        json_object_object_foreach(o, name, value)
        {
            (void)name;
            json_wipe(value);
        }
    }
}
