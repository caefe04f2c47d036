/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/record.h"

#include "log/json.h"
#include "log/utf8.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int record_field_next(const char **at, struct record_field *f)
{
    const char *p = *at + strspn(*at, " ");
    if (!*p)
        return 0;
    size_t n = strcspn(p, " ");
    assert(n > 2 && n - 2 < sizeof f->name && p[1] == ':');
    f->type = p[0];
    memcpy(f->name, p + 2, n - 2);
    f->name[n - 2] = 0;
    *at = p + n;
    return 1;
}

static char *put_word(char *to, const void *word)
{
    memcpy(to, word, 8);
    return to + 8;
}

/* Four bytes of length, the text, a NUL. */
static char *put_text(char *to, const char *s)
{
    uint32_t n = (uint32_t)utf8_cut(s, strlen(s), RECORD_TEXT_MAX);
    memcpy(to, &n, sizeof n);
    memcpy(to + sizeof n, s, n);
    to[sizeof n + n] = 0;
    return to + sizeof n + n + 1;
}

uint32_t record_from_args(const char *fields, va_list ap, char *data)
{
    struct record_field f;
    char *to = data;
    while (record_field_next(&fields, &f)) {
        if (f.type == 'i') {
            int64_t v = va_arg(ap, int64_t);
            to = put_word(to, &v);
        } else if (f.type == 'f') {
            double v = va_arg(ap, double);
            to = put_word(to, &v);
        } else {
            const char *s = va_arg(ap, const char *);
            to = put_text(to, s ? s : "");
        }
    }
    return (uint32_t)(to - data);
}

uint32_t record_from_json(const char *fields, struct json_object *obj, char *data)
{
    struct record_field f;
    char *to = data;
    while (record_field_next(&fields, &f)) {
        if (f.type == 'i') {
            int64_t v = json_int(obj, f.name, 0);
            to = put_word(to, &v);
        } else if (f.type == 'f') {
            double v = json_num(obj, f.name, 0);
            to = put_word(to, &v);
        } else {
            to = put_text(to, json_str(obj, f.name, ""));
        }
    }
    return (uint32_t)(to - data);
}

static const char *get_text(const char *from, struct json_object *obj, const char *name)
{
    uint32_t n;
    memcpy(&n, from, sizeof n);
    json_put_str(obj, name, from + sizeof n);
    return from + sizeof n + n + 1;
}

struct json_object *record_to_json(const char *fields, const char *data)
{
    struct record_field f;
    struct json_object *obj = json_object_new_object();
    while (obj && record_field_next(&fields, &f)) {
        int64_t i;
        double d;
        if (f.type == 's') {
            data = get_text(data, obj, f.name);
            continue;
        }
        memcpy(&i, data, sizeof i);
        memcpy(&d, data, sizeof d);
        data += 8;
        if (f.type == 'i')
            json_put_int(obj, f.name, i);
        else
            json_put_num(obj, f.name, d);
    }
    return obj;
}

int recent_open(struct recent *r)
{
    r->bytes = malloc(RECENT_BYTES);
    return r->bytes ? 0 : BP_NOMEM;
}

void recent_close(struct recent *r)
{
    free(r->bytes);
    r->bytes = NULL;
}

static void drop_oldest(struct recent *r)
{
    r->first = (r->first + 1) % RECENT_EVENTS;
    r->count--;
}

/* Records lie in the order they came, so what is in the way is always the oldest. */
void recent_add(struct recent *r, const struct record *rec)
{
    if (r->used + rec->bytes > RECENT_BYTES) {
        while (r->count > 0 && r->rows[r->first].data >= r->bytes + r->used)
            drop_oldest(r);
        r->used = 0;
    }
    char *to = r->bytes + r->used;
    while (r->count > 0) {
        const struct record *old = &r->rows[r->first];
        int overlaps = old->data < to + rec->bytes && old->data + old->bytes > to;
        if (!overlaps && r->count < RECENT_EVENTS)
            break;
        drop_oldest(r);
    }
    struct record *row = &r->rows[(r->first + r->count++) % RECENT_EVENTS];
    *row = *rec;
    memcpy(to, rec->data, rec->bytes);
    row->data = to;
    r->used += rec->bytes;
}

const struct record *recent_at(const struct recent *r, uint32_t i)
{
    return &r->rows[(r->first + i) % RECENT_EVENTS];
}
