/* SPDX-License-Identifier: Apache-2.0 */
#include "timed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KERNELS 32

/* struct bp_kernel is the device's own: its name is noted when it is got. */
static struct row {
    const struct bp_kernel *kernel;
    char name[64];
    int launches, known;
    double seconds, floor_s, bytes, flops;
} rows[KERNELS];
static int n_rows;

static struct bp_device timed;
static const struct bp_device *real;
static const struct rates *best;
static work_of_fn *ask_work;
static double enough_s;

static int32_t kernel_get(const struct bp_device *dev, struct bp_module *module, const char *name,
                          struct bp_kernel **out, struct bp_err *err)
{
    (void)dev;
    int32_t rc = real->kernel_get(real, module, name, out, err);
    int i = 0;
    while (i < n_rows && strcmp(rows[i].name, name) != 0)
        i++;
    if (rc != BP_OK || i == KERNELS)
        return rc;
    rows[i].kernel = *out;
    snprintf(rows[i].name, sizeof rows[0].name, "%s", name);
    n_rows += i == n_rows;
    return BP_OK;
}

static struct row *row_of(const struct bp_kernel *kernel)
{
    for (int i = n_rows - 1; i >= 0; i--)
        if (rows[i].kernel == kernel)
            return &rows[i];
    abort();
}

static void note(struct row *r, struct bp_grid grid, const void *args, double seconds)
{
    struct work w = {0, 0};
    r->known = ask_work(r->name, grid, args, &w) == 0;
    double by_bytes = w.bytes / best->copy_bytes_s, by_flops = w.flops / best->flops_s;
    r->launches++;
    r->seconds += seconds;
    r->floor_s += by_bytes > by_flops ? by_bytes : by_flops;
    r->bytes += w.bytes;
    r->flops += w.flops;
}

static int32_t launch(const struct bp_device *dev, struct bp_kernel *kernel, struct bp_grid grid, const void *args,
                      uint32_t args_bytes, struct bp_err *err)
{
    (void)dev;
    int32_t rc = real->launch(real, kernel, grid, args, args_bytes, err);
    if (rc == BP_OK)
        rc = real->sync(real, err);
    double fastest = 1e9;
    for (int n = 1, series = 0; rc == BP_OK && series < 3;) {
        double began = seconds_now();
        for (int i = 0; i < n && rc == BP_OK; i++)
            rc = real->launch(real, kernel, grid, args, args_bytes, err);
        if (rc == BP_OK)
            rc = real->sync(real, err);
        double took = seconds_now() - began;
        if (took < enough_s && n < 1 << 20) {
            n *= 2;
            continue;
        }
        fastest = took / n < fastest ? took / n : fastest;
        series++;
    }
    if (rc == BP_OK)
        note(row_of(kernel), grid, args, fastest);
    return rc;
}

static int32_t launch_on(const struct bp_device *dev, struct bp_queue *queue, struct bp_kernel *kernel,
                         struct bp_grid grid, const void *args, uint32_t args_bytes, struct bp_err *err)
{
    (void)queue; /* a launch without one comes after all that is in it */
    return launch(dev, kernel, grid, args, args_bytes, err);
}

const struct bp_device *timed_device(const struct bp_device *dev, const struct rates *rates, work_of_fn *work_of,
                                     int quick)
{
    real = dev;
    best = rates;
    ask_work = work_of;
    enough_s = quick ? 0.001 : 0.05;
    n_rows = 0;
    memset(rows, 0, sizeof rows);
    timed = *dev;
    timed.kernel_get = kernel_get;
    timed.launch = launch;
    timed.launch_on = launch_on;
    return &timed;
}

double timed_print(void)
{
    double lowest = 1;
    printf("  %-24s %10s %10s %9s %9s %7s\n", "kernel", "time", "floor", "GB/s", "GFLOP/s", "of it");
    for (int i = 0; i < n_rows; i++) {
        const struct row *r = &rows[i];
        if (r->launches == 0)
            continue;
        double part = r->floor_s / r->seconds, ms = r->seconds / r->launches * 1e3;
        if (!r->known) {
            printf("  %-24s %7.3f ms     (its work is not known)\n", r->name, ms);
            continue;
        }
        printf("  %-24s %7.3f ms %7.3f ms %9.1f %9.1f %5.0f %%\n", r->name, ms, r->floor_s / r->launches * 1e3,
               r->bytes / r->seconds / 1e9, r->flops / r->seconds / 1e9, part * 100);
        lowest = part < lowest ? part : lowest;
    }
    return lowest;
}

void print_rates(const struct bp_device *dev, const struct rates *r)
{
    printf(
        "device: %s, %d cores; copies %.1f GB/s, computes %.0f GFLOP/s, up %.1f GB/s, down %.1f GB/s, launch %.1f us\n",
        dev->name, dev->cores, r->copy_bytes_s / 1e9, r->flops_s / 1e9, r->up_bytes_s / 1e9, r->down_bytes_s / 1e9,
        r->launch_s * 1e6);
}
