/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unique.h - unique keys: at most one pending job of a tenant has a key.
 *
 * The database holds that by its unique index; a batch that loses the race of two controllers is repeated and then sees
 * the winner.
 */
#ifndef MARIADB_UNIQUE_H
#define MARIADB_UNIQUE_H

#include "job.h"

#define UNIQUE_KEY_MAX 255

/* A key the segment's operations name, and who holds it. */
struct unique_known {
    int64_t tenant, holder; /* 0: nobody */
    int32_t status;         /* of the holder, as the database said */
    char hash[65];
    struct unique_known *next;
};

/* Reads who holds the keys the submits name. */
int32_t unique_load(struct store *s, struct bp_op *const *ops, uint32_t n);
/* The pending job that holds the key now, 0: none. NULL key: none. */
int64_t unique_holder(struct store *s, int64_t tenant, const char *key, int32_t *status);
/* A new job takes its key. */
int32_t unique_take(struct store *s, struct job *j);
/* The job ended or came back: its key is free or taken. */
int32_t unique_touch(struct store *s, struct job *j);
/* Who else holds the key of a job that ended, 0: nobody; *known is the key, for unique_again. */
int32_t unique_rival(struct store *s, const struct job *j, int64_t *rival, struct unique_known **known);
/* The job takes its key again. */
int32_t unique_again(struct store *s, struct job *j, struct unique_known *known);
/* Adds the statements that write what changed. */
void unique_write(struct store *s, struct sql *q);

#endif
