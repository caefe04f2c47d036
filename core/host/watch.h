/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - what plugin files there are: a scan of the watched directories whenever inotify says that one changed
 * (150 ms after, so that a burst is one scan) and every 5 s, for file systems where inotify is silent. [loop]
 */
#ifndef HOST_WATCH_H
#define HOST_WATCH_H

#include "bus/bus.h"
#include <sys/types.h>

struct watch;

/* Changes when the file may have changed; compared as a whole. */
struct fingerprint {
    int64_t mtime_ns, ctime_ns, bytes;
    uint64_t device, inode;
    int64_t signature_ns; /* ctime of its signature, 0: it has none */
};

struct found {
    char *path;
    int dir; /* index */
    struct fingerprint print;
};

/* One scan, in path order. Borrowed for the callback. dir_ok[i]: directory i could be read; if not, nothing is known of
 * it. */
struct scan {
    struct found *files;
    uint32_t n;
    const unsigned char *dir_ok;
};

struct watch_spec {
    struct bus *bus;
    const char *service;                /* of the actor that scans */
    char *const *dirs;                  /* borrowed until watch_free */
    uint32_t n_dirs, n_definition_dirs; /* the last of them hold files of workflows.d instead of plugins */
    void (*scanned)(const struct scan *s, void *arg);
    void *arg;
};
/* Begins to watch and scans at once. */
struct watch *watch_new(const struct watch_spec *spec, struct bp_err *err);
/* No call of scanned after this returns. */
void watch_free(struct watch *w);
/* The fingerprint of one file, all 0 when it cannot be read. */
void watch_print(const char *path, struct fingerprint *out);

#endif
