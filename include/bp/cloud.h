/* SPDX-License-Identifier: Apache-2.0 */
/* bp/cloud.h - the small facets of a cloud plugin: objects, params, metrics, logs, notify, node. All calls may block.
 */
#ifndef BP_CLOUD_H
#define BP_CLOUD_H

#include <bp/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_OBJECTS_FACET "bp.objects/1"
#define BP_PARAMS_FACET  "bp.params/1"
#define BP_METRICS_FACET "bp.metrics/1"
#define BP_LOGS_FACET    "bp.logs/1"
#define BP_NOTIFY_FACET  "bp.notify/1"
#define BP_NODE_FACET    "bp.node/1"

/* Keys are UTF-8, 1..1024 bytes, '/'-separated, no empty, "." or ".." segment; anything else is BP_INVALID. */
struct bp_object_info {
    char key[1025];
    char mime[128];
    int64_t bytes;
    int64_t modified_ms;
};

struct bp_objects {
    uint32_t size;
    uint32_t reserved;
    /* A URL that lets its bearer do `method` ("GET" or "PUT") on key until ttl_s from now. mime: pinned for PUT, or
     * NULL. max_bytes: limit of a PUT body where the provider can enforce it, 0: its own. The URL may live shorter: no
     * longer than what signs it. *url: bp_host.free. */
    int32_t (*presign)(void *inst, const char *method, const char *key, const char *mime, int64_t max_bytes,
                       int32_t ttl_s, char **url, struct bp_err *err);
    /* Copies a local file to key (durably, all or nothing) / an object to a local file (replaced when it is whole). */
    int32_t (*put)(void *inst, const char *key, const char *mime, const char *path, struct bp_err *err);
    int32_t (*get)(void *inst, const char *key, const char *path, struct bp_err *err);
    int32_t (*head)(void *inst, const char *key, struct bp_object_info *out, struct bp_err *err); /* BP_NOTFOUND */
    int32_t (*remove)(void *inst, const char *key, struct bp_err *err);                           /* absent: BP_OK */
    /* Up to *n objects whose key starts with prefix and is greater than `after` (or NULL), in key order. */
    int32_t (*list)(void *inst, const char *prefix, const char *after, struct bp_object_info *out, uint32_t *n,
                    struct bp_err *err);
    /*
     * Only for providers whose URLs lead back to bpd (path /objects/...): checks signature and expiry of
     * `path_query` for `method` and says which file to serve or to write. GET/HEAD: *path is an existing file.
     * PUT: *path is a fresh temporary file on the same file system, to be given to commit() once complete.
     * BP_DENIED bad or expired signature, BP_NOTFOUND, BP_NOSPACE. *max_bytes: limit of a PUT. *path: bp_host.free.
     */
    int32_t (*open_local)(void *inst, const char *method, const char *path_query, char **path,
                          struct bp_object_info *info, int64_t *max_bytes, struct bp_err *err);
    /* Publishes the temporary file of open_local under its key, durably; ok = 0 discards it. */
    int32_t (*commit_local)(void *inst, const char *key, const char *path, const char *mime, int32_t ok,
                            struct bp_err *err);
    /* As put, but BP_CONFLICT when key exists already; the two are one step. May be NULL. */
    int32_t (*put_new)(void *inst, const char *key, const char *mime, const char *path, struct bp_err *err);
};

struct bp_params {
    uint32_t size;
    uint32_t reserved;
    int32_t (*get)(void *inst, const char *name, char **value,
                   struct bp_err *err); /* BP_NOTFOUND; *value: bp_host.free */
    int32_t (*put)(void *inst, const char *name, const char *value, int32_t secret, struct bp_err *err);
    /* As get, but never from a cache: asked for when the value that get gave was refused. May be NULL. */
    int32_t (*get_fresh)(void *inst, const char *name, char **value, struct bp_err *err);
};

/* One sample; dimensions are WorkflowSlug and Stage. */
struct bp_metric {
    char name[48];
    char workflow[128];
    char stage[32];
    char unit[16]; /* Count Seconds Percent */
    int64_t at_ms;
    double value;
};

/* What is to be watched over one workflow's metrics: its alarms and its dashboard. */
struct bp_metrics_watch {
    uint32_t size;
    int32_t backlog_target; /* jobs per instance that the scaling aims at */
    int32_t max_size;       /* instances at most */
    int32_t empty_after_s;  /* an empty queue scales to zero after so long */
    const char *slug, *stage, *display_name;
};

struct bp_metrics {
    uint32_t size;
    uint32_t reserved;
    int32_t (*put)(void *inst, const struct bp_metric *samples, uint32_t n, struct bp_err *err);
    /* Samples of one metric since since_ms, oldest first, up to *n. BP_UNSUPPORTED where it cannot be read back. */
    int32_t (*get)(void *inst, const char *name, const char *workflow, int64_t since_ms, struct bp_metric *out,
                   uint32_t *n, struct bp_err *err);
    /* Optional: makes, or corrects where they differ, the alarms and dashboards of n workflows; repeating it changes
     * nothing. On error some may be done; it is asked again later. */
    int32_t (*watch)(void *inst, const struct bp_metrics_watch *specs, uint32_t n, struct bp_err *err);
    /* Optional: the workflow has retired: removes what watch made. Absent: BP_OK. */
    int32_t (*unwatch)(void *inst, const char *slug, const char *stage, struct bp_err *err);
};

/* One line of a log: UTF-8, no newline. */
struct bp_log_line {
    int64_t at_ms;
    const char *text;
};

struct bp_logs {
    uint32_t size;
    uint32_t reserved;
    /* Appends lines (NUL-terminated, no newline) to stream `stream` of group `group`. */
    int32_t (*put)(void *inst, const char *group, const char *stream, const char *const *lines, uint32_t n,
                   struct bp_err *err);
    /* Optional: the same with the time of each line, oldest first. BP_OK: they are where they belong or kept on disk on
     * the way there. BP_LATER: nothing was taken, the same again later. Else: these lines are refused for good. */
    int32_t (*put_at)(void *inst, const char *group, const char *stream, const struct bp_log_line *lines, uint32_t n,
                      struct bp_err *err);
};

struct bp_notify {
    uint32_t size;
    uint32_t reserved;
    /* One message to people; subject at most 100 bytes. A key that was sent a short while ago is not sent again
     * (BP_OK); NULL or "": always. BP_LATER: too many at once, or no way out now. BP_UNSUPPORTED: nobody is to be told.
     */
    int32_t (*send)(void *inst, const char *subject, const char *text, const char *dedup_key, struct bp_err *err);
};

/* Runs on the instance, in the worker. */
struct bp_node_identity {
    char instance_id[64];
    char instance_type[32];
    char zone[32];
    char capacity_type[16]; /* spot, on-demand */
};

#define BP_NOTICE_NONE         0
#define BP_NOTICE_REBALANCE    1 /* risk is up: start nothing long */
#define BP_NOTICE_INTERRUPTION 2 /* the instance ends at deadline_ms */
#define BP_NOTICE_TERMINATION  3 /* the fleet ends the instance (scale-in, refresh) */

struct bp_node {
    uint32_t size;
    uint32_t reserved;
    int32_t (*identity)(void *inst, struct bp_node_identity *out, struct bp_err *err);
    /* *kind: BP_NOTICE_*; *deadline_ms: when the instance ends, 0 unknown. Cheap; called every few seconds. */
    int32_t (*notice)(void *inst, int32_t *kind, int64_t *deadline_ms, struct bp_err *err);
    /* After BP_NOTICE_TERMINATION: the worker still hands back what it ran (done = 0, now and then while it does), or
     * it has (done = 1), and the instance may end. A provider that can holds the end up meanwhile. May be NULL. */
    int32_t (*ending)(void *inst, int32_t done, struct bp_err *err);
};

#ifdef __cplusplus
}
#endif
#endif
