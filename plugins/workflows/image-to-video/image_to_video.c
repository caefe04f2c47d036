/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workflow: reads the photo, draws and encodes frame by frame, both at the same time, and writes the video.
 * Interrupted, it leaves the encoded frames as a checkpoint and goes on after them the next time.
 */
#include "scene.h"

#include <bp/pipeline.h>
#include <bp/video_checkpoint.h>
#include <bp/workflow.h>
#include <pthread.h>

#define QUALITY     19
#define KEY_SECONDS 2

/* One job while it runs. */
struct work {
    const struct bp_job *job;
    struct request request;
    struct scene scene;
    struct bp_video *video;
    struct bp_video_checkpoint checkpoint; /* of the photo and the params */
};

static int32_t make_tag(struct work *w, struct bp_err *err)
{
    uint8_t *tag = w->checkpoint.tag;
    memcpy(tag, "image-to-video/2", sizeof w->checkpoint.tag);
    bp_video_tag_add(tag, &w->request, sizeof w->request);
    return bp_video_tag_add_file(tag, w->job->inputs[0].path, err);
}

/* The video is opened on a thread of its own while the photo is read: the two need nothing of each other. */
struct opening {
    struct bp_video_spec spec;
    struct bp_video *video;
    pthread_t thread;
    int threaded;
    int32_t rc;
    struct bp_err err;
};

static void *open_video(void *arg)
{
    struct opening *o = arg;
    o->rc = bp_video_open(&o->spec, &o->video, &o->err);
    return NULL;
}

static void opening_begin(struct opening *o, const struct request *r, const struct bp_device *dev)
{
    char wish[16];
    *o = (struct opening){.spec = {.width = r->width,
                                   .height = r->height,
                                   .fps = r->fps,
                                   .quality = QUALITY,
                                   .key_interval = r->fps * KEY_SECONDS,
                                   .engine = bp_engine_for(dev, bp_config_s("engine", wish, sizeof wish))}};
    o->threaded = pthread_create(&o->thread, NULL, open_video, o) == 0;
}

static int32_t opening_end(struct opening *o, struct bp_video **video, struct bp_err *err)
{
    if (o->threaded)
        pthread_join(o->thread, NULL);
    else
        open_video(o);
    *video = o->video;
    if (o->rc != BP_OK)
        *err = o->err;
    return o->rc;
}

static int32_t stop(struct work *w, struct bp_err *err)
{
    bp_video_checkpoint_stop(&w->checkpoint);
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
        bp_video_checkpoint_save(&w->checkpoint);
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

static int32_t read_photo(struct work *w, const struct kernels *kernels, struct bp_err *err)
{
    struct bp_image image;
    int32_t rc = bp_image_read(w->job->inputs[0].path, &image, err);
    if (rc != BP_OK)
        return rc;
    rc = scene_init(&w->scene, kernels, &w->request, &image, err);
    bp_image_free(&image);
    return rc;
}

static int32_t prepare(struct work *w, const struct kernels *kernels, struct bp_err *err)
{
    struct opening opening;
    struct bp_err why = {0};
    opening_begin(&opening, &w->request, kernels->dev);
    int32_t rc = read_photo(w, kernels, err);
    int32_t opened = opening_end(&opening, &w->video, &why);
    if (rc == BP_OK && opened != BP_OK) {
        *err = why;
        rc = opened;
    }
    if (rc == BP_OK)
        rc = make_tag(w, err);
    if (rc != BP_OK)
        return rc;
    const char *passed_over = bp_video_passed_over(w->video);
    bp_job_log(w->job, *passed_over ? BP_LOG_INFO : BP_LOG_DEBUG, "encodes with %s%s%s%s", bp_video_encoder(w->video),
               *passed_over ? " (" : "", passed_over, *passed_over ? ")" : "");
    w->checkpoint.job = w->job;
    w->checkpoint.video = w->video;
    (void)bp_video_checkpoint_restore(&w->checkpoint);
    return rc;
}

static int32_t run(void *state, const struct bp_job *job, struct bp_err *err)
{
    struct work w = {.job = job};
    if (job->n_inputs != 1)
        return bp_error(err, BP_BADINPUT, "%u files were given, exactly one picture is needed", job->n_inputs);
    int32_t rc = request_read(job, &w.request, err);
    if (rc == BP_OK)
        rc = prepare(&w, state, err);
    if (rc == BP_OK)
        rc = draw_all(&w, err);
    bp_video_close(&w.video);
    scene_free(&w.scene);
    return rc;
}

BP_STATE_WORKFLOW("image-to-video", struct kernels, kernels_load, kernels_unload, run)
