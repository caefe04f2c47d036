/* SPDX-License-Identifier: Apache-2.0 */
/* pairs.h - texts and their numbers, found by either. Starts as {0}. Texts stay valid until the pairs are cleared. */
#ifndef QUEUE_SUPPORT_PAIRS_H
#define QUEUE_SUPPORT_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pair {
    int64_t id;
    char *text;
    bool there; /* the caller's */
};

struct pairs {
    struct pair *list;
    uint32_t *by_text, *by_id; /* open addressing; place in list + 1 */
    size_t n, slots;
};

/* NULL: unknown. Valid until the next pairs_add(). */
struct pair *pairs_by_text(const struct pairs *t, const char *text);
struct pair *pairs_by_id(const struct pairs *t, int64_t id);
/* The pair of this text, added with this number when it is unknown. NULL: no memory. */
struct pair *pairs_add(struct pairs *t, int64_t id, const char *text);
void pairs_clear(struct pairs *t);
/* Clears when there are very many. */
void pairs_trim(struct pairs *t);

#endif
