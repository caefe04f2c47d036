/* SPDX-License-Identifier: Apache-2.0 */
#include <bp/video_checkpoint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BYTES_MOST (64ULL * 1024 * 1024)
#define EVERY_S    15

/* FNV-1a over 8-byte words, two of them side by side. */
void bp_video_tag_add(uint8_t tag[16], const void *bytes, size_t n)
{
    uint64_t h[2], word = 0;
    const uint8_t *p = bytes;
    memcpy(h, tag, sizeof h);
    for (size_t i = 0; n > 0; i++) {
        size_t take = n < 8 ? n : 8;
        memcpy(&word, p, take);
        h[i & 1] = (h[i & 1] ^ word) * 0x100000001b3ULL;
        h[i & 1] ^= h[i & 1] >> 31;
        p += take;
        n -= take;
    }
    memcpy(tag, h, sizeof h);
}

int32_t bp_video_tag_add_file(uint8_t tag[16], const char *path, struct bp_err *err)
{
    char bytes[65536];
    FILE *f = fopen(path, "re");
    if (!f)
        return bp_error(err, BP_IO, "opening %.120s failed", path);
    bp_video_tag_add(tag, bytes, fread(bytes, 1, sizeof bytes, f));
    (void)fseeko(f, -(off_t)sizeof bytes, SEEK_END); /* a smaller file is read to its end already */
    bp_video_tag_add(tag, bytes, fread(bytes, 1, sizeof bytes, f));
    int64_t size = ftello(f);
    bp_video_tag_add(tag, &size, sizeof size);
    fclose(f);
    return BP_OK;
}

static int64_t now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

int64_t bp_video_checkpoint_restore(struct bp_video_checkpoint *c)
{
    const void *bytes = NULL;
    uint64_t n = 0;
    struct bp_err why = {0};
    c->saved_s = now_s();
    if (c->job->checkpoint_load(c->job->ctx, &bytes, &n) != BP_OK)
        return 0;
    if (bp_video_restore(c->video, c->tag, bytes, n, &why) == BP_OK)
        bp_job_log(c->job, BP_LOG_INFO, "goes on at frame %lld", (long long)bp_video_frames(c->video));
    else
        bp_job_log(c->job, BP_LOG_WARN, "starts from frame 0: %s", why.text);
    return c->frames = bp_video_frames(c->video);
}

static int32_t save(struct bp_video_checkpoint *c, struct bp_err *err)
{
    uint8_t *bytes = NULL;
    uint64_t n = 0;
    int64_t frames = 0;
    int32_t rc = bp_video_save(c->video, c->tag, BYTES_MOST, &bytes, &n, &frames, err);
    if (rc == BP_OK && frames > c->frames)
        rc = c->job->checkpoint_save(c->job->ctx, bytes, n, err);
    if (rc == BP_OK && frames > c->frames)
        c->frames = frames;
    free(bytes);
    return rc;
}

void bp_video_checkpoint_save(struct bp_video_checkpoint *c)
{
    struct bp_err err = {0};
    if (now_s() - c->saved_s < EVERY_S)
        return;
    c->saved_s = now_s();
    if (save(c, &err) != BP_OK)
        bp_job_log(c->job, BP_LOG_WARN, "saving a checkpoint failed: %s", err.text);
}

void bp_video_checkpoint_stop(struct bp_video_checkpoint *c)
{
    struct bp_err why = {0};
    if (bp_video_finish(c->video, &why) != BP_OK || save(c, &why) != BP_OK)
        bp_job_log(c->job, BP_LOG_WARN, "stopped without a new checkpoint: %s", why.text);
}
