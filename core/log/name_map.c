/* SPDX-License-Identifier: Apache-2.0 */
#include "log/name_map.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a (Fowler, Noll, Vo), 32 bits. */
static uint32_t hash(const char *name)
{
    uint32_t h = 2166136261u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619u;
    return h;
}

/* Where a name is, or the free slot where it would be; there is always one. */
static uint32_t find(const struct name_map *m, const char *name)
{
    uint32_t at = hash(name) & (m->room - 1);
    while (m->slots[at].name && strcmp(m->slots[at].name, name) != 0)
        at = (at + 1) & (m->room - 1);
    return at;
}

void *name_map_get(const struct name_map *m, const char *name)
{
    return m->room ? m->slots[find(m, name)].value : NULL;
}

static int widen(struct name_map *m)
{
    struct name_map wide = {.room = m->room ? m->room * 2 : 16, .n = m->n};
    wide.slots = calloc(wide.room, sizeof *wide.slots);
    if (!wide.slots)
        return 0;
    for (uint32_t i = 0; i < m->room; i++)
        if (m->slots[i].name)
            wide.slots[find(&wide, m->slots[i].name)] = m->slots[i];
    free(m->slots);
    *m = wide;
    return 1;
}

int name_map_put(struct name_map *m, const char *name, void *value)
{
    if ((m->n + 1) * 4 > m->room * 3 && !widen(m))
        return 0;
    m->slots[find(m, name)] = (struct name_slot){name, value};
    m->n++;
    return 1;
}

/* What a free slot would hide from those that look for it moves up. */
void name_map_remove(struct name_map *m, const char *name)
{
    uint32_t hole = m->room ? find(m, name) : 0;
    if (!m->room || !m->slots[hole].name)
        return;
    m->n--;
    for (uint32_t at = (hole + 1) & (m->room - 1); m->slots[at].name; at = (at + 1) & (m->room - 1)) {
        uint32_t home = hash(m->slots[at].name) & (m->room - 1);
        if (((at - home) & (m->room - 1)) < ((at - hole) & (m->room - 1)))
            continue; /* its home lies behind the hole */
        m->slots[hole] = m->slots[at];
        hole = at;
    }
    m->slots[hole] = (struct name_slot){NULL, NULL};
}

void name_map_free(struct name_map *m)
{
    free(m->slots);
    *m = (struct name_map){NULL, 0, 0};
}
