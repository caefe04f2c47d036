/* SPDX-License-Identifier: Apache-2.0 */
#include "fields.h"

#include "sign.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 4096
#define ITEMS_MAX 64

void fields_add(struct fields *f, enum field_kind kind, const char *label, const char *name, const char *path,
                const char *value)
{
    char *copy = f->n < FIELDS_MAX ? strdup(value) : NULL;
    if (!copy) {
        f->failed = 1;
        return;
    }
    f->list[f->n++] = (struct field){kind, label, name, path, copy};
}

void fields_add_int(struct fields *f, const char *label, const char *name, const char *path, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    fields_add(f, FIELD_TEXT, label, name, path, text);
}

void fields_free(struct fields *f)
{
    for (uint32_t k = 0; k < f->n; k++)
        free(f->list[k].value);
    *f = (struct fields){0};
}

/* ---- sending ---- */

/* "Overrides.member.#.InstanceType" with the number in place of '#'. */
static void numbered(const char *name, uint32_t number, char out[256])
{
    const char *at = strchr(name, '#');
    snprintf(out, 256, "%.*s%u%s", at ? (int)(at - name) : (int)strlen(name), name, number, at ? at + 1 : "");
}

static void put_items(const struct field *f, const char *prefix, struct form *form)
{
    char name[256], items[VALUE_MAX], *rest = NULL;
    uint32_t n = 0;
    snprintf(items, sizeof items, "%s", f->value);
    for (const char *item = strtok_r(items, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
        numbered(f->name, ++n, name);
        form_put(form, item, "%s%s", prefix, name);
    }
}

void fields_put(const struct fields *f, const char *prefix, struct form *form)
{
    for (uint32_t k = 0; k < f->n; k++) {
        const struct field *one = &f->list[k];
        if (!one->value[0])
            continue;
        if (one->kind == FIELD_LIST || one->kind == FIELD_SET)
            put_items(one, prefix, form);
        else
            form_put(form, one->value, "%s%s", prefix, one->name);
    }
}

/* ---- comparing ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "b,a" as "a,b". */
static void sort_items(const char *text, char out[VALUE_MAX])
{
    char copy[VALUE_MAX], *items[ITEMS_MAX] = {0}, *rest = NULL;
    size_t n = 0, used = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *s = strtok_r(copy, ", ", &rest); s && n < ITEMS_MAX; s = strtok_r(NULL, ", ", &rest))
        items[n++] = s;
    qsort(items, n, sizeof items[0], by_text);
    out[0] = '\0';
    for (size_t i = 0; i < n && used < VALUE_MAX; i++)
        used += (size_t)snprintf(out + used, VALUE_MAX - used, "%s%s", i ? "," : "", items[i]);
}

/* The texts at "path/item|leaf" as "a,b". */
static void read_items(const struct xml *now, const char *path, char out[VALUE_MAX])
{
    char to[160];
    size_t n = strcspn(path, "|"), used = 0;
    const char *leaf = path[n] ? path + n + 1 : "";
    snprintf(to, sizeof to, "%.*s", (int)n, path);
    out[0] = '\0';
    for (const struct xml *x = xml_first(now, to); x && used < VALUE_MAX; x = xml_next(x))
        used += (size_t)snprintf(out + used, VALUE_MAX - used, "%s%s", used ? "," : "", xml_text(x, leaf));
}

static void read_now(const struct field *f, const struct xml *now, char out[VALUE_MAX])
{
    char items[VALUE_MAX];
    if (f->kind == FIELD_LIST) {
        read_items(now, f->path, out);
    } else if (f->kind == FIELD_SET) {
        read_items(now, f->path, items);
        sort_items(items, out);
    } else if (f->kind == FIELD_CSV) {
        sort_items(xml_text(now, f->path), out);
    } else {
        snprintf(out, VALUE_MAX, "%s", xml_text(now, f->path));
    }
}

static int is_same(const struct field *f, const struct xml *now, char is[VALUE_MAX], char wanted[VALUE_MAX])
{
    if (f->kind == FIELD_LONG)
        return strcmp(xml_text(now, f->path), f->value) == 0;
    if (f->kind == FIELD_KEPT && !xml_at(now, f->path))
        return 1;
    read_now(f, now, is);
    if (f->kind == FIELD_SET || f->kind == FIELD_CSV)
        sort_items(f->value, wanted);
    else
        snprintf(wanted, VALUE_MAX, "%s", f->value);
    return strcmp(is, wanted) == 0;
}

uint32_t fields_compare(const struct fields *f, const char *what, const struct xml *now, struct json_object *diff)
{
    char is[VALUE_MAX], wanted[VALUE_MAX];
    uint32_t n = 0;
    for (uint32_t k = 0; k < f->n; k++) {
        const struct field *one = &f->list[k];
        if (is_same(one, now, is, wanted))
            continue;
        n++;
        if (one->kind == FIELD_LONG)
            diff_say(diff, "%s: %s changes", what, one->label);
        else
            diff_say(diff, "%s: %s %s becomes %s", what, one->label, is[0] ? is : "none", wanted[0] ? wanted : "none");
    }
    return n;
}

void fields_hash(const struct fields *f, char out[17])
{
    char chain[65 * 2] = "", digest[65];
    for (uint32_t k = 0; k < f->n; k++) { /* each over what came before it, its name and its value */
        size_t n = strlen(chain) + strlen(f->list[k].name) + strlen(f->list[k].value) + 3;
        char *text = malloc(n);
        if (!text)
            break;
        snprintf(text, n, "%s %s=%s", chain, f->list[k].name, f->list[k].value);
        sign_sha256_hex(text, strlen(text), digest);
        free(text);
        snprintf(chain, sizeof chain, "%s", digest);
    }
    snprintf(out, 17, "%.16s", chain);
}

void diff_say(struct json_object *diff, const char *fmt, ...)
{
    char text[VALUE_MAX * 2 + 512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    json_object_array_add(diff, json_object_new_string(text));
}
