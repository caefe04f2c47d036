/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object_file.h - one file of the objects service, opened, written and published on the service's own thread.
 *
 * Shared by the requests that are under way and their asker; the last one to let go closes the descriptor. [loop]
 * except where a request runs.
 */
#ifndef HTTP_OBJECT_FILE_H
#define HTTP_OBJECT_FILE_H

#include "bus/bus.h"
#include <bp/cloud.h>

struct object_file {
    int refs; /* changed on the loop only */
    struct bus *bus;
    char *method, *target; /* GET or PUT; the path with its query, as it came */
    char *path;            /* of the file, once opened */
    int fd;                /* -1 until opened */
    int64_t max_bytes;     /* of a PUT, 0: no limit of its own */
    struct bp_object_info info;
};

/* method and target are copied (target_len bytes). One reference, the caller's. */
struct object_file *object_file_new(struct bus *b, const char *method, const char *target, size_t target_len);
void object_file_put(struct object_file *f);

typedef void (*object_reply)(const struct bp_err *err, void *arg);
/* Each asks the service once; fn is called on the loop. 0, or BP_LATER and so on with fn not called. Checks the URL's
 * signature and opens the file. */
int object_file_open(struct object_file *f, object_reply fn, void *arg, struct bp_err *err);
/* Appends n bytes; they are freed with free(). */
int object_file_write(struct object_file *f, void *bytes, size_t n, object_reply fn, void *arg, struct bp_err *err);
/* Publishes the file under its key. mime: as the client named it, or NULL. */
int object_file_commit(struct object_file *f, const char *mime, object_reply fn, void *arg, struct bp_err *err);
/* Removes an opened file that was not published. Errors are logged. */
void object_file_discard(struct object_file *f);

#endif
