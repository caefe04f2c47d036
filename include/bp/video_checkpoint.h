/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/video_checkpoint.h - a job whose result is one video, and that goes on after the frames it has encoded when it was
 * interrupted. Linked from bp_media.
 *
 * Fill in job and video, make the tag of all that the frames depend on, then restore; save now and then, and once more
 * when told to stop. From one thread at a time.
 */
#ifndef BP_VIDEO_CHECKPOINT_H
#define BP_VIDEO_CHECKPOINT_H

#include <bp/media.h>
#include <bp/workflow.h>

#ifdef __cplusplus
extern "C" {
#endif

/* job and video are borrowed. */
struct bp_video_checkpoint {
    const struct bp_job *job;
    struct bp_video *video;
    uint8_t tag[16]; /* says what the video is of; begin with 16 letters of your own */
    int64_t frames;  /* in the last one that was saved or restored */
    int64_t saved_s; /* monotonic time of the last try */
};

/* Mixes n bytes into a tag. */
void bp_video_tag_add(uint8_t tag[16], const void *bytes, size_t n);
/* Mixes in a file: its size, its beginning and its end, for reading all of a large one takes longer than it is worth.
 * BP_IO. */
int32_t bp_video_tag_add_file(uint8_t tag[16], const char *path, struct bp_err *err);
/* Before the first frame: goes on after an earlier attempt, and says so in the job's log. Whatever is wrong with a
 * checkpoint, the job can do without. Returns how many frames there are already. */
int64_t bp_video_checkpoint_restore(struct bp_video_checkpoint *c);
/* After a frame: saves every 15 s, in case the machine dies without a notice. One that fails costs nothing yet. */
void bp_video_checkpoint_save(struct bp_video_checkpoint *c);
/* Told to stop: what is in the encoder becomes part of the last checkpoint. The video takes no frame any more. */
void bp_video_checkpoint_stop(struct bp_video_checkpoint *c);

#ifdef __cplusplus
}
#endif
#endif
