/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input.h - the fields of a request body, checked by a table of rules, wrong ones named in words field workers know.
 *
 * Text is trimmed and "" counts as null; an integer may come as 5, "5", 5.0 or true; a truth value as true, 1 or "1":
 * what the framework of the field backend lets through. Malformed values never abort.
 */
#ifndef DISPATCH_INPUT_H
#define DISPATCH_INPUT_H

#include "log/json.h"
#include "schema/schema.h"

#include <stdint.h>

enum input_type {
    INPUT_TEXT = 1,
    INPUT_INTEGER,
    INPUT_NUMBER,
    INPUT_TRUTH,
    INPUT_MOMENT,
    INPUT_LIST,
    INPUT_OBJECT,
    INPUT_TREE
};
#define INPUT_REQUIRED 1
#define INPUT_STRICT   2 /* in the first rule of a table: members without a rule are refused by name */

/* min, max: range of a number, or characters of a text; both 0: any. name "a.b": member b of object a.
 * INPUT_TREE: an object or a list. INPUT_MOMENT: an ISO time or ms since the Unix epoch, as integer. */
struct input_rule {
    const char *name;
    enum input_type type;
    int flags;
    double min, max;
};

#define INPUT_FIELDS_MAX 16

/* What was read: one value a rule, in the table's order. */
struct input_value {
    int given; /* present, not null, and right */
    int64_t integer;
    double number;
    const char *text;         /* borrowed from the body or the input */
    struct json_object *json; /* borrowed from the body */
};

struct input {
    struct input_value value[INPUT_FIELDS_MAX];
    struct json_object *fields; /* field name -> array of messages; NULL while nothing is wrong */
    char *owned[INPUT_FIELDS_MAX];
    uint32_t n_owned;
};

/* Reads body (NULL or no object counts as empty). Returns 0, or the number of wrong fields, named in in->fields. Always
 * followed by input_close(); whoever takes in->fields sets it to NULL. */
int input_read(struct input *in, const struct input_rule *rules, uint32_t n, struct json_object *body);
void input_close(struct input *in);
/* Takes the wrong fields out of it. */
struct json_object *input_fields(struct input *in);
/* Adds one message about one field. */
void input_wrong(struct input *in, const char *field, const char *fmt, ...) BP_PRINTF(3, 4);
/* The value in->value[i], or a default. */
const char *input_text(const struct input *in, uint32_t i, const char *fallback);
int64_t input_integer(const struct input *in, uint32_t i, int64_t fallback);

#endif
