/* SPDX-License-Identifier: Apache-2.0 */
/* What `bp-runner --health` finds on sound and on broken devices; the GPU is tests/fakecuda and tests/fakenvml. */
#include "device/device.h"
#include "health/kernel_args.h"
#include "health/known_answer.h"
#include "log/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

/* Runs it with these libraries and fakes; *exit its status. The report is the caller's. */
static struct json_object *checkup(const char *libraries, const char *fakes, const char *device, int *exit_status)
{
    char command[8192], text[4096] = "";
    const char *build = getenv("BP_BUILD_DIR");
    struct bp_err err;
    snprintf(command, sizeof(command), "%s LD_LIBRARY_PATH=%s%s%s%s%s '%s/bin/bp-runner' --health %s", fakes,
             strstr(libraries, "cuda") ? build : "", strstr(libraries, "cuda") ? "/tests/fakecuda:" : "",
             strstr(libraries, "nvml") ? build : "",
             strstr(libraries, "old")    ? "/tests/fakenvml_old"
             : strstr(libraries, "nvml") ? "/tests/fakenvml"
                                         : "",
             "", build, device);
    FILE *f = popen(command, "r"); /* NOLINT(cert-env33-c): a test's own words */
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    int status = pclose(f);
    *exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    struct json_object *o = json_parse(text, n, &err);
    assert_non_null(o);
    return o;
}

static void expect(const char *libraries, const char *fakes, const char *device, int ok, const char *words)
{
    int status = -1;
    struct json_object *o = checkup(libraries, fakes, device, &status);
    if (!strstr(json_str(o, "text", ""), words) || json_truth(o, "ok", !ok) != ok)
        print_error("%s: %s\n", fakes, json_text(o));
    assert_int_equal(json_truth(o, "ok", !ok), ok);
    assert_int_equal(status, !ok);
    assert_non_null(strstr(json_str(o, "text", ""), words));
    json_object_put(o);
}

static void a_sound_device_is_healthy(void **state)
{
    int status = -1;
    (void)state;
    expect("", "", "cpu", 1, "");
    expect("", "", "auto", 1, "");
    expect("cuda nvml", "", "cuda", 1, "");
    struct json_object *o = checkup("cuda nvml", "FAKENVML='ecc=0 temp=70'", "auto", &status);
    assert_string_equal(json_str(o, "device", ""), "cuda");
    assert_string_equal(json_str(o, "name", ""), "Fake GPU");
    assert_int_equal(json_int(o, "temperature_c", 0), 70);
    assert_int_equal(json_int(o, "ecc_uncorrected", -1), 0);
    assert_int_equal(json_object_array_length(json_member(o, "warnings")), 0);
    json_object_put(o);
}

static void each_fault_of_a_gpu_is_said(void **state)
{
    static const struct {
        const char *fakes, *words;
    } cases[] = {
        {"FAKENVML=ecc=3", "its memory had 3 uncorrectable errors"},
        {"FAKENVML=ecc=1", "its memory had 1 uncorrectable error since"},
        {"FAKENVML=retire", "waits for a reset"},
        {"FAKENVML=remap", "waits for a reset"},
        {"FAKENVML=nospare", "no spare rows left"},
        {"FAKENVML=lost", "it fell off the bus"},
        {"FAKENVML=temp=91", "it is at 91 degrees Celsius and turns itself off at 95"},
        {"FAKENVML=xid=79", "Xid 79: it fell off the bus"},
        {"FAKENVML=xid=13,31,48", "Xid 48: a double-bit error"},
        {"FAKECUDA_WRONG=1", "Fake GPU computes wrongly: a known answer came out as"},
        {"FAKECUDA_FAIL=cuLaunchKernel=719", "launching kernel known_answer failed"},
        {"FAKECUDA_FAIL=cuInit=999", "the device cannot be opened: starting CUDA failed"},
        {"FAKECUDA_FAIL=cuMemcpyDtoH_v2=700", "copying from the GPU failed"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect("cuda nvml", cases[i].fakes, "cuda", 0, cases[i].words);
}

/* What a program did wrong, or what costs only time. */
static void what_is_no_fault_is_none(void **state)
{
    int status = -1;
    (void)state;
    expect("cuda nvml", "FAKENVML=xid=13,31,43", "cuda", 1, "");
    expect("cuda nvml", "FAKENVML=silent", "cuda", 1, "");
    expect("cuda nvml old", "", "cuda", 1, "");
    expect("cuda nvml", "FAKENVML=init=9", "cuda", 1, "");
    struct json_object *o = checkup("cuda nvml", "FAKENVML=throttle=192", "cuda", &status);
    assert_int_equal(status, 0);
    assert_int_equal(json_object_array_length(json_member(o, "warnings")), 2);
    json_object_put(o);
    o = checkup("cuda", "", "cuda", &status);
    assert_int_equal(status, 0);
    assert_non_null(strstr(json_text(o), "no NVML"));
    json_object_put(o);
}

/* A machine whose GPU went away must not go on as if it had only a CPU. */
static void a_gpu_that_cuda_cannot_use_is_a_fault(void **state)
{
    (void)state;
    expect("cuda nvml", "FAKECUDA_FAIL=cuInit=999", "auto", 0, "there is a GPU, but CUDA cannot use it");
    expect("cuda nvml", "FAKECUDA_FAIL=cuInit=100 FAKENVML=count=0", "auto", 1, "");
    expect("", "", "cuda", 0, "the device cannot be opened: no GPU");
}

/* The answer by plain code that shares nothing with the kernel but its description. */
static uint64_t plain_answer(uint32_t seed)
{
    uint64_t sum = 0xcbf29ce484222325ULL;
    for (uint32_t y = 0; y < ANSWER_HEIGHT; y++) {
        for (uint32_t x = 0; x < ANSWER_WIDTH; x++) {
            uint32_t h = seed + x * 2654435761U + y * 2246822519U;
            float f = (float)(x % 256 + 1);
            for (int i = 0; i < ANSWER_ROUNDS; i++) {
                h ^= h << 13, h ^= h >> 17, h ^= h << 5;
                /* exact in double, so that only the two roundings to float count */
                volatile float product = (float)((double)f * 1.5);
                volatile float added = (float)((double)product + (double)(h % 65536));
                f = (float)sqrt((double)added); /* double has more than twice the bits: rounds as sqrtf */
                h += (uint32_t)((double)f * 64);
            }
            sum = (sum ^ h) * 0x100000001b3ULL;
        }
    }
    return sum;
}

static void the_known_answer_is_right(void **state)
{
    struct bp_device *dev;
    struct bp_err err = {0};
    (void)state;
    assert_int_equal(device_open("cpu", &dev, &err), BP_OK);
    for (int32_t level = dev->cpu_level; level >= 0; level--) {
        dev->cpu_level = level;
        assert_int_equal(known_answer(dev, &err), BP_OK);
    }
    for (int i = 0; i < KNOWN_ANSWERS; i++)
        assert_int_equal(plain_answer(known_answers[i].seed), known_answers[i].sum);
    device_close(&dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_device_is_healthy), cmocka_unit_test(each_fault_of_a_gpu_is_said),
        cmocka_unit_test(what_is_no_fault_is_none),  cmocka_unit_test(a_gpu_that_cuda_cannot_use_is_a_fault),
        cmocka_unit_test(the_known_answer_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
