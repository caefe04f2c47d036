/* SPDX-License-Identifier: Apache-2.0 */
/* From reader to encoder and back: what a workflow that only passes a video on must not lose. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "packets.h"
#include "pictures.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEST  "-f lavfi -i testsrc2=s=160x90:r=25:d=2 "
#define SOUND "-f lavfi -i sine=d=2 -f lavfi -i sine=f=700:d=2.3 -map 0 -map 1 -map 2 -ac:a:1 2 "

static struct bp_video *open_like(const struct bp_video_reader *r, const char *temp_dir)
{
    const struct bp_video_info *info = bp_video_reader_info(r);
    struct bp_video_spec spec = {.width = info->width,
                                 .height = info->height,
                                 .fps = 25,
                                 .quality = 15,
                                 .key_interval = 10,
                                 .threads = 2,
                                 .format = info->depth == 10 ? BP_VIDEO_PLANAR10 : BP_VIDEO_PLANAR8,
                                 .content = BP_VIDEO_FOOTAGE,
                                 .time_base = info->time_base,
                                 .meta = info->meta,
                                 .temp_dir = temp_dir};
    struct bp_video *v;
    struct bp_err err;
    if (bp_video_open(&spec, &v, &err) != BP_OK)
        fail_msg("%s", err.text);
    return v;
}

static void add_rest(struct bp_video *v, struct bp_video_reader *r)
{
    struct bp_video_frame f;
    struct bp_err err;
    while (bp_video_reader_next(r, &f, &err) == BP_OK)
        if (bp_video_add_planar(v, &f, &err) != BP_OK)
            fail_msg("%s", err.text);
}

/* Returns the sound as it was copied. */
static struct bp_video_sound copy_video(const char *from, const char *to)
{
    struct bp_video_reader *r;
    struct bp_err err;
    assert_int_equal(bp_video_reader_open(from, NULL, &r, &err), BP_OK);
    struct bp_video *v = open_like(r, NULL);
    add_rest(v, r);
    assert_int_equal(bp_video_finish(v, &err), BP_OK);
    struct bp_video_sound sound = {.source = from};
    if (bp_video_write_with(v, to, &sound, NULL, &err) != BP_OK)
        fail_msg("%s", err.text);
    bp_video_close(&v);
    bp_video_reader_close(&r);
    return sound;
}

static void same_times(const char *a, const char *b)
{
    struct bp_video_reader *r[2];
    struct bp_video_frame f[2];
    struct bp_err err;
    assert_int_equal(bp_video_reader_open(a, NULL, &r[0], &err), BP_OK);
    assert_int_equal(bp_video_reader_open(b, NULL, &r[1], &err), BP_OK);
    struct bp_ratio base[2] = {bp_video_reader_info(r[0])->time_base, bp_video_reader_info(r[1])->time_base};
    int n = 0;
    while (bp_video_reader_next(r[0], &f[0], &err) == BP_OK) {
        assert_int_equal(bp_video_reader_next(r[1], &f[1], &err), BP_OK);
        assert_int_equal(f[0].time * base[0].num * base[1].den, f[1].time * base[1].num * base[0].den);
        n++;
    }
    assert_int_equal(bp_video_reader_next(r[1], &f[1], &err), BP_NOTFOUND);
    assert_true(n > 0);
    bp_video_reader_close(&r[0]);
    bp_video_reader_close(&r[1]);
}

/* Mean absolute difference of the luma over all frames. */
static double luma_distance(const char *a, const char *b)
{
    struct bp_video_reader *r[2];
    struct bp_video_frame f[2];
    struct bp_err err;
    double sum = 0, n = 0;
    assert_int_equal(bp_video_reader_open(a, NULL, &r[0], &err), BP_OK);
    assert_int_equal(bp_video_reader_open(b, NULL, &r[1], &err), BP_OK);
    while (bp_video_reader_next(r[0], &f[0], &err) == BP_OK && bp_video_reader_next(r[1], &f[1], &err) == BP_OK)
        for (int y = 0; y < f[0].height; y++)
            for (int x = 0; x < f[0].width; x++, n++)
                sum += abs(f[0].planes[0][y * f[0].strides[0] + x] - f[1].planes[0][y * f[1].strides[0] + x]);
    bp_video_reader_close(&r[0]);
    bp_video_reader_close(&r[1]);
    return sum / n;
}

static void same_file(const char *a, const char *b)
{
    size_t n[2];
    uint8_t *bytes[2] = {file_read(a, &n[0]), file_read(b, &n[1])};
    if (n[0] != n[1] || memcmp(bytes[0], bytes[1], n[0]) != 0)
        fail_msg("%s:\n%.*s\n%s:\n%.*s", a, (int)n[0], (char *)bytes[0], b, (int)n[1], (char *)bytes[1]);
    free(bytes[0]);
    free(bytes[1]);
}

/* Every packet of sound with its time, length and content. */
static void same_sound(const char *a, const char *b, const char *format)
{
    char how[200];
    snprintf(how, sizeof how, "-i %s -map 0:a -c copy -f %s", a, format);
    video_make(how, "a.sum");
    snprintf(how, sizeof how, "-i %s -map 0:a -c copy -f %s", b, format);
    video_make(how, "b.sum");
    same_file("a.sum", "b.sum");
}

static void frames_times_and_sound_of_each_container_are_kept(void **state)
{
    (void)state;
    video_make(TEST SOUND "-pix_fmt yuv420p", "s.mp4");
    assert_int_equal(copy_video("s.mp4", "o.mp4").streams, 2);
    same_times("s.mp4", "o.mp4");
    same_sound("s.mp4", "o.mp4", "framemd5");
    assert_true(luma_distance("s.mp4", "o.mp4") < 2);
    video_make(TEST SOUND "-pix_fmt yuv420p -c:a libopus -b:a 64k", "s.webm.mkv");
    assert_int_equal(copy_video("s.webm.mkv", "o.mp4").streams, 2);
    same_times("s.webm.mkv", "o.mp4");
    same_sound("s.webm.mkv", "o.mp4", "md5");
    video_make(TEST SOUND "-pix_fmt yuv420p -c:a mp3 -c:v libx264", "s.ts");
    assert_int_equal(copy_video("s.ts", "o.mp4").streams, 2);
    same_times("s.ts", "o.mp4");
    same_sound("s.ts", "o.mp4", "md5");
}

static void a_start_and_gaps_of_a_variable_frame_rate_are_kept(void **state)
{
    (void)state;
    video_make(TEST "-f lavfi -i sine=d=9 -vf setpts=N*N/500/TB+0.48/TB -vsync passthrough -enc_time_base 1/90000 "
                    "-pix_fmt yuv420p -c:v libx264 -bf 4",
               "vfr.mp4");
    copy_video("vfr.mp4", "o.mp4");
    same_times("vfr.mp4", "o.mp4");
    same_sound("vfr.mp4", "o.mp4", "framemd5");
}

static void hdr_colours_shape_and_turn_are_kept(void **state)
{
    (void)state;
    video_make(TEST "-vf setsar=4/3 -pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=none:colorprim=bt2020:"
                    "transfer=smpte2084:colormatrix=bt2020nc:chromaloc=2:max-cll=1000,400:"
                    "master-display=G\\(8500,39850\\)B\\(6550,2300\\)R\\(35400,14600\\)WP\\(15635,16450\\)"
                    "L\\(10000000,50\\)",
               "h.mp4");
    video_make("-i h.mp4 -c copy -metadata:s:v rotate=90", "hdr.mp4");
    copy_video("hdr.mp4", "o.mp4");
    same_times("hdr.mp4", "o.mp4");
    struct bp_video_reader *r[2];
    struct bp_err err;
    assert_int_equal(bp_video_reader_open("hdr.mp4", NULL, &r[0], &err), BP_OK);
    assert_int_equal(bp_video_reader_open("o.mp4", NULL, &r[1], &err), BP_OK);
    const struct bp_video_info *a = bp_video_reader_info(r[0]), *b = bp_video_reader_info(r[1]);
    assert_true(a->meta.has_mastering && a->meta.has_light && a->meta.rotation == 270);
    assert_memory_equal(&a->meta, &b->meta, sizeof a->meta);
    assert_string_equal(b->codec, "hevc");
    assert_int_equal(b->depth, 10);
    bp_video_reader_close(&r[0]);
    bp_video_reader_close(&r[1]);
    /* and in the MP4's boxes, without decoding */
    size_t n;
    uint8_t *bytes = file_read("o.mp4", &n);
    assert_non_null(memmem(bytes, n, "mdcv", 4));
    assert_non_null(memmem(bytes, n, "clli", 4));
    assert_non_null(memmem(bytes, n, "hvc1", 4));
    free(bytes);
}

/* Samples of a file's first sound at 8000 a second; free(). */
static int16_t *samples_of(const char *path, size_t *n)
{
    char how[100];
    snprintf(how, sizeof how, "-i %s -map 0:a:0 -ac 1 -ar 8000 -f s16le", path);
    video_make(how, "samples.pcm");
    int16_t *samples = (int16_t *)(void *)file_read("samples.pcm", n);
    *n /= 2;
    return samples;
}

/* The loudness of each tenth of a second is the same: nothing is early, late or lost. */
static void same_loudness(const char *a, const char *b)
{
    size_t n[2];
    int16_t *s[2] = {samples_of(a, &n[0]), samples_of(b, &n[1])};
    assert_in_range(n[1], n[0] - 800, n[0] + 800);
    for (size_t at = 0; at + 800 <= n[0] && at + 800 <= n[1]; at += 800) {
        double power[2] = {0, 0};
        for (int k = 0; k < 2; k++)
            for (size_t i = at; i < at + 800; i++)
                power[k] += (double)s[k][i] * s[k][i] / 800;
        if (fabs(sqrt(power[0]) - sqrt(power[1])) > 300 + 0.15 * sqrt(power[0]))
            fail_msg("%s at %g s: %g and %g", a, (double)at / 8000, sqrt(power[0]), sqrt(power[1]));
    }
    free(s[0]);
    free(s[1]);
}

/* Beeps, so that a shift shows. */
static void sound_that_an_mp4_cannot_hold_is_encoded_anew(void **state)
{
    static const char *const codecs[] = {"pcm_s16le", "pcm_s24le", "pcm_f32le", "pcm_u8",
                                         "wmav2",     "pcm_mulaw", "adpcm_ms"};
    (void)state;
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        char made[300];
        snprintf(made, sizeof made,
                 TEST "-f lavfi -i sine=b=4:d=2:r=44100 -af 'volume=4:enable=between(t\\,0.7\\,1.2)' -c:v libx264 "
                      "-pix_fmt yuv420p -ac %d -c:a %s",
                 (int)(i % 2) + 1, codecs[i]);
        video_make(made, "s.mkv");
        struct bp_video_sound s = copy_video("s.mkv", "o.mp4");
        assert_int_equal(s.streams, 1);
        assert_int_equal(s.recoded, 1);
        assert_int_equal(s.dropped, 0);
        same_times("s.mkv", "o.mp4");
        same_loudness("s.mkv", "o.mp4");
    }
}

static void sound_that_cannot_be_encoded_anew_is_named(void **state)
{
    (void)state;
    video_make(TEST SOUND "-c:a:0 wavpack -c:a:1 pcm_s16le -ar:a:1 5000 -pix_fmt yuv420p", "s.mkv");
    struct bp_video_sound s = copy_video("s.mkv", "o.mp4");
    assert_int_equal(s.streams, 0);
    assert_int_equal(s.dropped, 2);
    assert_string_equal(s.dropped_codecs, "wavpack, pcm_s16le");
    same_times("s.mkv", "o.mp4");
}

/* Half a second of the source, from 1 s on. */
static void sound_is_cut_to_the_part_that_is_shown(void **state)
{
    (void)state;
    video_make(TEST SOUND "-pix_fmt yuv420p", "s.mp4");
    struct bp_video_reader *r;
    struct bp_video_frame f;
    struct bp_err err;
    assert_int_equal(bp_video_reader_open("s.mp4", NULL, &r, &err), BP_OK);
    struct bp_video *v = open_like(r, NULL);
    assert_int_equal(bp_video_reader_skip(r, 25, &err), BP_OK);
    int64_t start = -1;
    for (int i = 0; i < 12; i++) {
        assert_int_equal(bp_video_reader_next(r, &f, &err), BP_OK);
        start = start < 0 ? f.time : start;
        f.time -= start;
        assert_int_equal(bp_video_add_planar(v, &f, &err), BP_OK);
    }
    assert_int_equal(bp_video_finish(v, &err), BP_OK);
    struct bp_video_sound sound = {.source = "s.mp4", .from_s = 1, .until_s = 1.48};
    assert_int_equal(bp_video_write_with(v, "part.mp4", &sound, NULL, &err), BP_OK);
    bp_video_close(&v);
    bp_video_reader_close(&r);
    video_make("-i part.mp4 -map 0:a:0 -f s16le", "part.pcm");
    size_t n;
    free(file_read("part.pcm", &n));
    assert_in_range(n / 2, 44100 * 46 / 100, 44100 * 51 / 100);
}

static void a_saved_video_with_times_goes_on_where_it_was(void **state)
{
    (void)state;
    static const uint8_t tag[16] = "a video of tests";
    video_make(TEST "-vf setpts=N*N/500/TB -vsync passthrough -enc_time_base 1/90000 -pix_fmt yuv420p", "vfr.mp4");
    struct bp_video_reader *r;
    struct bp_video_frame f;
    struct bp_err err;
    uint8_t *bytes;
    uint64_t n;
    int64_t frames;
    assert_int_equal(bp_video_reader_open("vfr.mp4", NULL, &r, &err), BP_OK);
    struct bp_video *v = open_like(r, NULL);
    for (int i = 0; i < 33; i++) {
        assert_int_equal(bp_video_reader_next(r, &f, &err), BP_OK);
        assert_int_equal(bp_video_add_planar(v, &f, &err), BP_OK);
    }
    assert_int_equal(bp_video_finish(v, &err), BP_OK);
    assert_int_equal(bp_video_save(v, tag, 1 << 20, &bytes, &n, &frames, &err), BP_OK);
    assert_int_equal(frames, 33);
    bp_video_close(&v);
    v = open_like(r, NULL);
    assert_int_equal(bp_video_restore(v, tag, bytes, n, &err), BP_OK);
    free(bytes);
    assert_int_equal(bp_video_add_planar(v, &f, &err), BP_INVALID); /* frame 32 is in it already */
    add_rest(v, r);
    assert_int_equal(bp_video_finish(v, &err), BP_OK);
    assert_int_equal(bp_video_write(v, "o.mp4", &err), BP_OK);
    bp_video_close(&v);
    bp_video_reader_close(&r);
    same_times("vfr.mp4", "o.mp4");
}

static void frames_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    video_make(TEST "-pix_fmt yuv420p", "s.mp4");
    struct bp_video_reader *r;
    struct bp_video_frame f;
    struct bp_err err;
    assert_int_equal(bp_video_reader_open("s.mp4", NULL, &r, &err), BP_OK);
    struct bp_video *v = open_like(r, NULL);
    assert_int_equal(bp_video_reader_next(r, &f, &err), BP_OK);
    struct bp_frame nv12 = {f.planes[0], f.planes[1]};
    assert_int_equal(bp_video_add(v, &nv12, &err), BP_INVALID);
    struct bp_video_frame other = f;
    other.width = 158;
    assert_int_equal(bp_video_add_planar(v, &other, &err), BP_INVALID);
    other = f;
    other.depth = 10;
    assert_int_equal(bp_video_add_planar(v, &other, &err), BP_INVALID);
    assert_int_equal(bp_video_add_planar(v, &f, &err), BP_OK);
    assert_int_equal(bp_video_add_planar(v, &f, &err), BP_INVALID); /* the same time again */
    assert_non_null(strstr(err.text, "the one before is at 0"));
    bp_video_close(&v);
    bp_video_reader_close(&r);
}

/* The file for it has no name. */
static void what_is_more_than_memory_is_meant_for_leaves_it_and_comes_back(void **state)
{
    (void)state;
    enum { MIB = 1 << 20, N = 80 };
    struct packets p = {.temp_dir = "."};
    struct packets_origin origin = {.spec = {.width = 160, .height = 90}};
    struct bp_err err;
    uint8_t *data = calloc(1, MIB), *room = malloc(MIB), *bytes;
    uint64_t n, kept;
    for (int i = 0; i < N; i++) {
        memset(data, i + 1, MIB - 5);
        struct packet k = {.frame = i, .time = i, .bytes = MIB - 5, .key = i % 8 == 0};
        assert_int_equal(packets_add(&p, &k, data, &err), BP_OK);
    }
    assert_true(p.bytes <= PACKETS_IN_MEMORY && p.spilled >= 16ULL * (MIB - 5));
    for (int i = 0; i < N; i++) {
        const uint8_t *at;
        assert_int_equal(packets_read(&p, (uint64_t)i * (MIB - 5), MIB - 5, room, &at, &err), BP_OK);
        assert_true(at[0] == i + 1 && at[MIB - 6] == i + 1);
    }
    assert_int_equal(packets_whole(&p, UINT64_MAX, N, 1, &kept), 64); /* what is in memory can be saved */
    assert_int_equal(packets_save(&p, kept, 64, &origin, &bytes, &n, &err), BP_OK);
    free(bytes);
    packets_free(&p);
    DIR *here = opendir(".");
    for (struct dirent *e; (e = readdir(here));)
        assert_null(strstr(e->d_name, "video."));
    closedir(here);
    p.temp_dir = "nowhere";
    struct packet k = {.bytes = MIB};
    int32_t rc = BP_OK;
    for (int i = 0; i < N && rc == BP_OK; i++, k.frame++)
        rc = packets_add(&p, &k, data, &err);
    assert_int_equal(rc, BP_IO);
    assert_non_null(strstr(err.text, "temporary folder"));
    packets_free(&p);
    free(data);
    free(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_times_and_sound_of_each_container_are_kept),
        cmocka_unit_test(a_start_and_gaps_of_a_variable_frame_rate_are_kept),
        cmocka_unit_test(hdr_colours_shape_and_turn_are_kept),
        cmocka_unit_test(sound_that_an_mp4_cannot_hold_is_encoded_anew),
        cmocka_unit_test(sound_that_cannot_be_encoded_anew_is_named),
        cmocka_unit_test(sound_is_cut_to_the_part_that_is_shown),
        cmocka_unit_test(a_saved_video_with_times_goes_on_where_it_was),
        cmocka_unit_test(frames_that_do_not_fit_are_refused),
        cmocka_unit_test(what_is_more_than_memory_is_meant_for_leaves_it_and_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
