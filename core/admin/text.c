/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - answers in words: listings by the command's columns, the rest as indented "key: value" lines. */
#include "admin_priv.h"

#include "dispatch/text.h"
#include "log/json.h"
#include "log/utf8.h"
#include <ctype.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 14
#define CELL_MAX    160
#define LONG_MAX    640 /* the same of FORM_LONG and FORM_BELOW */

/* "12 s", "3 min", "2 h", "5 d". */
static void duration(char *out, size_t n, double s)
{
    if (s < 0)
        s = 0;
    if (s < 100)
        snprintf(out, n, "%.0f s", s);
    else if (s < 6000)
        snprintf(out, n, "%.0f min", s / 60);
    else if (s < 172800)
        snprintf(out, n, "%.1f h", s / 3600);
    else
        snprintf(out, n, "%.0f d", s / 86400);
}

static void number(char *out, size_t n, struct json_object *v)
{
    double d = json_object_get_double(v);
    if (d > -1e15 && d < 1e15 && d == (double)(int64_t)d)
        snprintf(out, n, "%lld", (long long)d);
    else
        snprintf(out, n, "%.2f", d);
}

static void capitals(char *out, size_t n, const char *text)
{
    snprintf(out, n, "%s", text);
    for (; *out; out++)
        *out = (char)toupper((unsigned char)*out);
}

static void joined(char *out, size_t n, struct json_object *list)
{
    size_t at = 0;
    out[0] = 0;
    for (size_t i = 0; i < json_object_array_length(list) && at < n; i++)
        at += (size_t)snprintf(out + at, n - at, "%s%s", i ? "," : "",
                               json_object_get_string(json_object_array_get_idx(list, i)));
}

/* A member's name, which may be a tenant's too. */
static const char *harmless_key(const char *key, char *out, size_t n)
{
    snprintf(out, n, "%s", key);
    utf8_make_harmless(out);
    return out;
}

/* Milliseconds since the epoch, given as such or as text; 0: no time. */
static int64_t moment(struct json_object *v)
{
    int64_t ms = json_object_is_type(v, json_type_string) ? 0 : json_object_get_int64(v);
    if (ms == 0 && !time_parse(json_object_get_string(v), &ms))
        ms = 0;
    return ms;
}

static void cell(char *out, size_t n, const struct admin_column *c, struct json_object *row, int64_t now_ms)
{
    struct json_object *v = json_member(row, c->key);
    n = c->form == FORM_LONG || n < CELL_MAX ? n : CELL_MAX;
    snprintf(out, n, "-");
    if (!v)
        return;
    if (json_object_is_type(v, json_type_array))
        joined(out, n, v);
    else if (c->form == FORM_NUMBER)
        number(out, n, v);
    else if (c->form == FORM_PERCENT)
        snprintf(out, n, "%.0f%%", 100 * json_object_get_double(v));
    else if (c->form == FORM_YES)
        snprintf(out, n, "%s", json_object_get_boolean(v) ? "yes" : "no");
    else if (c->form == FORM_SECONDS)
        duration(out, n, json_object_get_double(v));
    else if (c->form == FORM_AGO && moment(v) > 0)
        duration(out, n, (double)(now_ms - moment(v)) / 1000);
    else if (c->form == FORM_CAPITALS)
        capitals(out, n, json_object_get_string(v));
    else if (c->form == FORM_TEXT || c->form == FORM_LONG)
        snprintf(out, n, "%s", json_object_get_string(v));
    utf8_make_harmless(out);
}

/* What stands under a row, below its last column. */
static void below(struct evbuffer *out, const struct admin_column *c, struct json_object *row, int indent)
{
    char text[LONG_MAX];
    const char *said = json_str(row, c->key, "");
    if (!said[0] || strcmp(json_str(row, "status", ""), "ok") == 0) /* nobody asks more about what is fine */
        return;
    snprintf(text, sizeof text, "%s", said);
    utf8_make_harmless(text);
    evbuffer_add_printf(out, "%*s%s: %s\n", indent, "", c->title, text);
}

static void table(struct evbuffer *out, const struct admin_column *columns, struct json_object *rows, int64_t now_ms)
{
    size_t width[COLUMNS_MAX] = {0};
    char text[LONG_MAX];
    size_t n_cols = 0, n = json_object_array_length(rows);
    int indent = 0;
    for (; n_cols < COLUMNS_MAX && columns[n_cols].title && columns[n_cols].form != FORM_BELOW; n_cols++)
        width[n_cols] = strlen(columns[n_cols].title);
    for (size_t r = 0; r < n; r++)
        for (size_t k = 0; k < n_cols; k++) {
            cell(text, sizeof text, &columns[k], json_object_array_get_idx(rows, r), now_ms);
            if (strlen(text) > width[k])
                width[k] = strlen(text);
        }
    for (size_t k = 0; k + 1 < n_cols; k++)
        indent += (int)width[k] + 2;
    for (size_t r = 0; r <= n; r++) {
        for (size_t k = 0; k < n_cols; k++) {
            if (r == 0)
                snprintf(text, sizeof text, "%s", columns[k].title);
            else
                cell(text, sizeof text, &columns[k], json_object_array_get_idx(rows, r - 1), now_ms);
            int right = columns[k].form == FORM_NUMBER || columns[k].form == FORM_PERCENT;
            int pad = k + 1 == n_cols && !right ? 0 : (int)width[k];
            evbuffer_add_printf(out, right ? "%*s%s" : "%-*s%s", pad, text, k + 1 < n_cols ? "  " : "\n");
        }
        for (size_t k = n_cols; r > 0 && columns[k].title; k++)
            below(out, &columns[k], json_object_array_get_idx(rows, r - 1), indent);
    }
}

/* A time in ms since the epoch reads as how long ago, or how far ahead. */
static int is_time(const char *key)
{
    size_t n = strlen(key);
    return n > 3 && strcmp(key + n - 3, "_ms") == 0;
}

static void value_line(struct evbuffer *out, int indent, const char *key, struct json_object *v, int64_t now_ms);

/* Every member but `without` (NULL: none). */
static void members(struct evbuffer *out, int indent, struct json_object *o, const char *without, int64_t now_ms)
{
    json_object_object_foreach(o, key, v)
    {
        if (v && !(without && strcmp(key, without) == 0))
            value_line(out, indent, key, v, now_ms);
    }
}

static void items(struct evbuffer *out, int indent, struct json_object *list, int64_t now_ms)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *v = json_object_array_get_idx(list, i);
        if (json_object_is_type(v, json_type_object)) {
            evbuffer_add_printf(out, "%*s-\n", indent, "");
            members(out, indent + 2, v, NULL, now_ms);
        } else {
            char text[4096];
            snprintf(text, sizeof text, "%s", v ? json_object_get_string(v) : "null");
            utf8_make_harmless(text);
            evbuffer_add_printf(out, "%*s- %s\n", indent, "", text);
        }
    }
}

static void value_line(struct evbuffer *out, int indent, const char *key, struct json_object *v, int64_t now_ms)
{
    char text[4096], name[128];
    if (json_object_is_type(v, json_type_object) || json_object_is_type(v, json_type_array)) {
        int empty = json_object_is_type(v, json_type_object) ? json_object_object_length(v) == 0
                                                             : json_object_array_length(v) == 0;
        evbuffer_add_printf(out, "%*s%s:%s\n", indent, "", harmless_key(key, name, sizeof name), empty ? " none" : "");
        if (json_object_is_type(v, json_type_object))
            members(out, indent + 2, v, NULL, now_ms);
        else
            items(out, indent + 2, v, now_ms);
        return;
    }
    if (is_time(key) && json_object_get_int64(v) > 1000000000000LL) {
        double ago_s = (double)(now_ms - json_object_get_int64(v)) / 1000;
        char span[32];
        duration(span, sizeof span, ago_s < 0 ? -ago_s : ago_s);
        snprintf(text, sizeof text, ago_s < 0 ? "in %s" : "%s ago", span);
    } else {
        snprintf(text, sizeof text, "%s", json_object_get_string(v));
    }
    utf8_make_harmless(text);
    evbuffer_add_printf(out, "%*s%s: %s\n", indent, "", harmless_key(key, name, sizeof name), text);
}

/* A listing, below what else the answer says. */
static void listing(struct evbuffer *out, const struct admin_command *cmd, struct json_object *data,
                    struct json_object *rows, int64_t now_ms)
{
    if (rows != data) {
        members(out, 0, data, cmd->list, now_ms);
        if (json_object_object_length(data) > 1)
            evbuffer_add_printf(out, "%s:\n", cmd->list);
    }
    table(out, cmd->columns, rows, now_ms);
}

void text_render(struct evbuffer *out, const struct admin_command *cmd, struct json_object *data, int64_t now_ms)
{
    struct json_object *rows = cmd->list ? (cmd->list[0] ? json_member(data, cmd->list) : data) : NULL;
    if (json_object_is_type(data, json_type_string)) /* words already */
        evbuffer_add_printf(out, "%s", json_object_get_string(data));
    else if (rows && json_object_is_type(rows, json_type_array) && cmd->columns)
        listing(out, cmd, data, rows, now_ms);
    else if (json_object_is_type(data, json_type_object))
        members(out, 0, data, NULL, now_ms);
    else if (json_object_is_type(data, json_type_array))
        items(out, 0, data, now_ms);
    else
        evbuffer_add_printf(out, "%s\n", data ? json_object_get_string(data) : "done");
}
