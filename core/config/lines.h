/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h - the line of each key of a JSON text with comments, by its dotted path. Any thread. */
#ifndef CONFIG_LINES_H
#define CONFIG_LINES_H

#include <bp/plugin.h>

struct lines;

/* NULL with line and column of the first mistake. lines_free() it. */
struct lines *lines_find(const char *text, size_t bytes, struct bp_err *err);
/* 0: unknown. Paths are cut at 256 bytes. */
uint32_t lines_of(const struct lines *l, const char *path);
void lines_free(struct lines *l);

#endif
