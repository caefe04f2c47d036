/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/input.h"

#include "dispatch/text.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void input_wrong(struct input *in, const char *field, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!in->fields)
        in->fields = json_object_new_object();
    fields_add(in->fields, field, text);
}

struct json_object *input_fields(struct input *in)
{
    struct json_object *f = in->fields;
    in->fields = NULL;
    return f;
}

void input_close(struct input *in)
{
    for (uint32_t i = 0; i < in->n_owned; i++)
        free(in->owned[i]);
    in->n_owned = 0;
    json_object_put(in->fields);
    in->fields = NULL;
}

const char *input_text(const struct input *in, uint32_t i, const char *fallback)
{
    return in->value[i].given ? in->value[i].text : fallback;
}

int64_t input_integer(const struct input *in, uint32_t i, int64_t fallback)
{
    return in->value[i].given ? in->value[i].integer : fallback;
}

/* "lease_token" as a reader sees it: "lease token". */
static const char *spoken(const char *name, char out[128])
{
    snprintf(out, 128, "%s", name);
    for (char *c = out; *c; c++) {
        if (*c == '_')
            *c = ' ';
    }
    return out;
}

static size_t characters(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* Text without the white space around it; a copy is made only when there is some at the end. */
static const char *trimmed(struct input *in, const char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    size_t n = strlen(s);
    if (n == 0 || !isspace((unsigned char)s[n - 1]))
        return s;
    while (n > 0 && isspace((unsigned char)s[n - 1]))
        n--;
    char *copy = strndup(s, n);
    assert(copy && in->n_owned < INPUT_FIELDS_MAX);
    in->owned[in->n_owned++] = copy;
    return copy;
}

static struct json_object *find(struct json_object *body, const char *name)
{
    const char *dot = strchr(name, '.');
    if (!dot)
        return json_member(body, name);
    char parent[64];
    snprintf(parent, sizeof parent, "%.*s", (int)(dot - name), name);
    return json_member(json_member(body, parent), dot + 1);
}

/* The integer in a text: digits with an optional sign and nothing else. */
static int integer_of_text(const char *s, int64_t *out)
{
    char *end;
    while (isspace((unsigned char)*s))
        s++;
    const char *digits = *s == '-' || *s == '+' ? s + 1 : s;
    if (!isdigit((unsigned char)*digits))
        return 0;
    errno = 0;
    *out = strtoll(s, &end, 10);
    while (isspace((unsigned char)*end))
        end++;
    return errno == 0 && *end == '\0';
}

static int integer_of(struct json_object *v, int64_t *out)
{
    double d;
    switch (json_object_get_type(v)) {
    case json_type_int:
        *out = json_object_get_int64(v);
        return 1;
    case json_type_boolean:
        *out = 1;
        return json_object_get_boolean(v);
    case json_type_double:
        d = json_object_get_double(v);
        if (!(d >= -9.0e15 && d <= 9.0e15) || d != floor(d))
            return 0;
        *out = (int64_t)d;
        return 1;
    case json_type_string:
        return integer_of_text(json_object_get_string(v), out);
    default:
        return 0;
    }
}

static int number_of(struct json_object *v, double *out)
{
    char *end;
    switch (json_object_get_type(v)) {
    case json_type_int:
    case json_type_double:
        *out = json_object_get_double(v);
        return isfinite(*out);
    case json_type_string:
        *out = strtod(json_object_get_string(v), &end);
        return end != json_object_get_string(v) && *end == '\0' && isfinite(*out);
    default:
        return 0;
    }
}

static int truth_of(struct json_object *v, int64_t *out)
{
    if (json_object_is_type(v, json_type_boolean)) {
        *out = json_object_get_boolean(v);
        return 1;
    }
    if (json_object_is_type(v, json_type_null) || json_object_is_type(v, json_type_double) || !integer_of(v, out))
        return 0;
    return *out == 0 || *out == 1;
}

static int read_text(struct input *in, const struct input_rule *r, struct json_object *v, struct input_value *out)
{
    char name[128];
    if (!json_object_is_type(v, json_type_string)) {
        input_wrong(in, r->name, "The %s field must be a string.", spoken(r->name, name));
        return 0;
    }
    out->text = trimmed(in, json_object_get_string(v));
    if (!*out->text)
        return 0;
    if (r->max > 0 && characters(out->text) > (size_t)r->max) {
        input_wrong(in, r->name, "The %s field must not be greater than %.0f characters.", spoken(r->name, name),
                    r->max);
        return 0;
    }
    return 1;
}

static int in_range(struct input *in, const struct input_rule *r, double v)
{
    char name[128];
    if ((r->min == 0 && r->max == 0) || (v >= r->min && v <= r->max))
        return 1;
    if (v < r->min)
        input_wrong(in, r->name, "The %s field must be at least %.15g.", spoken(r->name, name), r->min);
    else
        input_wrong(in, r->name, "The %s field must not be greater than %.15g.", spoken(r->name, name), r->max);
    return 0;
}

static int moment_of(struct json_object *v, int64_t *out)
{
    if (json_object_is_type(v, json_type_string) && time_parse(json_object_get_string(v), out))
        return 1;
    return !json_object_is_type(v, json_type_boolean) && integer_of(v, out) && *out >= 0;
}

/* The types of one value: what it is called, and how it is read. */
static const char *const scalar_names[] = {
    [INPUT_INTEGER] = "an integer",
    [INPUT_NUMBER] = "a number",
    [INPUT_TRUTH] = "true or false",
    [INPUT_MOMENT] = "a time such as 2026-01-31T12:00:00Z, or milliseconds since 1970",
};

static int scalar_of(const struct input_rule *r, struct json_object *v, struct input_value *out)
{
    switch (r->type) {
    case INPUT_INTEGER:
        return integer_of(v, &out->integer);
    case INPUT_NUMBER:
        return number_of(v, &out->number);
    case INPUT_TRUTH:
        return truth_of(v, &out->integer);
    default:
        return moment_of(v, &out->integer);
    }
}

static int read_scalar(struct input *in, const struct input_rule *r, struct json_object *v, struct input_value *out)
{
    char name[128];
    if (scalar_of(r, v, out))
        return in_range(in, r, r->type == INPUT_NUMBER ? out->number : (double)out->integer);
    input_wrong(in, r->name, "The %s field must be %s.", spoken(r->name, name), scalar_names[r->type]);
    return 0;
}

static int read_structure(struct input *in, const struct input_rule *r, struct json_object *v)
{
    char name[128];
    enum json_type t = json_object_get_type(v);
    if ((t == json_type_array && r->type != INPUT_OBJECT) || (t == json_type_object && r->type != INPUT_LIST))
        return 1;
    input_wrong(in, r->name, "The %s field must be %s.", spoken(r->name, name),
                r->type == INPUT_OBJECT ? "an object" : "an array");
    return 0;
}

static int is_blank(struct json_object *v)
{
    if (!json_object_is_type(v, json_type_string))
        return v == NULL;
    const char *s = json_object_get_string(v);
    while (isspace((unsigned char)*s))
        s++;
    return *s == '\0';
}

static void read_field(struct input *in, const struct input_rule *r, struct json_object *body, struct input_value *out)
{
    char name[128];
    struct json_object *v = find(body, r->name);
    if (is_blank(v)) {
        if (r->flags & INPUT_REQUIRED)
            input_wrong(in, r->name, "The %s field is required.", spoken(r->name, name));
        return;
    }
    out->json = v;
    if (r->type == INPUT_TEXT)
        out->given = read_text(in, r, v, out);
    else if (r->type >= INPUT_LIST)
        out->given = read_structure(in, r, v);
    else
        out->given = read_scalar(in, r, v, out);
}

static void refuse_unknown(struct input *in, const struct input_rule *rules, uint32_t n, struct json_object *body)
{
    const char *names[INPUT_FIELDS_MAX];
    for (uint32_t i = 0; i < n; i++)
        names[i] = rules[i].name;
    struct json_object_iterator it = json_object_iter_begin(body), end = json_object_iter_end(body);
    for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
        const char *key = json_object_iter_peek_name(&it);
        uint32_t i = 0;
        while (i < n && strcmp(names[i], key) != 0)
            i++;
        if (i < n)
            continue;
        char list[384] = "";
        for (i = 0; i < n; i++)
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", names[i]);
        const char *near = nearest_name(key, names, n);
        input_wrong(in, key, "Unknown field.%s%s%s Allowed: %s.", near ? " Did you mean " : "", near ? near : "",
                    near ? "?" : "", list);
    }
}

int input_read(struct input *in, const struct input_rule *rules, uint32_t n, struct json_object *body)
{
    assert(n <= INPUT_FIELDS_MAX);
    memset(in, 0, sizeof *in);
    if (body && !json_object_is_type(body, json_type_object))
        body = NULL;
    for (uint32_t i = 0; i < n; i++)
        read_field(in, &rules[i], body, &in->value[i]);
    if (body && n && rules[0].flags & INPUT_STRICT)
        refuse_unknown(in, rules, n, body);
    return in->fields ? json_object_object_length(in->fields) : 0;
}
