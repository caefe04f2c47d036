/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tenants upload as videos: opened, read to the end and, when that went well, its sound copied beside another
 * video. Whatever the bytes are, the answer is frames within the limits or a refusal in words. The libraries are not
 * instrumented: it is our use of them that is looked at.
 */
#include <bp/media.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIXELS 65536
#define FRAMES 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Its muxer leaks a few hundred bytes when it refuses damaged sound; what we allocate is still watched. */
const char *__lsan_default_suppressions(void); /* NOLINT(bugprone-reserved-identifier): its name is the sanitizer's */
const char *__lsan_default_suppressions(void)  /* NOLINT(bugprone-reserved-identifier) */
{
    return "leak:libavutil\nleak:libavformat\n";
}

static const struct bp_video_limits limits = {
    .max_pixels = PIXELS, .max_frames = FRAMES, .max_seconds = 100, .max_streams = 8, .threads = 1};

/* Every sample is there to be read. */
static unsigned touch(const struct bp_video_frame *f)
{
    unsigned sum = 0;
    for (int i = 0; i < 3; i++) {
        int32_t w = i ? (f->width + 1) / 2 : f->width, h = i ? (f->height + 1) / 2 : f->height;
        for (int32_t y = 0; y < h; y++)
            for (int32_t x = 0; x < w * f->depth / 8; x += 7)
                sum += f->planes[i][(ptrdiff_t)y * f->strides[i] + x];
    }
    return sum;
}

static void check_info(const struct bp_video_info *i)
{
    assert(i->width > 0 && i->height > 0 && (int64_t)i->width * i->height <= PIXELS);
    assert(i->depth == 8 || i->depth == 10);
    assert(i->time_base.num > 0 && i->time_base.den > 0);
    assert(i->meta.rotation >= 0 && i->meta.rotation < 360);
    assert(i->meta.sample_aspect.num > 0 && i->meta.sample_aspect.den > 0);
    assert(i->meta.matrix > 0 && i->meta.matrix != 2 && i->frames >= 0 && i->duration >= 0);
}

/* 1: all of it could be read. */
static int read_all(struct bp_video_reader *r)
{
    const struct bp_video_info *info = bp_video_reader_info(r);
    struct bp_video_frame f;
    struct bp_err err = {0};
    int64_t last = INT64_MIN, n = 0;
    int32_t rc;
    unsigned sum = 0;
    check_info(info);
    while ((rc = bp_video_reader_next(r, &f, &err)) == BP_OK) {
        assert(f.width == info->width && f.height == info->height && f.depth == info->depth);
        assert(f.time > last && f.duration >= 0);
        last = f.time;
        sum += touch(&f);
        n++;
    }
    assert(n <= FRAMES);
    assert(rc == BP_NOTFOUND || (err.rc == rc && err.text[0]));
    return rc == BP_NOTFOUND && sum != 1;
}

/* A video of one frame, made once. */
static struct bp_video *other_video(void)
{
    static struct bp_video *v;
    static uint8_t pixels[16 * 24];
    struct bp_video_spec spec = {.width = 16, .height = 16, .fps = 25, .quality = 30, .key_interval = 10, .threads = 1};
    struct bp_frame frame = {pixels, pixels + 256};
    struct bp_err err;
    if (!v && (bp_video_open(&spec, &v, &err) != BP_OK || bp_video_add(v, &frame, &err) != BP_OK ||
               bp_video_finish(v, &err) != BP_OK))
        abort();
    return v;
}

static void copy_sound(const char *path)
{
    char out[64];
    struct bp_video_sound sound = {.source = path};
    struct bp_err err = {0};
    int fd = memfd_create("out", 0);
    assert(fd >= 0);
    snprintf(out, sizeof out, "/proc/self/fd/%d", fd);
    int32_t rc = bp_video_write_with(other_video(), out, &sound, &limits, &err);
    assert(rc == BP_OK || err.text[0]);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct bp_video_reader *r;
    struct bp_err err = {0};
    int fd = memfd_create("in", 0);
    assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int32_t rc = bp_video_reader_open(path, &limits, &r, &err);
    if (rc == BP_OK) {
        int whole = read_all(r);
        bp_video_reader_close(&r);
        if (whole)
            copy_sound(path);
    } else {
        assert(!r && err.rc == rc && err.text[0]);
    }
    close(fd);
    return 0;
}
