/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compare.c - what a worker runs to hold the output of a canary against the output of the version that serves: a
 * workflow plugin that is never a workflow, in a runner because what it decodes was made by code on trial.
 *
 * Inputs: the two files. Output, a JSON object: {"equal": true} when they are the same bytes; else "kind" ("picture",
 * "video", "sound", "bytes"), "frames", "difference" (difference.h) and "psnr" (dB), with sound "sound" (sound.h); or
 * "why": what cannot be compared.
 */
#include "difference.h"
#include "sound.h"

#include <bp/workflow.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME_OFF_S 0.002 /* frames may be so far apart in time */

struct verdict {
    int equal;
    const char *kind;
    struct difference d;
    int32_t sounds; /* streams of sound that were compared */
    double sound;
    char why[300];
};

/* ---- bytes ---- */

/* 1: the same; 0: not. BP_IO. */
static int same_bytes(const char *a, const char *b, struct bp_err *err)
{
    static char p[65536], q[65536];
    FILE *f = fopen(a, "rb"), *g = fopen(b, "rb");
    int same = f && g;
    for (size_t n = 1; same && n > 0;) {
        n = fread(p, 1, sizeof(p), f);
        same = fread(q, 1, sizeof(q), g) == n && memcmp(p, q, n) == 0;
    }
    int bad = !f || !g || ferror(f) || ferror(g);
    int why = errno;
    if (f)
        fclose(f);
    if (g)
        fclose(g);
    return bad ? bp_error(err, BP_IO, "read the files to compare: %s", strerror(why)) : same;
}

/* ---- pictures ---- */

/* 1: compared, or found not comparable; 0: these are no pictures. */
static int pictures(const char *a, const char *b, struct verdict *v)
{
    struct bp_image x = {0}, y = {0};
    struct bp_err first = {0}, second = {0};
    int one = bp_image_read(a, &x, &first) == BP_OK, two = bp_image_read(b, &y, &second) == BP_OK;
    if (one && two && (x.width != y.width || x.height != y.height))
        snprintf(v->why, sizeof(v->why), "the picture is %d x %d instead of %d x %d", y.width, y.height, x.width,
                 x.height);
    else if (one && two)
        difference_images(&v->d, &x, &y);
    else if (one)
        snprintf(v->why, sizeof(v->why), "it is not a sound picture: %.200s", second.text);
    bp_image_free(&x);
    bp_image_free(&y);
    if (one)
        v->kind = "picture";
    return one;
}

/* ---- videos ---- */

static double seconds(int64_t time, struct bp_ratio base)
{
    return base.den ? (double)time * base.num / base.den : 0;
}

static int shapes_fit(const struct bp_video_info *a, const struct bp_video_info *b, struct verdict *v)
{
    if (a->width != b->width || a->height != b->height)
        snprintf(v->why, sizeof(v->why), "the video is %d x %d instead of %d x %d", b->width, b->height, a->width,
                 a->height);
    else if (a->audio_streams != b->audio_streams)
        snprintf(v->why, sizeof(v->why), "the video has %d streams of sound instead of %d", b->audio_streams,
                 a->audio_streams);
    else if (a->meta.transfer != b->meta.transfer || a->meta.primaries != b->meta.primaries)
        snprintf(v->why, sizeof(v->why), "the video's colours are marked otherwise");
    return v->why[0] == '\0';
}

/* The next frame of both, compared. 1: go on; 0: the end, or not comparable. */
static int next_frames(struct bp_video_reader *a, struct bp_video_reader *b, struct verdict *v)
{
    struct bp_video_frame x, y;
    struct bp_err err = {0};
    int one = bp_video_reader_next(a, &x, &err), two = bp_video_reader_next(b, &y, &err);
    if (one == BP_NOTFOUND && two == BP_NOTFOUND)
        return 0;
    double at = one == BP_OK ? seconds(x.time, bp_video_reader_info(a)->time_base) : 0;
    if (one == BP_OK && two == BP_NOTFOUND)
        snprintf(v->why, sizeof(v->why), "the video ends after %lld frames, too early", (long long)v->d.frames);
    else if (one == BP_NOTFOUND && two == BP_OK)
        snprintf(v->why, sizeof(v->why), "the video has more than %lld frames", (long long)v->d.frames);
    else if (one < 0 || two < 0)
        snprintf(v->why, sizeof(v->why), "frame %lld cannot be read: %.200s", (long long)v->d.frames, err.text);
    else if (fabs(at - seconds(y.time, bp_video_reader_info(b)->time_base)) > TIME_OFF_S)
        snprintf(v->why, sizeof(v->why), "frame %lld is shown at another time", (long long)v->d.frames);
    else
        difference_frames(&v->d, &x, &y);
    return v->why[0] == '\0';
}

static int videos(const struct bp_job *job, const char *a, const char *b, struct verdict *v)
{
    struct bp_video_reader *x = NULL, *y = NULL;
    struct bp_err first = {0}, second = {0};
    int one = bp_video_reader_open(a, NULL, &x, &first) == BP_OK;
    int two = one && bp_video_reader_open(b, NULL, &y, &second) == BP_OK;
    if (one && !two)
        snprintf(v->why, sizeof(v->why), "it is not a sound video: %.200s", second.text);
    if (two && shapes_fit(bp_video_reader_info(x), bp_video_reader_info(y), v))
        while (next_frames(x, y, v) && bp_job_progress(job, "frame", v->d.frames, v->d.frames + 1) != BP_STOPPED)
            ;
    bp_video_reader_close(&x);
    bp_video_reader_close(&y);
    if (one)
        v->kind = "video";
    return one;
}

/* ---- sound ---- */

/* Of videos that fit, and of files that are no videos. */
static int32_t sounds(const char *a, const char *b, struct verdict *v, struct bp_err *err)
{
    int is_video = strcmp(v->kind, "video") == 0;
    if (strcmp(v->kind, "picture") == 0 || v->why[0])
        return BP_OK;
    int32_t rc = sounds_compare(a, b, &v->sound, &v->sounds, v->why, err);
    if (!is_video && (rc == BP_BADINPUT || (rc == BP_OK && v->sounds == 0)))
        snprintf(v->why, sizeof(v->why), "the bytes differ, and it is neither a picture, a video nor sound");
    else if (!is_video && rc == BP_OK)
        v->kind = "sound";
    return !is_video && rc == BP_BADINPUT ? BP_OK : rc;
}

/* ---- the job ---- */

static int32_t write_verdict(const char *path, const struct verdict *v, struct bp_err *err)
{
    FILE *f = fopen(path, "w");
    int bad = !f;
    if (f && v->equal) {
        bad = fputs("{\"equal\": true, \"difference\": 0}\n", f) < 0;
    } else if (f && v->why[0]) {
        bad = fprintf(f, "{\"equal\": false, \"kind\": \"%s\", \"why\": \"", v->kind) < 0;
        for (const char *p = v->why; *p; p++)
            fputc((unsigned char)*p < ' ' || strchr("\"\\", *p) || (unsigned char)*p > 126 ? '\'' : *p, f);
        bad |= fputs("\"}\n", f) < 0;
    } else if (f) {
        bad = fprintf(f, "{\"equal\": false, \"kind\": \"%s\", \"frames\": %lld, \"difference\": %.4f, \"psnr\": %.2f",
                      v->kind, (long long)v->d.frames, v->d.worst, difference_psnr(&v->d)) < 0;
        if (v->sounds)
            bad |= fprintf(f, ", \"sound\": %.4f", v->sound) < 0;
        bad |= fputs("}\n", f) < 0;
    }
    if (f)
        bad |= fclose(f) != 0;
    return bad ? bp_error(err, BP_IO, "write what was found: %s", strerror(errno)) : BP_OK;
}

static int32_t run(void *state, const struct bp_job *job, struct bp_err *err)
{
    (void)state;
    struct verdict v = {.kind = "bytes"};
    if (job->n_inputs != 2)
        return bp_error(err, BP_INVALID, "two files can be compared, not %u", job->n_inputs);
    const char *a = job->inputs[0].path, *b = job->inputs[1].path;
    int same = same_bytes(a, b, err);
    if (same < 0)
        return same;
    v.equal = same;
    if (!same && !pictures(a, b, &v))
        (void)videos(job, a, b, &v);
    int32_t rc = same ? BP_OK : sounds(a, b, &v, err);
    return rc == BP_OK ? write_verdict(job->output_path, &v, err) : rc;
}

static int32_t open(void *inst, const struct bp_device *dev, void **state, struct bp_err *err)
{
    (void)dev, (void)err;
    *state = inst;
    return BP_OK;
}

static void close(void *state)
{
    (void)state;
}

BP_WORKFLOW("bp-compare", .open = open, .run = run, .close = close)
