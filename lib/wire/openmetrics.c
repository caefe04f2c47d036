/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/openmetrics.h"

#include <string.h>

#define EXACT 1e15 /* whole numbers below it have at most 15 digits */

void metric_family(struct text *t, const char *name, const char *type, const char *help)
{
    text_printf(t, "# TYPE %s %s\n", name, type);
    if (help)
        text_printf(t, "# HELP %s %s\n", name, help);
}

/* Backslash, quote and line feed escaped. */
static void put_escaped(struct text *t, const char *value)
{
    for (;;) {
        size_t plain = strcspn(value, "\\\"\n");
        text_add(t, value, plain);
        value += plain;
        if (!*value)
            return;
        text_add(t, "\\", 1);
        text_add(t, *value == '\n' ? "n" : value, 1);
        value++;
    }
}

void metric_labels(struct text *t, const char *const *pairs)
{
    t->n = 0;
    for (; *pairs; pairs += 2) {
        text_add(t, t->n ? "," : "{", 1);
        text_puts(t, pairs[0]);
        text_add(t, "=\"", 2);
        put_escaped(t, pairs[1]);
        text_add(t, "\"", 1);
    }
    text_add(t, "}", 1);
}

/* As %.15g, which takes ten times as long for the whole numbers that nearly all samples are. */
static void put_value(struct text *t, double value)
{
    char digits[16];
    size_t n = sizeof(digits);
    uint64_t rest;

    if (!(value >= 0 && value < EXACT) || value != (double)(uint64_t)value) {
        text_printf(t, "%.15g", value);
        return;
    }
    rest = (uint64_t)value;
    do {
        digits[--n] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    text_add(t, digits + n, sizeof(digits) - n);
}

void metric_sample(struct text *t, const char *name, const struct text *labels, double value)
{
    text_puts(t, name);
    if (labels)
        text_add(t, labels->bytes, labels->n);
    text_add(t, " ", 1);
    put_value(t, value);
    text_add(t, "\n", 1);
}

void metric_gauge(struct text *t, const char *name, const char *help, double value)
{
    metric_family(t, name, "gauge", help);
    metric_sample(t, name, NULL, value);
}

void metric_counter(struct text *t, const char *name, const char *help, uint64_t value)
{
    metric_family(t, name, "counter", help);
    text_printf(t, "%s_total %llu\n", name, (unsigned long long)value);
}
