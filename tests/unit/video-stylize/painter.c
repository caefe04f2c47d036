/* SPDX-License-Identifier: Apache-2.0 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "painter.h"

#include "device/device.h"

#include <math.h>
#include <stdlib.h>

void painter_open_at(struct painter *p, int32_t width, int32_t height, int32_t depth, struct style style,
                     int32_t cpu_level)
{
    struct bp_err err;
    *p = (struct painter){0};
    assert_int_equal(device_open("cpu", &p->dev, &err), BP_OK);
    if (cpu_level < p->dev->cpu_level)
        p->dev->cpu_level = cpu_level;
    assert_int_equal(kernels_load(p->dev, &p->kernels, &err), BP_OK);
    bp_video_planes_init(&p->in, width, height, depth);
    bp_video_planes_init(&p->out, width & ~1, height & ~1, depth);
    assert_int_equal(stylizer_init(&p->stylizer, &p->kernels, &p->in, &p->out, &style, &err), BP_OK);
    assert_int_equal(p->dev->alloc(p->dev, p->in.bytes, &p->from, &err), BP_OK);
    assert_int_equal(p->dev->alloc(p->dev, p->out.bytes, &p->to, &err), BP_OK);
    p->frame = calloc(1, p->in.bytes);
    p->painted = calloc(1, p->out.bytes);
    assert_true(p->frame && p->painted);
}

void painter_open(struct painter *p, int32_t width, int32_t height, int32_t depth, struct style style)
{
    painter_open_at(p, width, height, depth, style, 99);
}

void painter_close(struct painter *p)
{
    stylizer_free(&p->stylizer);
    kernels_unload(&p->kernels);
    p->dev->free(p->dev, &p->from);
    p->dev->free(p->dev, &p->to);
    device_close(&p->dev);
    free(p->frame);
    free(p->painted);
}

void painter_paint(struct painter *p)
{
    struct bp_err err;
    assert_int_equal(p->dev->upload(p->dev, &p->from, 0, p->frame, p->in.bytes, &err), BP_OK);
    assert_int_equal(stylizer_launch(&p->stylizer, &p->from, &p->to, NULL, &err), BP_OK);
    assert_int_equal(p->dev->download(p->dev, &p->to, 0, p->painted, p->out.bytes, &err), BP_OK);
}

void painter_set(struct painter *p, int plane, int32_t x, int32_t y, double value)
{
    size_t at = (size_t)y * (size_t)p->in.widths[plane] + (size_t)x;
    uint8_t *bytes = p->frame + p->in.at[plane];
    if (p->in.depth == 10) {
        uint16_t v = (uint16_t)lround(fmin(fmax(value * 4, 0), 1023));
        memcpy(bytes + at * 2, &v, sizeof v);
    } else {
        bytes[at] = (uint8_t)lround(fmin(fmax(value, 0), 255));
    }
}

static double sample(const struct bp_video_planes *planes, const uint8_t *bytes, int plane, int32_t x, int32_t y)
{
    int32_t w = planes->widths[plane], h = planes->heights[plane];
    x = x < 0 ? 0 : x >= w ? w - 1 : x;
    y = y < 0 ? 0 : y >= h ? h - 1 : y;
    size_t at = (size_t)y * (size_t)w + (size_t)x;
    uint16_t wide;
    if (planes->depth != 10)
        return bytes[planes->at[plane] + at];
    memcpy(&wide, bytes + planes->at[plane] + at * 2, sizeof wide);
    return wide / 4.0;
}

double painter_in(const struct painter *p, int plane, int32_t x, int32_t y)
{
    return sample(&p->in, p->frame, plane, x, y);
}

double painter_out(const struct painter *p, int plane, int32_t x, int32_t y)
{
    return sample(&p->out, p->painted, plane, x, y);
}

double painter_noise(uint32_t *seed)
{
    double sum = 0;
    for (int i = 0; i < 12; i++) {
        *seed = *seed * 1664525 + 1013904223;
        sum += (*seed >> 8) / 16777216.0;
    }
    return sum - 6;
}
