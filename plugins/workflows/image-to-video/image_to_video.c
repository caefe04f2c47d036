/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workflow: reads the photo, draws and encodes frame by frame, both at the same time, and writes the video.
 * Interrupted, it leaves the encoded frames as a checkpoint and goes on after them the next time.
 */
#include "scene.h"

#include <bp/pipeline.h>
#include <bp/workflow.h>
#include <stdlib.h>
#include <time.h>

#define QUALITY          19
#define KEY_SECONDS      2
#define CHECKPOINT_LIMIT (64ULL * 1024 * 1024)
#define CHECKPOINT_EVERY 15 /* seconds, in case the machine dies without a notice */

struct state {
    struct kernels kernels;
};

/* One job while it runs. */
struct work {
    const struct bp_job *job;
    struct request request;
    struct scene scene;
    struct bp_video *video;
    uint8_t tag[16]; /* says of which photo and params a checkpoint is */
    time_t saved_s;
    int64_t saved_frames;
};

/* FNV-1a over 8-byte words, two of them side by side. */
static void hash(uint8_t tag[16], const void *bytes, size_t n)
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

static void make_tag(struct work *w, const struct bp_image *image)
{
    memcpy(w->tag, "image-to-video/1", sizeof w->tag);
    hash(w->tag, &w->request, sizeof w->request);
    int32_t size[2] = {image->width, image->height};
    hash(w->tag, size, sizeof size);
    hash(w->tag, image->pixels, (size_t)image->width * (size_t)image->height * 4);
}

static int32_t open_video(struct work *w, struct bp_err *err)
{
    const struct request *r = &w->request;
    char wish[16];
    struct bp_video_spec spec = {.width = r->width,
                                 .height = r->height,
                                 .fps = r->fps,
                                 .quality = QUALITY,
                                 .key_interval = r->fps * KEY_SECONDS,
                                 .engine =
                                     bp_engine_for(w->scene.kernels->dev, bp_config_s("engine", wish, sizeof wish))};
    return bp_video_open(&spec, &w->video, err);
}

/* Whatever is wrong with a checkpoint, the job can do without. */
static void restore(struct work *w)
{
    const void *bytes = NULL;
    uint64_t n = 0;
    struct bp_err err = {0};
    if (w->job->checkpoint_load(w->job->ctx, &bytes, &n) != BP_OK)
        return;
    if (bp_video_restore(w->video, w->tag, bytes, n, &err) == BP_OK)
        bp_job_log(w->job, BP_LOG_INFO, "goes on at frame %lld", (long long)bp_video_frames(w->video));
    else
        bp_job_log(w->job, BP_LOG_WARN, "starts from frame 0: %s", err.text);
    w->saved_frames = bp_video_frames(w->video);
}

static int32_t save(struct work *w, struct bp_err *err)
{
    uint8_t *bytes = NULL;
    uint64_t n = 0;
    int64_t frames = 0;
    int32_t rc = bp_video_save(w->video, w->tag, CHECKPOINT_LIMIT, &bytes, &n, &frames, err);
    if (rc == BP_OK && frames > w->saved_frames)
        rc = w->job->checkpoint_save(w->job->ctx, bytes, n, err);
    if (rc == BP_OK && frames > w->saved_frames)
        w->saved_frames = frames;
    free(bytes);
    return rc;
}

static time_t now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* Now and then while it goes well. A checkpoint that fails costs nothing yet. */
static void save_sometimes(struct work *w)
{
    struct bp_err err = {0};
    if (now_s() - w->saved_s < CHECKPOINT_EVERY)
        return;
    w->saved_s = now_s();
    if (save(w, &err) != BP_OK)
        bp_job_log(w->job, BP_LOG_WARN, "saving a checkpoint failed: %s", err.text);
}

/* Told to stop: what is in the encoder becomes part of the checkpoint. */
static int32_t stop(struct work *w, struct bp_err *err)
{
    struct bp_err why = {0};
    if (bp_video_finish(w->video, &why) != BP_OK || save(w, &why) != BP_OK)
        bp_job_log(w->job, BP_LOG_WARN, "stopped without a new checkpoint: %s", why.text);
    return bp_error(err, BP_STOPPED, "stopped after frame %lld of %d", (long long)bp_video_frames(w->video),
                    w->request.frames);
}

static int32_t begin_frame(void *arg, int64_t frame, struct bp_err *err)
{
    const struct work *w = arg;
    (void)err;
    return bp_job_progress(w->job, "frame", frame, w->request.frames);
}

static int32_t launch_frame(void *arg, const struct bp_pipeline_slot *slot, struct bp_err *err)
{
    const struct work *w = arg;
    return scene_launch(&w->scene, (int32_t)slot->frame, &slot->device_out, slot->queue, err);
}

/* On a thread of its own, which alone touches the video until the pipeline has ended. */
static int32_t encode_frame(void *arg, const struct bp_pipeline_slot *slot, struct bp_err *err)
{
    struct work *w = arg;
    const uint8_t *luma = slot->out;
    struct bp_frame frame = {luma, luma + (size_t)w->request.width * (size_t)w->request.height};
    int32_t rc = bp_video_add(w->video, &frame, err);
    if (rc == BP_OK)
        save_sometimes(w);
    return rc;
}

static int32_t draw_all(struct work *w, struct bp_err *err)
{
    const struct request *r = &w->request;
    struct bp_pipeline pipeline = {.dev = w->scene.kernels->dev,
                                   .arg = w,
                                   .first = bp_video_frames(w->video),
                                   .end = r->frames,
                                   .out_bytes = scene_bytes(r),
                                   .begin = begin_frame,
                                   .launch = launch_frame,
                                   .sink = encode_frame};
    w->saved_s = now_s();
    int32_t rc = bp_pipeline_run(&pipeline, NULL, err);
    if (rc == BP_STOPPED)
        return stop(w, err);
    if (rc == BP_OK)
        rc = bp_video_finish(w->video, err);
    if (rc == BP_OK)
        rc = bp_video_write(w->video, w->job->output_path, err);
    if (rc == BP_OK)
        (void)bp_job_progress(w->job, "frame", r->frames, r->frames); /* done: too late to stop */
    return rc;
}

static int32_t prepare(struct work *w, const struct kernels *kernels, struct bp_err *err)
{
    struct bp_image image;
    int32_t rc = bp_image_read(w->job->inputs[0].path, &image, err);
    if (rc != BP_OK)
        return rc;
    make_tag(w, &image);
    rc = scene_init(&w->scene, kernels, &w->request, &image, err);
    bp_image_free(&image);
    if (rc == BP_OK)
        rc = open_video(w, err);
    if (rc != BP_OK)
        return rc;
    bp_job_log(w->job, BP_LOG_DEBUG, "encodes with %s", bp_video_encoder(w->video));
    restore(w);
    return rc;
}

static int32_t run(void *state, const struct bp_job *job, struct bp_err *err)
{
    const struct state *s = state;
    struct work w = {.job = job};
    if (job->n_inputs != 1)
        return bp_error(err, BP_BADINPUT, "%u files were given, exactly one picture is needed", job->n_inputs);
    int32_t rc = request_read(job, &w.request, err);
    if (rc == BP_OK)
        rc = prepare(&w, &s->kernels, err);
    if (rc == BP_OK)
        rc = draw_all(&w, err);
    bp_video_close(&w.video);
    scene_free(&w.scene);
    return rc;
}

static int32_t open(void *inst, const struct bp_device *dev, void **state, struct bp_err *err)
{
    (void)inst;
    *state = NULL;
    struct state *s = calloc(1, sizeof *s);
    if (!s)
        return bp_error(err, BP_NOMEM, "no memory to start");
    int32_t rc = kernels_load(dev, &s->kernels, err);
    if (rc != BP_OK) {
        kernels_unload(&s->kernels);
        free(s);
        return rc;
    }
    *state = s;
    return BP_OK;
}

static void close(void *state)
{
    struct state *s = state;
    kernels_unload(&s->kernels);
    free(s);
}

BP_WORKFLOW("image-to-video", .open = open, .run = run, .close = close)
