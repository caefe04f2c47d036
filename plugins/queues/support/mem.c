/* SPDX-License-Identifier: Apache-2.0 */
#include "mem.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 65536

struct mem_chunk {
    struct mem_chunk *next;
    size_t used, room;
    alignas(max_align_t) char bytes[];
};

static struct mem_chunk *chunk_new(size_t need)
{
    size_t room = need > CHUNK_BYTES ? need : CHUNK_BYTES;
    struct mem_chunk *c = malloc(sizeof *c + room);
    if (!c)
        return NULL;
    c->next = NULL;
    c->used = 0;
    c->room = room;
    return c;
}

void *mem_alloc(struct mem *m, size_t bytes)
{
    size_t align = alignof(max_align_t);
    bytes = (bytes + align - 1) & ~(align - 1);
    if (!m->chunk || m->chunk->room - m->chunk->used < bytes) {
        struct mem_chunk *c = chunk_new(bytes);
        if (!c)
            return NULL;
        c->next = m->chunk;
        m->chunk = c;
    }
    void *p = m->chunk->bytes + m->chunk->used;
    m->chunk->used += bytes;
    return memset(p, 0, bytes);
}

char *mem_text(struct mem *m, const void *text, size_t n)
{
    char *p = mem_alloc(m, n + 1);
    if (p && n)
        memcpy(p, text, n);
    return p;
}

void mem_reset(struct mem *m)
{
    struct mem_chunk *c = m->chunk;
    if (!c)
        return;
    while (c->next) {
        struct mem_chunk *next = c->next;
        free(c);
        c = next;
    }
    c->used = 0;
    m->chunk = c;
    if (c->room > CHUNK_BYTES)
        mem_free(m);
}

void mem_free(struct mem *m)
{
    while (m->chunk) {
        struct mem_chunk *next = m->chunk->next;
        free(m->chunk);
        m->chunk = next;
    }
}
