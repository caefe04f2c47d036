/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/pipeline.h - frame after frame through the device, with everything at once: while one frame is encoded, the next
 * comes down, another is computed, another goes up and another is decoded. Linked from the static library
 * bp_workflow_sdk.
 *
 *   source -> upload -> launch -> download -> sink
 *
 * A workflow gives functions for the parts it has; frames pass each part in order, one at a time, and nothing is
 * allocated per frame. source and sink have a thread of their own each and may be at work at the same time as
 * everything else; begin and launch are called from the thread that called bp_pipeline_run(), as a device wants it.
 */
#ifndef BP_PIPELINE_H
#define BP_PIPELINE_H

#include <bp/device.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_PIPELINE_SLOTS     5 /* without another wish: one for each part */
#define BP_PIPELINE_SLOTS_MAX 16

/* The place of one frame on its way. On the CPU device host and device memory are the same. */
struct bp_pipeline_slot {
    int64_t frame;
    int32_t index;               /* 0 .. slots - 1: for what a workflow keeps beside each slot */
    int32_t over;                /* set by the source instead of filling `in`: there are no more frames */
    void *in;                    /* in_bytes for the source to fill; NULL without a source */
    uint64_t in_used;            /* in_bytes; the source may lower it, then only so much goes up */
    struct bp_buffer device_in;  /* what launch reads: in_bytes */
    struct bp_buffer device_out; /* what launch writes: out_bytes */
    const void *out;             /* out_bytes for the sink to read */
    struct bp_queue *queue;      /* where launch launches, by bp_launch2d_on(); NULL on an old runner: all at once */
};

struct bp_pipeline {
    const struct bp_device *dev;
    void *arg;                    /* handed to the functions */
    int64_t first, end;           /* frames first .. end - 1; end < 0: until the source says `over` */
    uint64_t in_bytes, out_bytes; /* of a frame; 0: it has none */
    int32_t slots; /* frames on their way at the most, 2 .. BP_PIPELINE_SLOTS_MAX; 0: BP_PIPELINE_SLOTS */
    int32_t reserved;
    /* Before each frame's launch, may be NULL: the place for progress. BP_STOPPED: the frames before this one still go
     * to the sink, then bp_pipeline_run() returns BP_STOPPED. */
    int32_t (*begin)(void *arg, int64_t frame, struct bp_err *err);
    /* Fills slot->in, or sets slot->over. NULL when in_bytes is 0. */
    int32_t (*source)(void *arg, struct bp_pipeline_slot *slot, struct bp_err *err);
    /* Launches what turns device_in into device_out. Frames are computed in order: memory of the device that one frame
     * leaves to the next may be used. */
    int32_t (*launch)(void *arg, const struct bp_pipeline_slot *slot, struct bp_err *err);
    /* slot->out is there until this returns. */
    int32_t (*sink)(void *arg, const struct bp_pipeline_slot *slot, struct bp_err *err);
};

/* How long each part was at work, in nanoseconds; device_ns is what the caller waited for the device. */
struct bp_pipeline_times {
    int64_t frames; /* that reached the sink */
    int64_t wall_ns, source_ns, launch_ns, device_ns, sink_ns;
};

/*
 * Runs all frames; times may be NULL. BP_OK: all reached the sink. BP_STOPPED by begin. Else the first error of any
 * part, with its text; then no further part is begun. No thread of it is left when it returns.
 */
int32_t bp_pipeline_run(const struct bp_pipeline *pipeline, struct bp_pipeline_times *times, struct bp_err *err);

#ifdef __cplusplus
}
#endif
#endif
