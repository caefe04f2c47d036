/* SPDX-License-Identifier: Apache-2.0 */
#include "vetting/settings.h"

#include "config/config.h"
#include "log/err.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_MAX_BYTES 192 /* of a setting: plugin.NAME.KEY, in messages */

/* The words a manifest may use for the type of a setting. "secret" is a text that may stand elsewhere. */
static const struct type {
    const char *word;
    enum json_type json;
} types[] = {
    {"string", json_type_string}, {"secret", json_type_string},   {"integer", json_type_int},
    {"number", json_type_double}, {"boolean", json_type_boolean}, {"array", json_type_array},
    {"object", json_type_object}, {"int", json_type_int},         {"bool", json_type_boolean},
};
#define TYPES (sizeof(types) / sizeof(types[0]))

static const struct type *type_find(const char *word)
{
    for (size_t i = 0; i < TYPES; i++) {
        if (strcmp(types[i].word, word) == 0)
            return &types[i];
    }
    return NULL;
}

static int type_fits(const struct type *t, struct json_object *v)
{
    return json_object_is_type(v, t->json) || (t->json == json_type_double && json_object_is_type(v, json_type_int));
}

static int range_check(struct json_object *row, struct json_object *v, struct bp_err *err)
{
    struct json_object *min = json_member(row, "min"), *max = json_member(row, "max");
    if (!json_object_is_type(v, json_type_int) && !json_object_is_type(v, json_type_double))
        return BP_OK;
    double d = json_object_get_double(v);
    if (min && d < json_object_get_double(min))
        return err_set(err, BP_INVALID, "is %g, but must be at least %g", d, json_object_get_double(min));
    if (max && d > json_object_get_double(max))
        return err_set(err, BP_INVALID, "is %g, but must be at most %g", d, json_object_get_double(max));
    return BP_OK;
}

static int enum_check(struct json_object *row, struct json_object *v, struct bp_err *err)
{
    struct json_object *words = json_member(row, "enum");
    if (!json_object_is_type(words, json_type_array))
        return BP_OK;
    for (size_t i = 0; i < json_object_array_length(words); i++) {
        if (json_object_equal(json_object_array_get_idx(words, i), v))
            return BP_OK;
    }
    return err_set(err, BP_INVALID, "is %.64s, but must be one of %.120s", json_text(v), json_text(words));
}

/* env:NAME, file:PATH, or the text itself, as the daemon's own secrets. A new object. */
static struct json_object *secret_resolve(const char *s, struct bp_err *err)
{
    if (strncmp(s, "param:", 6) == 0) {
        err_set(err, BP_INVALID, "is a param: reference; plugin settings take env:NAME or file:PATH");
        return NULL;
    }
    char *text = config_secret_resolve(s, environ, err);
    struct json_object *v = text ? json_object_new_string(text) : NULL;
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
    return v;
}

static struct json_object *object_resolve(const char *path, struct json_object *row, struct json_object *v,
                                          struct bp_err *err);

static void *refuse(const char *path, struct bp_err *err)
{
    err_prefix(err, "config: %s ", path);
    return NULL;
}

/* The checked value of one setting, as a new reference; `path` says which it is. */
static struct json_object *value_resolve(const char *path, struct json_object *row, struct json_object *v,
                                         struct bp_err *err)
{
    const struct type *t = type_find(json_str(row, "type", ""));
    if (!type_fits(t, v)) {
        err_set(err, BP_INVALID, "must be of type %s", t->word);
        return refuse(path, err);
    }
    if (range_check(row, v, err) || enum_check(row, v, err))
        return refuse(path, err);
    if (t->json == json_type_object)
        return object_resolve(path, row, v, err);
    if (strcmp(t->word, "secret") != 0)
        return json_object_get(v);
    struct json_object *text = secret_resolve(json_object_get_string(v), err);
    return text ? text : refuse(path, err);
}

static int row_check(const char *key, struct json_object *row, struct bp_err *err);

/* The rows of a table, each checked in its turn. */
static int table_check(struct json_object *table, struct bp_err *err)
{
    json_object_object_foreach(table, key, row)
    {
        if (row_check(key, row, err))
            return BP_INVALID;
    }
    return BP_OK;
}

/* An object's "members" is a table, its "each" the row of every member. */
static int inner_check(const char *key, struct json_object *row, struct bp_err *err)
{
    struct json_object *members = json_member(row, "members"), *each = json_member(row, "each");
    if (members && !json_object_is_type(members, json_type_object))
        return err_set(err, BP_INVALID, "manifest: \"members\" of setting \"%.64s\" is no object", key);
    if (members && table_check(members, err))
        return BP_INVALID;
    return each ? row_check(key, each, err) : BP_OK;
}

static int row_check(const char *key, struct json_object *row, struct bp_err *err)
{
    const char *word = json_str(row, "type", NULL);
    if (!word)
        return err_set(err, BP_INVALID, "manifest: setting \"%.64s\" needs a \"type\"", key);
    const struct type *t = type_find(word);
    if (!t)
        return err_set(err, BP_INVALID, "manifest: setting \"%.64s\" has the unknown type \"%.32s\"", key, word);
    struct json_object *fallback = json_member(row, "default");
    if (fallback && !type_fits(t, fallback))
        return err_set(err, BP_INVALID, "manifest: the default of setting \"%.64s\" is no %s", key, word);
    return inner_check(key, row, err);
}

static int unknown_setting(const char *path, struct json_object *table, const char *key, struct bp_err *err)
{
    const char *names[64] = {NULL};
    size_t n = 0;
    if (table) {
        json_object_object_foreach(table, name, row)
        {
            (void)row;
            if (n < sizeof(names) / sizeof(names[0]))
                names[n++] = name;
        }
    }
    const char *near = nearest_name(key, names, n);
    if (near)
        return err_set(err, BP_INVALID, "config: unknown key %s.%.64s; did you mean \"%s\"?", path, key, near);
    return err_set(err, BP_INVALID, "config: unknown key %s.%.64s; the plugin has %s", path, key,
                   n ? "no such setting" : "no settings");
}

static int given_check(const char *path, struct json_object *table, struct json_object *given, struct bp_err *err)
{
    if (!given)
        return BP_OK;
    if (!json_object_is_type(given, json_type_object))
        return err_set(err, BP_INVALID, "config: %s must be an object", path);
    json_object_object_foreach(given, key, value)
    {
        (void)value;
        if (!json_member(table, key))
            return unknown_setting(path, table, key, err);
    }
    return BP_OK;
}

static int settings_fill(const char *path, struct json_object *table, struct json_object *given,
                         struct json_object *out, struct bp_err *err)
{
    char inner[PATH_MAX_BYTES];
    json_object_object_foreach(table, key, row)
    {
        struct json_object *v = json_member(given, key);
        if (!v)
            v = json_member(row, "default");
        if (!v && json_truth(row, "required", 0))
            return err_set(err, BP_INVALID, "config: %s.%s is required but not set", path, key);
        if (!v)
            continue;
        snprintf(inner, sizeof(inner), "%.100s.%.64s", path, key);
        struct json_object *resolved = value_resolve(inner, row, v, err);
        if (!resolved)
            return BP_INVALID;
        json_object_object_add(out, key, resolved);
    }
    return BP_OK;
}

static int each_fill(const char *path, struct json_object *each, struct json_object *given, struct json_object *out,
                     struct bp_err *err)
{
    char inner[PATH_MAX_BYTES];
    json_object_object_foreach(given, key, v)
    {
        snprintf(inner, sizeof(inner), "%.100s.%.64s", path, key);
        struct json_object *resolved = value_resolve(inner, each, v, err);
        if (!resolved)
            return BP_INVALID;
        json_object_object_add(out, key, resolved);
    }
    return BP_OK;
}

/* An object as its row wants it: a table of settings, or a map whose members are all alike, or anything. */
static struct json_object *object_resolve(const char *path, struct json_object *row, struct json_object *v,
                                          struct bp_err *err)
{
    struct json_object *members = json_member(row, "members"), *each = json_member(row, "each");
    if (!members && !each)
        return json_object_get(v);
    struct json_object *out = json_object_new_object();
    int rc = members ? given_check(path, members, v, err) : BP_OK;
    if (rc == BP_OK)
        rc = members ? settings_fill(path, members, v, out, err) : each_fill(path, each, v, out, err);
    if (rc == BP_OK)
        return out;
    json_object_put(out);
    return NULL;
}

struct json_object *settings_resolve(const struct manifest *m, struct json_object *given, struct bp_err *err)
{
    char path[PATH_MAX_BYTES];
    struct json_object *table = json_member(m->json, "config");
    snprintf(path, sizeof(path), "plugin.%.64s", m->name);
    if (given_check(path, table, given, err))
        return NULL;
    struct json_object *out = json_object_new_object();
    if (table && (table_check(table, err) || settings_fill(path, table, given, out, err))) {
        json_object_put(out);
        return NULL;
    }
    return out;
}
