/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often a job allocates something as large as a frame. This program's malloc stands before the C library's for the
 * plugin, FFmpeg and x264 too. With FACTOR it is of a workflow that makes a video of a video, so many times as large.
 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "driver.h"
#include "pictures.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define WIDTH  960
#define HEIGHT 540
#ifdef FACTOR
#define SMALLEST (WIDTH / FACTOR * (HEIGHT / FACTOR)) /* luma of what is decoded */
#else
#define SMALLEST (WIDTH * HEIGHT) /* luma of what is drawn */
#endif

static atomic_int large;

/* NOLINTBEGIN: these are the C library's own names */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

static void note(size_t n)
{
    if (n >= SMALLEST)
        atomic_fetch_add(&large, 1);
}

__attribute__((visibility("default"))) void *malloc(size_t n)
{
    note(n);
    return __libc_malloc(n);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
    note(n * size);
    return __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t n)
{
    note(n);
    return __libc_realloc(p, n);
}

__attribute__((visibility("default"))) void *aligned_alloc(size_t align, size_t n)
{
    note(n);
    return __libc_memalign(align, n);
}

__attribute__((visibility("default"))) void *memalign(size_t align, size_t n)
{
    note(n);
    return __libc_memalign(align, n);
}

__attribute__((visibility("default"))) int posix_memalign(void **out, size_t align, size_t n)
{
    note(n);
    *out = __libc_memalign(align, n);
    return *out ? 0 : ENOMEM;
}
/* NOLINTEND */

#ifdef FACTOR
static int count(struct driver *d, int frames)
{
    char how[200];
    struct bp_err err;
    snprintf(how, sizeof how, "-f lavfi -i testsrc2=s=%dx%d:r=30 -frames:v %d -pix_fmt yuv420p", WIDTH / FACTOR,
             HEIGHT / FACTOR, frames);
    video_make(how, "m_in.mp4");
    atomic_store(&large, 0);
    assert_int_equal(driver_run(d, "m_in.mp4", "{}", "m.mp4", &err), BP_OK);
    assert_in_range(d->n_progress, frames + 1, frames + 2); /* with the end, and perhaps the look for another frame */
    return atomic_load(&large);
}
#else
/* Large allocations of a job of that many frames. */
static int count(struct driver *d, int frames)
{
    char params[200];
    struct bp_err err;
    snprintf(params, sizeof params, "{\"width\":%d,\"height\":%d,\"fps\":60,\"duration\":%g,\"motion_blur\":0}", WIDTH,
             HEIGHT, frames / 60.0);
    atomic_store(&large, 0);
    assert_int_equal(driver_run(d, "photo.png", params, "m.mp4", &err), BP_OK);
    assert_int_equal(d->n_progress, frames + 1);
    return atomic_load(&large);
}
#endif

static void no_frame_is_allocated_per_frame(void **state)
{
    struct driver d;
    struct bp_err err = {0};
    struct bp_device_stats before = {.size = sizeof before}, after = before;
    (void)state;
    struct bp_image photo = picture_make(1000, 600);
    assert_int_equal(bp_image_write(&photo, "photo.png", &err), BP_OK);
    bp_image_free(&photo);
    assert_int_equal(driver_open(&d, PLUGIN_SO, "cpu", &err), BP_OK);
    int few = count(&d, 60);
    d.dev->stats(d.dev, &before);
    int many = count(&d, 150);
    d.dev->stats(d.dev, &after);
    assert_true(few > 5);                                    /* it does count */
    assert_in_range(many, 0, few + 9);                       /* of 90 frames more; x264's pool may still grow */
    assert_int_equal(after.allocations, before.allocations); /* the second job's buffers are the first one's */
    assert_true(after.reused > before.reused);
    driver_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_frame_is_allocated_per_frame)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
