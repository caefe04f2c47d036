/* SPDX-License-Identifier: Apache-2.0 */
/* Videos of all kinds, made by the ffmpeg program, as the reader sees them. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "pictures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GREY  "-f lavfi -i color=gray:s=160x90:r=25:d=1 "
#define TEST  "-f lavfi -i testsrc2=s=160x90:r=25:d=1 "
#define SOUND "-f lavfi -i sine=d=1 "

static struct bp_video_reader *open_reader(const char *path)
{
    struct bp_video_reader *r;
    struct bp_err err = {0};
    if (bp_video_reader_open(path, NULL, &r, &err) != BP_OK)
        fail_msg("%s: %s", path, err.text);
    return r;
}

static void refused(const char *path, const struct bp_video_limits *limits, const char *words)
{
    struct bp_video_reader *r;
    struct bp_video_frame f;
    struct bp_err err = {0};
    int32_t rc = bp_video_reader_open(path, limits, &r, &err);
    while (rc == BP_OK)
        rc = bp_video_reader_next(r, &f, &err);
    if (rc != BP_BADINPUT || !strstr(err.text, words))
        fail_msg("%s: %d %s, not \"%s\"", path, rc, err.text, words);
    bp_video_reader_close(&r);
}

/* Reads to the end; times in microseconds. Returns how many frames. */
static int read_times(const char *path, int64_t *times, int room)
{
    struct bp_video_reader *r = open_reader(path);
    const struct bp_video_info *info = bp_video_reader_info(r);
    struct bp_video_frame f;
    struct bp_err err = {0};
    int n = 0;
    int32_t rc;
    while ((rc = bp_video_reader_next(r, &f, &err)) == BP_OK) {
        assert_true(n < room);
        assert_int_equal(f.width, info->width);
        assert_int_equal(f.height, info->height);
        assert_int_equal(f.depth, info->depth);
        times[n++] = f.time * 1000000 * info->time_base.num / info->time_base.den;
    }
    if (rc != BP_NOTFOUND)
        fail_msg("%s: %s", path, err.text);
    assert_int_equal(bp_video_reader_next(r, &f, &err), BP_NOTFOUND); /* and again */
    bp_video_reader_close(&r);
    assert_null(r);
    return n;
}

static void every_usual_container_gives_each_frame_once(void **state)
{
    static const char *const made[][2] = {{TEST SOUND "-pix_fmt yuv420p", "a.mp4"},
                                          {TEST SOUND "-pix_fmt yuv420p", "a.mkv"},
                                          {TEST SOUND, "a.ts"},
                                          {TEST "-c:v mjpeg", "a.avi"},
                                          {TEST SOUND "-c:v libvpx", "a.webm"},
                                          {TEST SOUND, "a.flv"},
                                          {TEST, "a.gif"},
                                          {TEST "-f apng", "a.apng"},
                                          {TEST SOUND "-c:v libx265 -x265-params log-level=none", "a.mov"},
                                          {TEST "-c:v libvpx-vp9", "a.ivf"},
                                          {TEST, "a.mpg"}};
    (void)state;
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        int64_t times[64];
        video_make(made[i][0], made[i][1]);
        assert_int_equal(read_times(made[i][1], times, 64), 25);
        for (int k = 1; k < 25; k++)
            assert_in_range(times[k] - times[k - 1], 39000, 41001); /* containers of milliseconds round */
    }
}

static double mean_of(const struct bp_video_frame *f, int plane)
{
    int w = plane ? (f->width + 1) / 2 : f->width, h = plane ? (f->height + 1) / 2 : f->height;
    double sum = 0;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const uint8_t *row = f->planes[plane] + (size_t)y * (size_t)f->strides[plane];
            uint16_t wide;
            memcpy(&wide, row + (size_t)x * 2 * (f->depth == 10), sizeof wide);
            sum += f->depth == 10 ? wide : row[x];
        }
    return sum / (w * h);
}

/* Grey of 126 in video range, 128 in the full one, whatever it was stored as. */
static void every_pixel_format_becomes_planar_420_of_8_or_10_bits(void **state)
{
    static const struct {
        const char *made, *path;
        int depth, converted;
    } cases[] = {{GREY "-pix_fmt yuv420p -c:v libx264 -crf 1", "p.mp4", 8, 0},
                 {GREY "-pix_fmt yuv420p10le -c:v libx264 -crf 1", "p10.mp4", 10, 0},
                 {GREY "-pix_fmt yuv422p -c:v libx264 -crf 1", "p422.mp4", 8, 1},
                 {GREY "-pix_fmt yuv444p10le -c:v libx264 -crf 1", "p444.mp4", 10, 1},
                 {GREY "-pix_fmt yuv420p12le -c:v libx265 -x265-params log-level=none:crf=1", "p12.mp4", 10, 1},
                 {GREY "-pix_fmt rgb48be -c:v png", "p48.mov", 10, 1},
                 {GREY "-pix_fmt gray16le -c:v ffv1", "p16.mkv", 10, 1},
                 {GREY "-pix_fmt bgr0 -c:v ffv1", "prgb.mkv", 8, 1},
                 {GREY "-pix_fmt rgba -c:v png", "pa.mov", 8, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        video_make(cases[i].made, cases[i].path);
        struct bp_video_reader *r = open_reader(cases[i].path);
        struct bp_video_frame f;
        struct bp_err err;
        assert_int_equal(bp_video_reader_info(r)->depth, cases[i].depth);
        assert_int_equal(bp_video_reader_info(r)->converted, cases[i].converted);
        assert_int_equal(bp_video_reader_next(r, &f, &err), BP_OK);
        double unit = f.depth == 10 ? 4 : 1;
        double grey = bp_video_reader_info(r)->meta.full_range ? 128 : 126;
        if (fabs(mean_of(&f, 0) / unit - grey) > 1.5 || fabs(mean_of(&f, 1) / unit - 128) > 1)
            fail_msg("%s: %g %g", cases[i].path, mean_of(&f, 0) / unit, mean_of(&f, 1) / unit);
        bp_video_reader_close(&r);
    }
}

static void times_of_a_variable_frame_rate_are_exact(void **state)
{
    (void)state;
    video_make(TEST "-vf setpts=N*N*10+N*100 -vsync vfr -enc_time_base 1/1000 -video_track_timescale 1000 "
                    "-pix_fmt yuv420p -c:v libx264 -bf 3",
               "vfr.mp4");
    int64_t times[64];
    int n = read_times("vfr.mp4", times, 64);
    assert_int_equal(n, 25);
    for (int i = 0; i < n; i++) /* units of 1/25 s in setpts */
        assert_int_equal(times[i], (int64_t)(i * i * 10 + i * 100) * 40000);
}

static void what_is_said_of_colour_hdr_shape_and_turn_is_read(void **state)
{
    (void)state;
    video_make(TEST "-pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=none:colorprim=bt2020:"
                    "transfer=smpte2084:colormatrix=bt2020nc:chromaloc=2:max-cll=1000,400:"
                    "master-display=G\\(8500,39850\\)B\\(6550,2300\\)R\\(35400,14600\\)WP\\(15635,16450\\)"
                    "L\\(10000000,50\\)",
               "hdr.mp4");
    struct bp_video_reader *r = open_reader("hdr.mp4");
    const struct bp_video_meta *m = &bp_video_reader_info(r)->meta;
    static const uint16_t display[8] = {35400, 14600, 8500, 39850, 6550, 2300, 15635, 16450};
    assert_int_equal(m->primaries, 9);
    assert_int_equal(m->transfer, 16);
    assert_int_equal(m->matrix, 9);
    assert_int_equal(m->chroma, BP_CHROMA_TOP_LEFT);
    assert_true(m->has_mastering && m->has_light);
    assert_memory_equal(m->mastering, display, sizeof display);
    assert_int_equal(m->max_luminance, 10000000);
    assert_int_equal(m->min_luminance, 50);
    assert_int_equal(m->max_content_light, 1000);
    assert_int_equal(m->max_average_light, 400);
    bp_video_reader_close(&r);
    video_make(TEST "-vf setsar=4/3 -pix_fmt yuvj420p -color_primaries bt709 -color_trc bt709 -colorspace bt709",
               "s.mp4");
    video_make("-i s.mp4 -c copy -metadata:s:v rotate=90", "turned.mp4");
    r = open_reader("turned.mp4");
    m = &bp_video_reader_info(r)->meta;
    assert_int_equal(m->sample_aspect.num, 4);
    assert_int_equal(m->sample_aspect.den, 3);
    assert_int_equal(m->full_range, 1);
    assert_int_equal(m->matrix, 1);
    assert_true(m->has_matrix);
    assert_int_equal(m->rotation, 270);
    assert_int_equal(bp_video_reader_info(r)->width, 160); /* as stored */
    bp_video_reader_close(&r);
}

static void colours_not_said_are_guessed_by_size(void **state)
{
    static const struct {
        const char *size;
        int matrix;
    } cases[] = {{"640x480", 6}, {"720x576", 5}, {"1280x720", 1}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char made[200];
        snprintf(made, sizeof made, "-f lavfi -i color=red:s=%s:r=25:d=0.1 -pix_fmt yuv420p -c:v libx264",
                 cases[i].size);
        video_make(made, "g.mp4");
        struct bp_video_reader *r = open_reader("g.mp4");
        assert_int_equal(bp_video_reader_info(r)->meta.matrix, cases[i].matrix);
        bp_video_reader_close(&r);
    }
}

static void frames_may_be_skipped_and_the_rest_left(void **state)
{
    (void)state;
    video_make(TEST "-pix_fmt yuv420p", "k.mp4");
    struct bp_video_reader *r = open_reader("k.mp4");
    struct bp_video_frame f;
    struct bp_err err;
    assert_int_equal(bp_video_reader_skip(r, 7, &err), BP_OK);
    assert_int_equal(bp_video_reader_next(r, &f, &err), BP_OK);
    const struct bp_ratio base = bp_video_reader_info(r)->time_base;
    assert_int_equal(f.time * base.num * 25 / base.den, 7);
    bp_video_reader_close(&r); /* with frames undelivered */
    r = open_reader("k.mp4");
    assert_int_equal(bp_video_reader_skip(r, 26, &err), BP_NOTFOUND);
    bp_video_reader_close(&r);
}

/* As a call in the network does when the line gets worse. */
static void a_size_that_changes_is_scaled_and_a_shape_that_changes_is_refused(void **state)
{
    (void)state;
    static const char *const sizes[] = {"160x90", "320x180", "180x160"};
    for (int i = 0; i < 3; i++) {
        char made[200], path[16];
        snprintf(made, sizeof made, "-f lavfi -i color=gray:s=%s:r=25:d=0.4 -pix_fmt yuv420p -c:v libx264", sizes[i]);
        snprintf(path, sizeof path, "%d.ts", i);
        video_make(made, path);
    }
    file_write("size.txt", "file 0.ts\nfile 1.ts\n", 20);
    file_write("shape.txt", "file 0.ts\nfile 2.ts\n", 20);
    video_make("-f concat -i size.txt -c copy", "size.ts");
    video_make("-f concat -i shape.txt -c copy", "shape.ts");
    int64_t times[64];
    assert_int_equal(read_times("size.ts", times, 64), 20);
    refused("shape.ts", NULL, "changes its shape after frame 10, from 160 by 90 to 180 by 160");
}

static void cut_file(const char *from, const char *to, double part)
{
    size_t n;
    uint8_t *bytes = file_read(from, &n);
    file_write(to, bytes, (size_t)((double)n * part));
    free(bytes);
}

static void what_is_no_video_is_refused_in_words(void **state)
{
    (void)state;
    file_write("empty.mp4", "", 0);
    refused("empty.mp4", NULL, "empty");
    file_write("text.mp4", "this is no video at all, whatever its name says", 47);
    refused("text.mp4", NULL, "not a video");
    video_make(SOUND, "sound.m4a");
    refused("sound.m4a", NULL, "sound but no picture");
    video_make(SOUND, "sound.mp3");
    refused("sound.mp3", NULL, "not a video but sound");
    video_make("-i sound.m4a -f lavfi -i color=red:s=64x64:d=1 -map 0 -map 1 -c:a copy -c:v png -frames:v 1 "
               "-disposition:v attached_pic",
               "cover.m4a");
    refused("cover.m4a", NULL, "sound but no picture");
    video_make(TEST "-frames:v 1 -update 1", "one.png");
    refused("one.png", NULL, "not a video but a picture");
    struct bp_video_reader *r;
    struct bp_err err;
    assert_int_equal(bp_video_reader_open("none.mp4", NULL, &r, &err), BP_IO);
    assert_int_equal(bp_video_reader_open(".", NULL, &r, &err), BP_IO);
}

static void a_file_that_names_other_files_opens_none_of_them(void **state)
{
    static const char list[] = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:a.ts\n#EXT-X-ENDLIST\n";
    (void)state;
    video_make(TEST, "a.ts");
    file_write("list.mp4", list, sizeof list - 1);
    refused("list.mp4", NULL, "a playlist");
    file_write("concat.mp4", "ffconcat version 1.0\nfile a.ts\n", 31);
    refused("concat.mp4", NULL, "a list of files");
}

static void what_is_cut_short_or_damaged_is_refused_in_words(void **state)
{
    static const char *const made[][3] = {{TEST "-pix_fmt yuv420p", "c.mp4", "index"},
                                          {TEST "-pix_fmt yuv420p -movflags faststart", "f.mp4", "cut short"},
                                          {TEST SOUND "-pix_fmt yuv420p", "c.mkv", "cut short"},
                                          {TEST "-c:v libvpx", "c.webm", "cut short"},
                                          {TEST "-c:v mpeg4", "c.avi", "damaged"}};
    (void)state;
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        video_make(made[i][0], made[i][1]);
        cut_file(made[i][1], "cut", 0.6);
        refused("cut", NULL, made[i][2]);
    }
    size_t n;
    uint8_t *bytes = file_read("f.mp4", &n);
    uint8_t *data = memmem(bytes, n, "mdat", 4);
    memset(data + (n - (size_t)(data - bytes)) / 2, 0x55, 2000);
    file_write("damaged.mp4", bytes, n);
    free(bytes);
    refused("damaged.mp4", NULL, "damaged after frame");
}

/* A recording of a broadcast starts and ends within a frame: what is whole of it is taken. */
static void a_broadcast_joined_and_left_in_the_middle_is_taken(void **state)
{
    (void)state;
    video_make("-f lavfi -i testsrc2=s=160x90:r=25:d=3 -g 10 -b:v 500k", "b.ts");
    size_t n;
    uint8_t *bytes = file_read("b.ts", &n);
    file_write("part.ts", bytes + n / 4 / 188 * 188, n / 2 / 188 * 188);
    free(bytes);
    int64_t times[80];
    int got = read_times("part.ts", times, 80);
    assert_in_range(got, 20, 50);
}

static void what_is_over_the_limits_is_refused_before_it_costs_anything(void **state)
{
    (void)state;
    video_make("-f lavfi -i testsrc2=s=640x360:r=50:d=2 -pix_fmt yuv420p", "l.mp4");
    video_make("-i l.mp4 -c copy", "l.ts");
    struct bp_video_limits pixels = {.max_pixels = 200000}, seconds = {.max_seconds = 1.5}, frames = {.max_frames = 99},
                           streams = {.max_streams = 1};
    refused("l.mp4", &pixels, "640 by 360 pixels");
    refused("l.ts", &pixels, "640 by 360 pixels");
    refused("l.mp4", &seconds, "lasts 2 s, at most 2 s");
    refused("l.mp4", &frames, "100 frames, at most 99");
    refused("l.ts", &frames, "more than 99 frames");
    video_make("-i l.mp4 -i l.mp4 -map 0 -map 1 -c copy", "two.mkv");
    refused("two.mkv", &streams, "streams");
    struct bp_video_limits enough = {.max_pixels = 640 * 360, .max_seconds = 2, .max_frames = 100, .threads = 1};
    struct bp_video_reader *r;
    struct bp_err err;
    assert_int_equal(bp_video_reader_open("l.mp4", &enough, &r, &err), BP_OK);
    assert_int_equal(bp_video_reader_skip(r, 100, &err), BP_OK);
    assert_int_equal(bp_video_reader_skip(r, 1, &err), BP_NOTFOUND);
    bp_video_reader_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_usual_container_gives_each_frame_once),
        cmocka_unit_test(every_pixel_format_becomes_planar_420_of_8_or_10_bits),
        cmocka_unit_test(times_of_a_variable_frame_rate_are_exact),
        cmocka_unit_test(what_is_said_of_colour_hdr_shape_and_turn_is_read),
        cmocka_unit_test(colours_not_said_are_guessed_by_size),
        cmocka_unit_test(frames_may_be_skipped_and_the_rest_left),
        cmocka_unit_test(a_size_that_changes_is_scaled_and_a_shape_that_changes_is_refused),
        cmocka_unit_test(what_is_no_video_is_refused_in_words),
        cmocka_unit_test(a_file_that_names_other_files_opens_none_of_them),
        cmocka_unit_test(what_is_cut_short_or_damaged_is_refused_in_words),
        cmocka_unit_test(a_broadcast_joined_and_left_in_the_middle_is_taken),
        cmocka_unit_test(what_is_over_the_limits_is_refused_before_it_costs_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
