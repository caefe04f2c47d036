/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recent.h - the content of jobs this controller submitted lately, so that their first lease need not read it back.
 *
 * Only of tenants in no pool, only until the first lease, and only while the connection it was written through is
 * there and nothing was rolled back: until then nobody changes what a submit wrote.
 */
#ifndef MARIADB_RECENT_H
#define MARIADB_RECENT_H

#include <stddef.h>
#include <stdint.h>

struct store;
struct job;
struct recent_job;

#define RECENT_SLOTS 4096
/* Content larger than that is read back: it costs more to keep than to read. */
#define RECENT_JOB_BYTES 4096
#define RECENT_BYTES     (1 << 20)

struct recent {
    struct recent_job *slots[RECENT_SLOTS]; /* by the last bits of the id */
    size_t bytes;
};

/* A job was submitted. */
void recent_put(struct store *s, const struct job *j);
/* It is being leased: fills its content when that is here and surely still so; it is kept no longer. */
int32_t recent_take(struct store *s, struct job *j);
/* What a blind batch left in the map, once it is written: until then nothing is changed here. */
void recent_note(struct store *s);
/* When anything was undone or may have been. */
void recent_clear(struct store *s);

#endif
