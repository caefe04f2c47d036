/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled kernels kept on disk, with tests/fakecuda, which counts what it is asked to compile. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "device/cubin_cache.h"
#include "device/device.h"
#include "device/sha256.h"
#include "device_test.kernel.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT (64LL << 20)
#define DIR_  "kernels"
#define LOG   "calls.txt"

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int setup(void **state)
{
    (void)state;
    nftw(DIR_, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    unlink(LOG);
    setenv("FAKECUDA_LOG", LOG, 1);
    unsetenv("FAKECUDA_DRIVER");
    return 0;
}

/* How often a word stands in what the driver was asked. */
static int asked(const char *word)
{
    static char text[1 << 20];
    FILE *f = fopen(LOG, "re");
    int n = 0;
    text[f ? fread(text, 1, sizeof text - 1, f) : 0] = 0;
    if (f)
        fclose(f);
    for (const char *p = text; (p = strstr(p, word)); p += strlen(word))
        n++;
    return n;
}

/* Loads the kernels in a fresh device, as a fresh runner does; returns how many were compiled. */
static int64_t load(int64_t limit)
{
    struct bp_device *dev;
    struct bp_module *module;
    struct bp_kernel *count;
    struct bp_err err;
    struct bp_device_stats s = {.size = sizeof s};
    assert_int_equal(device_open("cuda", &dev, &err), BP_OK);
    assert_int_equal(device_cache_modules(dev, DIR_, limit, &err), BP_OK);
    assert_int_equal(dev->module_load(dev, &device_test_kernels, &module, &err), BP_OK);
    assert_int_equal(dev->kernel_get(dev, module, "count", &count, &err), BP_OK);
    dev->stats(dev, &s);
    assert_int_equal(s.modules, 1);
    dev->module_free(dev, &module);
    device_close(&dev);
    return s.compiled;
}

/* The files in the cache; the name of the last goes to out. */
static int files(char out[300])
{
    DIR *d = opendir(DIR_);
    int n = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        n++;
        snprintf(out, 300, DIR_ "/%s", e->d_name);
    }
    closedir(d);
    return n;
}

static void the_second_runner_compiles_nothing(void **state)
{
    char name[300];
    (void)state;
    assert_int_equal(load(LIMIT), 1);
    assert_int_equal(asked("cuLinkComplete"), 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(load(LIMIT), 0);
    assert_int_equal(asked("cuLinkComplete"), 1);
    assert_int_equal(asked("cuModuleLoadDataEx cubin"), 4);
    assert_int_equal(asked("cuModuleLoadDataEx ptx"), 0);
    assert_int_equal(files(name), 1);
    assert_non_null(strstr(name, "/sm_86-12020-"));
}

static void another_driver_compiles_for_itself(void **state)
{
    char name[300];
    (void)state;
    assert_int_equal(load(LIMIT), 1);
    setenv("FAKECUDA_DRIVER", "12040", 1);
    assert_int_equal(load(LIMIT), 1);
    assert_int_equal(load(LIMIT), 0);
    unsetenv("FAKECUDA_DRIVER");
    assert_int_equal(load(LIMIT), 0);
    assert_int_equal(files(name), 2);
}

/* Changes a file of the cache: writes one byte at an offset from the end, or cuts it there. */
static void damage(int64_t from_end, int cut)
{
    char name[300];
    struct stat st = {0};
    assert_int_equal(files(name), 1);
    int fd = open(name, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    if (cut)
        assert_int_equal(ftruncate(fd, st.st_size - from_end), 0);
    else
        assert_int_equal(pwrite(fd, "\x7f", 1, st.st_size - from_end), 1);
    close(fd);
}

static void a_damaged_file_costs_one_compilation(void **state)
{
    (void)state;
    static const struct {
        int64_t from_end;
        int cut;
    } damages[] = {{2, 0}, {200, 0}, {1, 1}, {500, 1}, {1 << 20, 0}};
    struct stat st;
    char name[300];
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        assert_int_equal(load(LIMIT), i == 0);
        assert_int_equal(files(name), 1);
        assert_int_equal(stat(name, &st), 0);
        /* the last one: in the file's head */
        damage(damages[i].from_end > st.st_size ? st.st_size - 3 : damages[i].from_end, damages[i].cut);
        assert_int_equal(load(LIMIT), 1);
        assert_int_equal(load(LIMIT), 0);
    }
}

static void what_the_driver_refuses_is_made_anew(void **state)
{
    struct cubin_cache *c;
    struct cubin_key key;
    struct bp_err err;
    (void)state;
    assert_int_equal(cubin_cache_open(DIR_, LIMIT, &c, &err), BP_OK);
    cubin_key_make(&key, 8, 6, 12020, device_test_kernels.ptx);
    cubin_cache_put(c, &key, "fakecubin sm_90 1", 18);
    cubin_cache_close(&c);
    assert_int_equal(load(LIMIT), 1);
    assert_int_equal(load(LIMIT), 0);
}

static void a_link_out_of_the_directory_is_not_followed(void **state)
{
    char name[300];
    (void)state;
    assert_int_equal(load(LIMIT), 1);
    assert_int_equal(files(name), 1);
    assert_int_equal(rename(name, "elsewhere"), 0);
    assert_int_equal(symlink("../elsewhere", name), 0);
    assert_int_equal(load(LIMIT), 1);
    assert_int_equal(access("elsewhere", F_OK), 0);
}

/* The key of a made-up kernel. */
static struct cubin_key key_of(int i)
{
    struct cubin_key key;
    char ptx[16];
    snprintf(ptx, sizeof ptx, "kernel %d", i);
    cubin_key_make(&key, 8, 6, 12020, ptx);
    return key;
}

static int has(struct cubin_cache *c, int i)
{
    struct cubin_key key = key_of(i);
    void *cubin = cubin_cache_get(c, &key);
    free(cubin);
    return cubin != NULL;
}

static void the_oldest_go_when_there_are_too_many(void **state)
{
    struct cubin_cache *c;
    struct bp_err err;
    static char bytes[1000];
    (void)state;
    assert_int_equal(cubin_cache_open(DIR_, 5 * 1100, &c, &err), BP_OK);
    for (int i = 0; i < 10; i++) {
        struct cubin_key key = key_of(i);
        cubin_cache_put(c, &key, bytes, sizeof bytes);
        usleep(2000); /* file times tell which is older */
        if (i > 0)
            (void)has(c, 0); /* used again and again */
        usleep(2000);
    }
    assert_true(has(c, 0) && has(c, 9));
    int n = 0;
    for (int i = 0; i < 10; i++)
        n += has(c, i);
    assert_int_equal(n, 5);
    cubin_cache_close(&c);
}

static void more_than_the_limit_is_not_kept(void **state)
{
    char name[300];
    (void)state;
    assert_int_equal(load(100), 1);
    assert_int_equal(load(100), 1);
    assert_int_equal(files(name), 0);
}

static void what_a_writer_left_behind_goes(void **state)
{
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    char name[300];
    (void)state;
    assert_int_equal(mkdir(DIR_, 0700), 0);
    int fd = open(DIR_ "/sm_86-1-abc.cubin.77.0.part", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && futimens(fd, old) == 0);
    close(fd);
    assert_int_equal(load(LIMIT), 1);
    assert_int_equal(files(name), 1);
    assert_null(strstr(name, ".part"));
}

static void many_runners_share_the_directory(void **state)
{
    char name[300];
    pid_t pids[8];
    (void)state;
    unsetenv("FAKECUDA_LOG");
    for (int i = 0; i < 8; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            for (int k = 0; k < 20; k++) {
                load(LIMIT);
                if (i == 0 && files(name) > 0) /* one takes it away from the others, all the while */
                    unlink(name);
            }
            _exit(0);
        }
    }
    for (int i = 0; i < 8; i++) {
        int status = -1;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    load(LIMIT);
    assert_int_equal(files(name), 1);
    assert_null(strstr(name, ".part"));
    assert_int_equal(load(LIMIT), 0);
}

static void without_a_directory_kernels_are_compiled_each_time(void **state)
{
    struct bp_device *dev;
    struct bp_module *module;
    struct bp_err err;
    (void)state;
    assert_int_equal(device_open("cuda", &dev, &err), BP_OK);
    assert_int_equal(device_cache_modules(dev, "no/such/directory", LIMIT, &err), BP_IO);
    assert_non_null(strstr(err.text, "no/such/directory: No such file"));
    assert_int_equal(dev->module_load(dev, &device_test_kernels, &module, &err), BP_OK);
    dev->module_free(dev, &module);
    device_close(&dev);
    assert_int_equal(asked("cuModuleLoadDataEx ptx"), 1);
}

static void check_sum(const char *text, size_t times, const char *expected)
{
    struct sha256 s;
    uint8_t sum[32];
    char hex[65];
    sha256_begin(&s);
    for (size_t i = 0; i < times; i++)
        sha256_add(&s, text, strlen(text));
    sha256_end(&s, sum);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    assert_string_equal(hex, expected);
}

/* The examples of FIPS 180-4's companion. */
static void sums_are_those_of_the_standard(void **state)
{
    (void)state;
    check_sum("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_sum("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_sum("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check_sum("a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_second_runner_compiles_nothing, setup),
        cmocka_unit_test_setup(another_driver_compiles_for_itself, setup),
        cmocka_unit_test_setup(a_damaged_file_costs_one_compilation, setup),
        cmocka_unit_test_setup(what_the_driver_refuses_is_made_anew, setup),
        cmocka_unit_test_setup(a_link_out_of_the_directory_is_not_followed, setup),
        cmocka_unit_test_setup(the_oldest_go_when_there_are_too_many, setup),
        cmocka_unit_test_setup(more_than_the_limit_is_not_kept, setup),
        cmocka_unit_test_setup(what_a_writer_left_behind_goes, setup),
        cmocka_unit_test_setup(many_runners_share_the_directory, setup),
        cmocka_unit_test_setup(without_a_directory_kernels_are_compiled_each_time, setup),
        cmocka_unit_test(sums_are_those_of_the_standard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
