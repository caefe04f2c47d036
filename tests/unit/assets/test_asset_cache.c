/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of assets: its files, its limit, and what several workers may do in it at once. */
#include "assets/asset_cache.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SHA_A "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* "abc" */
#define SHA_B "cb8379ac2098aa165029e3938a51da0bcecfc008fd6795f401178647f96c5b34" /* "def" */
#define SHA_C "50ae61e841fac4e8f9e40baf2ad36ec868922ea48368c18f9535e47db56dd7fb" /* "ghi" */

#define COMING                                                                                                         \
    "0000000000000000000000000000000000000000000000000000000000000000" /* what room is made for, unless it is said */

static const struct asset a = {"a.bin", "assets/a", SHA_A, 3, NULL}, b = {"b.bin", "assets/b", SHA_B, 3, NULL},
                          c = {"c.bin", "assets/c", SHA_C, 3, NULL};

static struct asset_cache *open_cache(void)
{
    struct bp_err err = {0};
    struct asset_cache *k = asset_cache_open("cache", &err);
    assert_non_null(k);
    return k;
}

static void write_file(const char *path, const char *text)
{
    chmod(path, 0644);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* As a fetch does. */
static void add(struct asset_cache *k, const struct asset *x, const char *text)
{
    char part[ASSET_PATH_BYTES];
    struct bp_err err = {0};
    assert_int_equal(asset_cache_lock(k, &err), BP_OK);
    write_file(asset_cache_path(k, x->sha256, ".part", part), text);
    assert_int_equal(asset_cache_publish(k, x, &err), BP_OK);
    asset_cache_unlock(k);
}

static int hold(struct asset_cache *k, const struct asset *x, int *fd)
{
    struct bp_err err = {0};
    return asset_cache_hold(k, x, fd, &err);
}

static int is_there(const struct asset_cache *k, const struct asset *x)
{
    char path[ASSET_PATH_BYTES];
    return access(asset_cache_path(k, x->sha256, "", path), F_OK) == 0;
}

static int room(struct asset_cache *k, int64_t bytes, int64_t limit, struct bp_err *err)
{
    struct asset coming = {.sha256 = COMING, .bytes = bytes};
    *err = (struct bp_err){0};
    assert_int_equal(asset_cache_lock(k, err), BP_OK);
    int rc = asset_cache_room(k, &coming, limit, err);
    asset_cache_unlock(k);
    return rc;
}

static int proves(int fd, const char *text, const struct asset *x, struct bp_err *err)
{
    struct asset_proof *p = asset_proof_new(fd);
    int rc = 1;
    if (fd < 0 && text)
        asset_proof_add(p, text, strlen(text));
    while (fd >= 0 && rc > 0)
        rc = asset_proof_step(p, err);
    rc = rc < 0 ? rc : asset_proof_end(p, x, err);
    asset_proof_free(p);
    return rc;
}

/* Apart in time, as far as the file system can tell them. */
static void used_at(const struct asset_cache *k, const struct asset *x, long s)
{
    char path[ASSET_PATH_BYTES];
    struct timespec t[2] = {{s, 0}, {s, 0}};
    assert_int_equal(utimensat(AT_FDCWD, asset_cache_path(k, x->sha256, ".ok", path), t, 0), 0);
}

static void a_content_is_proven_or_told_apart(void **state)
{
    struct bp_err err = {0};
    (void)state;
    assert_int_equal(proves(-1, "abc", &a, &err), BP_OK);
    assert_int_equal(proves(-1, "abd", &a, &err), BP_INVALID);
    assert_non_null(strstr(err.text, "its SHA-256 is"));
    assert_int_equal(proves(-1, "ab", &a, &err), BP_INVALID);
    assert_string_equal(err.text, "it has 2 bytes, but the manifest says 3");
}

static void what_was_published_is_held_read_only_and_outlives_the_cache(void **state)
{
    struct asset_cache *k = open_cache();
    char path[ASSET_PATH_BYTES];
    struct stat st;
    int fd;
    (void)state;
    assert_int_equal(hold(k, &a, &fd), BP_NOTFOUND);
    add(k, &a, "abc");
    asset_cache_close(k);
    k = open_cache();
    assert_int_equal(hold(k, &a, &fd), BP_OK);
    assert_true(asset_cache_is_sound(k, &a, fd));
    assert_int_equal(stat(asset_cache_path(k, SHA_A, "", path), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0444);
    close(fd);
    asset_cache_close(k);
}

static void a_changed_file_must_be_proven_and_a_cut_one_is_not_there(void **state)
{
    struct asset_cache *k = open_cache();
    char path[ASSET_PATH_BYTES];
    struct bp_err err = {0};
    int fd, again;
    (void)state;
    add(k, &a, "abc");
    assert_int_equal(hold(k, &a, &fd), BP_OK);
    usleep(20000); /* the clock of the file system moves on */
    write_file(asset_cache_path(k, SHA_A, "", path), "abX");
    assert_false(asset_cache_is_sound(k, &a, fd));
    assert_int_equal(hold(k, &a, &again), BP_LATER);
    assert_true(again >= 0);
    assert_int_equal(proves(again, NULL, &a, &err), BP_INVALID);
    usleep(20000);
    write_file(path, "abc"); /* somebody put it right */
    assert_int_equal(proves(again, NULL, &a, &err), BP_OK);
    assert_int_equal(asset_cache_record(k, &a, again, &err), BP_OK);
    assert_true(asset_cache_is_sound(k, &a, again));
    close(again);
    write_file(path, "ab");
    assert_false(asset_cache_is_sound(k, &a, fd));
    assert_int_equal(hold(k, &a, &again), BP_NOTFOUND);
    assert_int_equal(again, -1);
    close(fd);
    add(k, &a, "abc"); /* another file takes its place */
    assert_int_equal(hold(k, &a, &fd), BP_OK);
    asset_cache_remove(k, SHA_A);
    assert_false(asset_cache_is_sound(k, &a, fd));
    close(fd);
    asset_cache_close(k);
}

static void a_file_that_changes_while_it_is_read_is_not_proven(void **state)
{
    struct asset_cache *k = open_cache();
    char path[ASSET_PATH_BYTES];
    struct bp_err err = {0};
    (void)state;
    add(k, &a, "abc");
    int fd = open(asset_cache_path(k, SHA_A, "", path), O_RDONLY | O_CLOEXEC);
    struct asset_proof *p = asset_proof_new(fd);
    assert_int_equal(asset_proof_step(p, &err), 1);
    usleep(20000); /* the clock of the file system moves on */
    write_file(path, "abX");
    assert_int_equal(asset_proof_step(p, &err), BP_IO);
    assert_non_null(strstr(err.text, "it changed while it was read"));
    asset_proof_free(p);
    close(fd);
    asset_cache_close(k);
}

static void room_is_made_by_the_longest_unused_first(void **state)
{
    struct asset_cache *k = open_cache();
    struct bp_err err;
    (void)state;
    add(k, &a, "abc");
    add(k, &b, "def");
    add(k, &c, "ghi");
    used_at(k, &a, 300);
    used_at(k, &b, 100);
    used_at(k, &c, 200);
    assert_int_equal(room(k, 1, 10, &err), BP_OK);
    assert_true(is_there(k, &a) && is_there(k, &b) && is_there(k, &c)); /* all fit */
    assert_int_equal(room(k, 3, 9, &err), BP_OK);
    assert_true(is_there(k, &a) && !is_there(k, &b) && is_there(k, &c));
    assert_int_equal(room(k, 6, 9, &err), BP_OK);
    assert_true(is_there(k, &a) && !is_there(k, &c));
    asset_cache_close(k);
}

static void what_is_in_use_stays_and_nothing_goes_in_vain(void **state)
{
    struct asset_cache *k = open_cache();
    struct bp_err err;
    int fd;
    (void)state;
    add(k, &a, "abc");
    add(k, &b, "def");
    used_at(k, &a, 100);
    assert_int_equal(hold(k, &a, &fd), BP_OK);
    used_at(k, &a, 100);
    assert_int_equal(room(k, 7, 9, &err), BP_NOSPACE);
    assert_string_equal(err.text, "7 bytes do not fit: 3 are in use, and the cache may have 9; raise "
                                  "worker.assetCacheBytes, or let a worker serve fewer workflows");
    assert_true(is_there(k, &a) && is_there(k, &b));
    assert_int_equal(room(k, 6, 9, &err), BP_OK);
    assert_true(is_there(k, &a) && !is_there(k, &b));
    close(fd);
    assert_int_equal(room(k, 9, 9, &err), BP_OK);
    assert_false(is_there(k, &a));
    asset_cache_close(k);
}

/* Another process: it holds what it is told to, says so, and is killed in the end. */
static pid_t other(const struct asset *x, int locks)
{
    int told[2];
    char byte;
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct bp_err err = {0};
        struct asset_cache *k = asset_cache_open("cache", &err);
        char part[ASSET_PATH_BYTES];
        int fd = -1, bad = x ? asset_cache_hold(k, x, &fd, &err) : asset_cache_lock(k, &err);
        if (locks) {
            FILE *f = fopen(asset_cache_path(k, SHA_B, ".part", part), "w");
            bad |= !f || fputs("de", f) < 0 || fclose(f) != 0;
        }
        if (!bad && write(told[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    close(told[1]);
    assert_int_equal(read(told[0], &byte, 1), 1);
    close(told[0]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void what_another_process_uses_stays_until_it_dies(void **state)
{
    struct asset_cache *k = open_cache();
    struct bp_err err;
    (void)state;
    add(k, &a, "abc");
    pid_t pid = other(&a, 0);
    assert_int_equal(room(k, 9, 9, &err), BP_NOSPACE);
    assert_true(is_there(k, &a));
    end(pid);
    assert_int_equal(room(k, 9, 9, &err), BP_OK);
    asset_cache_close(k);
}

static int part_is_there(const struct asset_cache *k, const char *sha256)
{
    char part[ASSET_PATH_BYTES];
    return access(asset_cache_path(k, sha256, ".part", part), F_OK) == 0;
}

/* What came of an asset may be gone on with as long as nobody needs its room; it goes before any content. */
static void room_is_made_at_the_cost_of_other_parts_first(void **state)
{
    struct asset_cache *k = open_cache();
    struct bp_err err = {0};
    char part[ASSET_PATH_BYTES], text[ASSET_RECORD_BYTES], later[ASSET_RECORD_BYTES];
    (void)state;
    add(k, &b, "de");
    used_at(k, &b, 1);
    write_file(asset_cache_path(k, SHA_A, ".part", part), "a");
    write_file(asset_cache_path(k, SHA_C, ".part", part), "fgh");
    asset_cache_part_text(k, SHA_A, text);
    assert_string_not_equal(text, "");
    assert_int_equal(asset_cache_lock(k, &err), BP_OK);
    assert_int_equal(asset_cache_room(k, &a, 8, &err), BP_OK); /* 3 for it, 2 of b, 3 of the part of c */
    assert_true(part_is_there(k, SHA_C) && part_is_there(k, SHA_A) && is_there(k, &b));
    assert_int_equal(asset_cache_room(k, &a, 7, &err), BP_OK);
    assert_true(!part_is_there(k, SHA_C) && part_is_there(k, SHA_A) && is_there(k, &b));
    asset_cache_part_text(k, SHA_A, later);
    assert_string_equal(later, text);
    write_file(asset_cache_path(k, SHA_A, ".part", part), "ab"); /* somebody else fetched */
    asset_cache_part_text(k, SHA_A, later);
    assert_string_not_equal(later, text);
    asset_cache_unlock(k);
    assert_int_equal(room(k, 9, 9, &err), BP_OK);
    unlink(part);
    asset_cache_close(k);
}

static void part_set_back(const struct asset_cache *k, const char *sha256, long by_s)
{
    char part[ASSET_PATH_BYTES];
    struct timespec t[2] = {{.tv_sec = time(NULL) - by_s}, {.tv_sec = time(NULL) - by_s}};
    assert_int_equal(utimensat(AT_FDCWD, asset_cache_path(k, sha256, ".part", part), t, 0), 0);
}

static int part_bytes(const struct asset_cache *k, const struct asset *x)
{
    char bytes[16];
    int fd = asset_cache_part_open(k, x);
    ssize_t n = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1;
    if (fd >= 0)
        close(fd);
    return (int)n;
}

static void parts_that_are_too_old_or_too_large_are_given_up(void **state)
{
    struct asset_cache *k = open_cache();
    struct bp_err err = {0};
    char part[ASSET_PATH_BYTES];
    (void)state;
    assert_int_equal(part_bytes(k, &a), -1);
    write_file(asset_cache_path(k, SHA_A, ".part", part), "ab");
    part_set_back(k, SHA_A, ASSET_PART_AGE_S - 100);
    assert_int_equal(part_bytes(k, &a), 2);
    part_set_back(k, SHA_A, ASSET_PART_AGE_S + 100);
    assert_int_equal(part_bytes(k, &a), -1);
    assert_false(part_is_there(k, SHA_A));
    write_file(part, "abc");
    assert_int_equal(part_bytes(k, &a), 3);
    write_file(part, "abcd");
    assert_int_equal(part_bytes(k, &a), -1);
    assert_false(part_is_there(k, SHA_A));
    assert_int_equal(symlink("lock", part), 0);
    assert_int_equal(part_bytes(k, &a), -1);
    assert_false(part_is_there(k, SHA_A));
    write_file(asset_cache_path(k, SHA_B, ".part", part), "d");
    part_set_back(k, SHA_B, ASSET_PART_AGE_S + 100);
    assert_int_equal(room(k, 1, 9, &err), BP_OK);
    assert_false(part_is_there(k, SHA_B));
    asset_cache_close(k);
}

static void one_process_fetches_at_a_time_and_what_one_that_died_left_stays(void **state)
{
    struct asset_cache *k = open_cache();
    struct bp_err err = {0};
    char part[ASSET_PATH_BYTES];
    (void)state;
    pid_t pid = other(NULL, 1);
    assert_int_equal(asset_cache_lock(k, &err), BP_LATER);
    assert_int_equal(access(asset_cache_path(k, SHA_B, ".part", part), F_OK), 0);
    end(pid);
    assert_int_equal(room(k, 3, 9, &err), BP_OK);
    assert_int_equal(part_bytes(k, &b), 2);
    unlink(part);
    asset_cache_close(k);
}

/* What is removed while somebody opens it is either held whole or not there. */
static void a_file_that_is_being_removed_is_not_held(void **state)
{
    struct asset_cache *k = open_cache();
    char path[ASSET_PATH_BYTES];
    int fd;
    (void)state;
    add(k, &a, "abc");
    int claim = open(asset_cache_path(k, SHA_A, "", path), O_RDONLY);
    assert_int_equal(flock(claim, LOCK_EX), 0);
    assert_int_equal(hold(k, &a, &fd), BP_LATER);
    assert_int_equal(fd, -1);
    close(claim);
    assert_int_equal(hold(k, &a, &fd), BP_OK);
    close(fd);
    asset_cache_remove(k, SHA_A);
    asset_cache_close(k);
}

static void a_cache_that_cannot_be_made_says_why(void **state)
{
    struct bp_err err = {0};
    (void)state;
    write_file("file", "");
    assert_null(asset_cache_open("file/cache", &err));
    assert_non_null(strstr(err.text, "file"));
}

static int empty(void **state)
{
    (void)state;
    return system("rm -rf cache file");
}

#define TEST(f) cmocka_unit_test_setup(f, empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_content_is_proven_or_told_apart),
        TEST(what_was_published_is_held_read_only_and_outlives_the_cache),
        TEST(a_changed_file_must_be_proven_and_a_cut_one_is_not_there),
        TEST(a_file_that_changes_while_it_is_read_is_not_proven),
        TEST(room_is_made_by_the_longest_unused_first),
        TEST(what_is_in_use_stays_and_nothing_goes_in_vain),
        TEST(what_another_process_uses_stays_until_it_dies),
        TEST(room_is_made_at_the_cost_of_other_parts_first),
        TEST(parts_that_are_too_old_or_too_large_are_given_up),
        TEST(one_process_fetches_at_a_time_and_what_one_that_died_left_stays),
        TEST(a_file_that_is_being_removed_is_not_held),
        TEST(a_cache_that_cannot_be_made_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
