/* SPDX-License-Identifier: Apache-2.0 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "pictures.h"

#include <stdlib.h>
#include <string.h>

static const struct bp_video_spec spec = {
    .width = 160, .height = 90, .fps = 25, .quality = 20, .key_interval = 10, .threads = 2};
static const uint8_t tag[16] = "a video of tests";

/* Frame i: grey that grows, so that a wrong order or a lost frame shows. */
static void add_frames(struct bp_video *v, int32_t from, int32_t to)
{
    static uint8_t nv12[160 * 90 * 3 / 2];
    struct bp_err err;
    for (int32_t i = from; i < to; i++) {
        memset(nv12, 30 + 3 * i, 160 * 90);
        memset(nv12 + 160 * 90, 128, 160 * 45);
        struct bp_frame f = {nv12, nv12 + 160 * 90};
        assert_int_equal(bp_video_add(v, &f, &err), BP_OK);
    }
}

static struct bp_video *open_video(void)
{
    struct bp_video *v;
    struct bp_err err;
    assert_int_equal(bp_video_open(&spec, &v, &err), BP_OK);
    return v;
}

static void check_video(const char *path, int frames)
{
    struct video_facts f = video_look(path);
    assert_int_equal(f.frames, frames);
    assert_int_equal(f.errors, 0);
    assert_int_equal(f.width, 160);
    assert_int_equal(f.fps, 25);
    assert_true(f.index_first);
    for (int i = 0; i < frames; i++)
        assert_true(f.luma[i] > 30 + 3 * i - 1.5 && f.luma[i] < 30 + 3 * i + 1.5);
    free(f.luma);
}

static void a_video_holds_each_frame_once_and_its_index_comes_first(void **state)
{
    (void)state;
    struct bp_video *v = open_video();
    struct bp_err err;
    add_frames(v, 0, 47);
    assert_int_equal(bp_video_frames(v), 47);
    assert_int_equal(bp_video_write(v, "a.mp4", &err), BP_INVALID); /* not finished */
    assert_int_equal(bp_video_finish(v, &err), BP_OK);
    assert_int_equal(bp_video_write(v, "a.mp4", &err), BP_OK);
    bp_video_close(&v);
    assert_null(v);
    check_video("a.mp4", 47);
}

/* Saved after `stop` frames, finished or in the middle; then continued to 47. */
static void check_resume(int32_t stop, int32_t finish)
{
    struct bp_video *v = open_video();
    struct bp_err err = {0};
    uint8_t *bytes;
    uint64_t n;
    int64_t frames;
    add_frames(v, 0, stop);
    if (finish)
        assert_int_equal(bp_video_finish(v, &err), BP_OK);
    assert_int_equal(bp_video_save(v, tag, 1 << 20, &bytes, &n, &frames, &err), BP_OK);
    assert_true(finish ? frames == stop : frames % 10 == 0 && frames < stop);
    bp_video_close(&v);
    v = open_video();
    assert_int_equal(bp_video_restore(v, tag, bytes, n, &err), BP_OK);
    assert_int_equal(bp_video_frames(v), frames);
    add_frames(v, (int32_t)frames, 47);
    assert_int_equal(bp_video_finish(v, &err), BP_OK);
    assert_int_equal(bp_video_write(v, "b.mp4", &err), BP_OK);
    bp_video_close(&v);
    free(bytes);
    check_video("b.mp4", 47);
}

static void a_saved_video_goes_on_where_it_was(void **state)
{
    (void)state;
    for (int32_t stop = 1; stop < 47; stop += 5)
        check_resume(stop, 1);
    check_resume(46, 0);
    check_resume(47, 1);
}

static void a_save_is_cut_to_its_limit_at_a_whole_group(void **state)
{
    (void)state;
    struct bp_video *v = open_video();
    struct bp_err err;
    uint8_t *bytes;
    uint64_t all, n;
    int64_t frames;
    add_frames(v, 0, 47);
    assert_int_equal(bp_video_finish(v, &err), BP_OK);
    assert_int_equal(bp_video_save(v, tag, 1 << 20, &bytes, &all, &frames, &err), BP_OK);
    free(bytes);
    assert_int_equal(frames, 47);
    int64_t before = 47;
    for (uint64_t limit = all; limit > 0; limit -= limit < 40 ? limit : 40) {
        assert_int_equal(bp_video_save(v, tag, limit, &bytes, &n, &frames, &err), BP_OK);
        assert_true(frames <= before && (frames == 47 || frames % 10 == 0));
        assert_true(n <= limit || frames == 0);
        before = frames;
        free(bytes);
    }
    assert_int_equal(before, 0);
    bp_video_close(&v);
}

static void a_damaged_or_foreign_save_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    struct bp_video *v = open_video();
    struct bp_err err;
    uint8_t *bytes;
    uint64_t n;
    int64_t frames;
    add_frames(v, 0, 12);
    assert_int_equal(bp_video_finish(v, &err), BP_OK);
    assert_int_equal(bp_video_save(v, tag, 1 << 20, &bytes, &n, &frames, &err), BP_OK);
    bp_video_close(&v);
    v = open_video();
    for (uint64_t i = 0; i < n; i++) {
        bytes[i] ^= 0x41;
        assert_int_equal(bp_video_restore(v, tag, bytes, n, &err), BP_INVALID);
        bytes[i] ^= 0x41;
        uint8_t *cut = malloc(i + 1);
        memcpy(cut, bytes, i);
        assert_int_equal(bp_video_restore(v, tag, cut, i, &err), BP_INVALID);
        free(cut);
    }
    assert_int_equal(bp_video_restore(v, (const uint8_t *)"another 16 bytes", bytes, n, &err), BP_INVALID);
    assert_int_equal(bp_video_frames(v), 0);
    assert_int_equal(bp_video_restore(v, tag, bytes, n, &err), BP_OK);
    assert_int_equal(bp_video_restore(v, tag, bytes, n, &err), BP_INVALID); /* begun */
    bp_video_close(&v);
    free(bytes);
}

static void a_video_that_cannot_be_is_refused(void **state)
{
    (void)state;
    static const struct bp_video_spec bad[] = {
        {.width = 161, .height = 90, .fps = 25, .quality = 20, .key_interval = 10},
        {.width = 160, .height = 91, .fps = 25, .quality = 20, .key_interval = 10},
        {.width = 8, .height = 8, .fps = 25, .quality = 20, .key_interval = 10},
        {.width = 160, .height = 90, .fps = 0, .quality = 20, .key_interval = 10},
        {.width = 160, .height = 90, .fps = 25, .quality = 52, .key_interval = 10},
        {.width = 160, .height = 90, .fps = 25, .quality = 20, .key_interval = 0}};
    struct bp_video *v;
    struct bp_err err;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(bp_video_open(&bad[i], &v, &err), BP_INVALID);
        assert_null(v);
    }
}

static void a_directory_that_is_not_there_is_an_io_error(void **state)
{
    (void)state;
    struct bp_video *v = open_video();
    struct bp_err err;
    add_frames(v, 0, 2);
    assert_int_equal(bp_video_finish(v, &err), BP_OK);
    assert_int_equal(bp_video_write(v, "nowhere/a.mp4", &err), BP_IO);
    assert_int_equal(bp_video_write(v, "/dev/full", &err), BP_NOSPACE);
    bp_video_close(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_video_holds_each_frame_once_and_its_index_comes_first),
        cmocka_unit_test(a_saved_video_goes_on_where_it_was),
        cmocka_unit_test(a_save_is_cut_to_its_limit_at_a_whole_group),
        cmocka_unit_test(a_damaged_or_foreign_save_is_refused_and_changes_nothing),
        cmocka_unit_test(a_video_that_cannot_be_is_refused),
        cmocka_unit_test(a_directory_that_is_not_there_is_an_io_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
