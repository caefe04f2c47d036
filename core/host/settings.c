/* SPDX-License-Identifier: Apache-2.0 */
#include "host/settings.h"
#include "log/err.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_MAX 65536

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

static struct json_object *secret_from_file(const char *path, struct bp_err *err)
{
    char buf[SECRET_MAX];
    FILE *f = fopen(path, "re");
    if (!f) {
        err_set(err, BP_INVALID, "cannot read %s: %s", path, strerror(errno));
        return NULL;
    }
    size_t n = fread(buf, 1, sizeof(buf), f);
    fclose(f);
    while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
        n--;
    struct json_object *v = json_object_new_string_len(buf, (int)n);
    explicit_bzero(buf, sizeof(buf));
    return v;
}

/* env:NAME, file:PATH, or the text itself. A new object. */
static struct json_object *secret_resolve(const char *s, struct bp_err *err)
{
    if (strncmp(s, "param:", 6) == 0) {
        err_set(err, BP_INVALID, "is a param: reference; plugin settings take env:NAME or file:PATH");
        return NULL;
    }
    if (strncmp(s, "file:", 5) == 0)
        return secret_from_file(s + 5, err);
    if (strncmp(s, "env:", 4) != 0)
        return json_object_new_string(s);
    const char *value = getenv(s + 4);
    if (!value)
        err_set(err, BP_INVALID, "refers to the environment variable %s, which is not set", s + 4);
    return value ? json_object_new_string(value) : NULL;
}

/* The checked value of one setting, as a new reference. */
static struct json_object *value_resolve(struct json_object *row, struct json_object *v, struct bp_err *err)
{
    const struct type *t = type_find(json_str(row, "type", ""));
    if (!type_fits(t, v)) {
        err_set(err, BP_INVALID, "must be of type %s", t->word);
        return NULL;
    }
    if (range_check(row, v, err) || enum_check(row, v, err))
        return NULL;
    if (strcmp(t->word, "secret") == 0)
        return secret_resolve(json_object_get_string(v), err);
    return json_object_get(v);
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
    return BP_OK;
}

static int unknown_setting(const struct manifest *m, struct json_object *table, const char *key, struct bp_err *err)
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
        return err_set(err, BP_INVALID, "config: unknown key plugin.%s.%.64s; did you mean \"%s\"?", m->name, key,
                       near);
    return err_set(err, BP_INVALID, "config: unknown key plugin.%s.%.64s; the plugin has %s", m->name, key,
                   n ? "no such setting" : "no settings");
}

static int given_check(const struct manifest *m, struct json_object *table, struct json_object *given,
                       struct bp_err *err)
{
    if (!given)
        return BP_OK;
    if (!json_object_is_type(given, json_type_object))
        return err_set(err, BP_INVALID, "config: plugin.%s must be an object", m->name);
    json_object_object_foreach(given, key, value)
    {
        (void)value;
        if (!json_member(table, key))
            return unknown_setting(m, table, key, err);
    }
    return BP_OK;
}

static int settings_fill(const struct manifest *m, struct json_object *table, struct json_object *given,
                         struct json_object *out, struct bp_err *err)
{
    json_object_object_foreach(table, key, row)
    {
        if (row_check(key, row, err))
            return BP_INVALID;
        struct json_object *v = json_member(given, key);
        if (!v)
            v = json_member(row, "default");
        if (!v && json_truth(row, "required", 0))
            return err_set(err, BP_INVALID, "config: plugin.%s.%s is required but not set", m->name, key);
        if (!v)
            continue;
        struct json_object *resolved = value_resolve(row, v, err);
        if (!resolved) {
            err_prefix(err, "config: plugin.%s.%s ", m->name, key);
            return BP_INVALID;
        }
        json_object_object_add(out, key, resolved);
    }
    return BP_OK;
}

struct json_object *settings_resolve(const struct manifest *m, struct json_object *given, struct bp_err *err)
{
    struct json_object *table = json_member(m->json, "config");
    if (given_check(m, table, given, err))
        return NULL;
    struct json_object *out = json_object_new_object();
    if (table && settings_fill(m, table, given, out, err)) {
        json_object_put(out);
        return NULL;
    }
    return out;
}
