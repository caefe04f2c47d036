/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/filter.h - a workflow that makes one picture of one picture, all but its kernel. Linked from bp_media.
 *
 *   static int32_t pass(struct bp_filter *f, struct bp_err *err)
 *   {
 *       struct invert_args args = {f->from, f->to};
 *       return bp_filter_run(f, "invert", &args, err);
 *   }
 *   BP_IMAGE_FILTER("invert", invert_kernels, pass)
 *
 * is the whole plugin. A workflow that reads more than one file, or makes a video, writes its own run().
 */
#ifndef BP_FILTER_H
#define BP_FILTER_H

#include <bp/canvas.h>
#include <bp/media.h>
#include <bp/workflow.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One picture on its way through the device; borrowed for the pass. */
struct bp_filter {
    const struct bp_job *job;
    const struct bp_kernels *kernels;
    struct bp_canvas from; /* the job's input */
    struct bp_canvas to;   /* what will be written: as large as `from` and zero-filled until the pass changes it */
    struct bp_buffer from_buffer, to_buffer;
};

/* Launches what makes `to` of `from`; called once per job. What it returns decides as what run() returns. */
typedef int32_t (*bp_filter_pass)(struct bp_filter *filter, struct bp_err *err);

/* Gives `to` another size, zero-filled; before a kernel is launched that writes it. BP_INVALID: not 1 pixel, or more
 * than BP_IMAGE_MAX_PIXELS; BP_NOMEM. */
int32_t bp_filter_resize(struct bp_filter *filter, int32_t width, int32_t height, struct bp_err *err);

/* Launches a kernel for every pixel of `to`; args points to its argument struct. */
#define bp_filter_run(filter, kernel, args, err)                                                                       \
    bp_kernels_run((filter)->kernels, (kernel), (struct bp_grid){(filter)->to.width, (filter)->to.height}, (args),     \
                   (uint32_t)sizeof(*(args)), (err))

/*
 * A whole run(): reads the job's one picture (JPEG, PNG, WebP), uploads it, calls the pass, downloads `to` and writes
 * it as PNG to the job's output. Says its progress and stops between these steps when told to. BP_BADINPUT: not exactly
 * one file, or none that can be read; BP_STOPPED; else what failed.
 */
int32_t bp_image_filter(const struct bp_kernels *kernels, const struct bp_job *job, bp_filter_pass pass,
                        struct bp_err *err);

/* A whole plugin of one pass over the kernels of one .cu file. */
#define BP_IMAGE_FILTER(name_, image_, pass_)                                                                          \
    static int32_t bp_filter_job(void *state, const struct bp_job *job, struct bp_err *err)                            \
    {                                                                                                                  \
        return bp_image_filter((const struct bp_kernels *)state, job, pass_, err);                                     \
    }                                                                                                                  \
    BP_KERNEL_WORKFLOW(name_, image_, bp_filter_job)

#ifdef __cplusplus
}
#endif
#endif
