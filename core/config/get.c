/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a config: getters, origin, difference. */
#include "config/config_private.h"

#include <assert.h>

static const struct value *get(const struct config *c, enum config_key key, enum config_type type)
{
    assert(config_info(key)->type == type);
    return &c->values[key];
}

int64_t config_int(const struct config *c, enum config_key key)
{
    return get(c, key, CONFIG_INT)->i;
}

double config_num(const struct config *c, enum config_key key)
{
    enum config_type type = config_info(key)->type;
    return get(c, key, type == CONFIG_INT ? CONFIG_INT : CONFIG_NUM)->num;
}

int config_bool(const struct config *c, enum config_key key)
{
    return (int)get(c, key, CONFIG_BOOL)->i;
}

const char *config_str(const struct config *c, enum config_key key)
{
    enum config_type type = config_info(key)->type;
    assert(type == CONFIG_STR || type == CONFIG_ENUM || type == CONFIG_SECRET);
    return c->values[key].str;
}

uint32_t config_strs(const struct config *c, enum config_key key, const char *const **out)
{
    const struct value *v = get(c, key, CONFIG_STRS);
    *out = (const char *const *)v->strs;
    return v->n_strs;
}

struct json_object *config_map(const struct config *c, enum config_key key)
{
    return get(c, key, CONFIG_MAP)->map;
}

const char *config_origin(const struct config *c, enum config_key key)
{
    assert(key > CONFIG_NONE && key < CONFIG_END);
    return c->values[key].origin ? c->values[key].origin : "default";
}

uint32_t config_diff(const struct config *a, const struct config *b, enum config_key *out, uint32_t n)
{
    uint32_t count = 0;
    for (int i = CONFIG_NONE + 1; i < CONFIG_END; i++) {
        if (value_equal(&a->values[i], &b->values[i], config_info((enum config_key)i)->type))
            continue;
        if (count < n)
            out[count] = (enum config_key)i;
        count++;
    }
    return count;
}
