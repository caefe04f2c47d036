/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_image_to_video PLUGIN.so PHOTO PARAMS OUT.mp4 [DEVICE]: one job of image-to-video as a runner does it; prints
 * seconds and frames/s.
 */
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: %s PLUGIN.so PHOTO PARAMS OUT.mp4 [cpu|cpu:0|cpu:1|cuda|auto]\n", argv[0]);
        return 2;
    }
    struct driver d;
    struct bp_err err = {0};
    double t0 = seconds();
    int32_t rc = driver_open(&d, argv[1], argc > 5 ? argv[5] : "cpu", &err);
    double t1 = seconds();
    if (rc == BP_OK)
        rc = driver_run(&d, argv[2], argv[3], argv[4], &err);
    double t2 = seconds();
    if (rc != BP_OK) {
        fprintf(stderr, "%s: error %d: %s\n", argv[0], rc, err.text);
        return 1;
    }
    int frames = d.n_progress - 1;
    printf("device %s, %d cores, level %d; load %.3f s; %d frames in %.3f s = %.1f frames/s; %.2f s of CPU\n",
           d.dev->name, d.dev->cores, d.dev->cpu_level, t1 - t0, frames, t2 - t1, frames / (t2 - t1), cpu_seconds());
    driver_close(&d);
    return 0;
}
