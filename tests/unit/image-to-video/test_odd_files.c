/* SPDX-License-Identifier: Apache-2.0 */
/* What tenants send instead of a photo, through the plugin's .so: a clear failure, or the right video. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "driver.h"
#include "odd_pictures.h"
#include "pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PARAMS     "{\"width\":96,\"height\":64,\"fps\":10,\"duration\":0.5}"
#define MEMORY_KIB (64 * 1024L) /* more than any of these may cost */

static int setup(void **state)
{
    struct driver *d = malloc(sizeof *d);
    struct bp_err err = {0};
    if (driver_open(d, PLUGIN_SO, "cpu", &err) != BP_OK)
        return 1;
    struct bp_image photo = picture_make(60, 40);
    if (bp_image_write(&photo, "photo.png", &err) != BP_OK)
        return 1;
    bp_image_free(&photo);
    *state = d;
    return driver_run(d, "photo.png", PARAMS, "warm.mp4", &err); /* what the first job takes is no file's cost */
}

static int teardown(void **state)
{
    driver_close(*state);
    free(*state);
    return 0;
}

static void refused(struct driver *d, const char *file, const char *words)
{
    struct bp_err err = {0};
    long before = peak_kib();
    if (driver_run(d, file, PARAMS, "no.mp4", &err) != BP_BADINPUT || !strstr(err.text, words))
        fail_msg("%s: %d \"%s\", without \"%s\"", file, err.rc, err.text, words);
    assert_int_not_equal(access("no.mp4", F_OK), 0);
    assert_in_range(peak_kib() - before, 0, MEMORY_KIB);
}

static void becomes_a_video(struct driver *d, const char *file)
{
    struct bp_err err = {0};
    if (driver_run(d, file, PARAMS, "yes.mp4", &err) != BP_OK)
        fail_msg("%s: %s", file, err.text);
    struct video_facts v = video_look("yes.mp4");
    assert_int_equal(v.frames, 5);
    assert_int_equal(v.errors, 0);
    free(v.luma);
}

static void cut(const char *from, const char *to, size_t part)
{
    size_t n;
    uint8_t *bytes = file_read(from, &n);
    file_write(to, bytes, n * part / 100);
    free(bytes);
}

static void what_is_cut_short_or_empty_is_refused(void **state)
{
    struct bp_image photo = picture_make(60, 40);
    file_write("empty.png", "", 0);
    refused(*state, "empty.png", "empty");
    static const struct {
        const char *encoder, *file;
    } kinds[] = {{"png", "a.png"}, {"mjpeg", "a.jpg"}, {"libwebp", "a.webp"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!picture_write(&photo, kinds[i].encoder, kinds[i].file))
            continue;
        cut(kinds[i].file, "cut", 60);
        refused(*state, "cut", "damaged");
        cut(kinds[i].file, "cut", 3);
        refused(*state, "cut", "");
    }
    bp_image_free(&photo);
}

static void pictures_that_say_to_be_huge_cost_nothing(void **state)
{
    png_head_write("bomb.png", 10001, 10000);
    refused(*state, "bomb.png", "megapixels");
    png_head_write("bomb.png", 10000, 10000);
    refused(*state, "bomb.png", "cannot hold 10000 by 10000 pixels");
    jpeg_head_write("bomb.jpg", 65535, 65535);
    refused(*state, "bomb.jpg", "megapixels");
    webp_lie_write("lie.webp");
    refused(*state, "lie.webp", "damaged");
}

static void four_inks_and_sixteen_bits_become_videos(void **state)
{
    static const uint8_t ink[4] = {64, 128, 192, 255};
    cmyk_write("cmyk.jpg", ink);
    becomes_a_video(*state, "cmyk.jpg");
    static const char *const made[][2] = {{"-pix_fmt rgb48be", "rgb16.png"},
                                          {"-pix_fmt rgba64be", "rgba16.png"},
                                          {"-pix_fmt gray16be", "grey16.png"},
                                          {"-pix_fmt pal8", "palette.png"}};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        char how[120];
        snprintf(how, sizeof how, "-f lavfi -i testsrc2=s=60x40:r=1 -frames:v 1 %s", made[i][0]);
        video_make(how, made[i][1]);
        becomes_a_video(*state, made[i][1]);
    }
}

/* Stored rows for columns, with EXIF that says so: the same video, byte for byte. */
static void a_photo_that_exif_turns_is_shown_upright(void **state)
{
    struct bp_image photo = picture_make(60, 40);
    size_t n[2];
    png_turned_write(&photo, "turned.png");
    bp_image_free(&photo);
    becomes_a_video(*state, "turned.png");
    uint8_t *turned = file_read("yes.mp4", &n[0]);
    becomes_a_video(*state, "photo.png");
    uint8_t *upright = file_read("yes.mp4", &n[1]);
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(turned, upright, n[0]);
    free(turned);
    free(upright);
}

static void what_moves_or_sounds_is_refused_by_name(void **state)
{
    static const char *const made[][3] = {
        {"-f lavfi -i testsrc2=s=60x40:r=5:d=1 -f apng", "a.png", "animation"},
        {"-f lavfi -i testsrc2=s=60x40:r=5:d=1 -f gif", "a.gif", "GIF"},
        {"-f lavfi -i testsrc2=s=60x40:r=5:d=1 -f mp4", "video.jpg", "the file is a video"},
        {"-f lavfi -i sine=d=0.2 -f wav", "sound.jpg", "the file is sound"},
        {"-f lavfi -i sine=d=0.2 -c:a aac -f mp4", "sound.m4a", ""},
    };
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        video_make(made[i][0], made[i][1]);
        refused(*state, made[i][1], made[i][2]);
    }
}

static void what_would_have_something_opened_or_run_is_refused(void **state)
{
    static const char *const evil[][3] = {
        {"x.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"><image href=\"file:///etc/passwd\"/></svg>", "SVG"},
        {"x.jpg", "#EXTM3U\n#EXTINF:9,\nfile:photo.png\n#EXT-X-ENDLIST\n", ""},
        {"y.jpg", "ffconcat version 1.0\nfile photo.png\n", ""},
        {"x.png", "push graphic-context\nimage over 0,0 0,0 'https://127.0.0.1/\"|ls \"'\n", ""},
        {"z.png", "%!PS\n(/etc/passwd) (r) file\n", ""},
    };
    for (size_t i = 0; i < sizeof evil / sizeof evil[0]; i++) {
        file_write(evil[i][0], evil[i][1], strlen(evil[i][1]));
        refused(*state, evil[i][0], evil[i][2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_cut_short_or_empty_is_refused),
        cmocka_unit_test(pictures_that_say_to_be_huge_cost_nothing),
        cmocka_unit_test(four_inks_and_sixteen_bits_become_videos),
        cmocka_unit_test(a_photo_that_exif_turns_is_shown_upright),
        cmocka_unit_test(what_moves_or_sounds_is_refused_by_name),
        cmocka_unit_test(what_would_have_something_opened_or_run_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
