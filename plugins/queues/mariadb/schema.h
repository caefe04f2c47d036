/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.h - forward-only migrations, each applied once and recorded with the checksum of its text.
 *
 * Any number of hosts may migrate at once: the one that holds the lock (GET_LOCK) works, the others wait and find it
 * done. A schema with a step we do not know, or with one whose text differs from ours, is refused and left as it is.
 * The server commits each DDL statement by itself, so every statement of a step must be harmless when it is repeated
 * (IF NOT EXISTS): a step that was cut off is run again from its beginning.
 */
#ifndef MARIADB_SCHEMA_H
#define MARIADB_SCHEMA_H

#include "store.h"

struct json_object;

struct schema_step {
    const char *name, *sql;
};

/* The steps of one kind of database, oldest first; step i makes version i + 1. */
struct schema_steps {
    const char *target; /* "central" or "pools": what bpctl migrate is told */
    const struct schema_step *step;
    int n;
    void (*words)(struct sql *q); /* rows the code counts on, put in with the last step; NULL: none */
};
extern const struct schema_steps schema_central, schema_pools;

/* One database of that kind, behind an open connection that uses it. */
struct schema {
    MYSQL *db;         /* NULL, for a report: the database is not there yet */
    const char *where; /* "user@host/database", for messages */
    const struct schema_steps *steps;
    const struct bp_host *host;
    struct bp_self *self;
};

/* Refuses a schema that is not exactly ours, and says what to do: BP_CONFLICT old or missing, BP_INVALID newer or
 * edited. */
int32_t schema_check(const struct schema *c, struct bp_err *err);
/* Applies what is missing. *before: the version that was there; NULL: nobody asks. The connection must not time out
 * while a step runs. */
int32_t schema_migrate(const struct schema *c, int *before, struct bp_err *err);
/* Adds this database to a report's "databases" (bp/queue.h). Steps after version `before` are marked as applied now. */
int32_t schema_report(const struct schema *c, int32_t mode, int before, struct json_object *databases,
                      struct bp_err *err);

#endif
