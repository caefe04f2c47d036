/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fields.h - what a thing of AWS should be, field by field: compared with what it is, and sent.
 *
 * A field has the name of a request's parameter and the path of the answer's element, so that what is written is what
 * is compared. Values are text as AWS writes it: "true", "7", "a,b".
 */
#ifndef AWS_FIELDS_H
#define AWS_FIELDS_H

#include "form.h"
#include "xml.h"

struct json_object;

#define FIELDS_MAX 32

enum field_kind {
    FIELD_TEXT = 1,
    FIELD_LIST, /* "a,b": '#' in the name is 1, 2, ...; "path/item|leaf" the elements; order counts */
    FIELD_SET,  /* the same, but order does not count */
    FIELD_CSV,  /* "a,b" as one text there and here; order does not count */
    FIELD_LONG, /* a text that is not shown */
    FIELD_KEPT, /* one that endpoints may keep to themselves: absent there, it is not compared */
};

struct field {
    enum field_kind kind;
    const char *label, *name, *path; /* static */
    char *value;
};

struct fields {
    struct field list[FIELDS_MAX];
    uint32_t n;
    int failed; /* no memory */
};

/* Adds a field; "" as value: none is wanted, which is compared but not sent. */
void fields_add(struct fields *f, enum field_kind kind, const char *label, const char *name, const char *path,
                const char *value);
void fields_add_int(struct fields *f, const char *label, const char *name, const char *path, int64_t value);
void fields_free(struct fields *f);
/* Puts all into a form, each name behind `prefix`. */
void fields_put(const struct fields *f, const char *prefix, struct form *form);
/* A sentence for each field that is different at `now`: "<what>: <label> <old> becomes <new>". Returns how many. */
uint32_t fields_compare(const struct fields *f, const char *what, const struct xml *now, struct json_object *diff);
/* 16 hexadecimal digits that change when a field does. */
void fields_hash(const struct fields *f, char out[17]);

/* Adds one sentence to a diff (JSON array). */
void diff_say(struct json_object *diff, const char *fmt, ...) FORM_PRINTF(2, 3);

#endif
