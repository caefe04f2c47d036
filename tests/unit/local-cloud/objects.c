/* SPDX-License-Identifier: Apache-2.0 */
#include "main.h"
#include "object_file.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define T       objects_facet
#define NOSPACE "\"minFreeBytes\":1000000000000000"

static struct fake *ready(void **state, const char *settings)
{
    struct fake *f = *state;
    assert_int_equal(fake_start(f, settings), 0);
    return f;
}

static void put(struct fake *f, const char *key, const char *text)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/in", f->dir);
    fake_write(f, "in", text);
    assert_int_equal(T.put(f->inst, key, "text/plain", path, &f->err), 0);
}

/* The object's bytes; free() it. NULL when absent. */
static char *get(struct fake *f, const char *key)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/out", f->dir);
    unlink(path);
    int rc = T.get(f->inst, key, path, &f->err);
    assert_true(rc == 0 || rc == BP_NOTFOUND);
    return rc == 0 ? fake_read(f, "out") : NULL;
}

static void assert_object(struct fake *f, const char *key, const char *text)
{
    char *got = get(f, key);
    assert_non_null(got);
    assert_string_equal(got, text);
    free(got);
}

/* Files with bytes or sidecars, everything but tmp. */
static int files(struct fake *f)
{
    int n = 0;
    for (int i = 0; i < 256; i++) {
        char name[32];
        snprintf(name, sizeof name, "objects/%02x", (unsigned)i);
        n += fake_count(f, name);
    }
    return n;
}

static char *sign(struct fake *f, const char *method, const char *key, const char *mime, int64_t max, int32_t ttl_s)
{
    char *url = NULL;
    assert_int_equal(T.presign(f->inst, method, key, mime, max, ttl_s, &url, &f->err), 0);
    assert_memory_equal(url, "http://127.0.0.1:1/objects/", 27);
    return url;
}

static int open_url(struct fake *f, const char *method, const char *url, char **path, struct bp_object_info *info,
                    int64_t *max)
{
    *path = NULL;
    return T.open_local(f->inst, method, strstr(url, "/objects/"), path, info, max, &f->err);
}

/* ---- files ---- */

static void an_object_comes_back_as_it_was_put(void **state)
{
    struct fake *f = ready(state, "");
    struct bp_object_info info;
    put(f, "a/b/c.txt", "hello");
    assert_object(f, "a/b/c.txt", "hello");
    assert_int_equal(T.head(f->inst, "a/b/c.txt", &info, &f->err), 0);
    assert_string_equal(info.key, "a/b/c.txt");
    assert_string_equal(info.mime, "text/plain");
    assert_int_equal(info.bytes, 5);
    assert_true(info.modified_ms > real_ms() - 100000 && info.modified_ms <= real_ms());
}

static void a_second_put_replaces_the_first_and_leaves_nothing(void **state)
{
    struct fake *f = ready(state, "");
    put(f, "k", "one");
    put(f, "k", "second");
    assert_object(f, "k", "second");
    assert_int_equal(files(f), 2);
    assert_int_equal(fake_count(f, "objects/tmp"), 0);
}

static void a_removed_object_is_gone_and_removing_again_is_fine(void **state)
{
    struct fake *f = ready(state, "");
    struct bp_object_info info;
    put(f, "k", "one");
    assert_int_equal(T.remove(f->inst, "k", &f->err), 0);
    assert_int_equal(T.head(f->inst, "k", &info, &f->err), BP_NOTFOUND);
    assert_null(get(f, "k"));
    assert_int_equal(T.remove(f->inst, "k", &f->err), 0);
    assert_int_equal(files(f), 0);
    assert_int_equal(fake_count(f, "objects/tmp"), 0);
}

static void objects_survive_a_restart(void **state)
{
    struct fake *f = ready(state, "");
    put(f, "k", "kept");
    char *url = sign(f, "GET", "k", NULL, 0, 60);
    char *path;
    struct bp_object_info info;
    int64_t max;
    fake_stop(f);
    ready(state, "");
    assert_object(f, "k", "kept");
    assert_int_equal(open_url(f, "GET", url, &path, &info, &max), 0);
    free(path);
    free(url);
}

static void bad_keys_are_refused_everywhere(void **state)
{
    struct fake *f = ready(state, "");
    struct bp_object_info info;
    char *url = NULL;
    assert_int_equal(T.put(f->inst, "../x", NULL, "/etc/hostname", &f->err), BP_INVALID);
    assert_int_equal(T.get(f->inst, "a/../x", "/nowhere", &f->err), BP_INVALID);
    assert_int_equal(T.head(f->inst, "", &info, &f->err), BP_INVALID);
    assert_int_equal(T.remove(f->inst, "/x", &f->err), BP_INVALID);
    assert_int_equal(T.presign(f->inst, "GET", "a//b", NULL, 0, 60, &url, &f->err), BP_INVALID);
    assert_null(url);
}

static void only_regular_files_within_the_limit_are_put(void **state)
{
    struct fake *f = ready(state, "\"maxObjectBytes\":4");
    char path[1024];
    snprintf(path, sizeof path, "%s/in", f->dir);
    fake_write(f, "in", "12345");
    assert_int_equal(T.put(f->inst, "k", NULL, path, &f->err), BP_INVALID);
    assert_int_equal(T.put(f->inst, "k", NULL, f->dir, &f->err), BP_INVALID);
    assert_int_equal(T.put(f->inst, "k", NULL, "/no/such/file", &f->err), BP_NOTFOUND);
    fake_write(f, "in", "1234");
    assert_int_equal(T.put(f->inst, "k", NULL, path, &f->err), 0);
    assert_int_equal(fake_count(f, "objects/tmp"), 0);
}

static void a_large_object_is_copied_whole(void **state)
{
    struct fake *f = ready(state, "");
    size_t n = 3000000;
    char *text = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + i * 7 % 26);
    text[n] = 0;
    put(f, "big", text);
    assert_object(f, "big", text);
    free(text);
}

static void a_full_disk_is_nospace_and_leaves_nothing(void **state)
{
    struct fake *f = ready(state, NOSPACE);
    struct bp_object_info info;
    char path[1024], *opened;
    int64_t max;
    char *url = sign(f, "PUT", "k", NULL, 0, 60);
    snprintf(path, sizeof path, "%s/in", f->dir);
    fake_write(f, "in", "text");
    assert_int_equal(T.put(f->inst, "k", NULL, path, &f->err), BP_NOSPACE);
    assert_int_equal(open_url(f, "PUT", url, &opened, &info, &max), BP_NOSPACE);
    assert_int_equal(files(f) + fake_count(f, "objects/tmp"), 0);
    free(url);
}

/* ---- listing ---- */

static void a_list_is_in_key_order_and_can_be_continued(void **state)
{
    struct fake *f = ready(state, "");
    static const char *const keys[] = {"p/b", "p/a", "q/x", "p/c/d", "p", "p/c"};
    struct bp_object_info out[10];
    uint32_t n = 10;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        put(f, keys[i], keys[i]);
    assert_int_equal(T.list(f->inst, "p/", NULL, out, &n, &f->err), 0);
    assert_int_equal(n, 4);
    assert_string_equal(out[0].key, "p/a");
    assert_string_equal(out[3].key, "p/c/d");
    n = 2;
    assert_int_equal(T.list(f->inst, "", NULL, out, &n, &f->err), 0);
    assert_int_equal(n, 2);
    assert_string_equal(out[0].key, "p");
    assert_string_equal(out[1].key, "p/a");
    n = 10;
    assert_int_equal(T.list(f->inst, "", "p/a", out, &n, &f->err), 0);
    assert_int_equal(n, 4);
    assert_string_equal(out[0].key, "p/b");
    n = 0;
    assert_int_equal(T.list(f->inst, "", NULL, out, &n, &f->err), 0);
    assert_int_equal(n, 0);
}

/* ---- URLs ---- */

static void an_upload_is_published_by_its_commit(void **state)
{
    struct fake *f = ready(state, "");
    struct bp_object_info info;
    char *path;
    int64_t max;
    char *url = sign(f, "PUT", "up/1", "video/mp4", 1000, 60);
    assert_int_equal(open_url(f, "PUT", url, &path, &info, &max), 0);
    assert_string_equal(info.key, "up/1");
    assert_string_equal(info.mime, "video/mp4");
    assert_int_equal(max, 1000);
    fake_write(f, path + strlen(f->dir) + 1, "a body");
    assert_int_equal(T.head(f->inst, "up/1", &info, &f->err), BP_NOTFOUND);
    assert_int_equal(T.commit_local(f->inst, "up/1", path, "video/mp4", 1, &f->err), 0);
    assert_object(f, "up/1", "a body");
    assert_int_equal(T.head(f->inst, "up/1", &info, &f->err), 0);
    assert_string_equal(info.mime, "video/mp4");
    free(path);
    free(url);
}

static void an_upload_that_is_given_up_leaves_nothing(void **state)
{
    struct fake *f = ready(state, "");
    struct bp_object_info info;
    char *path;
    int64_t max;
    char *url = sign(f, "PUT", "up/1", NULL, 0, 60);
    assert_int_equal(open_url(f, "PUT", url, &path, &info, &max), 0);
    assert_int_equal(fake_count(f, "objects/tmp"), 1);
    assert_int_equal(T.commit_local(f->inst, "up/1", path, NULL, 0, &f->err), 0);
    assert_int_equal(fake_count(f, "objects/tmp"), 0);
    assert_int_equal(T.head(f->inst, "up/1", &info, &f->err), BP_NOTFOUND);
    free(path);
    free(url);
}

static void two_uploads_by_one_url_do_not_mix(void **state)
{
    struct fake *f = ready(state, "");
    struct bp_object_info info;
    char *first, *second;
    int64_t max;
    char *url = sign(f, "PUT", "k", NULL, 0, 60);
    assert_int_equal(open_url(f, "PUT", url, &first, &info, &max), 0);
    assert_int_equal(open_url(f, "PUT", url, &second, &info, &max), 0);
    assert_string_not_equal(first, second);
    fake_write(f, first + strlen(f->dir) + 1, "first");
    fake_write(f, second + strlen(f->dir) + 1, "second");
    assert_int_equal(T.commit_local(f->inst, "k", second, NULL, 1, &f->err), 0);
    assert_int_equal(T.commit_local(f->inst, "k", first, NULL, 1, &f->err), 0);
    assert_object(f, "k", "first");
    assert_int_equal(files(f), 2);
    free(first);
    free(second);
    free(url);
}

static void commit_takes_only_files_of_an_upload_of_that_key(void **state)
{
    struct fake *f = ready(state, "");
    struct bp_object_info info;
    char path[1200], *opened;
    int64_t max;
    char *url = sign(f, "PUT", "k", NULL, 0, 60);
    fake_write(f, "in", "text");
    snprintf(path, sizeof path, "%s/in", f->dir);
    assert_int_equal(T.commit_local(f->inst, "k", path, NULL, 1, &f->err), BP_INVALID);
    snprintf(path, sizeof path, "%s/objects/tmp/../../in", f->dir);
    assert_int_equal(T.commit_local(f->inst, "k", path, NULL, 0, &f->err), BP_INVALID);
    assert_true(fake_exists(f, "in"));
    assert_int_equal(open_url(f, "PUT", url, &opened, &info, &max), 0);
    assert_int_equal(T.commit_local(f->inst, "other", opened, NULL, 1, &f->err), BP_INVALID);
    assert_int_equal(fake_count(f, "objects/tmp"), 0);
    free(opened);
    free(url);
}

static void a_url_is_good_for_its_method_only(void **state)
{
    struct fake *f = ready(state, "");
    struct bp_object_info info;
    char *path, *got;
    int64_t max;
    put(f, "k", "text");
    char *get_url = sign(f, "GET", "k", NULL, 0, 60), *put_url = sign(f, "PUT", "k", NULL, 0, 60);
    assert_int_equal(open_url(f, "PUT", get_url, &path, &info, &max), BP_DENIED);
    assert_int_equal(open_url(f, "GET", put_url, &path, &info, &max), BP_DENIED);
    assert_int_equal(open_url(f, "DELETE", get_url, &path, &info, &max), BP_DENIED);
    assert_int_equal(open_url(f, "HEAD", get_url, &path, &info, &max), 0);
    free(path);
    assert_int_equal(open_url(f, "GET", get_url, &path, &info, &max), 0);
    assert_int_equal(info.bytes, 4);
    got = fake_read(f, path + strlen(f->dir) + 1);
    assert_string_equal(got, "text");
    free(got);
    free(path);
    free(get_url);
    free(put_url);
}

static void a_url_dies_with_its_time_and_its_object(void **state)
{
    struct fake *f = ready(state, "");
    struct bp_object_info info;
    char *path;
    int64_t max;
    char *url = sign(f, "GET", "k", NULL, 0, 60);
    assert_int_equal(open_url(f, "GET", url, &path, &info, &max), BP_NOTFOUND);
    put(f, "k", "text");
    assert_int_equal(open_url(f, "GET", url, &path, &info, &max), 0);
    free(path);
    fake_stop(f);
    f->skew_ms = 61000;
    ready(state, "");
    assert_int_equal(open_url(f, "GET", url, &path, &info, &max), BP_DENIED);
    free(url);
}

static void nonsense_cannot_be_signed(void **state)
{
    struct fake *f = ready(state, "");
    char *url = NULL, mime[200];
    memset(mime, 'm', sizeof mime - 1);
    mime[sizeof mime - 1] = 0;
    assert_int_equal(T.presign(f->inst, "DELETE", "k", NULL, 0, 60, &url, &f->err), BP_INVALID);
    assert_int_equal(T.presign(f->inst, "GET", "k", NULL, 0, 0, &url, &f->err), BP_INVALID);
    assert_int_equal(T.presign(f->inst, "GET", "k", NULL, 0, 604801, &url, &f->err), BP_INVALID);
    assert_int_equal(T.presign(f->inst, "PUT", "k", NULL, -1, 60, &url, &f->err), BP_INVALID);
    assert_int_equal(T.presign(f->inst, "PUT", "k", mime, 0, 60, &url, &f->err), BP_INVALID);
    assert_null(url);
}

static void the_store_limits_an_upload_that_names_no_limit(void **state)
{
    struct fake *f = ready(state, "\"maxObjectBytes\":10");
    struct bp_object_info info;
    char *path;
    int64_t max;
    char *url = sign(f, "PUT", "k", NULL, 0, 60);
    assert_int_equal(open_url(f, "PUT", url, &path, &info, &max), 0);
    assert_int_equal(max, 10);
    fake_write(f, path + strlen(f->dir) + 1, "12345678901");
    assert_int_equal(T.commit_local(f->inst, "k", path, NULL, 1, &f->err), BP_INVALID);
    assert_int_equal(fake_count(f, "objects/tmp"), 0);
    free(path);
    free(url);
}

/* ---- after a crash ---- */

/* Name of the file with the bytes of a key, below the state directory. */
static void bytes_name(struct fake *f, const char *key, char out[300])
{
    struct object o;
    char dir[1024];
    snprintf(dir, sizeof dir, "%s/objects", f->dir);
    assert_int_equal(object_read(dir, key, &o, &f->err), 0);
    snprintf(out, 300, "objects/%.2s/%s", o.file, o.file);
}

static void what_a_crash_left_is_cleaned_at_start(void **state)
{
    struct fake *f = ready(state, "");
    char name[300], hash[65], path[600];
    put(f, "k", "kept");
    bytes_name(f, "k", name);
    snprintf(hash, sizeof hash, "%.64s", strrchr(name, '/') + 1);
    fake_stop(f);
    /* A body half written; old bytes not yet removed, with their note; and a note about bytes that are in use. */
    snprintf(path, sizeof path, "objects/tmp/%s.1-1.aa", hash);
    fake_write(f, path, "half");
    snprintf(path, sizeof path, "objects/%.2s/%s.1-1.bb", hash, hash);
    fake_write(f, path, "old bytes");
    snprintf(path, sizeof path, "objects/tmp/%s.1-1.bb", hash);
    fake_write(f, path, "");
    assert_int_equal(files(f), 3);
    ready(state, "");
    assert_int_equal(files(f), 2);
    assert_int_equal(fake_count(f, "objects/tmp"), 0);
    assert_object(f, "k", "kept");
}

static void a_note_about_bytes_in_use_does_them_no_harm(void **state)
{
    struct fake *f = ready(state, "");
    char name[300], moved[300], note[400];
    char *sidecar, *at;
    put(f, "k", "kept");
    bytes_name(f, "k", name);
    fake_stop(f);
    /* As if the object had been put by an earlier process that crashed right after the sidecar's rename. */
    const char *base = strrchr(name, '/') + 1;
    char side[300];
    snprintf(side, sizeof side, "objects/%.2s/%.64s.json", base, base);
    sidecar = fake_read(f, side);
    at = strstr(sidecar, base);
    snprintf(moved, sizeof moved, "%.64s.1-1.%0*d", base, (int)strlen(base) - 69, 7);
    memcpy(at, moved, strlen(base));
    fake_write(f, side, sidecar);
    char from[1024], to[1024];
    snprintf(from, sizeof from, "%s/%s", f->dir, name);
    snprintf(to, sizeof to, "%s/objects/%.2s/%s", f->dir, base, moved);
    assert_int_equal(rename(from, to), 0);
    snprintf(note, sizeof note, "objects/tmp/%s", moved);
    fake_write(f, note, "");
    free(sidecar);
    ready(state, "");
    assert_object(f, "k", "kept");
    assert_int_equal(fake_count(f, "objects/tmp"), 0);
}

static void an_upload_under_way_survives_a_new_generation(void **state)
{
    struct fake *f = ready(state, ""), next = *f;
    struct bp_object_info info;
    char *path;
    int64_t max;
    char *url = sign(f, "PUT", "k", NULL, 0, 60);
    assert_int_equal(open_url(f, "PUT", url, &path, &info, &max), 0);
    next.config = NULL;
    assert_int_equal(fake_start(&next, ""), 0);
    fake_write(f, path + strlen(f->dir) + 1, "body");
    assert_int_equal(T.commit_local(f->inst, "k", path, NULL, 1, &f->err), 0);
    assert_object(&next, "k", "body");
    fake_free(&next);
    free(path);
    free(url);
}

static void a_damaged_sidecar_is_an_error_not_a_path(void **state)
{
    struct fake *f = ready(state, "");
    struct bp_object_info info;
    char name[300], side[300];
    put(f, "k", "text");
    bytes_name(f, "k", name);
    const char *base = strrchr(name, '/') + 1;
    snprintf(side, sizeof side, "objects/%.2s/%.64s.json", base, base);
    fake_write(f, side, "{\"key\":\"k\",\"mime\":\"\",\"bytes\":4,\"modified_ms\":1,\"file\":\"../../objects.key\"}");
    assert_int_equal(T.head(f->inst, "k", &info, &f->err), BP_INVALID);
    fake_write(f, side, "not json");
    assert_int_equal(T.head(f->inst, "k", &info, &f->err), BP_INVALID);
    put(f, "k", "again");
    assert_object(f, "k", "again");
}

/* ---- threads ---- */

static void *put_often(void *arg)
{
    struct fake *f = arg;
    char path[1024];
    struct bp_err err;
    snprintf(path, sizeof path, "%s/in", f->dir);
    for (int i = 0; i < 30; i++)
        if (T.put(f->inst, i % 2 ? "same" : "other", NULL, path, &err) < 0)
            return arg;
    return NULL;
}

static void puts_of_one_key_at_once_leave_one_object(void **state)
{
    struct fake *f = ready(state, "");
    pthread_t threads[4];
    void *bad;
    fake_write(f, "in", "text");
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, put_often, f), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
    assert_object(f, "same", "text");
    assert_int_equal(files(f), 4);
    assert_int_equal(fake_count(f, "objects/tmp"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_object_comes_back_as_it_was_put),
        TEST(a_second_put_replaces_the_first_and_leaves_nothing),
        TEST(a_removed_object_is_gone_and_removing_again_is_fine),
        TEST(objects_survive_a_restart),
        TEST(bad_keys_are_refused_everywhere),
        TEST(only_regular_files_within_the_limit_are_put),
        TEST(a_large_object_is_copied_whole),
        TEST(a_full_disk_is_nospace_and_leaves_nothing),
        TEST(a_list_is_in_key_order_and_can_be_continued),
        TEST(an_upload_is_published_by_its_commit),
        TEST(an_upload_that_is_given_up_leaves_nothing),
        TEST(two_uploads_by_one_url_do_not_mix),
        TEST(commit_takes_only_files_of_an_upload_of_that_key),
        TEST(a_url_is_good_for_its_method_only),
        TEST(a_url_dies_with_its_time_and_its_object),
        TEST(nonsense_cannot_be_signed),
        TEST(the_store_limits_an_upload_that_names_no_limit),
        TEST(what_a_crash_left_is_cleaned_at_start),
        TEST(a_note_about_bytes_in_use_does_them_no_harm),
        TEST(an_upload_under_way_survives_a_new_generation),
        TEST(a_damaged_sidecar_is_an_error_not_a_path),
        TEST(puts_of_one_key_at_once_leave_one_object),
    };
    return RUN(tests);
}
