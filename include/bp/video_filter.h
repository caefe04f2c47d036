/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/video_filter.h - a workflow that makes one video of one video, frame for frame, all but its drawing. Linked from
 * bp_media.
 *
 * Frames are decoded, drawn and encoded at the same time (bp/pipeline.h); their times, the sound, the turn and what is
 * said of colours are the source's. Interrupted, the job leaves its encoded frames as a checkpoint and goes on after
 * them the next time.
 */
#ifndef BP_VIDEO_FILTER_H
#define BP_VIDEO_FILTER_H

#include <bp/media.h>
#include <bp/pipeline.h>
#include <bp/workflow.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a frame in planar 4:2:0 lies in one buffer: planes at multiples of 256 bytes, rows without gaps; samples are
 * bytes, or of 10 bits uint16_t. */
struct bp_video_planes {
    int32_t width, height;
    int32_t depth;                 /* 8 or 10 */
    int32_t widths[3], heights[3]; /* of the planes; chroma's are halves, rounded up */
    uint64_t at[3];                /* bytes before each plane */
    uint64_t bytes;                /* in all */
};

void bp_video_planes_init(struct bp_video_planes *planes, int32_t width, int32_t height, int32_t depth);
/* Copies a frame of this size and depth to `to`: planes->bytes. */
void bp_video_planes_pack(const struct bp_video_planes *planes, const struct bp_video_frame *frame, void *to);
/* The planes at `from` as a frame, without its time; borrowed. */
struct bp_video_frame bp_video_planes_frame(const struct bp_video_planes *planes, const void *from);

struct bp_video_filter {
    const struct bp_job *job;
    const struct bp_device *dev;
    const char *drawing;    /* "video-stylize/1": another word when what is drawn changes */
    const void *request;    /* what the job asks for, without padding: a checkpoint of another one is not used */
    uint64_t request_bytes; /* of it */
    int32_t quality;        /* x264's constant rate factor */
    int32_t warmup; /* frames before the first new one that are drawn again when a job goes on: as many as a frame is
                       drawn from */
    void *arg;      /* handed to the functions */
    /* Called once, before any frame: the place to take memory. `in` is how frames come, never to be changed; `out` is
     * set to the same size, made even by leaving out a last column or row, and may be set to another even one. */
    int32_t (*open)(void *arg, const struct bp_video_info *info, const struct bp_video_planes *in,
                    struct bp_video_planes *out, struct bp_err *err);
    /* As bp_pipeline.launch: device_in and device_out hold frames as open() said. Frames come in order. */
    int32_t (*launch)(void *arg, const struct bp_pipeline_slot *slot, struct bp_err *err);
};

/*
 * A whole run(): reads the job's one video, draws it, writes an MP4 to the job's output. The plugin's setting "engine"
 * says who decodes and encodes (bp_engine_for). BP_BADINPUT with a sentence for the tenant: not exactly one file, no
 * video that can be read, or it would become smaller than 16 by 16 pixels; BP_STOPPED; else what failed.
 */
int32_t bp_video_filter_run(const struct bp_video_filter *filter, struct bp_err *err);

#ifdef __cplusplus
}
#endif
#endif
