/* SPDX-License-Identifier: Apache-2.0 */
/* mem.h - scratch memory of one operation: never moves, freed all at once. */
#ifndef QUEUE_MEM_H
#define QUEUE_MEM_H

#include <stddef.h>

struct mem_chunk;
struct mem {
    struct mem_chunk *chunk; /* the one being filled; older ones behind it */
};

/* Zeroed memory, aligned for anything, valid until mem_reset(); NULL when there is none. */
void *mem_alloc(struct mem *m, size_t bytes);
/* A NUL-terminated copy of `n` bytes. */
char *mem_text(struct mem *m, const void *text, size_t n);
/* Forgets everything, keeps one chunk for reuse. */
void mem_reset(struct mem *m);
void mem_free(struct mem *m);

#endif
