/* SPDX-License-Identifier: Apache-2.0 */
/* number.h - numbers that outlive the process as text: written so that they are the same again, read within bounds. */
#ifndef POLICY_NUMBER_H
#define POLICY_NUMBER_H

#include "log/json.h"
#include <math.h>
#include <stdio.h>

static inline void number_put(struct json_object *o, const char *key, double v)
{
    char text[40];
    snprintf(text, sizeof text, "%.17g", v);
    json_object_object_add(o, key, json_object_new_double_s(v, text));
}

/* What is none counts as the least. */
static inline double number_within(double v, double least, double most)
{
    return !isfinite(v) || v < least ? least : fmin(v, most);
}

#endif
