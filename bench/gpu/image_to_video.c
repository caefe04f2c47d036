/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu_image_to_video DEVICE [quick]: image-to-video on a device against the CPU device: are the frames the same, how
 * near is each kernel to its floor, and how much of the slowest stage is the whole. Exit 1: the frames differ.
 *
 * There is no FFmpeg on a bare machine: the sink of the end-to-end run reads every byte of a frame in place of encoding
 * it.
 */
#include "device/device.h"
#include "health/known_answer.h"
#include "program.h"
#include "scene.h"

#include <bp/pipeline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE 1 /* steps of 8 bits that a frame may differ from the CPU's */

/* Arithmetic as the kernels have it an output pixel: two for each tap and channel along y (of as many columns as the
 * view is wide) and along x; 70 for the vignette, sRGB's curve, luma and chroma; 274 a look of a bent view. */
static int work_of(const char *kernel, struct bp_grid grid, const void *args, struct work *out)
{
    double items = (double)grid.nx * grid.ny;
    if (strcmp(kernel, "linearize") == 0) {
        *out = (struct work){items * (4 + 8), items * 4};
    } else if (strcmp(kernel, "shrink_columns") == 0) {
        const struct shrink_columns_args *a = args;
        *out = (struct work){(double)a->in_width * grid.ny * 8 + items * 8, items * a->filter.taps * 8};
    } else if (strcmp(kernel, "shrink_rows") == 0) {
        const struct shrink_rows_args *a = args;
        *out = (struct work){items * 8 * 2, items * a->filter.taps * 8};
    } else {
        const struct canvas *c = args; /* the first member of both */
        const struct straight_args *straight = args;
        const struct bent_args *bent = args;
        double pixels = (double)c->width * c->height, photo = (double)c->photo.width * c->photo.height;
        int is_bent = strcmp(kernel, "frame_bent") == 0, taps = is_bent ? 0 : kernel[strlen(kernel) - 1] - '0';
        double scale = is_bent ? 1 : straight->views[0].scale, seen = pixels * scale * scale;
        out->bytes = pixels * 1.5 + (seen < photo ? seen : photo) * 8;
        out->flops = pixels * (70 + (is_bent ? bent->samples * 274.0 : straight->samples * taps * 8.0 * (scale + 1)));
    }
    return 0;
}

static struct bp_image make_photo(int32_t width, int32_t height)
{
    struct bp_image image = {width, height, malloc((size_t)width * (size_t)height * 4)};
    for (int32_t y = 0; image.pixels && y < height; y++)
        for (int32_t x = 0; x < width; x++) {
            uint8_t *p = image.pixels + ((size_t)y * (size_t)width + (size_t)x) * 4;
            p[0] = (uint8_t)(x * 255 / width);
            p[1] = (uint8_t)((x / 7 ^ y / 5) * 37);
            p[2] = (uint8_t)(y * 255 / height);
            p[3] = 255;
        }
    return image;
}

static struct request ask_for(int32_t width, int32_t height, int32_t move, double parallax)
{
    return (struct request){.duration_s = 2,
                            .fps = 30,
                            .frames = 60,
                            .width = width,
                            .height = height,
                            .strength = 0.5,
                            .motion_blur = 0.5,
                            .parallax = parallax,
                            .move = move,
                            .easing = EASING_IN_OUT};
}

/* Frame i, downloaded. */
static int32_t draw(const struct scene *s, int32_t i, uint8_t *out, struct bp_err *err)
{
    const struct bp_device *dev = s->kernels->dev;
    struct bp_buffer frame;
    int32_t rc = dev->alloc(dev, scene_bytes(s->request), &frame, err);
    if (rc == BP_OK)
        rc = scene_launch(s, i, &frame, NULL, err);
    if (rc == BP_OK)
        rc = dev->download(dev, &frame, 0, out, scene_bytes(s->request), err);
    dev->free(dev, &frame);
    return rc;
}

static int32_t draw_some(const struct bp_device *dev, const struct request *r, const struct bp_image *photo,
                         uint8_t *out, struct bp_err *err)
{
    struct kernels kernels = {0};
    struct scene scene = {0};
    int32_t rc = kernels_load(dev, &kernels, err);
    if (rc == BP_OK)
        rc = scene_init(&scene, &kernels, r, photo, err);
    for (int32_t i = 0; i < 3 && rc == BP_OK; i++)
        rc = draw(&scene, i * 29, out + (size_t)i * scene_bytes(r), err);
    scene_free(&scene);
    kernels_unload(&kernels);
    return rc;
}

/* Kernels timed on the way, results compared with the CPU's. 0, 1: they differ, or negative. */
static int32_t check(const struct bp_device *dev, const struct bp_device *cpu, const struct request *r,
                     const struct bp_image *photo, const char *what, struct bp_err *err)
{
    size_t bytes = 3 * scene_bytes(r), differ = 0;
    uint8_t *got = calloc(1, bytes), *wanted = calloc(1, bytes);
    int worst = 0;
    int32_t rc = got && wanted ? draw_some(dev, r, photo, got, err) : BP_NOMEM;
    if (rc == BP_OK)
        rc = draw_some(cpu, r, photo, wanted, err);
    for (size_t i = 0; rc == BP_OK && i < bytes; i++) {
        int d = abs(got[i] - wanted[i]);
        worst = d > worst ? d : worst;
        differ += d > 0;
    }
    if (rc == BP_OK)
        printf("  %-24s %s: %zu of %zu bytes differ, by %d at the most\n", what,
               worst <= TOLERANCE ? "as the CPU's" : "NOT AS THE CPU'S", differ, bytes, worst);
    free(got);
    free(wanted);
    return rc == BP_OK ? worst > TOLERANCE : rc;
}

/* How long a runner waits for its kernels: the driver compiles them once, then they come from disk. */
static int32_t load_times(struct bp_device *dev, struct bp_err *err)
{
    char dir[] = "/tmp/bpd-kernels.XXXXXX", command[64];
    double ms[2] = {0, 0};
    int32_t rc = mkdtemp(dir) ? device_cache_modules(dev, dir, 1 << 28, err) : BP_IO;
    for (int i = 0; i < 2 && rc == BP_OK; i++) {
        struct kernels kernels = {0};
        double began = seconds_now();
        rc = kernels_load(dev, &kernels, err);
        ms[i] = (seconds_now() - began) * 1e3;
        kernels_unload(&kernels);
    }
    if (rc == BP_OK)
        printf("kernels of image-to-video load in %.2f ms, the next time in %.2f ms\n", ms[0], ms[1]);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command) == 0 ? rc : BP_IO; /* NOLINT(cert-env33-c): a path of our own making */
}

/* ---- end to end ---- */

struct run {
    struct scene *scene;
    uint64_t sum;
};

static int32_t launch_frame(void *arg, const struct bp_pipeline_slot *slot, struct bp_err *err)
{
    const struct run *r = arg;
    return scene_launch(r->scene, (int32_t)slot->frame % 60, &slot->device_out, slot->queue, err);
}

static int32_t read_frame(void *arg, const struct bp_pipeline_slot *slot, struct bp_err *err)
{
    struct run *r = arg;
    const uint64_t *words = slot->out;
    uint64_t n = scene_bytes(r->scene->request) / 8;
    (void)err;
    for (uint64_t i = 0; i < n; i++)
        r->sum = (r->sum ^ words[i]) * 0x100000001b3ULL;
    return BP_OK;
}

static int32_t run_frames(const struct bp_device *dev, struct run *r, int64_t frames, struct bp_pipeline_times *times,
                          struct bp_err *err)
{
    struct bp_pipeline p = {.dev = dev,
                            .arg = r,
                            .end = frames,
                            .out_bytes = scene_bytes(r->scene->request),
                            .launch = launch_frame,
                            .sink = read_frame};
    return bp_pipeline_run(&p, times, err);
}

/* Seconds a frame of the kernels alone. */
static int32_t kernels_alone(const struct bp_device *dev, const struct scene *s, int32_t frames, double *out,
                             struct bp_err *err)
{
    struct bp_buffer frame;
    int32_t rc = dev->alloc(dev, scene_bytes(s->request), &frame, err);
    double began = seconds_now();
    for (int32_t i = 0; i < frames && rc == BP_OK; i++)
        rc = scene_launch(s, i % 60, &frame, NULL, err);
    if (rc == BP_OK)
        rc = dev->sync(dev, err);
    *out = (seconds_now() - began) / frames;
    dev->free(dev, &frame);
    return rc;
}

static int32_t end_to_end(const struct bp_device *dev, const struct rates *rates, const struct request *r,
                          const struct bp_image *photo, int quick, const char *what, struct bp_err *err)
{
    struct kernels kernels = {0};
    struct scene scene = {0};
    struct run run = {.scene = &scene};
    struct bp_pipeline_times times = {0};
    double kernel_s = 0;
    int32_t frames = quick ? 30 : 600;
    int32_t rc = kernels_load(dev, &kernels, err);
    if (rc == BP_OK)
        rc = scene_init(&scene, &kernels, r, photo, err);
    if (rc == BP_OK)
        rc = kernels_alone(dev, &scene, frames, &kernel_s, err);
    if (rc == BP_OK)
        rc = run_frames(dev, &run, frames, &times, err);
    double down_s = dev->kind == BP_DEVICE_CPU ? 0 : (double)scene_bytes(r) / rates->down_bytes_s;
    if (rc == BP_OK) {
        double whole = (double)times.wall_ns / 1e9 / frames, sink = (double)times.sink_ns / 1e9 / frames;
        double slowest = kernel_s > down_s ? kernel_s : down_s;
        slowest = sink > slowest ? sink : slowest;
        printf("  %-24s %7.3f ms a frame; alone: kernels %.3f, down %.3f, sink %.3f ms; %.0f %% of the slowest\n", what,
               whole * 1e3, kernel_s * 1e3, down_s * 1e3, sink * 1e3, slowest / whole * 100);
    }
    scene_free(&scene);
    kernels_unload(&kernels);
    return rc;
}

static int32_t bench(struct bp_device *dev, const struct bp_device *cpu, int quick, struct bp_err *err)
{
    struct rates rates;
    int32_t rc = known_answer(dev, err);
    printf("known answer of %s: %s\n", dev->name, rc == BP_OK ? "right" : "WRONG");
    if (rc == BP_OK)
        rc = load_times(dev, err);
    if (rc < 0)
        return rc;
    struct bp_image photo = quick ? make_photo(640, 360) : make_photo(6000, 3375);
    struct request push = ask_for(quick ? 320 : 1920, quick ? 180 : 1080, MOVE_PUSH, 0);
    struct request orbit = ask_for(push.width, push.height, MOVE_ORBIT, 0.7);
    struct request large = ask_for(quick ? 640 : 3840, quick ? 360 : 2160, MOVE_PUSH, 0);
    rc = photo.pixels ? rates_measure(dev, quick, &rates, err) : BP_NOMEM;
    if (rc < 0)
        return rc;
    print_rates(dev, &rates);
    printf("image-to-video, %d by %d and %d by %d\n", push.width, push.height, large.width, large.height);
    const struct bp_device *timed = timed_device(dev, &rates, work_of, quick);
    int32_t bad = check(timed, cpu, &push, &photo, "push", err);
    bad = bad < 0 ? bad : bad | check(timed, cpu, &orbit, &photo, "orbit with depth", err);
    bad = bad < 0 ? bad : bad | check(timed, cpu, &large, &photo, "push, larger", err);
    if (bad < 0)
        return bad;
    timed_print();
    rc = end_to_end(dev, &rates, &push, &photo, quick, "end to end, push", err);
    if (rc == BP_OK)
        rc = end_to_end(dev, &rates, &large, &photo, quick, "end to end, larger", err);
    free(photo.pixels);
    return rc == BP_OK ? bad : rc;
}

int main(int argc, char **argv)
{
    return program_run(argc, argv, bench);
}
