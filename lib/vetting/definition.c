/* SPDX-License-Identifier: Apache-2.0 */
#include "vetting/definition.h"
#include "config/lines.h"
#include "log/err.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct definition {
    struct json_object *json;
    struct lines *lines;
    const char *plugin; /* borrowed from json */
    char slug[65], file[80];
    unsigned char sum[32];
};

/* "x.json" of "/etc/bpd/workflows.d/x.json" */
static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int definition_is_name(const char *path)
{
    const char *name = base_of(path);
    size_t n = strlen(name), ending = strlen(DEFINITION_ENDING);
    return name[0] != '.' && n > ending && strcmp(name + n - ending, DEFINITION_ENDING) == 0;
}

int definition_place(const struct definition *d, const char *field, struct bp_err *err)
{
    char path[256];
    snprintf(path, sizeof(path), "%s", field);
    uint32_t line = lines_of(d->lines, path);
    for (char *dot = strrchr(path, '.'); !line && dot; dot = strrchr(path, '.')) {
        *dot = '\0';
        line = lines_of(d->lines, path);
    }
    return line ? err_prefix(err, "%s:%u: ", d->file, line) : err_prefix(err, "%s: ", d->file);
}

/* The file's name is the slug: one place to look for a workflow, and no two files for one. */
static int take_name(struct definition *d, const char *path, struct bp_err *err)
{
    const char *name = base_of(path);
    int n = (int)(strlen(name) - strlen(DEFINITION_ENDING));
    snprintf(d->file, sizeof(d->file), "%s", name);
    snprintf(d->slug, sizeof(d->slug), "%.*s", n, name);
    struct json_object *slug = json_object_new_string_len(name, n);
    int rc = manifest_check_defined("plugin", slug, NULL); /* which is a name too */
    json_object_put(slug);
    if (rc == BP_OK)
        return BP_OK;
    return err_set(err, BP_INVALID,
                   "%.80s: the file's name is the workflow's slug: a-z, 0-9 and '-', at most 64, not beginning with "
                   "'-'; rename it",
                   name);
}

static int check_keys(const struct definition *d, struct bp_err *err)
{
    json_object_object_foreach(d->json, key, value)
    {
        const char *slug = strcmp(key, "slug") == 0 ? json_object_get_string(value) : NULL;
        if (slug && strcmp(slug, d->slug) == 0)
            continue;
        if (slug)
            err_set(err, BP_INVALID, "\"slug\" is \"%.64s\", but the file's name says \"%s\": remove the key", slug,
                    d->slug);
        if (slug || manifest_check_defined(key, value, err))
            return definition_place(d, key, err);
    }
    if (json_member(d->json, "plugin"))
        return BP_OK;
    err_set(err, BP_INVALID, "\"plugin\" is missing: the name of the template that serves it, \"exec\" say");
    return definition_place(d, "", err);
}

/* Absolute, because the daemon and its runners have directories of their own. */
static int take_dir(struct definition *d, const char *path, struct bp_err *err)
{
    char dir[4096];
    const char *said = json_str(d->json, "settingsDir", "");
    int n = (int)(base_of(path) - path);
    int bytes = *said == '/' ? snprintf(dir, sizeof(dir), "%s", said)
                             : snprintf(dir, sizeof(dir), "%.*s%s",
                                        *said   ? n
                                        : n > 1 ? n - 1
                                                : n,
                                        path, said);
    if (bytes >= (int)sizeof(dir)) {
        err_set(err, BP_INVALID, "\"settingsDir\" leads to a path of more than %zu bytes", sizeof(dir) - 1);
        return definition_place(d, "settingsDir", err);
    }
    json_put_str(d->json, "settingsDir", dir);
    return BP_OK;
}

static int fill(struct definition *d, const char *path, const char *text, size_t bytes, struct bp_err *err)
{
    if (take_name(d, path, err))
        return BP_INVALID;
    d->lines = lines_find(text, bytes, err);
    d->json = d->lines ? json_parse_config(text, bytes, err) : NULL;
    if (!d->json)
        return err_prefix(err, "%s: ", d->file);
    if (!json_object_is_type(d->json, json_type_object))
        return err_set(err, BP_INVALID, "%s: it must hold one object, {\"plugin\": ..., \"settings\": {...}}", d->file);
    if (check_keys(d, err) || take_dir(d, path, err))
        return BP_INVALID;
    d->plugin = json_str(d->json, "plugin", "");
    EVP_Digest(text, bytes, d->sum, NULL, EVP_sha256(), NULL);
    return BP_OK;
}

struct definition *definition_read(const char *path, const char *text, size_t bytes, struct bp_err *err)
{
    struct definition *d = calloc(1, sizeof(*d));
    if (!d) {
        err_set(err, BP_NOMEM, "no memory for the workflow");
        return NULL;
    }
    if (fill(d, path, text, bytes, err) == BP_OK)
        return d;
    definition_free(d);
    return NULL;
}

const char *definition_slug(const struct definition *d)
{
    return d->slug;
}

const char *definition_plugin(const struct definition *d)
{
    return d->plugin;
}

/* Of the sandbox a file may say a part: what it does not say is as the template's. */
static void sandbox_complete(struct json_object *defined, struct json_object *of_template)
{
    struct json_object *own = json_member(defined, "sandbox");
    if (!own || !of_template)
        return;
    json_object_object_foreach(of_template, key, value)
    {
        if (!json_object_object_get_ex(own, key, NULL))
            json_object_object_add(own, key, json_object_get(value));
    }
}

/* The template's keys that are not about the template itself, and the file's over them. */
static struct json_object *merge(const struct definition *d, const struct manifest *template)
{
    static const char *const own[] = {"template", "config", "displayName", "summary"};
    struct json_object *all = NULL, *defined = NULL;
    if (json_object_deep_copy(template->json, &all, NULL) || json_object_deep_copy(d->json, &defined, NULL)) {
        json_object_put(all);
        return NULL;
    }
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        json_object_object_del(all, own[i]);
    sandbox_complete(defined, json_member(all, "sandbox"));
    json_object_object_foreach(defined, key, value)
    {
        json_object_object_add(all, key, json_object_get(value));
    }
    json_object_put(defined);
    json_put_str(all, "slug", d->slug);
    return all;
}

struct manifest *definition_apply(const struct definition *d, const struct manifest *template, struct bp_err *err)
{
    char field[256] = "settings";
    struct json_object *all = merge(d, template);
    if (!all) {
        err_set(err, BP_NOMEM, "%s: no memory for the workflow", d->file);
        return NULL;
    }
    if (manifest_check_settings(all, field, sizeof(field), err)) {
        json_object_put(all);
        definition_place(d, field, err);
        return NULL;
    }
    return manifest_new(all, json_object_get(d->json), err);
}

void definition_sha(const struct definition *d, const char *plugin_sha, char hex[65])
{
    unsigned char both[32 + 64] = {0}, sum[32];
    memcpy(both, d->sum, sizeof(d->sum));
    memcpy(both + 32, plugin_sha, strnlen(plugin_sha, 64));
    EVP_Digest(both, sizeof(both), sum, NULL, EVP_sha256(), NULL);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

void definition_free(struct definition *d)
{
    if (!d)
        return;
    json_object_put(d->json);
    lines_free(d->lines);
    free(d);
}
