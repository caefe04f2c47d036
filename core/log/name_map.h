/* SPDX-License-Identifier: Apache-2.0 */
/* name_map.h - from a name to what has it, in constant time. Names are borrowed: they live in what they lead to. */
#ifndef LOG_NAME_MAP_H
#define LOG_NAME_MAP_H

#include <stdint.h>

struct name_slot {
    const char *name; /* NULL: free */
    void *value;
};

/* All zero is an empty one. */
struct name_map {
    struct name_slot *slots;
    uint32_t n, room; /* room: 0 or a power of two, at least 4/3 of n */
};

/* NULL: nothing has that name. */
void *name_map_get(const struct name_map *m, const char *name);
/* name is not in it yet. 0: no memory, nothing changed. */
int name_map_put(struct name_map *m, const char *name, void *value);
void name_map_remove(struct name_map *m, const char *name);
void name_map_free(struct name_map *m);

#endif
