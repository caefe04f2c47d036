/* SPDX-License-Identifier: Apache-2.0 */
/* objects.h - the object store's inside, for the objects*.c files: settings, keys, and the steps of put and get. Any
 * thread; nothing in struct objects changes after objects_open() but what says so. */
#ifndef AWS_OBJECTS_H
#define AWS_OBJECTS_H

#include "aws.h"
#include "client.h"

#include <stdatomic.h>

#define OBJECT_KEY_MAX 1024
#define OBJECT_TRIES   5 /* of a step that brings nothing, beside the client's own */

struct objects {
    struct aws *aws;
    const char *bucket, *prefix; /* of the settings; "" */
    int64_t part_bytes, multipart_bytes;
    int connections; /* of one multipart upload */
    int checksums;
    int64_t rest_ms;        /* before the first repetition; doubles */
    char uploads_dir[4097]; /* state of unfinished uploads */
    atomic_llong swept_ms;
};

/* One file on its way to S3. */
struct object_put {
    struct objects *o;
    const char *key, *mime; /* key with the prefix */
    const char *path;       /* for messages */
    int fd;
    int64_t bytes;
    int only_new; /* 1: BP_CONFLICT when there is an object of that key */
};

/* "bucket/key", for messages. */
const char *object_name(const struct objects *o, const char *key, char out[192]);
/* May the same step work when it is repeated? */
int object_is_transient(int rc);
/* Rests before try number `tries` (from 1): doubling, with jitter, 10 s at most. */
void object_rest(const struct objects *o, int tries);

/* objects_multipart.c: a put in parts, resumed where a former one of the same file ended. */
int object_put_parts(struct object_put *p, struct bp_err *err);
/* Aborts uploads nobody took up for a day; at most once an hour. */
void object_sweep_uploads(struct objects *o);
/* objects_get.c */
int object_get(struct objects *o, const char *key, const char *path, struct bp_err *err);
/* objects_list.c */
int object_list(struct objects *o, const char *prefix, const char *after, struct bp_object_info *out, uint32_t *n,
                struct bp_err *err);

#endif
