/* SPDX-License-Identifier: Apache-2.0 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "device/device.h"
#include "device/pool.h"
#include "device_test.kernel.h"
#include "kernel_args.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct bp_device *dev;
    struct bp_module *module;
    struct bp_kernel *count, *smooth;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct bp_err err;
    assert_int_equal(device_open("cpu", &f->dev, &err), BP_OK);
    assert_int_equal(f->dev->module_load(f->dev, &device_test_kernels, &f->module, &err), BP_OK);
    assert_int_equal(f->dev->kernel_get(f->dev, f->module, "count", &f->count, &err), BP_OK);
    assert_int_equal(f->dev->kernel_get(f->dev, f->module, "smooth", &f->smooth, &err), BP_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    f->dev->module_free(f->dev, &f->module);
    assert_null(f->module);
    device_close(&f->dev);
    assert_null(f->dev);
    free(f);
    return 0;
}

static void the_cpu_says_what_it_is(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(f->dev->size, sizeof *f->dev);
    assert_int_equal(f->dev->kind, BP_DEVICE_CPU);
    assert_true(f->dev->cores >= 1);
    assert_true(f->dev->memory > 1 << 20);
    assert_true(strlen(f->dev->name) > 0);
}

static void a_buffer_is_zeroed_and_keeps_what_is_uploaded(void **state)
{
    struct fixture *f = *state;
    struct bp_buffer b;
    struct bp_err err;
    char out[100], zero[100] = {0};
    assert_int_equal(f->dev->alloc(f->dev, 100, &b, &err), BP_OK);
    assert_int_equal(f->dev->download(f->dev, &b, 0, out, 100, &err), BP_OK);
    assert_memory_equal(out, zero, 100);
    assert_int_equal(f->dev->upload(f->dev, &b, 90, "0123456789", 10, &err), BP_OK);
    assert_int_equal(f->dev->download(f->dev, &b, 93, out, 4, &err), BP_OK);
    assert_memory_equal(out, "3456", 4);
    f->dev->free(f->dev, &b);
    assert_null(b.at);
    f->dev->free(f->dev, &b);
}

static void a_copy_outside_the_buffer_is_refused(void **state)
{
    struct fixture *f = *state;
    struct bp_buffer b;
    struct bp_err err;
    char c[200] = {0};
    assert_int_equal(f->dev->alloc(f->dev, 100, &b, &err), BP_OK);
    assert_int_equal(f->dev->upload(f->dev, &b, 91, c, 10, &err), BP_INVALID);
    assert_non_null(strstr(err.text, "10 bytes at offset 91"));
    assert_int_equal(f->dev->download(f->dev, &b, UINT64_MAX, c, 2, &err), BP_INVALID);
    assert_int_equal(f->dev->download(f->dev, &b, 2, c, UINT64_MAX, &err), BP_INVALID);
    f->dev->free(f->dev, &b);
}

static void more_memory_than_the_machine_has_is_bp_nomem(void **state)
{
    struct fixture *f = *state;
    struct bp_buffer b;
    struct bp_err err;
    assert_int_equal(f->dev->alloc(f->dev, (uint64_t)f->dev->memory + 1, &b, &err), BP_NOMEM);
    assert_null(b.at);
    assert_int_equal(f->dev->alloc(f->dev, UINT64_MAX, &b, &err), BP_INVALID);
    assert_int_equal(f->dev->alloc(f->dev, 0, &b, &err), BP_INVALID);
}

static void check_counts(struct fixture *f, int32_t nx, int32_t ny)
{
    struct bp_buffer b;
    struct bp_err err;
    size_t n = (size_t)nx * (size_t)ny;
    assert_int_equal(f->dev->alloc(f->dev, n * 4, &b, &err), BP_OK);
    struct count_args args = {b.at, nx};
    assert_int_equal(bp_launch2d(f->dev, f->count, nx, ny, &args, &err), BP_OK);
    assert_int_equal(f->dev->sync(f->dev, &err), BP_OK);
    int32_t *hits = malloc(n * 4);
    assert_int_equal(f->dev->download(f->dev, &b, 0, hits, n * 4, &err), BP_OK);
    for (int32_t y = 0; y < ny; y++)
        for (int32_t x = 0; x < nx; x++)
            assert_int_equal(hits[(size_t)y * (size_t)nx + (size_t)x], 1 + x + 1000 * y);
    free(hits);
    f->dev->free(f->dev, &b);
}

static void every_item_is_run_exactly_once(void **state)
{
    static const int32_t sizes[][2] = {{1, 1}, {1, 5}, {5, 1}, {7, 3}, {257, 129}, {100000, 1}, {1, 3000}, {1023, 17}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        check_counts(*state, sizes[i][0], sizes[i][1]);
}

static void an_empty_grid_and_a_wrong_struct_are_refused(void **state)
{
    struct fixture *f = *state;
    struct bp_err err;
    struct count_args args = {0};
    struct smooth_args other = {0};
    assert_int_equal(bp_launch2d(f->dev, f->count, 0, 4, &args, &err), BP_INVALID);
    assert_int_equal(bp_launch2d(f->dev, f->count, 4, -1, &args, &err), BP_INVALID);
    assert_int_equal(bp_launch1d(f->dev, f->count, 4, &other, &err), BP_INVALID);
    assert_non_null(strstr(err.text, "count"));
}

static void a_kernel_that_is_not_there_is_named(void **state)
{
    struct fixture *f = *state;
    struct bp_kernel *k = f->count;
    struct bp_err err;
    assert_int_equal(f->dev->kernel_get(f->dev, f->module, "cuont", &k, &err), BP_NOTFOUND);
    assert_non_null(strstr(err.text, "cuont"));
    assert_null(k);
}

/* Runs the tile kernel at one level; out has 40 * 64 values. */
static void run_smooth(struct fixture *f, int32_t level, const float *in, float *out)
{
    const struct bp_kernel_twin *twin = device_test_kernels.twins[BP_CPU_LEVELS + level];
    struct smooth_args args = {in, out, 0.3f};
    struct bp_range all = {0, 8, 0, 5};
    (void)f;
    assert_string_equal(twin->name, "smooth");
    twin->run(&args, &all);
}

static void all_cpu_levels_give_the_same_bits(void **state)
{
    struct fixture *f = *state;
    float in[40 * 66], out[BP_CPU_LEVELS][40 * 64];
    for (int i = 0; i < 40 * 66; i++)
        in[i] = (float)(i * 7919 % 1000) / 3.0f;
    run_smooth(f, 0, in, out[0]);
    for (int i = 0; i < 40; i++) {
        const float *p = in + i * 66;
        assert_true(fabs(out[0][i * 64 + 5] - 0.3 * (sqrt((double)p[5]) + sqrt((double)p[6]) + sqrt((double)p[7]))) <
                    1e-4);
    }
    for (int32_t level = 1; level <= f->dev->cpu_level; level++) {
        if (!device_test_kernels.twins[BP_CPU_LEVELS + level])
            continue;
        run_smooth(f, level, in, out[level]);
        assert_memory_equal(out[0], out[level], sizeof out[0]);
    }
}

static void a_tile_kernel_sees_its_tile(void **state)
{
    struct fixture *f = *state;
    float in[40 * 66], expected[40 * 64], got[40 * 64] = {0};
    for (int i = 0; i < 40 * 66; i++)
        in[i] = (float)(i % 100);
    run_smooth(f, 0, in, expected);
    struct smooth_args args = {in, got, 0.3f};
    struct bp_err err;
    assert_int_equal(bp_launch2d(f->dev, f->smooth, 8, 5, &args, &err), BP_OK);
    assert_memory_equal(got, expected, sizeof got);
}

static void an_unknown_device_is_refused_by_name(void **state)
{
    struct bp_device *dev = NULL;
    struct bp_err err;
    (void)state;
    assert_int_equal(device_open("tpu", &dev, &err), BP_INVALID);
    assert_non_null(strstr(err.text, "tpu"));
    assert_null(dev);
}

struct tally {
    atomic_int done[1000];
};

static void tally_one(void *arg, uint32_t i)
{
    struct tally *t = arg;
    atomic_fetch_add(&t->done[i], 1);
}

static void a_pool_does_each_piece_once_however_often_it_is_used(void **state)
{
    (void)state;
    static struct tally t;
    struct pool *pool = pool_new(5);
    assert_non_null(pool);
    for (int round = 0; round < 200; round++)
        pool_run(pool, (uint32_t)(round * 5), tally_one, &t);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(atomic_load(&t.done[i]), 199 - i / 5);
    pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_cpu_says_what_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(a_buffer_is_zeroed_and_keeps_what_is_uploaded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_copy_outside_the_buffer_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(more_memory_than_the_machine_has_is_bp_nomem, setup, teardown),
        cmocka_unit_test_setup_teardown(every_item_is_run_exactly_once, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_grid_and_a_wrong_struct_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_kernel_that_is_not_there_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(all_cpu_levels_give_the_same_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tile_kernel_sees_its_tile, setup, teardown),
        cmocka_unit_test(an_unknown_device_is_refused_by_name),
        cmocka_unit_test(a_pool_does_each_piece_once_however_often_it_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
