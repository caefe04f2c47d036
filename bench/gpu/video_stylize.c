/* SPDX-License-Identifier: Apache-2.0 */
/* gpu_video_stylize DEVICE [quick]: video-stylize on a device against the CPU device, as gpu_image_to_video. */
#include "device/device.h"
#include "program.h"
#include "stylizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES 2 /* the second one is compared with what is held of the first */

/* Pairs of samples that a brush looks at. */
static double pairs_of(const struct brush *b)
{
    double edge = 1.5 / (double)b->scale;
    int n = 0;
    for (int32_t y = -b->reach; y <= b->reach; y++)
        for (int32_t x = -b->reach; x <= b->reach; x++)
            n += x * x + y * y < edge * edge;
    return (n - 1) / 2.0;
}

static void work_of_paint(const struct paint_args *a, int chroma, struct work *out)
{
    double in = (double)a->width * a->height, samples = (double)a->out_width * a->out_height, planes = chroma ? 2 : 1;
    /* what is held, the flow, the frame itself and the result; weights of a pair and what it adds to the sums */
    out->bytes =
        in * (chroma ? 3 : 1) * 4 + (double)a->flow_width * a->flow_height * 16 + samples * planes * (a->wide ? 4 : 2);
    out->flops = samples * (pairs_of(&a->brush) * (chroma ? 193 : 129) + 130);
}

static int work_of(const char *kernel, struct bp_grid grid, const void *args, struct work *out)
{
    (void)grid;
    if (strcmp(kernel, "hold") == 0) {
        const struct hold_args *a = args;
        double samples = (double)a->width * a->height;
        *out = (struct work){samples * ((a->wide ? 2 : 1) + (a->first ? 4 : 8)), samples * 36};
    } else if (strcmp(kernel, "halve") == 0) {
        const struct halve_args *a = args;
        double samples = (double)a->width * a->height;
        *out = (struct work){samples * 5, samples};
    } else if (strcmp(kernel, "flow") == 0) {
        const struct flow_args *a = args;
        double samples = (double)a->width * a->height;
        *out = (struct work){samples * 20, samples * 117};
    } else {
        work_of_paint(args, strcmp(kernel, "paint_chroma") == 0, out);
    }
    return 0;
}

/* Edges, noise, and in every frame more of the picture that has moved. */
static void make_frame(const struct bp_video_planes *p, int frame, uint8_t *to)
{
    uint32_t h = 1 + (uint32_t)frame;
    for (int i = 0; i < 3; i++)
        for (int32_t y = 0; y < p->heights[i]; y++)
            for (int32_t x = 0; x < p->widths[i]; x++) {
                h ^= h << 13, h ^= h >> 17, h ^= h << 5;
                int32_t moved = y > p->heights[i] / 2 ? 5 * frame : 0;
                uint16_t v =
                    (uint16_t)((uint32_t)((x + moved + y) / 9 % 2 * 150 + (int32_t)(h % 16)) << (p->depth - 8));
                size_t at = (size_t)y * (size_t)p->widths[i] + (size_t)x;
                if (p->depth == 8)
                    to[p->at[i] + at] = (uint8_t)v;
                else
                    memcpy(to + p->at[i] + at * 2, &v, 2);
            }
}

/* Up, painted, and down again; `bytes`: planes->bytes, the last frame's in the end. */
static int32_t draw(const struct kernels *kernels, const struct bp_video_planes *planes, double brush, uint8_t *bytes,
                    struct bp_err *err)
{
    const struct bp_device *dev = kernels->dev;
    struct style style = {1, brush, 0.8};
    struct stylizer s = {0};
    struct bp_buffer in = {0}, out = {0};
    int32_t rc = stylizer_init(&s, kernels, planes, planes, &style, err);
    if (rc == BP_OK)
        rc = dev->alloc(dev, planes->bytes, &in, err);
    if (rc == BP_OK)
        rc = dev->alloc(dev, planes->bytes, &out, err);
    for (int frame = 0; frame < FRAMES && rc == BP_OK; frame++) {
        make_frame(planes, frame, bytes);
        rc = dev->upload(dev, &in, 0, bytes, planes->bytes, err);
        if (rc == BP_OK)
            rc = stylizer_launch(&s, &in, &out, NULL, err);
    }
    if (rc == BP_OK)
        rc = dev->download(dev, &out, 0, bytes, planes->bytes, err);
    dev->free(dev, &in);
    dev->free(dev, &out);
    stylizer_free(&s);
    return rc;
}

static int32_t stylize(const struct bp_device *dev, const struct bp_video_planes *planes, double brush, uint8_t *bytes,
                       struct bp_err *err)
{
    struct kernels kernels = {0};
    int32_t rc = kernels_load(dev, &kernels, err);
    if (rc == BP_OK)
        rc = draw(&kernels, planes, brush, bytes, err);
    kernels_unload(&kernels);
    return rc;
}

static int32_t compare(const struct bp_device *dev, const struct bp_device *cpu, const struct bp_video_planes *planes,
                       double brush, struct bp_err *err)
{
    uint8_t *got = calloc(1, planes->bytes), *wanted = calloc(1, planes->bytes);
    int32_t rc = got && wanted ? BP_OK : BP_NOMEM;
    if (rc == BP_OK)
        rc = stylize(dev, planes, brush, got, err);
    if (rc == BP_OK)
        rc = stylize(cpu, planes, brush, wanted, err);
    if (rc == BP_OK) {
        char what[24];
        snprintf(what, sizeof what, "brush %2g", brush);
        rc = program_compared(what, planes->depth, program_worst(got, wanted, planes->bytes, planes->depth), 1);
    }
    free(got);
    free(wanted);
    return rc;
}

static int32_t bench(struct bp_device *dev, const struct bp_device *cpu, int quick, struct bp_err *err)
{
    static const double brushes[] = {2, 5, 12};
    struct rates rates;
    struct bp_video_planes planes;
    int32_t width = quick ? 320 : 1920, height = quick ? 180 : 1080, bad = 0;
    int32_t rc = rates_measure(dev, quick, &rates, err);
    if (rc < 0)
        return rc;
    print_rates(dev, &rates);
    printf("video-stylize, %d by %d\n", width, height);
    const struct bp_device *timed = timed_device(dev, &rates, work_of, quick);
    for (int i = 0; i < 3; i++)
        for (int32_t depth = 8; depth <= 10; depth += 2) {
            bp_video_planes_init(&planes, width, height, depth);
            rc = compare(timed, cpu, &planes, brushes[i], err);
            if (rc < 0)
                return rc;
            bad |= rc;
        }
    timed_print();
    return bad;
}

int main(int argc, char **argv)
{
    return program_run(argc, argv, bench);
}
