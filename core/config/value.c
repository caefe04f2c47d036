/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_private.h"

#include "log/err.h"
#include "log/json.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void value_clear(struct value *v)
{
    free(v->str);
    for (uint32_t i = 0; i < v->n_strs; i++)
        free(v->strs[i]);
    free(v->strs);
    json_object_put(v->map);
    free(v->origin);
    memset(v, 0, sizeof *v);
}

/* What was given goes into the message, unless it is a secret or long. */
static int must_be(const struct config_info *info, const char *given, struct bp_err *err)
{
    char wanted[160];
    table_describe_values(info, wanted, sizeof wanted);
    if (!given || info->type == CONFIG_SECRET || strlen(given) > 60)
        return err_set(err, BP_INVALID, "must be %s", wanted);
    return err_set(err, BP_INVALID, "must be %s, not %s", wanted, given[0] ? given : "\"\"");
}

static int no_memory(struct bp_err *err)
{
    return err_set(err, BP_NOMEM, "no memory");
}

static int set_number(struct value *v, const struct config_info *info, double num, const char *given,
                      struct bp_err *err)
{
    if (!(num >= info->min && num <= info->max) || (info->type == CONFIG_INT && num != (double)(int64_t)num))
        return must_be(info, given, err);
    v->num = num;
    v->i = info->type == CONFIG_INT ? (int64_t)num : 0;
    return 0;
}

static int is_word(const char *words, const char *s)
{
    size_t n = strlen(s);
    for (const char *at = words; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL) {
        if (strncmp(at, s, n) == 0 && (at[n] == '|' || !at[n]))
            return n > 0;
    }
    return 0;
}

static int set_text(struct value *v, const struct config_info *info, const char *s, struct bp_err *err)
{
    size_t n = strlen(s);
    int fits =
        info->type == CONFIG_ENUM ? is_word(info->fallback, s) : (double)n >= info->min && (double)n <= info->max;
    if (!fits)
        return must_be(info, s, err);
    char *copy = strdup(s);
    if (!copy)
        return no_memory(err);
    free(v->str);
    v->str = copy;
    return 0;
}

static int set_list(struct value *v, const struct config_info *info, struct json_object *j, struct bp_err *err)
{
    if (!json_object_is_type(j, json_type_array))
        return must_be(info, NULL, err);
    size_t n = json_object_array_length(j);
    char **strs = calloc(n + 1, sizeof *strs);
    if (!strs)
        return no_memory(err);
    for (uint32_t i = 0; i < v->n_strs; i++)
        free(v->strs[i]);
    free(v->strs);
    v->strs = strs;
    v->n_strs = 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *item = json_object_array_get_idx(j, i);
        if (!json_object_is_type(item, json_type_string))
            return must_be(info, NULL, err);
        if (!(strs[i] = strdup(json_object_get_string(item))))
            return no_memory(err);
        v->n_strs++;
    }
    return 0;
}

static int merge_object(struct json_object *into, struct json_object *from)
{
    json_object_object_foreach(from, key, v)
    {
        struct json_object *old = json_member(into, key);
        if (!v)
            json_object_object_del(into, key);
        else if (json_object_is_type(v, json_type_object) && json_object_is_type(old, json_type_object)) {
            if (merge_object(old, v) < 0)
                return BP_NOMEM;
        } else {
            struct json_object *copy = NULL;
            if (json_object_deep_copy(v, &copy, NULL) < 0 || json_object_object_add(into, key, copy) < 0)
                return BP_NOMEM;
        }
    }
    return 0;
}

int value_merge(struct value *v, struct json_object *j, struct bp_err *err)
{
    if (!json_object_is_type(j, json_type_object))
        return err_set(err, BP_INVALID, "must be an object");
    if (!v->map && !(v->map = json_object_new_object()))
        return no_memory(err);
    return merge_object(v->map, j) < 0 ? no_memory(err) : 0;
}

int value_from_json(struct value *v, const struct config_info *info, struct json_object *j, struct bp_err *err)
{
    enum json_type t = json_object_get_type(j);
    const char *given = t == json_type_object || t == json_type_array ? NULL : json_text(j);
    switch (info->type) {
    case CONFIG_INT:
    case CONFIG_NUM:
        if (t != json_type_int && t != json_type_double)
            return must_be(info, given, err);
        return set_number(v, info, json_object_get_double(j), given, err);
    case CONFIG_BOOL:
        if (t != json_type_boolean)
            return must_be(info, given, err);
        v->i = json_object_get_boolean(j);
        return 0;
    case CONFIG_STRS:
        return set_list(v, info, j, err);
    case CONFIG_MAP:
        return value_merge(v, j, err);
    default:
        if (t != json_type_string)
            return must_be(info, given, err);
        return set_text(v, info, json_object_get_string(j), err);
    }
}

/* ---- from plain text: --set and the environment ---- */

static int number_from_text(struct value *v, const struct config_info *info, const char *text, struct bp_err *err)
{
    char *end;
    if (strspn(text, "+-.0123456789eE") != strlen(text)) /* no hexadecimal, no infinity, no blanks */
        return must_be(info, text, err);
    errno = 0;
    double num = strtod(text, &end);
    if (!*text || *end || errno)
        return must_be(info, text, err);
    return set_number(v, info, num, text, err);
}

static int bool_from_text(struct value *v, const struct config_info *info, const char *text, struct bp_err *err)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (int i = 0; i < 8; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            v->i = i % 2;
            return 0;
        }
    }
    return must_be(info, text, err);
}

static struct json_object *split_commas(const char *text)
{
    struct json_object *list = json_object_new_array();
    while (list && *text) {
        size_t n = strcspn(text, ",");
        if (n > 0)
            json_object_array_add(list, json_object_new_string_len(text, (int)n));
        text += n + (text[n] == ',');
    }
    return list;
}

/* "a,b" or JSON. */
static int nested_from_text(struct value *v, const struct config_info *info, const char *text, struct bp_err *err)
{
    int plain_list = info->type == CONFIG_STRS && text[0] != '[';
    struct json_object *j = plain_list ? split_commas(text) : json_parse_config(text, strlen(text), err);
    if (!j)
        return plain_list ? no_memory(err) : err ? err->rc : BP_INVALID;
    int rc = value_from_json(v, info, j, err);
    json_object_put(j);
    return rc;
}

int value_from_text(struct value *v, const struct config_info *info, const char *text, struct bp_err *err)
{
    switch (info->type) {
    case CONFIG_INT:
    case CONFIG_NUM:
        return number_from_text(v, info, text, err);
    case CONFIG_BOOL:
        return bool_from_text(v, info, text, err);
    case CONFIG_STRS:
    case CONFIG_MAP:
        return nested_from_text(v, info, text, err);
    default:
        return set_text(v, info, text, err);
    }
}

int value_default(struct value *v, const struct config_info *info, struct bp_err *err)
{
    if (info->type == CONFIG_ENUM)
        v->str = strndup(info->fallback, strcspn(info->fallback, "|"));
    else if (info->type == CONFIG_STR || info->type == CONFIG_SECRET)
        v->str = strdup(info->fallback); /* "" may be shorter than what a user may give */
    else
        return value_from_text(v, info, info->fallback, err);
    return v->str ? 0 : no_memory(err);
}

static int same_lists(const struct value *a, const struct value *b)
{
    if (a->n_strs != b->n_strs)
        return 0;
    for (uint32_t i = 0; i < a->n_strs; i++) {
        if (strcmp(a->strs[i], b->strs[i]) != 0)
            return 0;
    }
    return 1;
}

int value_equal(const struct value *a, const struct value *b, enum config_type type)
{
    switch (type) {
    case CONFIG_INT:
    case CONFIG_BOOL:
        return a->i == b->i;
    case CONFIG_NUM:
        return a->num == b->num;
    case CONFIG_STRS:
        return same_lists(a, b);
    case CONFIG_MAP:
        return json_object_equal(a->map, b->map);
    default:
        return strcmp(a->str, b->str) == 0;
    }
}
