/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_video_upscale VIDEO FACTOR FRAMES [LEVEL]: video-upscale's drawing alone, without decoding and encoding, on the
 * CPU device. Prints seconds and seconds of CPU. Beside it: ffmpeg -vf scale -f null (video_upscale.sh).
 */
#include "device/device.h"
#include "one_frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint8_t *planes[3]; /* of the first frame, until the end */

/* The first frame with memory of its own, so that nothing is decoded meanwhile. */
static int32_t read_frame(const char *path, struct bp_video_info *info, struct bp_video_frame *frame,
                          struct bp_err *err)
{
    struct bp_video_reader *r;
    int32_t rc = bp_video_reader_open(path, NULL, &r, err);
    if (rc != BP_OK)
        return rc;
    *info = *bp_video_reader_info(r);
    rc = bp_video_reader_next(r, frame, err);
    for (int i = 0; rc == BP_OK && i < 3; i++) {
        size_t n = (size_t)frame->strides[i] * (size_t)(i ? (frame->height + 1) / 2 : frame->height);
        uint8_t *copy = malloc(n);
        if (!copy)
            abort();
        memcpy(copy, frame->planes[i], n);
        frame->planes[i] = planes[i] = copy;
    }
    bp_video_reader_close(&r);
    return rc;
}

static int32_t draw(struct one_frame *u, const struct bp_video_frame *in, int frames, struct bp_err *err)
{
    struct bp_video_frame out;
    int32_t rc = BP_OK;
    for (int i = 0; i < frames && rc == BP_OK; i++)
        rc = one_frame_draw(u, in, &out, err);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: %s VIDEO FACTOR FRAMES [0|1|2]\n", argv[0]);
        return 2;
    }
    struct bp_device *dev = NULL;
    struct bp_err err = {0};
    struct kernels kernels = {0};
    struct one_frame u = {0};
    struct bp_video_info info;
    struct bp_video_frame in;
    int factor = atoi(argv[2]), frames = atoi(argv[3]);
    int32_t rc = device_open("cpu", &dev, &err);
    if (rc == BP_OK && argc > 4 && atoi(argv[4]) < dev->cpu_level)
        dev->cpu_level = atoi(argv[4]);
    if (rc == BP_OK)
        rc = kernels_load(dev, &kernels, &err);
    if (rc == BP_OK)
        rc = read_frame(argv[1], &info, &in, &err);
    if (rc == BP_OK)
        rc = one_frame_init(&u, &kernels, &info, factor, 0.4, &err);
    if (rc == BP_OK)
        rc = draw(&u, &in, 1, &err); /* memory is touched once before */
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (rc == BP_OK)
        rc = draw(&u, &in, frames, &err);
    if (rc != BP_OK) {
        fprintf(stderr, "%s: error %d: %s\n", argv[0], rc, err.text);
        return 1;
    }
    printf("%.4f %.4f\n", seconds(CLOCK_MONOTONIC) - wall, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    return 0;
}
