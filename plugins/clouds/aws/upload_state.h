/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upload_state.h - an unfinished multipart upload, kept in a file, so that the next try, of another process perhaps,
 * goes on where it ended.
 *
 * What was sent counts only while the source is the very same: device, inode, size and time of change. The file says of
 * each part that arrived its ETag and checksum; whether S3 still has it is asked there. One upload of a key at a time:
 * the file is locked as long as it is open. Not shared between threads but for upload_state_arrived().
 */
#ifndef AWS_UPLOAD_STATE_H
#define AWS_UPLOAD_STATE_H

#include "part_plan.h"
#include <pthread.h>
#include <sys/stat.h>

struct sent_part {
    char etag[72]; /* "" : not sent */
    uint32_t crc;
};

struct upload_state {
    char path[4352]; /* of its file */
    int lock;        /* descriptor of <path>.lock */
    char key[1025];  /* of the object, prefix included */
    char bucket[64];
    char id[1025]; /* S3's upload id, "" until it was begun */
    uint64_t dev, ino;
    int64_t bytes, changed_ns;
    int64_t begun_ms;
    struct part_plan plan;
    struct sent_part *parts; /* plan.n */
    pthread_mutex_t mutex;
};

/* What to open it by. */
struct upload_source {
    const char *dir, *bucket, *key;
    const struct stat *st; /* of the file to send */
};

/* Opens the state of an upload to key from that file in dir (made, 0700). A former one that fits is loaded: id is set
 * then, and *stale_id is ""; one that does not gives its id in *stale_id (1,025 bytes), to be aborted. BP_LATER:
 * another upload of this key runs here. upload_state_close() it. */
int upload_state_open(struct upload_state *s, const struct upload_source *from, char stale_id[1025],
                      struct bp_err *err);
/* A new upload was begun under this id with this plan. */
int upload_state_begin(struct upload_state *s, const char *id, const struct part_plan *plan, int64_t now_ms,
                       struct bp_err *err);
/* A part has arrived; written through. Any thread. */
int upload_state_arrived(struct upload_state *s, uint32_t number, const char *etag, uint32_t crc, struct bp_err *err);
/* The upload is over, one way or the other: the file goes. */
void upload_state_forget(struct upload_state *s);
void upload_state_close(struct upload_state *s);
/* The names of state files in dir older than max_age_ms: calls fn with the bucket, key and id of each, and removes it
 * when that returns 0. Those that are locked are left alone. */
void upload_state_sweep(const char *dir, int64_t max_age_ms, int64_t now_ms,
                        int (*fn)(const char *bucket, const char *key, const char *id, void *arg), void *arg);

#endif
