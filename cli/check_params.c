/* SPDX-License-Identifier: Apache-2.0 */
/* check_params.c - the schema of a workflow's params: what is wrong in it, and what its form would lack. */
#include "check.h"

#include "log/err.h"
#include "schema/schema.h"
#include <math.h>
#include <regex.h>
#include <string.h>

#define DEPTH_MAX 16

/* Words that lib/schema/schema.c or the form read. */
static const char *const words[] = {"type",
                                    "properties",
                                    "required",
                                    "default",
                                    "enum",
                                    "const",
                                    "minimum",
                                    "maximum",
                                    "exclusiveMinimum",
                                    "exclusiveMaximum",
                                    "multipleOf",
                                    "minLength",
                                    "maxLength",
                                    "pattern",
                                    "items",
                                    "minItems",
                                    "maxItems",
                                    "additionalProperties",
                                    "title",
                                    "description"};
#define WORDS (sizeof words / sizeof words[0])
static const char *const ignored[] = {"$schema", "$id", "$comment", "examples", "format"}; /* said to be so */

static void look(struct check *c, struct json_object *schema, const char *path, int depth);

static int is_one_of(const char *s, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(s, names[i]) == 0)
            return 1;
    return 0;
}

static void unknown_words(struct check *c, struct json_object *schema, const char *path)
{
    json_object_object_foreach(schema, key, value)
    {
        (void)value;
        if (is_one_of(key, words, WORDS) || is_one_of(key, ignored, sizeof ignored / sizeof ignored[0]))
            continue;
        const char *near = nearest_name(key, words, WORDS);
        finding_add(&c->found, FINDING_WARNING, "params", "docs/plugins.md lists the words that are read",
                    "%s: the word \"%.64s\" is ignored%s%s%s", path, key, near ? "; did you mean \"" : "",
                    near ? near : "", near ? "\"?" : "");
    }
}

static int is_type_word(struct json_object *v)
{
    static const char *const types[] = {"integer", "number", "string", "boolean", "array", "object", "null"};
    return json_object_is_type(v, json_type_string) &&
           is_one_of(json_object_get_string(v), types, sizeof types / sizeof types[0]);
}

/* Its one type, "" when there are several or none. */
static const char *type_of(struct json_object *schema)
{
    return json_str(schema, "type", "");
}

static void types(struct check *c, struct json_object *schema, const char *path)
{
    struct json_object *t = json_member(schema, "type");
    size_t n = t && json_object_is_type(t, json_type_array) ? json_object_array_length(t) : 0;
    int fine = n > 0 || !t || is_type_word(t);
    for (size_t i = 0; i < n; i++)
        fine &= is_type_word(json_object_array_get_idx(t, i));
    if (!fine)
        finding_add(&c->found, FINDING_ERROR, "params",
                    "integer, number, string, boolean, array, object and null are types", "%s: its type is %s", path,
                    json_text(t));
    else if (!t && !json_member(schema, "enum") && !json_member(schema, "const"))
        finding_add(&c->found, FINDING_WARNING, "params", "add \"type\"", "%s: it has no type, so any value is taken",
                    path);
}

/* Values out of their own schema never reach run() from a tenant, but a default would. */
static void default_fits(struct check *c, struct json_object *schema, const char *path)
{
    struct json_object *v = NULL, *own = NULL, *fields = json_object_new_object();
    if (json_object_object_get_ex(schema, "default", &v)) {
        if (v)
            json_object_deep_copy(v, &own, NULL);
        schema_check(schema, own, path, fields);
        json_object_object_foreach(fields, field, messages)
        {
            (void)field;
            finding_add(&c->found, FINDING_ERROR, "params", "give a default that the schema allows",
                        "%s: its default %.80s is not allowed: %s", path, json_text(v),
                        json_object_get_string(json_object_array_get_idx(messages, 0)));
        }
    }
    json_object_put(own);
    json_object_put(fields);
}

static int has(struct json_object *schema, const char *a, const char *b)
{
    return json_member(schema, a) || json_member(schema, b);
}

static void limits(struct check *c, struct json_object *schema, const char *path)
{
    const char *type = type_of(schema);
    if (has(schema, "enum", "const"))
        return;
    if (strcmp(type, "number") == 0 || strcmp(type, "integer") == 0) {
        double least = json_num(schema, "minimum", json_num(schema, "exclusiveMinimum", -INFINITY));
        double most = json_num(schema, "maximum", json_num(schema, "exclusiveMaximum", INFINITY));
        if (!has(schema, "minimum", "exclusiveMinimum") || !has(schema, "maximum", "exclusiveMaximum"))
            finding_add(&c->found, FINDING_WARNING, "params", "add \"minimum\" and \"maximum\"",
                        "%s: any number is taken, however large", path);
        else if (least > most)
            finding_add(&c->found, FINDING_ERROR, "params", "exchange them", "%s: from %g to %g there is no number",
                        path, least, most);
    } else if (strcmp(type, "string") == 0 && !has(schema, "maxLength", "pattern")) {
        finding_add(&c->found, FINDING_WARNING, "params", "add \"maxLength\" or \"enum\"",
                    "%s: texts of any length are taken", path);
    } else if (strcmp(type, "array") == 0) {
        if (!json_member(schema, "maxItems"))
            finding_add(&c->found, FINDING_WARNING, "params", "add \"maxItems\"", "%s: lists of any length are taken",
                        path);
        if (!json_member(schema, "items"))
            finding_add(&c->found, FINDING_WARNING, "params", "add \"items\"", "%s: anything may be in the list", path);
    }
}

static void pattern(struct check *c, struct json_object *schema, const char *path)
{
    regex_t re;
    char why[200];
    const char *p = json_str(schema, "pattern", NULL);
    int rc = p ? regcomp(&re, p, REG_EXTENDED | REG_NOSUB) : 0;
    if (p && rc == 0)
        regfree(&re);
    if (rc == 0)
        return;
    regerror(rc, &re, why, sizeof why);
    finding_add(&c->found, FINDING_ERROR, "params", "write a POSIX extended regular expression",
                "%s: its pattern %.100s cannot be read (%s) and would allow anything", path, p, why);
}

static void required(struct check *c, struct json_object *schema, const char *path)
{
    const char *names[64];
    size_t n = 0;
    struct json_object *list = json_member(schema, "required"), *all = json_member(schema, "properties");
    json_object_object_foreach(all, key, value)
    {
        (void)value;
        if (n < 64)
            names[n++] = key;
    }
    for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list); i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(list, i));
        if (name && is_one_of(name, names, n))
            continue;
        const char *near = name ? nearest_name(name, names, n) : NULL;
        finding_add(&c->found, FINDING_ERROR, "params", "describe it in \"properties\", or take it out of \"required\"",
                    "%s: it requires \"%.64s\", which is not described%s%s%s", path, name ? name : "null",
                    near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
}

static int is_required(struct json_object *schema, const char *name)
{
    struct json_object *list = json_member(schema, "required");
    for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list); i++) {
        const char *s = json_object_get_string(json_object_array_get_idx(list, i));
        if (s && strcmp(s, name) == 0)
            return 1;
    }
    return 0;
}

/* One param, as the form shows it. */
static void property(struct check *c, struct json_object *schema, const char *name, struct json_object *p,
                     const char *path, int depth)
{
    struct json_object *v;
    if (!json_object_is_type(p, json_type_object)) {
        finding_add(&c->found, FINDING_ERROR, "params", "describe it: {\"type\": \"number\", ...}",
                    "%s: it is not described by an object", path);
        return;
    }
    if (!json_member(p, "title"))
        finding_add(&c->found, FINDING_WARNING, "params", "add \"title\"",
                    "%s: the form shows \"%s\", for want of a title", path, name);
    if (!json_object_object_get_ex(p, "default", &v) && !json_member(p, "const") && !is_required(schema, name))
        finding_add(&c->found, FINDING_WARNING, "params", "add \"default\", or name it in \"required\"",
                    "%s: a job without it reaches run() without it, too", path);
    look(c, p, path, depth + 1);
}

static void properties(struct check *c, struct json_object *schema, const char *path, int depth)
{
    struct json_object *all = json_member(schema, "properties"), *more = json_member(schema, "additionalProperties");
    if (!all)
        return;
    if (!json_object_is_type(all, json_type_object)) {
        finding_add(&c->found, FINDING_ERROR, "params", "write {\"strength\": {...}}",
                    "%s: \"properties\" is no object", path);
        return;
    }
    required(c, schema, path);
    if (json_object_is_type(more, json_type_boolean) && json_object_get_boolean(more))
        finding_add(&c->found, FINDING_WARNING, "params", "take \"additionalProperties\" out",
                    "%s: misspelt params are taken and not told", path);
    json_object_object_foreach(all, name, p)
    {
        char below[600];
        snprintf(below, sizeof below, "%.400s.%.150s", path, name);
        property(c, schema, name, p, below, depth);
    }
}

static void look(struct check *c, struct json_object *schema, const char *path, int depth)
{
    if (depth > DEPTH_MAX) {
        finding_add(&c->found, FINDING_ERROR, "params", "make it flatter", "%.100s...: nested deeper than %d", path,
                    DEPTH_MAX);
        return;
    }
    unknown_words(c, schema, path);
    types(c, schema, path);
    default_fits(c, schema, path);
    limits(c, schema, path);
    pattern(c, schema, path);
    properties(c, schema, path, depth);
    struct json_object *items = json_member(schema, "items");
    char below[600];
    snprintf(below, sizeof below, "%.400s[]", path);
    if (json_object_is_type(items, json_type_object))
        look(c, items, below, depth + 1);
}

void check_params(struct check *c)
{
    struct json_object *schema = json_member(c->file.manifest->json, "params");
    if (!schema)
        return;
    if (strcmp(type_of(schema), "object") != 0)
        finding_add(&c->found, FINDING_ERROR, "params", "write \"params\": {\"type\": \"object\", ...}",
                    "params: its type is not object, and params are always one");
    else
        look(c, schema, "params", 0);
}
