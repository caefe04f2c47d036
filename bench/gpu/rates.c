/* SPDX-License-Identifier: Apache-2.0 */
#include "rates.h"

#include "gpu_bench.kernel.h"
#include "kernel_args.h"

#include <time.h>

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        int32_t try_rc = (call);                                                                                       \
        if (try_rc != BP_OK)                                                                                           \
            return try_rc;                                                                                             \
    } while (0)

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct bench {
    const struct bp_device *dev;
    struct bp_kernel *copy, *compute;
    struct bp_buffer a, b;
    void *host;
    int32_t columns, rows; /* of quads */
    double enough_s;       /* how long one measurement goes on at least */
};

/* The best of five series; what disturbs only makes slower. */
static int32_t best_of(struct bench *b, int32_t (*once)(struct bench *b, struct bp_err *err), double *best_s,
                       struct bp_err *err)
{
    int n = 1;
    *best_s = 1e9;
    TRY(once(b, err)); /* warm */
    TRY(b->dev->sync(b->dev, err));
    for (int series = 0; series < 5;) {
        double began = seconds_now();
        for (int i = 0; i < n; i++)
            TRY(once(b, err));
        TRY(b->dev->sync(b->dev, err));
        double took = seconds_now() - began;
        if (took < b->enough_s && n < 1 << 20) {
            n *= 2;
            continue;
        }
        *best_s = took / n < *best_s ? took / n : *best_s;
        series++;
    }
    return BP_OK;
}

static int32_t copy_once(struct bench *b, struct bp_err *err)
{
    struct copy_args args = {b->a.at, b->b.at, b->columns};
    return bp_launch2d(b->dev, b->copy, b->columns, b->rows, &args, err);
}

static int32_t compute_once(struct bench *b, struct bp_err *err)
{
    struct compute_args args = {b->b.at, 0.999f, 0.001f, b->columns / 64};
    return bp_launch2d(b->dev, b->compute, b->columns / 64, b->rows, &args, err);
}

static int32_t nothing_once(struct bench *b, struct bp_err *err)
{
    struct copy_args args = {b->a.at, b->b.at, 1};
    return bp_launch2d(b->dev, b->copy, 1, 1, &args, err);
}

static int32_t up_once(struct bench *b, struct bp_err *err)
{
    return b->dev->upload(b->dev, &b->a, 0, b->host, b->a.bytes, err);
}

static int32_t down_once(struct bench *b, struct bp_err *err)
{
    return b->dev->download(b->dev, &b->a, 0, b->host, b->a.bytes, err);
}

static int32_t measure(struct bench *b, struct rates *out, struct bp_err *err)
{
    double s = 0, bytes = (double)b->a.bytes;
    TRY(best_of(b, copy_once, &s, err));
    out->copy_bytes_s = 2 * bytes / s;
    TRY(best_of(b, compute_once, &s, err));
    int32_t tiles = b->columns / 64 * b->rows;
    out->flops_s = (double)tiles * 256 * COMPUTE_FLOPS / s;
    TRY(best_of(b, nothing_once, &s, err));
    out->launch_s = s;
    TRY(best_of(b, up_once, &s, err));
    out->up_bytes_s = bytes / s;
    TRY(best_of(b, down_once, &s, err));
    out->down_bytes_s = bytes / s;
    return BP_OK;
}

int32_t rates_measure(const struct bp_device *dev, int quick, struct rates *out, struct bp_err *err)
{
    struct bp_module *module = NULL;
    struct bench b = {.dev = dev, .columns = 4096, .rows = quick ? 64 : 4096, .enough_s = quick ? 0.005 : 0.1};
    uint64_t bytes = (uint64_t)b.columns * (uint64_t)b.rows * sizeof(struct quad);
    int32_t rc = dev->module_load(dev, &gpu_bench_kernels, &module, err);
    if (rc == BP_OK)
        rc = dev->kernel_get(dev, module, "copy", &b.copy, err);
    if (rc == BP_OK)
        rc = dev->kernel_get(dev, module, "compute", &b.compute, err);
    if (rc == BP_OK)
        rc = dev->alloc(dev, bytes, &b.a, err);
    if (rc == BP_OK)
        rc = dev->alloc(dev, bytes, &b.b, err);
    if (rc == BP_OK)
        rc = dev->host_alloc(dev, bytes, &b.host, err);
    if (rc == BP_OK)
        rc = measure(&b, out, err);
    dev->host_free(dev, &b.host);
    dev->free(dev, &b.a);
    dev->free(dev, &b.b);
    dev->module_free(dev, &module);
    return rc;
}
