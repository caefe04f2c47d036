/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_private.h"

#include "log/err.h"
#include "log/json.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ENV_PREFIX "BPD_"

/* "a.json:12" or "environment BPD_X" or "--set". */
static void place(const struct source *src, char *out, size_t bytes)
{
    if (src->line)
        snprintf(out, bytes, "%s:%u", src->label, src->line);
    else
        snprintf(out, bytes, "%s", src->label);
}

static int set_origin(struct value *v, const struct source *src, struct bp_err *err)
{
    char where[4096 + 32];
    char *text = NULL;
    place(src, where, sizeof where);
    if (asprintf(&text, "%s%s", src->line ? "file " : "", where) < 0)
        return err_set(err, BP_NOMEM, "no memory");
    free(v->origin);
    v->origin = text;
    return 0;
}

static int explain(const char *path, const struct source *src, struct bp_err *err)
{
    char where[4096 + 32];
    place(src, where, sizeof where);
    return err_prefix(err, "%s: %s: ", where, path);
}

int config_unknown(const char *path, const struct source *src, struct bp_err *err)
{
    char where[4096 + 32];
    const char *near = table_nearest(path);
    place(src, where, sizeof where);
    return err_set(err, BP_INVALID, "%s: there is no setting \"%s\"%s%s%s", where, path,
                   near ? "; did you mean \"" : "", near ? near : "; bpd --help-config lists all", near ? "\"?" : "");
}

/* {"sqlite": {"path": j}} for the members "sqlite.path". Takes j's reference. */
static struct json_object *wrap(const char *members, struct json_object *j)
{
    char path[CONFIG_PATH_MAX];
    snprintf(path, sizeof path, "%s", members);
    for (char *dot; (dot = strrchr(path, '.')); *dot = 0) {
        struct json_object *outer = json_object_new_object();
        json_object_object_add(outer, dot + 1, j);
        j = outer;
    }
    struct json_object *outer = json_object_new_object();
    json_object_object_add(outer, path, j);
    return outer;
}

static int assign_member(struct config *c, enum config_key key, const char *path, struct json_object *j,
                         struct bp_err *err)
{
    struct json_object *whole = wrap(path + strlen(config_info(key)->name) + 1, json_object_get(j));
    int rc = value_merge(&c->values[key], whole, err);
    json_object_put(whole);
    return rc;
}

int config_assign(struct config *c, const char *path, struct json_object *j, const struct source *src,
                  struct bp_err *err)
{
    enum config_key key = table_find(path);
    enum config_key map = key ? CONFIG_NONE : table_find_map(path);
    if (!key && !map)
        return config_unknown(path, src, err);
    int rc = key ? value_from_json(&c->values[key], config_info(key), j, err) : assign_member(c, map, path, j, err);
    return rc < 0 ? explain(path, src, err) : set_origin(&c->values[key ? key : map], src, err);
}

/* A member of a map has no type here: what reads as JSON is that, anything else is text. */
static int assign_member_text(struct config *c, enum config_key map, const char *path, const char *text,
                              struct bp_err *err)
{
    struct bp_err not_json;
    struct json_object *j = json_parse_config(text, strlen(text), &not_json);
    int is_null = strcmp(text, "null") == 0;
    if (!j && !is_null)
        j = json_object_new_string(text);
    int rc = assign_member(c, map, path, j, err);
    json_object_put(j);
    return rc;
}

static int config_assign_text(struct config *c, const char *path, const char *text, const struct source *src,
                              struct bp_err *err)
{
    enum config_key key = table_find(path);
    enum config_key map = key ? CONFIG_NONE : table_find_map(path);
    if (!key && !map)
        return config_unknown(path, src, err);
    int rc = key ? value_from_text(&c->values[key], config_info(key), text, err)
                 : assign_member_text(c, map, path, text, err);
    return rc < 0 ? explain(path, src, err) : set_origin(&c->values[key ? key : map], src, err);
}

/* ---- the layers ---- */

static int load_defaults(struct config *c, struct bp_err *err)
{
    for (int i = CONFIG_NONE + 1; i < CONFIG_END; i++) {
        const struct config_info *info = config_info((enum config_key)i);
        if (value_default(&c->values[i], info, err) < 0)
            return err_prefix(err, "default of %s: ", info->name);
    }
    return 0;
}

static int load_env_one(struct config *c, const char *entry, struct bp_err *err)
{
    char name[CONFIG_PATH_MAX], label[CONFIG_PATH_MAX + 32], near_room[CONFIG_PATH_MAX];
    size_t n = strcspn(entry, "=");
    snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), entry);
    enum config_key key = table_find_env(name + strlen(ENV_PREFIX));
    if (!key) {
        const char *near = table_nearest_env(name + strlen(ENV_PREFIX), near_room, sizeof near_room);
        return err_set(err, BP_INVALID, "environment %s: there is no such setting%s%s%s", name,
                       near ? "; did you mean " : "", near ? near : "; bpd --help-config lists all", near ? "?" : "");
    }
    snprintf(label, sizeof label, "environment %s", name);
    struct source src = {.label = label};
    return config_assign_text(c, config_info(key)->name, entry[n] ? entry + n + 1 : "", &src, err);
}

static int load_env(struct config *c, char *const *environ_, struct bp_err *err)
{
    for (; environ_ && *environ_; environ_++) {
        if (strncmp(*environ_, ENV_PREFIX, strlen(ENV_PREFIX)) == 0 && load_env_one(c, *environ_, err) < 0)
            return BP_INVALID;
    }
    return 0;
}

static int load_sets(struct config *c, const struct config_sources *s, struct bp_err *err)
{
    static const struct source src = {.label = "--set"};
    char path[CONFIG_PATH_MAX];
    for (uint32_t i = 0; i < s->n_sets; i++) {
        size_t n = strcspn(s->sets[i], "=");
        if (!s->sets[i][n] || n == 0 || n >= sizeof path)
            return err_set(err, BP_INVALID, "--set %.60s: must be key=value", s->sets[i]);
        memcpy(path, s->sets[i], n);
        path[n] = 0;
        if (config_assign_text(c, path, s->sets[i] + n + 1, &src, err) < 0)
            return BP_INVALID;
    }
    return 0;
}

static int resolve_secrets(struct config *c, char *const *environ_, struct bp_err *err)
{
    for (int i = CONFIG_NONE + 1; i < CONFIG_END; i++) {
        const struct config_info *info = config_info((enum config_key)i);
        struct value *v = &c->values[i];
        if (info->type != CONFIG_SECRET)
            continue;
        int rc = secret_resolve(&v->str, environ_, err);
        if (rc == 0 && (double)strlen(v->str) > info->max)
            rc = err_set(err, BP_INVALID, "must be text of at most %.0f bytes", info->max);
        if (rc < 0)
            return err_prefix(err, "%s: %s: ", config_origin(c, (enum config_key)i), info->name);
    }
    return 0;
}

static int load(struct config *c, const struct config_sources *src, struct bp_err *err)
{
    int rc = load_defaults(c, err);
    if (rc == 0 && src->file)
        rc = file_load(c, src->file, err);
    if (rc == 0 && src->file)
        rc = file_load_dir(c, src->file, err);
    if (rc == 0)
        rc = load_env(c, src->environ_, err);
    if (rc == 0)
        rc = load_sets(c, src, err);
    return rc == 0 ? resolve_secrets(c, src->environ_, err) : rc;
}

struct config *config_load(const struct config_sources *src, struct bp_err *err)
{
    struct bp_err own;
    struct config *c = calloc(1, sizeof *c);
    if (!err)
        err = &own;
    if (!c) {
        err_set(err, BP_NOMEM, "no memory for the settings");
        return NULL;
    }
    if (load(c, src, err) < 0) {
        config_free(c);
        return NULL;
    }
    return c;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (int i = CONFIG_NONE + 1; i < CONFIG_END; i++) {
        struct value *v = &c->values[i];
        if (config_info((enum config_key)i)->type == CONFIG_SECRET && v->str)
            explicit_bzero(v->str, strlen(v->str));
        value_clear(v);
    }
    free(c);
}
