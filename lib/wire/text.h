/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - a growing piece of text. Running out of memory aborts: the pieces are small and bounded by their makers. */
#ifndef WIRE_TEXT_H
#define WIRE_TEXT_H

#include <bp/plugin.h>

struct text {
    char *bytes; /* not NUL-terminated unless text_str() was called */
    size_t n, cap;
};

void text_add(struct text *t, const void *bytes, size_t n);
void text_puts(struct text *t, const char *s);
void text_printf(struct text *t, const char *fmt, ...) BP_PRINTF(2, 3);
/* As a JSON string with quotes; NULL: null. */
void text_json(struct text *t, const char *s);
/* With a NUL behind it; borrowed until the text changes. */
const char *text_str(struct text *t);
void text_free(struct text *t);

#endif
