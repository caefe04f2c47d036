/* SPDX-License-Identifier: Apache-2.0 */
/* Frames through the device: test_pipeline cpu|cuda. */
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

#include <bp/pipeline.h>
#include <bp/workflow.h>
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TILES 16 /* of 66 values in and 64 out */
#define IN    (TILES * 66)
#define OUT   (TILES * 64)
#define LOG   "calls.txt"

static const char *which;

/* A made-up workflow: smooths what the source makes up, and counts frames in memory of the device. */
struct work {
    struct bp_device *dev;
    struct bp_module *module;
    struct bp_kernel *smooth, *count;
    struct bp_buffer frames; /* one counter a value */
    struct bp_pipeline p;
    int64_t last;    /* the source says `over` at this frame */
    int64_t stop_at; /* begin stops there, -1: never */
    const char *bad; /* which part fails at frame 7 */
    /* what happened */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int64_t sourced, launched, sunk;
    int wait_for_others; /* the first frame stays in the sink until frame 3 was launched and frame 4 made */
    atomic_int wrong;
    float expected[OUT];
    struct bp_err err;
};

static float value(int64_t frame, int i)
{
    return (float)((frame * 31 + i * 7) % 251);
}

static void moved(struct work *w, int64_t *count)
{
    pthread_mutex_lock(&w->lock);
    ++*count;
    pthread_cond_broadcast(&w->moved);
    pthread_mutex_unlock(&w->lock);
}

static int32_t fails(const struct work *w, const char *part, int64_t frame, struct bp_err *err)
{
    if (w->bad && strcmp(w->bad, part) == 0 && frame == 7)
        return bp_error(err, BP_IO, "%s broke", part);
    return BP_OK;
}

static int32_t begin(void *arg, int64_t frame, struct bp_err *err)
{
    const struct work *w = arg;
    return frame == w->stop_at ? BP_STOPPED : fails(w, "begin", frame, err);
}

static int32_t source(void *arg, struct bp_pipeline_slot *slot, struct bp_err *err)
{
    struct work *w = arg;
    float *in = slot->in;
    w->wrong += slot->frame != w->p.first + w->sourced || slot->in_used != IN * 4;
    if (slot->frame == w->last) {
        slot->over = 1;
        return BP_OK;
    }
    for (int i = 0; i < IN; i++)
        in[i] = value(slot->frame, i);
    moved(w, &w->sourced);
    return fails(w, "source", slot->frame, err);
}

static int32_t launch(void *arg, const struct bp_pipeline_slot *slot, struct bp_err *err)
{
    struct work *w = arg;
    struct smooth_args a = {slot->device_in.at, slot->device_out.at, 0.3f};
    struct count_args c = {w->frames.at, OUT};
    int32_t rc = fails(w, "launch", slot->frame, err);
    if (rc == BP_OK)
        rc = bp_launch2d_on(w->dev, slot->queue, w->smooth, 8, TILES / 8, &a, err);
    if (rc == BP_OK)
        rc = bp_launch2d_on(w->dev, slot->queue, w->count, OUT, 1, &c, err);
    moved(w, &w->launched);
    return rc;
}

static void reference(struct work *w, int64_t frame)
{
    float in[IN];
    for (int i = 0; i < IN; i++)
        in[i] = value(frame, i);
    struct smooth_args a = {in, w->expected, 0.3f};
    struct bp_range all = {0, 8, 0, TILES / 8};
    device_test_kernels.twins[BP_CPU_LEVELS]->run(&a, &all);
}

/* Does not come back before the other parts are further: only where they work at the same time. */
static void wait_for_others(struct work *w)
{
    pthread_mutex_lock(&w->lock);
    while (w->launched < 3 || w->sourced < 4)
        pthread_cond_wait(&w->moved, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

/* Bit by bit: floats of equal value may differ. */
static int differs(const void *got, const float *expected)
{
    const uint32_t *bits = got;
    for (int i = 0; i < OUT; i++) {
        uint32_t wanted;
        memcpy(&wanted, &expected[i], sizeof wanted);
        if (bits[i] != wanted)
            return 1;
    }
    return 0;
}

static int32_t sink(void *arg, const struct bp_pipeline_slot *slot, struct bp_err *err)
{
    struct work *w = arg;
    if (w->wait_for_others && w->sunk == 0)
        wait_for_others(w);
    reference(w, slot->frame);
    w->wrong += slot->frame != w->p.first + w->sunk || differs(slot->out, w->expected);
    moved(w, &w->sunk);
    return fails(w, "sink", slot->frame, err);
}

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
    struct work *w = calloc(1, sizeof *w);
    setenv("FAKECUDA_ASYNC", "late", 1);
    assert_int_equal(device_open(which, &w->dev, &w->err), BP_OK);
    if (w->dev->kind == BP_DEVICE_CUDA)
        teach();
    const struct bp_device *dev = w->dev;
    assert_int_equal(dev->module_load(dev, &device_test_kernels, &w->module, &w->err), BP_OK);
    assert_int_equal(dev->kernel_get(dev, w->module, "smooth", &w->smooth, &w->err), BP_OK);
    assert_int_equal(dev->kernel_get(dev, w->module, "count", &w->count, &w->err), BP_OK);
    assert_int_equal(dev->alloc(dev, OUT * 4, &w->frames, &w->err), BP_OK);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->moved, NULL);
    w->stop_at = w->last = -1;
    w->p = (struct bp_pipeline){.dev = dev,
                                .arg = w,
                                .end = 40,
                                .in_bytes = IN * 4,
                                .out_bytes = OUT * 4,
                                .begin = begin,
                                .source = source,
                                .launch = launch,
                                .sink = sink};
    *state = w;
    return 0;
}

static int count_threads(void)
{
    DIR *d = opendir("/proc/self/task");
    int n = 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* A thread that was joined is still listed for a moment. */
static void wait_for_threads(int n)
{
    for (int i = 0; i < 10000 && count_threads() > n; i++)
        usleep(1000);
    assert_int_equal(count_threads(), n);
}

static int teardown(void **state)
{
    struct work *w = *state;
    w->dev->free(w->dev, &w->frames);
    w->dev->module_free(w->dev, &w->module);
    device_close(&w->dev);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->moved);
    free(w);
    return 0;
}

/* Runs it; whatever happens, no thread and no buffer of it is left. */
static int32_t run(struct work *w, struct bp_pipeline_times *times)
{
    struct bp_device_stats before = {.size = sizeof before}, after = before;
    int threads = count_threads();
    w->sourced = w->launched = w->sunk = 0;
    w->dev->stats(w->dev, &before);
    int32_t rc = bp_pipeline_run(&w->p, times, &w->err);
    w->dev->stats(w->dev, &after);
    assert_int_equal(after.used_bytes, before.used_bytes);
    wait_for_threads(threads);
    assert_int_equal(w->wrong, 0);
    return rc;
}

/* How many frames the device itself counted since the last call. */
static int64_t device_count(struct work *w)
{
    static int64_t before;
    int32_t got[OUT];
    assert_int_equal(w->dev->download(w->dev, &w->frames, 0, got, sizeof got, &w->err), BP_OK);
    assert_int_equal(got[OUT - 1], OUT * got[0]);
    int64_t n = got[0] - before;
    before = got[0];
    return n;
}

static void every_frame_comes_once_in_order_and_right(void **state)
{
    struct work *w = *state;
    static const int32_t slots[] = {2, 3, 0, 16};
    for (int i = 0; i < 4; i++) {
        struct bp_pipeline_times times;
        w->p.slots = slots[i];
        w->p.first = i * 1000;
        w->p.end = w->p.first + 100;
        assert_int_equal(run(w, &times), BP_OK);
        assert_int_equal(w->sunk, 100);
        assert_int_equal(times.frames, 100);
        assert_true(times.wall_ns > 0 && times.source_ns > 0 && times.sink_ns > 0 && times.launch_ns > 0);
    }
    assert_int_equal(device_count(w), 400);
}

static void the_source_may_say_when_it_is_over(void **state)
{
    struct work *w = *state;
    w->p.end = -1;
    for (w->last = 0; w->last < 9; w->last++) {
        assert_int_equal(run(w, NULL), BP_OK);
        assert_int_equal(w->sunk, w->last);
    }
}

static void nothing_to_do_is_done(void **state)
{
    struct work *w = *state;
    w->p.first = w->p.end = 12;
    assert_int_equal(run(w, NULL), BP_OK);
    assert_int_equal(w->sunk, 0);
}

/* If the parts did not work side by side, this would never end. */
static void the_parts_work_at_the_same_time(void **state)
{
    struct work *w = *state;
    w->wait_for_others = 1;
    assert_int_equal(run(w, NULL), BP_OK);
    assert_int_equal(w->sunk, 40);
}

static void the_first_error_of_any_part_is_told(void **state)
{
    struct work *w = *state;
    static const char *const parts[] = {"source", "begin", "launch", "sink"};
    for (int i = 0; i < 4; i++) {
        char words[40];
        w->bad = parts[i];
        snprintf(words, sizeof words, "%s broke", parts[i]);
        assert_int_equal(run(w, NULL), BP_IO);
        assert_int_equal(w->err.rc, BP_IO);
        assert_string_equal(w->err.text, words);
        assert_true(w->sunk <= 8);
    }
}

static void a_stop_finishes_what_was_begun(void **state)
{
    struct work *w = *state;
    for (w->stop_at = 0; w->stop_at < 10; w->stop_at++) {
        assert_int_equal(run(w, NULL), BP_STOPPED);
        assert_int_equal(w->sunk, w->stop_at);
        assert_int_equal(w->launched, w->stop_at);
    }
}

static void nothing_is_allocated_per_frame(void **state)
{
    struct work *w = *state;
    struct bp_device_stats s[3] = {{.size = sizeof s[0]}, {.size = sizeof s[0]}, {.size = sizeof s[0]}};
    assert_int_equal(run(w, NULL), BP_OK);
    w->dev->stats(w->dev, &s[0]);
    w->p.end = 10;
    assert_int_equal(run(w, NULL), BP_OK);
    w->dev->stats(w->dev, &s[1]);
    w->p.end = 300;
    assert_int_equal(run(w, NULL), BP_OK);
    w->dev->stats(w->dev, &s[2]);
    assert_int_equal(s[2].allocations, s[0].allocations);
    assert_int_equal(s[2].reused - s[1].reused, s[1].reused - s[0].reused);
    assert_int_equal(s[2].host_allocations - s[1].host_allocations, s[1].host_allocations - s[0].host_allocations);
    assert_int_equal(s[2].launches - s[1].launches, 600);
}

static void a_gpu_copies_only_locked_memory_and_the_cpu_none(void **state)
{
    struct work *w = *state;
    struct bp_device_stats s = {.size = sizeof s};
    char text[1 << 16];
    unlink(LOG);
    setenv("FAKECUDA_LOG", LOG, 1);
    assert_int_equal(run(w, NULL), BP_OK);
    unsetenv("FAKECUDA_LOG");
    w->dev->stats(w->dev, &s);
    int64_t copies = w->dev->kind == BP_DEVICE_CUDA ? 40 : 0;
    assert_int_equal(s.uploads, copies);
    assert_int_equal(s.downloads, copies);
    FILE *f = fopen(LOG, "re");
    text[f ? fread(text, 1, sizeof text - 1, f) : 0] = 0;
    if (f)
        fclose(f);
    assert_true(copies == 0 || strstr(text, "cuMemcpyHtoDAsync"));
    assert_null(strstr(text, "pageable"));
}

/* A runner older than queues: everything one after another, the same frames. */
static void a_device_without_queues_will_do(void **state)
{
    struct work *w = *state;
    struct bp_device old = *w->dev;
    old.size = offsetof(struct bp_device, host_alloc);
    w->p.dev = &old;
    assert_int_equal(run(w, NULL), BP_OK);
    assert_int_equal(w->sunk, 40);
    w->stop_at = 5;
    assert_int_equal(run(w, NULL), BP_STOPPED);
    assert_int_equal(w->sunk, 5);
}

static void a_wrong_pipeline_is_refused(void **state)
{
    struct work *w = *state;
    struct bp_pipeline good = w->p;
    w->p.slots = 1;
    assert_int_equal(run(w, NULL), BP_INVALID);
    w->p = good;
    w->p.source = NULL;
    assert_int_equal(run(w, NULL), BP_INVALID);
    w->p = good;
    w->p.first = 41;
    assert_int_equal(run(w, NULL), BP_INVALID);
    w->p = good;
    w->p.out_bytes = (uint64_t)1 << 60;
    assert_int_equal(run(w, NULL), BP_NOMEM);
}

static void *nothing(void *arg)
{
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t first; /* with which ThreadSanitizer starts a thread of its own, which stays */
    if (pthread_create(&first, NULL, nothing, NULL) == 0)
        pthread_join(first, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_frame_comes_once_in_order_and_right, setup, teardown),
        cmocka_unit_test_setup_teardown(the_source_may_say_when_it_is_over, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_to_do_is_done, setup, teardown),
        cmocka_unit_test_setup_teardown(the_parts_work_at_the_same_time, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_error_of_any_part_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stop_finishes_what_was_begun, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_allocated_per_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gpu_copies_only_locked_memory_and_the_cpu_none, setup, teardown),
        cmocka_unit_test_setup_teardown(a_device_without_queues_will_do, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_pipeline_is_refused, setup, teardown),
    };
    which = argc > 1 ? argv[1] : "cpu";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
