/* SPDX-License-Identifier: Apache-2.0 */
/* The CUDA device against tests/fakecuda, which stands where libcuda.so.1 would. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "device/device.h"
#include "device_test.kernel.h"
#include "kernel_args.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG "calls.txt"

static char calls[65536];

/* What the driver was asked since the last call of this. */
static const char *take_calls(void)
{
    FILE *f = fopen(LOG, "re");
    size_t n = f ? fread(calls, 1, sizeof calls - 1, f) : 0;
    calls[n] = 0;
    if (f)
        fclose(f);
    unlink(LOG);
    return calls;
}

/* Allocations, modules and contexts not given back. */
static int live(void)
{
    void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    int (*count)(void) = lib ? (int (*)(void))dlsym(lib, "fakecuda_live") : NULL;
    assert_non_null(count);
    int n = count ? count() : -1;
    if (lib)
        dlclose(lib);
    return n;
}

static int setup(void **state)
{
    (void)state;
    unlink(LOG);
    setenv("FAKECUDA_LOG", LOG, 1);
    unsetenv("FAKECUDA_FAIL");
    unsetenv("FAKECUDA_DEVICES");
    return 0;
}

static struct bp_device *open_gpu(void)
{
    struct bp_device *dev = NULL;
    struct bp_err err;
    assert_int_equal(device_open("cuda", &dev, &err), BP_OK);
    assert_string_equal(err.text, "");
    return dev;
}

static void cu_init_comes_first_and_the_context_is_made_current(void **state)
{
    (void)state;
    struct bp_device *dev = open_gpu();
    const char *log = take_calls();
    assert_int_equal(strncmp(log, "cuInit 0\n", 9), 0);
    const char *retain = strstr(log, "cuDevicePrimaryCtxRetain 0\n"), *enter = strstr(log, "cuCtxSetCurrent primary\n");
    assert_true(retain && enter && retain < enter);
    assert_non_null(strstr(log, "cuDevicePrimaryCtxSetFlags 0 4\n")); /* waits do not burn a core */
    device_close(&dev);
    assert_non_null(strstr(take_calls(), "cuCtxSetCurrent none\ncuDevicePrimaryCtxRelease 0\n"));
    assert_int_equal(live(), 0);
}

static void the_gpu_says_what_it_is(void **state)
{
    (void)state;
    struct bp_device *dev = open_gpu();
    assert_int_equal(dev->kind, BP_DEVICE_CUDA);
    assert_string_equal(dev->name, "Fake GPU");
    assert_int_equal(dev->major_cc * 10 + dev->minor_cc, 86);
    assert_int_equal(dev->cores, 80);
    assert_int_equal(dev->memory >> 30, 24);
    device_close(&dev);
}

static void buffers_go_through_the_driver(void **state)
{
    (void)state;
    struct bp_device *dev = open_gpu();
    struct bp_buffer b;
    struct bp_err err;
    char out[4] = {1, 1, 1, 1};
    take_calls();
    assert_int_equal(dev->alloc(dev, 100, &b, &err), BP_OK);
    assert_int_equal(dev->upload(dev, &b, 96, "abcd", 4, &err), BP_OK);
    assert_int_equal(dev->download(dev, &b, 94, out, 4, &err), BP_OK);
    assert_memory_equal(out, "\0\0ab", 4);
    assert_int_equal(dev->upload(dev, &b, 97, "abcd", 4, &err), BP_INVALID); /* never reaches the driver */
    dev->free(dev, &b);
    assert_string_equal(take_calls(), "cuMemAlloc 512\ncuMemsetD8 100\ncuMemcpyHtoD 4\ncuMemcpyDtoH 4\n");
    device_close(&dev); /* which gives back what free() kept */
    assert_non_null(strstr(take_calls(), "cuMemFree\n"));
    assert_int_equal(live(), 0);
}

static void a_launch_covers_the_grid_with_blocks(void **state)
{
    (void)state;
    struct bp_device *dev = open_gpu();
    struct bp_module *module;
    struct bp_kernel *count, *smooth;
    struct bp_err err;
    struct count_args pixels = {0};
    struct smooth_args tiles = {0};
    assert_int_equal(dev->module_load(dev, &device_test_kernels, &module, &err), BP_OK);
    assert_int_equal(dev->kernel_get(dev, module, "count", &count, &err), BP_OK);
    assert_int_equal(dev->kernel_get(dev, module, "smooth", &smooth, &err), BP_OK);
    take_calls();
    assert_int_equal(bp_launch2d(dev, count, 257, 70000, &pixels, &err), BP_OK);
    assert_int_equal(bp_launch2d(dev, smooth, 3, 2, &tiles, &err), BP_OK);
    assert_int_equal(bp_launch2d(dev, smooth, 3, 65536, &tiles, &err), BP_INVALID);
    assert_int_equal(bp_launch1d(dev, smooth, 3, &pixels, &err), BP_INVALID);
    assert_int_equal(dev->sync(dev, &err), BP_OK);
    assert_string_equal(take_calls(), "cuLaunchKernel count blocks 2,65535,1 threads 256,1,1 shared 0 items 257,70000\n"
                                      "cuLaunchKernel smooth blocks 3,2,1 threads 256,1,1 shared 0 items 3,2\n"
                                      "cuCtxSynchronize\n");
    dev->module_free(dev, &module);
    device_close(&dev);
    assert_int_equal(live(), 0);
}

/* Every call of opening fails in turn: an error in words, nothing left behind. */
static void each_failing_call_of_opening_is_said_and_leaves_nothing(void **state)
{
    (void)state;
    static const char *const functions[] = {"cuInit",
                                            "cuDeviceGetCount",
                                            "cuDeviceGet",
                                            "cuDeviceGetName",
                                            "cuDeviceGetAttribute",
                                            "cuDeviceTotalMem_v2",
                                            "cuDriverGetVersion",
                                            "cuDevicePrimaryCtxRetain",
                                            "cuCtxSetCurrent"};
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        char fail[64];
        struct bp_device *dev = NULL;
        struct bp_err err = {0};
        snprintf(fail, sizeof fail, "%s=700", functions[i]);
        setenv("FAKECUDA_FAIL", fail, 1);
        assert_int_equal(device_open("cuda", &dev, &err), BP_IO);
        assert_int_equal(err.rc, BP_IO);
        assert_null(dev);
        assert_non_null(strstr(err.text, "failed: CUDA_ERROR_ILLEGAL_ADDRESS (700, fake words)"));
        assert_int_equal(live(), 0);
    }
}

/* The same for what is done with an open device. */
static int32_t use_device(struct bp_device *dev, uint64_t bytes, struct bp_err *err)
{
    struct bp_buffer b = {0};
    struct bp_module *module = NULL;
    struct bp_kernel *count = NULL;
    struct count_args args = {0};
    char c[4] = "abc";
    int32_t rc = dev->alloc(dev, bytes, &b, err);
    if (rc == BP_OK)
        rc = dev->upload(dev, &b, 0, c, 4, err);
    if (rc == BP_OK)
        rc = dev->module_load(dev, &device_test_kernels, &module, err);
    if (rc == BP_OK)
        rc = dev->kernel_get(dev, module, "count", &count, err);
    if (rc == BP_OK)
        rc = bp_launch1d(dev, count, 10, &args, err);
    if (rc == BP_OK)
        rc = dev->sync(dev, err);
    if (rc == BP_OK)
        rc = dev->download(dev, &b, 0, c, 4, err);
    dev->module_free(dev, &module);
    dev->free(dev, &b);
    return rc;
}

static void each_failing_call_of_use_is_said_and_leaves_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *fail;
        int32_t rc;
        const char *words;
    } cases[] = {
        {"cuMemAlloc_v2=2", BP_NOMEM, "allocating 0 MiB of GPU memory failed: CUDA_ERROR_OUT_OF_MEMORY"},
        {"cuMemsetD8_v2=700", BP_IO, "clearing GPU memory failed: CUDA_ERROR_ILLEGAL_ADDRESS"},
        {"cuMemcpyHtoD_v2=700", BP_IO, "copying to the GPU failed"},
        {"cuModuleLoadDataEx=218", BP_INVALID, "CUDA_ERROR_INVALID_PTX (218, fake words): line 3: fake error"},
        {"cuModuleGetFunction=500", BP_NOTFOUND, "finding kernel count failed: CUDA_ERROR_NOT_FOUND"},
        {"cuLaunchKernel=700", BP_IO, "launching kernel count failed"},
        {"cuCtxSynchronize=700", BP_IO, "waiting for the GPU failed"},
        {"cuMemcpyDtoH_v2=700", BP_IO, "copying from the GPU failed"},
        {"cuLaunchKernel=12345", BP_IO, "unknown CUDA error (12345"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bp_err err = {0};
        unsetenv("FAKECUDA_FAIL");
        struct bp_device *dev = open_gpu();
        assert_int_equal(use_device(dev, 100, &err), BP_OK);
        setenv("FAKECUDA_FAIL", cases[i].fail, 1);
        assert_int_equal(use_device(dev, 5000, &err), cases[i].rc);
        assert_int_equal(err.rc, cases[i].rc);
        assert_non_null(strstr(err.text, cases[i].words));
        unsetenv("FAKECUDA_FAIL");
        device_close(&dev);
        assert_int_equal(live(), 0);
    }
}

static void auto_takes_the_gpu_where_there_is_one(void **state)
{
    (void)state;
    struct bp_device *dev;
    struct bp_err err;
    assert_int_equal(device_open("auto", &dev, &err), BP_OK);
    assert_int_equal(dev->kind, BP_DEVICE_CUDA);
    device_close(&dev);
}

static void auto_without_a_gpu_takes_the_cpu_and_says_why(void **state)
{
    (void)state;
    struct bp_device *dev;
    struct bp_err err;
    setenv("FAKECUDA_DEVICES", "0", 1);
    assert_int_equal(device_open("cuda", &dev, &err), BP_UNSUPPORTED);
    assert_int_equal(device_open("auto", &dev, &err), BP_OK);
    assert_int_equal(dev->kind, BP_DEVICE_CPU);
    assert_int_equal(err.rc, BP_OK);
    assert_non_null(strstr(err.text, "no GPU"));
    device_close(&dev);
}

static void a_driver_that_lacks_a_function_is_too_old(void **state)
{
    (void)state;
    struct bp_device *dev;
    struct bp_err err;
    assert_int_equal(device_open("cuda", &dev, &err), BP_UNSUPPORTED);
    assert_non_null(strstr(err.text, "cuModuleLoadDataEx; update the NVIDIA driver"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest old[] = {cmocka_unit_test_setup(a_driver_that_lacks_a_function_is_too_old, setup)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(cu_init_comes_first_and_the_context_is_made_current, setup),
        cmocka_unit_test_setup(the_gpu_says_what_it_is, setup),
        cmocka_unit_test_setup(buffers_go_through_the_driver, setup),
        cmocka_unit_test_setup(a_launch_covers_the_grid_with_blocks, setup),
        cmocka_unit_test_setup(each_failing_call_of_opening_is_said_and_leaves_nothing, setup),
        cmocka_unit_test_setup(each_failing_call_of_use_is_said_and_leaves_nothing, setup),
        cmocka_unit_test_setup(auto_takes_the_gpu_where_there_is_one, setup),
        cmocka_unit_test_setup(auto_without_a_gpu_takes_the_cpu_and_says_why, setup),
    };
    if (argc > 1 && strcmp(argv[1], "old") == 0)
        return cmocka_run_group_tests(old, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
