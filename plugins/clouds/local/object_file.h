/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object_file.h - how objects lie on disk.
 *
 *   <dir>/<hh>/<hash>.json      sidecar: key, mime, bytes, modified_ms, and the name of the file with the bytes
 *   <dir>/<hh>/<hash>.<unique>  the bytes
 *   <dir>/tmp/<hash>.<unique>   a body being written, or (empty) a note that the file of this name may be left over
 *
 * hash is SHA-256 of the key, hh its first byte. An object is there exactly when its sidecar is: the sidecar's rename
 * publishes it. Who changes an object holds a lock (flock) on its <hh> directory, also against another generation.
 */
#ifndef LOCAL_OBJECT_FILE_H
#define LOCAL_OBJECT_FILE_H

#include "file.h"
#include <bp/cloud.h>

#define OBJECT_HASH_SIZE 65
#define OBJECT_NAME_SIZE 160
#define OBJECT_MIME      "application/octet-stream"

/* One object as its sidecar tells. */
struct object {
    struct bp_object_info info;
    char file[OBJECT_NAME_SIZE]; /* name in its <hh> directory */
};

/* Reads the object of key. BP_NOTFOUND. */
int object_read(const char *dir, const char *key, struct object *out, struct bp_err *err);
/* Reads one sidecar file; BP_INVALID when it is not one. */
int object_read_sidecar(const char *path, struct object *out, struct bp_err *err);
/* Path of an object's bytes. */
void object_path(const char *dir, const struct object *o, char out[PATH_SIZE]);
/* A fresh name for a body of key, in <dir>/tmp; nothing is created. */
void object_temp_path(const char *dir, const char *key, char out[PATH_SIZE]);
/* Publishes the complete temporary file `temp` (see object_temp_path) under key, durably. On error temp is still there.
 */
int object_publish(const char *dir, const char *temp, const char *key, const char *mime, int64_t now_ms,
                   struct bp_err *err);
/* Removes the object of key; absent is no error. */
int object_remove(const char *dir, const char *key, struct bp_err *err);
/* Removes what earlier processes left half done. */
void object_clean(const char *dir);

#endif
