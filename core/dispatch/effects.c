/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/effects.h"

#include "dispatch/input.h"

#include <stdio.h>
#include <string.h>

struct json_object *effect_find(const struct dispatch *d, const char *slug)
{
    return slug ? json_member(config_map(d->config, CONFIG_EFFECTS), slug) : NULL;
}

const char *effect_nearest(const struct dispatch *d, const char *slug)
{
    const char *names[256];
    size_t n = 0;
    struct json_object *all = config_map(d->config, CONFIG_EFFECTS);
    if (!all)
        return NULL;
    struct json_object_iterator it = json_object_iter_begin(all), end = json_object_iter_end(all);
    for (; n < 256 && !json_object_iter_equal(&it, &end); json_object_iter_next(&it))
        names[n++] = json_object_iter_peek_name(&it);
    return nearest_name(slug, names, n);
}

int64_t effect_number(const struct dispatch *d, const char *slug)
{
    return slug ? json_int(effect_find(d, slug), "id", 0) : 0;
}

static int is_locked(struct json_object *effect, const char *param)
{
    struct json_object *locked = json_member(effect, "locked");
    size_t n = json_object_is_type(locked, json_type_array) ? json_object_array_length(locked) : 0;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(locked, i));
        if (name && strcmp(name, param) == 0)
            return 1;
    }
    return 0;
}

static void lay_over(struct json_object *into, struct json_object *from, struct json_object *effect,
                     struct json_object *fields)
{
    if (!json_object_is_type(from, json_type_object))
        return;
    struct json_object_iterator it = json_object_iter_begin(from), end = json_object_iter_end(from);
    for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
        const char *key = json_object_iter_peek_name(&it);
        struct json_object *value = NULL;
        if (effect && is_locked(effect, key)) {
            char field[256];
            snprintf(field, sizeof field, "params.%s", key);
            fields_add(fields, field, "This param is fixed by the effect; leave it out.");
            continue;
        }
        /* a deep copy: filling defaults in must change neither the config nor the request */
        json_object_deep_copy(json_object_iter_peek_value(&it), &value, NULL);
        json_object_object_add(into, key, value);
    }
}

struct json_object *effect_merge(struct json_object *effect, struct json_object *params, struct json_object *fields)
{
    struct json_object *merged = json_object_new_object();
    lay_over(merged, json_member(effect, "params"), NULL, fields);
    lay_over(merged, params, effect, fields);
    return merged;
}
