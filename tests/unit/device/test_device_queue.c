/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues, events and pooled buffers, the same promises on both kinds of device: test_device_queue cpu|cuda. The GPU is
 * tests/fakecuda, whose streams do as little and as late as they may.
 */
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
#include <stdlib.h>
#include <string.h>

#define N 4096

static const char *which;

struct fixture {
    struct bp_device *dev;
    struct bp_module *module;
    struct bp_kernel *count;
    struct bp_err err;
};

/* The fake GPU computes only what it was taught. */
static void teach(void)
{
    void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    assert_non_null(lib);
    void (*fn)(const struct bp_kernel_image *) = (void (*)(const struct bp_kernel_image *))dlsym(lib, "fakecuda_teach");
    assert_non_null(fn);
    fn(&device_test_kernels);
    dlclose(lib);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    setenv("FAKECUDA_ASYNC", "late", 1);
    assert_int_equal(device_open(which, &f->dev, &f->err), BP_OK);
    if (f->dev->kind == BP_DEVICE_CUDA)
        teach();
    assert_true(BP_HAS(f->dev, stats));
    assert_int_equal(f->dev->module_load(f->dev, &device_test_kernels, &f->module, &f->err), BP_OK);
    assert_int_equal(f->dev->kernel_get(f->dev, f->module, "count", &f->count, &f->err), BP_OK);
    *state = f;
    return 0;
}

static int live(void)
{
    void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    int (*fn)(void) = lib ? (int (*)(void))dlsym(lib, "fakecuda_live") : NULL;
    int n = fn ? fn() : 0;
    if (lib)
        dlclose(lib);
    return n;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    f->dev->module_free(f->dev, &f->module);
    device_close(&f->dev);
    free(f);
    assert_int_equal(live(), 0);
    return 0;
}

#define OK(call) assert_int_equal((call), BP_OK)

static struct bp_queue *open_queue(struct fixture *f)
{
    struct bp_queue *q = NULL;
    OK(f->dev->queue_open(f->dev, &q, &f->err));
    assert_non_null(q);
    return q;
}

static struct bp_event *open_event(struct fixture *f)
{
    struct bp_event *e = NULL;
    OK(f->dev->event_open(f->dev, &e, &f->err));
    assert_non_null(e);
    return e;
}

static int32_t *host(struct fixture *f)
{
    void *at = NULL;
    OK(f->dev->host_alloc(f->dev, N * 4, &at, &f->err));
    assert_int_equal((uintptr_t)at % 64, 0);
    static const int32_t zero[N];
    assert_memory_equal(at, zero, sizeof zero);
    return at;
}

static struct bp_buffer buffer(struct fixture *f)
{
    struct bp_buffer b;
    OK(f->dev->alloc(f->dev, N * 4, &b, &f->err));
    return b;
}

static void count_on(struct fixture *f, struct bp_queue *q, const struct bp_buffer *b)
{
    struct count_args args = {b->at, N};
    OK(bp_launch2d_on(f->dev, q, f->count, N, 1, &args, &f->err));
    memset(&args, 0xff, sizeof args); /* they were copied */
}

/* What is there after `runs` counts over `from + i`. */
static void check(const int32_t *got, int32_t from, int32_t runs)
{
    int wrong = 0;
    for (int i = 0; i < N; i++)
        wrong += got[i] != from + runs * (1 + i);
    assert_int_equal(wrong, 0);
}

static void a_queue_keeps_its_order(void **state)
{
    struct fixture *f = *state;
    struct bp_queue *q = open_queue(f);
    struct bp_event *done = open_event(f);
    struct bp_buffer b = buffer(f);
    int32_t *in = host(f), *out = host(f);
    for (int i = 0; i < N; i++)
        in[i] = 7;
    OK(f->dev->upload_on(f->dev, q, &b, 0, in, N * 4, &f->err));
    for (int i = 0; i < 100; i++) /* more than a queue holds */
        count_on(f, q, &b);
    OK(f->dev->download_on(f->dev, q, &b, 0, out, N * 4, &f->err));
    OK(f->dev->event_record(f->dev, done, q, &f->err));
    OK(f->dev->event_wait(f->dev, done, &f->err));
    check(out, 7, 100);
    f->dev->event_close(f->dev, &done);
    assert_null(done);
    f->dev->queue_close(f->dev, &q);
    assert_null(q);
    f->dev->host_free(f->dev, (void **)&in);
    assert_null(in);
    f->dev->host_free(f->dev, (void **)&out);
    f->dev->free(f->dev, &b);
}

/* Three queues hand a buffer on, around and around: only events order them. */
static void events_order_queues(void **state)
{
    struct fixture *f = *state;
    struct bp_queue *q[3] = {open_queue(f), open_queue(f), open_queue(f)};
    struct bp_event *e[3] = {open_event(f), open_event(f), open_event(f)};
    struct bp_buffer b = buffer(f);
    int32_t *in = host(f), *out = host(f);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < N; i++)
            in[i] = round;
        OK(f->dev->upload_on(f->dev, q[0], &b, 0, in, N * 4, &f->err));
        OK(f->dev->event_record(f->dev, e[0], q[0], &f->err));
        OK(f->dev->queue_wait(f->dev, q[1], e[0], &f->err));
        count_on(f, q[1], &b);
        OK(f->dev->event_record(f->dev, e[1], q[1], &f->err));
        OK(f->dev->queue_wait(f->dev, q[2], e[1], &f->err));
        OK(f->dev->download_on(f->dev, q[2], &b, 0, out, N * 4, &f->err));
        OK(f->dev->event_record(f->dev, e[2], q[2], &f->err));
        OK(f->dev->event_wait(f->dev, e[2], &f->err));
        check(out, round, 1);
    }
    for (int i = 0; i < 3; i++) {
        f->dev->queue_close(f->dev, &q[i]);
        f->dev->event_close(f->dev, &e[i]);
    }
    f->dev->host_free(f->dev, (void **)&in);
    f->dev->host_free(f->dev, (void **)&out);
    f->dev->free(f->dev, &b);
}

static void an_event_never_recorded_holds_nobody(void **state)
{
    struct fixture *f = *state;
    struct bp_queue *q = open_queue(f);
    struct bp_event *e = open_event(f);
    OK(f->dev->event_wait(f->dev, e, &f->err));
    OK(f->dev->queue_wait(f->dev, q, e, &f->err));
    f->dev->queue_close(f->dev, &q);
    f->dev->event_close(f->dev, &e);
}

static void what_names_no_queue_comes_after_all_queues(void **state)
{
    struct fixture *f = *state;
    struct bp_queue *q = open_queue(f);
    struct bp_buffer b = buffer(f);
    int32_t *out = malloc(N * 4);
    for (int i = 0; i < 20; i++)
        count_on(f, q, &b);
    count_on(f, NULL, &b);
    OK(f->dev->download(f->dev, &b, 0, out, N * 4, &f->err));
    check(out, 0, 21);
    f->dev->queue_close(f->dev, &q);
    f->dev->free(f->dev, &b);
    free(out);
}

/* The former owner's queue may not write into it any more, and it is clean. */
static void a_buffer_given_again_is_clean(void **state)
{
    struct fixture *f = *state;
    struct bp_queue *q = open_queue(f);
    struct bp_buffer b = buffer(f);
    const void *at = b.at;
    int32_t *out = malloc(N * 4);
    for (int i = 0; i < 20; i++)
        count_on(f, q, &b);
    f->dev->free(f->dev, &b);
    b = buffer(f);
    assert_ptr_equal(b.at, at);
    OK(f->dev->download(f->dev, &b, 0, out, N * 4, &f->err));
    check(out, 0, 0);
    f->dev->queue_close(f->dev, &q);
    f->dev->free(f->dev, &b);
    free(out);
}

static struct bp_device_stats stats_of(struct fixture *f)
{
    struct bp_device_stats s = {.size = sizeof s};
    f->dev->stats(f->dev, &s);
    return s;
}

static void buffers_are_pooled_and_counted(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++) {
        struct bp_buffer a = buffer(f), b = buffer(f), c;
        OK(f->dev->alloc(f->dev, 3000000, &c, &f->err));
        f->dev->free(f->dev, &a);
        f->dev->free(f->dev, &b);
        f->dev->free(f->dev, &c);
    }
    struct bp_device_stats s = stats_of(f);
    assert_int_equal(s.allocations, 3);
    assert_int_equal(s.reused, 297);
    assert_int_equal(s.used_bytes, 0);
    assert_true(s.kept_bytes >= 2 * N * 4 + 3000000 && s.kept_bytes < 3500000);
    assert_int_equal(s.peak_bytes, s.kept_bytes);
}

/* Never more than a part of what the device has: forty sizes, each larger than the last, 820 MiB together. */
static void what_is_kept_has_a_limit(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 1; i <= 40; i++) {
        struct bp_buffer b;
        OK(f->dev->alloc(f->dev, i * (1 << 20), &b, &f->err));
        f->dev->free(f->dev, &b);
    }
    struct bp_device_stats s = stats_of(f);
    assert_true(s.kept_bytes <= f->dev->memory / (f->dev->kind == BP_DEVICE_CPU ? 16 : 4));
    assert_true(f->dev->kind == BP_DEVICE_CUDA || s.kept_bytes <= 512 << 20);
    assert_int_equal(s.used_bytes, 0);
}

static void a_caller_with_a_smaller_struct_gets_what_it_knows(void **state)
{
    struct fixture *f = *state;
    struct bp_device_stats s;
    memset(&s, 0xee, sizeof s);
    s.size = offsetof(struct bp_device_stats, reused);
    f->dev->stats(f->dev, &s);
    assert_int_equal(s.size, offsetof(struct bp_device_stats, reused));
    assert_int_equal(s.allocations, 0);
    assert_int_equal((uint8_t)s.reused, 0xee);
}

static void sync_waits_for_all_queues(void **state)
{
    struct fixture *f = *state;
    struct bp_queue *q = open_queue(f), *other = open_queue(f);
    struct bp_buffer b = buffer(f), c = buffer(f);
    int32_t *out = host(f), *out2 = host(f);
    count_on(f, q, &b);
    OK(f->dev->download_on(f->dev, q, &b, 0, out, N * 4, &f->err));
    count_on(f, other, &c);
    OK(f->dev->download_on(f->dev, other, &c, 0, out2, N * 4, &f->err));
    OK(f->dev->sync(f->dev, &f->err));
    check(out, 0, 1);
    check(out2, 0, 1);
    f->dev->queue_close(f->dev, &q);
    f->dev->queue_close(f->dev, &other);
    f->dev->free(f->dev, &b);
    f->dev->free(f->dev, &c);
    f->dev->host_free(f->dev, (void **)&out);
    f->dev->host_free(f->dev, (void **)&out2);
}

static void wrong_calls_are_refused(void **state)
{
    struct fixture *f = *state;
    struct bp_queue *q = open_queue(f);
    struct bp_buffer b = buffer(f);
    struct smooth_args other = {0};
    char c[4] = {0};
    void *none = c;
    assert_int_equal(f->dev->upload_on(f->dev, q, &b, N * 4 - 3, c, 4, &f->err), BP_INVALID);
    assert_int_equal(f->dev->download_on(f->dev, q, &b, N * 4 - 3, c, 4, &f->err), BP_INVALID);
    assert_int_equal(bp_launch2d_on(f->dev, q, f->count, 4, 1, &other, &f->err), BP_INVALID);
    assert_int_equal(f->dev->host_alloc(f->dev, 0, &none, &f->err), BP_INVALID);
    assert_null(none);
    f->dev->queue_close(f->dev, &q);
    f->dev->queue_close(f->dev, &q);
    f->dev->free(f->dev, &b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_queue_keeps_its_order, setup, teardown),
        cmocka_unit_test_setup_teardown(events_order_queues, setup, teardown),
        cmocka_unit_test_setup_teardown(an_event_never_recorded_holds_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(what_names_no_queue_comes_after_all_queues, setup, teardown),
        cmocka_unit_test_setup_teardown(sync_waits_for_all_queues, setup, teardown),
        cmocka_unit_test_setup_teardown(a_buffer_given_again_is_clean, setup, teardown),
        cmocka_unit_test_setup_teardown(buffers_are_pooled_and_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_kept_has_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_caller_with_a_smaller_struct_gets_what_it_knows, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_calls_are_refused, setup, teardown),
    };
    which = argc > 1 ? argv[1] : "cpu";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
