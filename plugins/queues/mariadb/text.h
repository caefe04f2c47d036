/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - what the columns take: UTF-8 of a bounded length. One bad text must not fail the batch of the others. */
#ifndef MARIADB_TEXT_H
#define MARIADB_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "mem.h"

/* Is it UTF-8 of at most max bytes? NULL is. */
bool text_fits(const char *text, size_t max);
/* The text itself when it fits; else a copy, cut at max bytes, with a question mark for each byte that is not UTF-8.
 * NULL stays NULL; no memory gives "". */
const char *text_clean(struct mem *m, const char *text, size_t max);

#endif
