/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which encoder and decoder a video gets. Built twice: as it is, for a machine without a GPU, and (stand_in) with
 * encoders that every machine has in the place of NVENC's.
 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "pictures.h"
#include "video.h"

#include <bp/device.h>
#include <stdlib.h>

#define W 160
#define H 96

static struct bp_video_spec spec_of(int32_t engine, int32_t format)
{
    return (struct bp_video_spec){.width = W,
                                  .height = H,
                                  .fps = 25,
                                  .quality = 20,
                                  .key_interval = 10,
                                  .threads = 1,
                                  .format = format,
                                  .content = BP_VIDEO_FOOTAGE,
                                  .engine = engine};
}

/* A video of 8 planar frames, sample (x, y) of frame i being made up; closed by the caller. */
static struct bp_video *encode(int32_t engine, int32_t format)
{
    struct bp_video_spec spec = spec_of(engine, format);
    struct bp_video *v = NULL;
    struct bp_err err = {0};
    static uint16_t luma[W * H], u[W * H / 4], vv[W * H / 4];
    int deep = format == BP_VIDEO_PLANAR10;
    assert_int_equal(bp_video_open(&spec, &v, &err), BP_OK);
    for (int i = 0; i < 8; i++) {
        for (int k = 0; k < W * H; k++)
            if (deep)
                luma[k] = (uint16_t)((k * 7 + i) % 1024);
            else
                ((uint8_t *)luma)[k] = (uint8_t)(k + i);
        for (int k = 0; k < W * H / 4; k++)
            if (deep)
                u[k] = (uint16_t)(k % 1024), vv[k] = (uint16_t)(1023 - k % 1024);
            else
                ((uint8_t *)u)[k] = 100, ((uint8_t *)vv)[k] = 150;
        struct bp_video_frame f = {.planes = {(uint8_t *)luma, (uint8_t *)u, (uint8_t *)vv},
                                   .strides = {W << deep, W / 2 << deep, W / 2 << deep},
                                   .width = W,
                                   .height = H,
                                   .depth = deep ? 10 : 8};
        assert_int_equal(bp_video_add_planar(v, &f, &err), BP_OK);
    }
    assert_int_equal(bp_video_finish(v, &err), BP_OK);
    return v;
}

static void a_word_and_the_device_choose_the_engine(void **state)
{
    struct bp_device cpu = {.kind = BP_DEVICE_CPU}, gpu = {.kind = BP_DEVICE_CUDA};
    (void)state;
    assert_int_equal(bp_engine_for(&cpu, "auto"), BP_ENGINE_SOFTWARE);
    assert_int_equal(bp_engine_for(&cpu, NULL), BP_ENGINE_SOFTWARE);
    assert_int_equal(bp_engine_for(&gpu, "auto"), BP_ENGINE_AUTO);
    assert_int_equal(bp_engine_for(&gpu, ""), BP_ENGINE_AUTO);
    assert_int_equal(bp_engine_for(&gpu, "software"), BP_ENGINE_SOFTWARE);
    assert_int_equal(bp_engine_for(&cpu, "hardware"), BP_ENGINE_HARDWARE);
}

#ifndef STAND_IN

static void without_a_gpu_the_cpu_encodes_the_same_bytes(void **state)
{
    (void)state;
    for (int32_t format = BP_VIDEO_PLANAR8; format <= BP_VIDEO_PLANAR10; format++) {
        struct bp_video *plain = encode(BP_ENGINE_SOFTWARE, format), *automatic = encode(BP_ENGINE_AUTO, format);
        assert_string_equal(bp_video_encoder(automatic), bp_video_encoder(plain));
        assert_null(automatic->wide);
        assert_int_equal(plain->packets.bytes, automatic->packets.bytes);
        assert_memory_equal(plain->packets.data, automatic->packets.data, plain->packets.bytes);
        bp_video_close(&plain);
        bp_video_close(&automatic);
    }
}

static void hardware_by_force_says_that_there_is_none(void **state)
{
    struct bp_video_spec spec = spec_of(BP_ENGINE_HARDWARE, BP_VIDEO_NV12);
    struct bp_video *v = NULL;
    struct bp_err err = {0};
    (void)state;
    assert_int_equal(bp_video_open(&spec, &v, &err), BP_UNSUPPORTED);
    assert_null(v);
    assert_int_equal(err.rc, BP_UNSUPPORTED);
    assert_non_null(strstr(err.text, "GPU's video encoder"));
}

static int count_frames(struct bp_video_reader *r)
{
    struct bp_video_frame f;
    struct bp_err err;
    int n = 0;
    while (bp_video_reader_next(r, &f, &err) == BP_OK)
        n++;
    return n;
}

static void a_video_is_decoded_by_what_there_is(void **state)
{
    struct bp_video *v = encode(BP_ENGINE_SOFTWARE, BP_VIDEO_PLANAR8);
    struct bp_video_limits limits = {.engine = BP_ENGINE_AUTO};
    struct bp_video_reader *r = NULL;
    struct bp_err err = {0};
    (void)state;
    assert_int_equal(bp_video_write(v, "a.mp4", &err), BP_OK);
    bp_video_close(&v);
    assert_int_equal(bp_video_reader_open("a.mp4", &limits, &r, &err), BP_OK);
    assert_int_equal(count_frames(r), 8);
    bp_video_reader_close(&r);
    limits.engine = BP_ENGINE_HARDWARE;
    assert_int_equal(bp_video_reader_open("a.mp4", &limits, &r, &err), BP_UNSUPPORTED);
    assert_non_null(strstr(err.text, "GPU's video decoder"));
    assert_null(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_and_the_device_choose_the_engine),
        cmocka_unit_test(without_a_gpu_the_cpu_encodes_the_same_bytes),
        cmocka_unit_test(hardware_by_force_says_that_there_is_none),
        cmocka_unit_test(a_video_is_decoded_by_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void hardware_that_opens_is_taken(void **state)
{
    struct bp_video *v = encode(BP_ENGINE_AUTO, BP_VIDEO_PLANAR8);
    (void)state;
    assert_string_equal(bp_video_encoder(v), ENGINE_H264);
    assert_int_equal(v->packets.n, 8);
    bp_video_close(&v);
    v = encode(BP_ENGINE_SOFTWARE, BP_VIDEO_PLANAR8);
    assert_string_equal(bp_video_encoder(v), "libx264");
    bp_video_close(&v);
}

/* The stand-in takes no NV12, as a GPU may not take a size: found out by opening it. */
static void hardware_that_does_not_open_is_not_taken(void **state)
{
    struct bp_video_spec spec = spec_of(BP_ENGINE_AUTO, BP_VIDEO_NV12);
    struct bp_video *v = NULL;
    struct bp_err err = {0};
    (void)state;
    assert_int_equal(bp_video_open(&spec, &v, &err), BP_OK);
    assert_string_equal(bp_video_encoder(v), "libx264");
    bp_video_close(&v);
}

/* The stand-in writes down the frame as it gets it. */
static void ten_bits_are_given_as_the_encoder_takes_them(void **state)
{
    struct bp_video *v = encode(BP_ENGINE_HARDWARE, BP_VIDEO_PLANAR10);
    (void)state;
    assert_string_equal(bp_video_encoder(v), ENGINE_HEVC);
    assert_int_equal(v->packets.list[3].bytes, W * H * 3);
    const uint16_t *luma = (const uint16_t *)(const void *)(v->packets.data + 3 * W * H * 3), *chroma = luma + W * H;
    for (int k = 0; k < W * H; k++)
        assert_int_equal(luma[k], (k * 7 + 3) % 1024 << 6);
    for (int k = 0; k < W * H / 4; k++) {
        assert_int_equal(chroma[2 * k], k % 1024 << 6);
        assert_int_equal(chroma[2 * k + 1], (1023 - k % 1024) << 6);
    }
    bp_video_close(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_and_the_device_choose_the_engine),
        cmocka_unit_test(hardware_that_opens_is_taken),
        cmocka_unit_test(hardware_that_does_not_open_is_not_taken),
        cmocka_unit_test(ten_bits_are_given_as_the_encoder_takes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
