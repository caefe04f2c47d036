/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.c - params against the subset of JSON Schema that manifests use: type, properties, required, default, enum,
 * const, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, minLength, maxLength, pattern, items,
 * minItems, maxItems, additionalProperties. An object with "properties" takes no others unless additionalProperties
 * says so: a misspelt param is told, not ignored.
 */
#include "schema/schema.h"

#include "log/json.h"
#include "log/utf8.h"

#include <math.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 16
#define NAMES_MAX 128

/* Where we are in the value. */
struct spot {
    struct json_object *fields;
    const char *path;
    int depth;
    int wrong;
};

static int check(struct json_object *schema, struct json_object *value, struct spot *at);

void fields_add(struct json_object *fields, const char *field, const char *message)
{
    struct json_object *list = NULL;
    char name[640], text[1024]; /* both may hold what a client sent, cut somewhere */
    snprintf(name, sizeof name, "%s", field);
    snprintf(text, sizeof text, "%s", message);
    utf8_repair(name);
    utf8_repair(text);
    if (!json_object_object_get_ex(fields, name, &list)) {
        list = json_object_new_array_ext(1);
        json_object_object_add(fields, name, list);
    }
    json_object_array_add(list, json_object_new_string(text));
}

static int say(struct spot *at, const char *fmt, ...) BP_PRINTF(2, 3);
static int say(struct spot *at, const char *fmt, ...)
{
    char text[640];
    int n = snprintf(text, sizeof text, "The %.200s field ", at->path);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
    va_end(ap);
    fields_add(at->fields, at->path, text);
    return ++at->wrong;
}

/* ---- type ---- */

static int is_integer(struct json_object *v)
{
    if (json_object_is_type(v, json_type_int))
        return 1;
    double d = json_object_is_type(v, json_type_double) ? json_object_get_double(v) : 0.5;
    return isfinite(d) && d == floor(d);
}

static int is_number(struct json_object *v)
{
    return json_object_is_type(v, json_type_int) ||
           (json_object_is_type(v, json_type_double) && isfinite(json_object_get_double(v)));
}

static int is_type(const char *type, struct json_object *v)
{
    if (strcmp(type, "integer") == 0)
        return is_integer(v);
    if (strcmp(type, "number") == 0)
        return is_number(v);
    if (strcmp(type, "string") == 0)
        return json_object_is_type(v, json_type_string);
    if (strcmp(type, "boolean") == 0)
        return json_object_is_type(v, json_type_boolean);
    if (strcmp(type, "array") == 0)
        return json_object_is_type(v, json_type_array);
    if (strcmp(type, "object") == 0)
        return json_object_is_type(v, json_type_object);
    return strcmp(type, "null") == 0 && v == NULL;
}

static const char *type_words(const char *type)
{
    static const char *const words[][2] = {
        {"integer", "an integer"}, {"number", "a number"},  {"string", "a string"}, {"boolean", "true or false"},
        {"array", "a list"},       {"object", "an object"}, {"null", "null"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i][0], type) == 0)
            return words[i][1];
    }
    return type;
}

/* "type" may be one name or a list of them. Returns 1 when it fits. */
static int check_type(struct json_object *schema, struct json_object *v, struct spot *at)
{
    struct json_object *type = json_member(schema, "type");
    if (!type)
        return 1;
    if (json_object_is_type(type, json_type_string)) {
        if (is_type(json_object_get_string(type), v))
            return 1;
        say(at, "must be %s.", type_words(json_object_get_string(type)));
        return 0;
    }
    size_t n = json_object_is_type(type, json_type_array) ? json_object_array_length(type) : 0;
    for (size_t i = 0; i < n; i++) {
        if (is_type(json_object_get_string(json_object_array_get_idx(type, i)), v))
            return 1;
    }
    if (n > 0)
        say(at, "must be one of the types %s.", json_text(type));
    return n == 0;
}

/* ---- values ---- */

static int check_enum(struct json_object *schema, struct json_object *v, struct spot *at)
{
    struct json_object *list = json_member(schema, "enum");
    struct json_object *only = NULL;
    if (json_object_object_get_ex(schema, "const", &only) && !json_object_equal(only, v))
        return say(at, "must be %s.", only ? json_text(only) : "null");
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    char words[400] = "";
    for (size_t i = 0; i < n; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        if (json_object_equal(one, v))
            return 0;
        size_t at_end = strlen(words);
        snprintf(words + at_end, sizeof words - at_end, "%s%s", i ? ", " : "",
                 one ? json_object_get_string(one) : "null");
    }
    return n ? say(at, "must be one of: %s.", words) : 0;
}

static double limit_of(struct json_object *schema, const char *key, double none)
{
    struct json_object *v = json_member(schema, key);
    return v && is_number(v) ? json_object_get_double(v) : none;
}

static void check_number(struct json_object *schema, double v, struct spot *at)
{
    double least = limit_of(schema, "minimum", -INFINITY), most = limit_of(schema, "maximum", INFINITY);
    double above = limit_of(schema, "exclusiveMinimum", -INFINITY),
           below = limit_of(schema, "exclusiveMaximum", INFINITY);
    double step = limit_of(schema, "multipleOf", 0);
    if (v < least || v > most) {
        if (isfinite(least) && isfinite(most))
            say(at, "must be between %.15g and %.15g.", least, most);
        else if (isfinite(least))
            say(at, "must be at least %.15g.", least);
        else
            say(at, "must not be greater than %.15g.", most);
    } else if (v <= above) {
        say(at, "must be greater than %.15g.", above);
    } else if (v >= below) {
        say(at, "must be less than %.15g.", below);
    } else if (step > 0 && fabs(v / step - round(v / step)) > 1e-9) {
        say(at, "must be a multiple of %.15g.", step);
    }
}

static size_t characters(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static void check_text(struct json_object *schema, const char *s, struct spot *at)
{
    double n = (double)characters(s);
    double least = limit_of(schema, "minLength", 0), most = limit_of(schema, "maxLength", INFINITY);
    const char *pattern = json_str(schema, "pattern", NULL);
    regex_t re;
    if (n < least)
        say(at, "must be at least %.0f characters.", least);
    else if (n > most)
        say(at, "must not be greater than %.0f characters.", most);
    else if (pattern && n > 4096)
        say(at, "must not be greater than 4096 characters."); /* a pattern is matched against short text only */
    else if (pattern && regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) == 0) {
        int matches = regexec(&re, s, 0, NULL, 0) == 0;
        regfree(&re);
        if (!matches)
            say(at, "must match the pattern %s", pattern);
    }
}

/* ---- lists and objects ---- */

static void go_down(struct json_object *schema, struct json_object *v, struct spot *at, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%.250s.%.250s", at->path, name);
    struct spot below = {at->fields, path, at->depth + 1, 0};
    at->wrong += check(schema, v, &below);
}

static void check_list(struct json_object *schema, struct json_object *v, struct spot *at)
{
    double n = (double)json_object_array_length(v);
    double least = limit_of(schema, "minItems", 0), most = limit_of(schema, "maxItems", INFINITY);
    struct json_object *items = json_member(schema, "items");
    if (n < least)
        say(at, "must have at least %.0f items.", least);
    else if (n > most)
        say(at, "must not have more than %.0f items.", most);
    for (size_t i = 0; items && i < json_object_array_length(v) && at->wrong < 32; i++) {
        char name[24];
        snprintf(name, sizeof name, "%zu", i);
        go_down(items, json_object_array_get_idx(v, i), at, name);
    }
}

static void check_required(struct json_object *schema, struct json_object *v, struct spot *at)
{
    struct json_object *list = json_member(schema, "required");
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(list, i));
        char path[512];
        if (!name || json_object_object_get_ex(v, name, NULL))
            continue;
        snprintf(path, sizeof path, "%.250s.%.250s", at->path, name);
        struct spot below = {at->fields, path, at->depth, 0};
        at->wrong += say(&below, "is required.");
    }
}

static void say_unknown(struct json_object *properties, const char *key, struct spot *at)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    char words[400] = "", path[512];
    struct json_object_iterator it = json_object_iter_begin(properties), end = json_object_iter_end(properties);
    for (; n < NAMES_MAX && !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
        names[n] = json_object_iter_peek_name(&it);
        size_t len = strlen(words);
        snprintf(words + len, sizeof words - len, "%s%s", n ? ", " : "", names[n]);
        n++;
    }
    const char *near = nearest_name(key, names, n);
    snprintf(path, sizeof path, "%.250s.%.250s", at->path, key);
    struct spot below = {at->fields, path, at->depth, 0};
    if (near)
        at->wrong += say(&below, "is unknown. Did you mean %s? Allowed: %s.", near, words);
    else
        at->wrong += say(&below, "is unknown. Allowed: %s.", words[0] ? words : "none");
}

static void fill_defaults(struct json_object *properties, struct json_object *v)
{
    struct json_object_iterator it = json_object_iter_begin(properties), end = json_object_iter_end(properties);
    for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
        struct json_object *fallback = NULL, *own = NULL;
        const char *name = json_object_iter_peek_name(&it);
        if (json_object_object_get_ex(v, name, NULL) ||
            !json_object_object_get_ex(json_object_iter_peek_value(&it), "default", &fallback))
            continue;
        if (fallback)
            json_object_deep_copy(fallback, &own, NULL);
        json_object_object_add(v, name, own);
    }
}

static void check_object(struct json_object *schema, struct json_object *v, struct spot *at)
{
    struct json_object *properties = json_member(schema, "properties"), *more = NULL;
    int known = json_object_is_type(properties, json_type_object);
    json_object_object_get_ex(schema, "additionalProperties", &more);
    int any = json_object_is_type(more, json_type_boolean) ? json_object_get_boolean(more) : more != NULL || !known;
    if (known)
        fill_defaults(properties, v);
    check_required(schema, v, at);
    struct json_object_iterator it = json_object_iter_begin(v), end = json_object_iter_end(v);
    for (; !json_object_iter_equal(&it, &end) && at->wrong < 32; json_object_iter_next(&it)) {
        const char *key = json_object_iter_peek_name(&it);
        struct json_object *sub = NULL;
        if (known && json_object_object_get_ex(properties, key, &sub))
            go_down(sub, json_object_iter_peek_value(&it), at, key);
        else if (json_object_is_type(more, json_type_object))
            go_down(more, json_object_iter_peek_value(&it), at, key);
        else if (!any)
            say_unknown(properties ? properties : more, key, at);
    }
}

/* Returns the number of wrong fields at and below this spot. */
static int check(struct json_object *schema, struct json_object *v, struct spot *at)
{
    if (at->depth > DEPTH_MAX)
        return say(at, "is nested too deeply.");
    if (!json_object_is_type(schema, json_type_object) || !check_type(schema, v, at))
        return at->wrong;
    if (check_enum(schema, v, at))
        return at->wrong;
    if (is_number(v))
        check_number(schema, json_object_get_double(v), at);
    else if (json_object_is_type(v, json_type_string))
        check_text(schema, json_object_get_string(v), at);
    else if (json_object_is_type(v, json_type_array))
        check_list(schema, v, at);
    else if (json_object_is_type(v, json_type_object))
        check_object(schema, v, at);
    return at->wrong;
}

int schema_check(struct json_object *schema, struct json_object *value, const char *prefix, struct json_object *fields)
{
    struct spot top = {fields, prefix, 0, 0};
    return check(schema, value, &top);
}
