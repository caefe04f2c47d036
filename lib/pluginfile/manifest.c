/* SPDX-License-Identifier: Apache-2.0 */
#include "pluginfile/manifest.h"
#include "log/err.h"
#include "pluginfile/asset.h"
#include "pluginfile/sandbox.h"
#include "policy/schedule.h"
#include "schema/schema.h"
#include <bp/scaling.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pluginfile/elf.h"

enum key_type { TEXT = 1, NAME, WHOLE, NUMBER, TRUTH, TEXTS, TEXT_OR_TEXTS, OBJECT, SCHEDULE, SANDBOX, ASSETS };

#define NEED     1  /* must be there */
#define WORKFLOW 2  /* workflows only; may be overridden by config, and stand in a file of workflows.d */
#define FIXED    4  /* workflows only; said by the plugin alone */
#define DEFINED  8  /* may stand in a file of workflows.d */
#define ONLY     16 /* stands there and nowhere else */

struct key {
    const char *name;
    enum key_type type;
    double min, max; /* value of numbers, length of texts */
    int flags;
    const char *words; /* allowed words, "a|b", or NULL */
};

static const struct key keys[] = {
    {"name", NAME, 1, 64, NEED, NULL},
    {"kind", TEXT, 1, 16, NEED, "workflow|cloud|queue"},
    {"version", TEXT, 1, 64, NEED | DEFINED, NULL},
    {"abi", TEXT, 3, 11, NEED, NULL},
    {"summary", TEXT, 0, 1000, DEFINED, NULL},
    {"license", TEXT, 0, 200, 0, NULL},
    {"threads", WHOLE, 1, 64, 0, NULL},
    {"batchMax", WHOLE, 1, 4096, 0, NULL},
    {"facets", TEXTS, 0, 64, 0, NULL},
    {"start", TEXT, 1, 16, 0, "always|named"},
    {"config", OBJECT, 0, 0, 0, NULL},
    {"slug", NAME, 1, 64, WORKFLOW, NULL},
    {"displayName", TEXT, 1, 200, WORKFLOW, NULL},
    {"amiSsmParameter", TEXT, 1, 1024, WORKFLOW, NULL},
    {"amiId", TEXT, 1, 64, WORKFLOW, NULL},
    {"instanceTypes", TEXTS, 1, 64, WORKFLOW, NULL},
    {"maxSize", WHOLE, 0, 10000, WORKFLOW, NULL},
    {"warmupSeconds", NUMBER, 0, 86400, WORKFLOW, NULL},
    {"scaleToZeroMinutes", NUMBER, 0, 100000, WORKFLOW, NULL},
    {"scaleToZeroSeconds", NUMBER, 0, 6000000, WORKFLOW, NULL},
    {"backlogTarget", WHOLE, 1, 1000000, WORKFLOW, NULL},
    {"onDemandMax", WHOLE, 0, 10000, WORKFLOW, NULL},
    {"policy", TEXT, 1, 16, WORKFLOW, "step|target|direct|perjob|deployed|slo|plugin"},
    {"schedule", SCHEDULE, 0, 0, WORKFLOW, NULL},
    {"targetP95WaitSeconds", NUMBER, 0, 1000000, WORKFLOW, NULL},
    {"waitPrice", NUMBER, 0, 1000, WORKFLOW, NULL},
    {"timeoutSeconds", WHOLE, 1, 604800, WORKFLOW, NULL},
    {"maxAttempts", WHOLE, 1, 100, WORKFLOW, NULL},
    {"params", OBJECT, 0, 0, WORKFLOW, NULL},
    {"accepts", TEXTS, 1, 200, WORKFLOW, NULL},
    {"produces", TEXT_OR_TEXTS, 1, 200, WORKFLOW, NULL},
    {"settings", OBJECT, 0, 0, WORKFLOW, NULL},
    {"sandbox", SANDBOX, 0, 0, WORKFLOW, NULL},
    {"assets", ASSETS, 0, 0, WORKFLOW, NULL},
    {"template", TRUTH, 0, 0, FIXED, NULL},
    {"settingsSchema", OBJECT, 0, 0, FIXED, NULL},
    {"plugin", NAME, 1, 64, DEFINED | ONLY, NULL},
    {"settingsDir", TEXT, 1, 4000, DEFINED | ONLY, NULL},
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static const char *const kinds[] = {NULL, "workflow", "cloud", "queue"};

const char *kind_name(enum plugin_kind kind)
{
    return kinds[kind];
}

static const struct key *key_find(const char *name)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    }
    return NULL;
}

/* "unknown key "batchmax"; did you mean "batchMax"?", looking only at keys with one of `flags`; 0: at a plugin's. */
static int unknown_key(const char *name, int flags, struct bp_err *err)
{
    const char *names[KEYS];
    size_t n = 0;
    for (size_t i = 0; i < KEYS; i++) {
        if (flags ? keys[i].flags & flags : !(keys[i].flags & ONLY))
            names[n++] = keys[i].name;
    }
    const char *near = nearest_name(name, names, n);
    if (near)
        return err_set(err, BP_INVALID, "unknown key \"%.64s\"; did you mean \"%s\"?", name, near);
    return err_set(err, BP_INVALID, "unknown key \"%.64s\"", name);
}

static int word_allowed(const char *words, const char *s)
{
    size_t n = strlen(s);
    for (const char *w = words; w; w = strchr(w, '|') ? strchr(w, '|') + 1 : NULL) {
        if (strncmp(w, s, n) == 0 && (w[n] == '|' || w[n] == '\0'))
            return n > 0;
    }
    return 0;
}

static int text_check(const struct key *k, struct json_object *v, struct bp_err *err)
{
    if (!json_object_is_type(v, json_type_string))
        return err_set(err, BP_INVALID, "\"%s\" must be a text", k->name);
    const char *s = json_object_get_string(v);
    int n = json_object_get_string_len(v);
    if (n < k->min || n > k->max || strlen(s) != (size_t)n)
        return err_set(err, BP_INVALID, "\"%s\" must have %g to %g characters", k->name, k->min, k->max);
    if (k->words && !word_allowed(k->words, s))
        return err_set(err, BP_INVALID, "\"%s\" is \"%.64s\", but must be one of %s", k->name, s, k->words);
    return BP_OK;
}

/* Names become file names, URL parts and AWS names: lower-case letters, digits and dashes, beginning with a letter or
 * digit. */
static int name_check(const struct key *k, struct json_object *v, struct bp_err *err)
{
    if (text_check(k, v, err))
        return BP_INVALID;
    const char *s = json_object_get_string(v);
    if (s[0] == '-' || strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(s))
        return err_set(err, BP_INVALID,
                       "\"%s\" is \"%.64s\", but may have only a-z, 0-9 and '-', and not begin with '-'", k->name, s);
    return BP_OK;
}

static int number_check(const struct key *k, struct json_object *v, struct bp_err *err)
{
    int whole = json_object_is_type(v, json_type_int);
    if (!whole && (k->type == WHOLE || !json_object_is_type(v, json_type_double)))
        return err_set(err, BP_INVALID, "\"%s\" must be a%s number", k->name, k->type == WHOLE ? " whole" : "");
    double d = json_object_get_double(v);
    if (!(d >= k->min && d <= k->max))
        return err_set(err, BP_INVALID, "\"%s\" is %g, but must be from %.10g to %.10g", k->name, d, k->min, k->max);
    return BP_OK;
}

static int truth_check(const struct key *k, struct json_object *v, struct bp_err *err)
{
    if (json_object_is_type(v, json_type_boolean))
        return BP_OK;
    return err_set(err, BP_INVALID, "\"%s\" must be true or false", k->name);
}

static int texts_check(const struct key *k, struct json_object *v, struct bp_err *err)
{
    if (!json_object_is_type(v, json_type_array))
        return err_set(err, BP_INVALID, "\"%s\" must be an array of texts", k->name);
    size_t n = json_object_array_length(v);
    if (n > 64)
        return err_set(err, BP_INVALID, "\"%s\" has %zu entries, at most 64 are allowed", k->name, n);
    for (size_t i = 0; i < n; i++) {
        if (text_check(k, json_object_array_get_idx(v, i), err))
            return BP_INVALID;
    }
    return BP_OK;
}

static int value_check(const struct key *k, struct json_object *v, struct bp_err *err)
{
    switch (k->type) {
    case TEXT:
        return text_check(k, v, err);
    case NAME:
        return name_check(k, v, err);
    case WHOLE:
    case NUMBER:
        return number_check(k, v, err);
    case TRUTH:
        return truth_check(k, v, err);
    case TEXTS:
        return texts_check(k, v, err);
    case TEXT_OR_TEXTS:
        return json_object_is_type(v, json_type_array) ? texts_check(k, v, err) : text_check(k, v, err);
    case SCHEDULE:
        return schedule_check(v, err) == BP_OK ? BP_OK : err_prefix(err, "\"%s\": ", k->name);
    case SANDBOX:
        return sandbox_check(v, err) == BP_OK ? BP_OK : err_prefix(err, "\"%s\": ", k->name);
    case ASSETS:
        return assets_check(v, err) == BP_OK ? BP_OK : err_prefix(err, "\"%s\": ", k->name);
    case OBJECT:
        break;
    }
    if (!json_object_is_type(v, json_type_object))
        return err_set(err, BP_INVALID, "\"%s\" must be an object", k->name);
    return BP_OK;
}

int manifest_check_override(const char *key, struct json_object *value, struct bp_err *err)
{
    const struct key *k = key_find(key);
    if (!k || !(k->flags & WORKFLOW) || strcmp(key, "slug") == 0)
        return unknown_key(key, WORKFLOW, err);
    return value_check(k, value, err);
}

int manifest_check_defined(const char *key, struct json_object *value, struct bp_err *err)
{
    const struct key *k = key_find(key);
    if (!k || !(k->flags & (WORKFLOW | DEFINED)))
        return unknown_key(key, WORKFLOW | DEFINED, err);
    return value_check(k, value, err);
}

/* The first wrong field, in the schema's words. */
static int settings_wrong(struct json_object *fields, char *field, size_t n, struct bp_err *err)
{
    struct json_object_iterator it = json_object_iter_begin(fields);
    struct json_object *first = json_object_array_get_idx(json_object_iter_peek_value(&it), 0);
    int more = json_object_object_length(fields) - 1;
    if (field)
        snprintf(field, n, "%s", json_object_iter_peek_name(&it));
    err_set(err, BP_INVALID, "%.200s", json_object_get_string(first));
    if (more > 0)
        err_set(err, BP_INVALID, "%.180s (and %d more)", json_object_get_string(first), more);
    return BP_INVALID;
}

int manifest_check_settings(struct json_object *json, char *field, size_t n, struct bp_err *err)
{
    struct json_object *schema = json_member(json, "settingsSchema"), *fields = json_object_new_object();
    if (schema && !json_member(json, "settings"))
        json_object_object_add(json, "settings", json_object_new_object());
    int wrong = schema ? schema_check(schema, json_member(json, "settings"), "settings", fields) : 0;
    int rc = wrong ? settings_wrong(fields, field, n, err) : BP_OK;
    json_object_put(fields);
    return rc;
}

/* "1.0" -> BP_ABI(1, 0); 0 when it is no such text. */
static uint32_t abi_parse(const char *s)
{
    char *end;
    if (!isdigit((unsigned char)*s))
        return 0;
    unsigned long major = strtoul(s, &end, 10);
    if (*end != '.' || !isdigit((unsigned char)end[1]) || major > 0xffff)
        return 0;
    unsigned long minor = strtoul(end + 1, &end, 10);
    return *end || minor > 0xffff ? 0 : BP_ABI(major, minor);
}

static int abi_check(struct json_object *json, uint32_t *abi, struct bp_err *err)
{
    const char *s = json_str(json, "abi", NULL);
    if (!s)
        return err_set(err, BP_INVALID, "\"abi\" is missing or no text; it must be \"%u.%u\"",
                       BP_ABI_MAJOR(BP_ABI_VERSION), BP_ABI_MINOR(BP_ABI_VERSION));
    *abi = abi_parse(s);
    if (*abi == 0)
        return err_set(err, BP_INVALID, "\"abi\" is \"%.16s\", but must look like \"1.0\"", s);
    if (BP_ABI_MAJOR(*abi) != BP_ABI_MAJOR(BP_ABI_VERSION))
        return err_set(err, BP_INVALID,
                       "built for plugin ABI %.16s, this bpd speaks %u; rebuild it against these headers", s,
                       BP_ABI_MAJOR(BP_ABI_VERSION));
    return BP_OK;
}

/* Who is told of every problem, or nobody (say NULL): then the first ends the check. */
struct teller {
    manifest_problem say;
    void *arg;
};

/* The rc of one step: BP_OK goes on. */
static int told(const struct teller *t, int rc, const struct bp_err *err)
{
    if (rc == BP_OK || !t->say)
        return rc;
    t->say(t->arg, err);
    return BP_OK;
}

/* Unknown keys are errors, except in a manifest of a newer minor, which may have keys that only a newer bpd reads. */
static int members_check(struct json_object *json, int newer, const struct teller *t, struct bp_err *err)
{
    json_object_object_foreach(json, name, value)
    {
        const struct key *k = key_find(name);
        if (!k && newer)
            continue;
        if (!k || (k->flags & ONLY))
            k = NULL;
        if (told(t, k ? value_check(k, value, err) : unknown_key(name, 0, err), err))
            return BP_INVALID;
    }
    return BP_OK;
}

static int needed_check(struct json_object *json, const struct teller *t, struct bp_err *err)
{
    int rc = BP_OK, workflow = strcmp(json_str(json, "kind", ""), "workflow") == 0;
    for (size_t i = 0; i < KEYS && rc == BP_OK; i++) {
        int there = json_member(json, keys[i].name) != NULL;
        if (!there && (keys[i].flags & NEED) && strcmp(keys[i].name, "abi") != 0)
            rc = told(t, err_set(err, BP_INVALID, "\"%s\" is missing", keys[i].name), err);
        else if (there && (keys[i].flags & (WORKFLOW | FIXED)) && !workflow)
            rc = told(t,
                      err_set(err, BP_INVALID, "\"%s\" is for workflows only, but \"kind\" is \"%s\"", keys[i].name,
                              json_str(json, "kind", "")),
                      err);
    }
    return rc;
}

/* A template has no slug: its files have. Its own policy would have to know them all. */
static int template_check(struct json_object *json, struct bp_err *err)
{
    struct json_object *facets = json_member(json, "facets");
    if (!json_truth(json, "template", 0))
        return BP_OK;
    if (json_member(json, "slug"))
        return err_set(err, BP_INVALID, "\"slug\" is for a workflow of its own, but \"template\" is true: remove one");
    for (size_t i = 0; facets && i < json_object_array_length(facets); i++) {
        if (strcmp(json_object_get_string(json_object_array_get_idx(facets, i)), BP_SCALING_FACET) == 0)
            return err_set(err, BP_INVALID, "a template cannot offer the facet " BP_SCALING_FACET);
    }
    return BP_OK;
}

static int json_check(struct json_object *json, uint32_t *abi, const struct teller *t, struct bp_err *err)
{
    if (!json_object_is_type(json, json_type_object))
        return err_set(err, BP_INVALID, "it is no JSON object");
    if (told(t, abi_check(json, abi, err), err))
        return BP_INVALID;
    if (members_check(json, BP_ABI_MINOR(*abi) > BP_ABI_MINOR(BP_ABI_VERSION), t, err))
        return BP_INVALID;
    if (needed_check(json, t, err))
        return BP_INVALID;
    return told(t, template_check(json, err), err);
}

void manifest_problems(struct json_object *json, manifest_problem say, void *arg)
{
    struct bp_err err = {0};
    uint32_t abi = 0;
    if (json_check(json, &abi, &(struct teller){say, arg}, &err))
        say(arg, &err);
}

static void fill(struct manifest *m)
{
    const char *kind = json_str(m->json, "kind", "");
    for (int k = KIND_WORKFLOW; k <= KIND_QUEUE; k++) {
        if (strcmp(kind, kinds[k]) == 0)
            m->kind = (enum plugin_kind)k;
    }
    m->name = json_str(m->json, "name", NULL);
    m->version = json_str(m->json, "version", NULL);
    m->is_template = json_truth(m->json, "template", 0);
    m->slug = m->kind == KIND_WORKFLOW && !m->is_template ? json_str(m->json, "slug", m->name) : NULL;
    m->listed = m->definition ? m->slug : m->name;
    m->abi = abi_parse(json_str(m->json, "abi", ""));
    m->threads = (uint32_t)json_int(m->json, "threads", 1);
    m->batch_max = (uint32_t)json_int(m->json, "batchMax", 64);
}

struct manifest *manifest_new(struct json_object *json, struct json_object *definition, struct bp_err *err)
{
    struct manifest *m = calloc(1, sizeof(*m));
    if (!m) {
        json_object_put(json);
        json_object_put(definition);
        err_set(err, BP_NOMEM, "no memory for the manifest");
        return NULL;
    }
    m->json = json;
    m->definition = definition;
    fill(m);
    return m;
}

struct manifest *manifest_parse(const char *text, size_t bytes, struct bp_err *err)
{
    uint32_t abi = 0;
    while (bytes > 0 && (text[bytes - 1] == '\0' || isspace((unsigned char)text[bytes - 1])))
        bytes--;
    if (bytes > MANIFEST_MAX_BYTES) {
        err_set(err, BP_INVALID, "the manifest has %zu bytes, at most %d are allowed", bytes, MANIFEST_MAX_BYTES);
        return NULL;
    }
    struct json_object *json = json_parse(text, bytes, err);
    if (!json || json_check(json, &abi, &(struct teller){0}, err)) {
        json_object_put(json);
        err_prefix(err, "manifest: ");
        return NULL;
    }
    return manifest_new(json, NULL, err);
}

struct manifest *manifest_read(const void *image, size_t n, struct bp_err *err)
{
    const char *text;
    size_t bytes;
    if (elf_section(image, n, BP_MANIFEST_SECTION, &text, &bytes, err))
        return NULL;
    return manifest_parse(text, bytes, err);
}

void manifest_free(struct manifest *m)
{
    if (!m)
        return;
    json_object_put(m->json);
    json_object_put(m->definition);
    memset(m, 0xdb, sizeof(*m));
    free(m);
}

int manifest_lists_facets(const struct manifest *m)
{
    struct json_object *list = json_member(m->json, "facets");
    return list && json_object_array_length(list) > 0;
}

int manifest_has_facet(const struct manifest *m, const char *facet)
{
    struct json_object *list = json_member(m->json, "facets");
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        if (strcmp(json_object_get_string(json_object_array_get_idx(list, i)), facet) == 0)
            return 1;
    }
    return 0;
}
