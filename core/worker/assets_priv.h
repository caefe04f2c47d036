/* SPDX-License-Identifier: Apache-2.0 */
/* assets_priv.h - bundles, for the assets*.c files. */
#ifndef WORKER_ASSETS_PRIV_H
#define WORKER_ASSETS_PRIV_H

#include "assets/asset_cache.h"
#include "worker/assets.h"
#include "worker/worker_priv.h"

/* The assets of one workflow. */
struct bundle {
    struct bundle *next;
    char slug[129];
    struct json_object *manifest; /* ours */
    char *list;                   /* text of its "assets": with another one it is another bundle */
    uint32_t n;
    int fd[ASSETS_MAX]; /* held files, -1: not yet */
    char path[ASSETS_MAX][ASSET_PATH_BYTES];
    char dir[4200]; /* of the links, "" until ready */
    int ready, seen;
    char fault[300]; /* why it cannot be had, "" nothing is wrong */
    struct backoff backoff;
    int64_t due_ms; /* monotonic: not to be worked on before */
};

/* What came of an asset before its connection broke: <sha>.part, to be gone on with as long as it is as `text` says. */
struct asset_part {
    char sha256[65];           /* "" nothing came */
    char tag[256];             /* the object's, "" not known */
    struct asset_proof *proof; /* of the bytes that came */
    int64_t bytes;
    char text[ASSET_RECORD_BYTES];
};

struct assets {
    struct worker *w;
    char cache_dir[4096];
    struct asset_cache *cache; /* NULL until the first asset */
    struct bundle *bundles;
    struct loop_timer *again; /* runs assets_work() */
    int version;
    unsigned links; /* directories made */

    /* the bundle that is worked on */
    struct bundle *now; /* or NULL */
    uint32_t at;        /* which of its assets */
    struct asset_proof *proof;
    int proving;              /* the proof reads a file of the cache */
    struct api_call *ask;     /* for URLs */
    struct json_object *urls; /* what it answered, or NULL */
    int64_t urls_ms;          /* monotonic: since when */
    struct http_client_call *get;
    int64_t began_ms;   /* of the fetch */
    int64_t resumed_at; /* what it has from an earlier one, 0: nothing */
    char tag_sent[256]; /* the tag of that */
    struct asset_part part;
    int part_fd; /* >= 0: the proof reads <sha>.part, which an earlier run left */
};

/* ---- assets.c ---- */
/* The next step of the bundle that is worked on, or of the next one that is due. arg: the assets. */
void assets_work(void *arg);
/* This one cannot be had now: says so and tries again later, at the earliest after least_ms. */
void assets_give_up(struct assets *as, int64_t least_ms, const char *fmt, ...) BP_PRINTF(3, 4);
/* Nothing is wrong, but it must wait. */
void assets_postpone(struct assets *as, int64_t ms);
struct asset assets_current(const struct assets *as);

/* ---- assets_fetch.c ---- */
/* The asset that is worked on is not in the cache. assets_work() follows. */
void assets_fetch(struct assets *as);
/* Ends what is under way. */
void assets_fetch_cancel(struct assets *as);
/* The next step of reading what an earlier run left, then assets_work() follows. */
void assets_read_part(struct assets *as);
/* What came is forgotten; its file stays. */
void assets_forget_part(struct assets *as);

#endif
