/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: what goes wrong on the way to S3 and back, and what is done about it. */
#include "err.h"
#include "fake_aws.h"
#include "fake_s3.h"
#include "objects.h"
#include "upload_state.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define MIB (1 << 20)
#define SETTINGS                                                                                                       \
    "{\"bucket\":\"bucket\",\"keyPrefix\":\"m/\",\"partBytes\":5242880,\"multipartBytes\":5242880,"                    \
    "\"uploadConnections\":3,\"retryBaseMilliseconds\":1}"

static struct aws *a;
static struct bp_err err;

static int set_up(void **state)
{
    (void)state;
    memset(&err, 0, sizeof err);
    fake_s3_reset();
    a = fake_aws(SETTINGS);
    a->objects = objects_open(a, &err);
    assert_non_null(a->objects);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    objects_close(a->objects);
    fake_aws_free(a);
    fake_s3_reset();
    return 0;
}

static char *make_file(const char *path, size_t n)
{
    char *bytes = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 2654435761U >> 13);
    FILE *f = fopen(path, "wb");
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    return bytes;
}

static void expect_object(const char *key, const char *bytes, size_t n)
{
    size_t got;
    const char *there = fake_s3_object(key, &got);
    assert_non_null(there);
    assert_int_equal(got, n);
    assert_memory_equal(there, bytes, n);
}

static int put(const char *key, const char *path)
{
    return objects_facet.put(a, key, "video/mp4", path, &err);
}

/* Files in a directory whose names end so. */
static int count_files(const char *dir, const char *end)
{
    int n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        n += strlen(e->d_name) > strlen(end) && strcmp(e->d_name + strlen(e->d_name) - strlen(end), end) == 0;
    if (d)
        closedir(d);
    return n;
}

/* ---- put ---- */

static void a_small_file_is_one_request_with_its_type_and_checksum(void **state)
{
    (void)state;
    char *bytes = make_file("small", 1000);
    assert_int_equal(put("a b/ü+.mp4", "small"), 0);
    expect_object("m/a b/ü+.mp4", bytes, 1000);
    assert_non_null(strstr(fake_s3_headers(AWS_OP_S3_PUT_OBJECT), "content-type: video/mp4\n"));
    assert_non_null(strstr(fake_s3_headers(AWS_OP_S3_PUT_OBJECT), "x-amz-checksum-crc32c: "));
    assert_null(strstr(fake_s3_headers(AWS_OP_S3_PUT_OBJECT), "if-none-match"));
    assert_int_equal(fake_s3_calls(AWS_OP_S3_PUT_OBJECT), 1);
    free(bytes);
    free(make_file("empty", 0));
    assert_int_equal(put("empty", "empty"), 0);
    expect_object("m/empty", "", 0);
}

static void a_large_file_goes_in_parts_and_is_whole(void **state)
{
    (void)state;
    size_t n = 23 * MIB + 17;
    char *bytes = make_file("large", n);
    assert_int_equal(put("large", "large"), 0);
    expect_object("m/large", bytes, n);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_UPLOAD_PART), 5);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_PUT_OBJECT), 0);
    assert_int_equal(fake_s3_uploads(), 0);
    assert_int_equal(count_files("state/uploads", ".json"), 0);
    assert_int_equal(count_files("state/uploads", ".lock"), 0);
    assert_non_null(strstr(fake_s3_headers(AWS_OP_S3_CREATE_MULTIPART_UPLOAD), "content-type: video/mp4\n"));
    free(bytes);
}

static void a_part_that_fails_is_repeated_alone(void **state)
{
    (void)state;
    size_t n = 23 * MIB;
    char *bytes = make_file("large", n);
    fake_s3_fail((struct fake_fault){AWS_OP_S3_UPLOAD_PART, .skip = 1, .times = 2, .rc = BP_LATER, .status = 503});
    assert_int_equal(put("large", "large"), 0);
    expect_object("m/large", bytes, n);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_UPLOAD_PART), 5 + 2);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_CREATE_MULTIPART_UPLOAD), 1);
    free(bytes);
}

static void what_cannot_succeed_is_aborted(void **state)
{
    (void)state;
    free(make_file("large", 12 * MIB));
    fake_s3_fail((struct fake_fault){AWS_OP_S3_UPLOAD_PART, .skip = 1, .times = 1, .rc = BP_DENIED, .status = 403,
                                     .code = "AccessDenied"});
    assert_int_equal(put("large", "large"), BP_DENIED);
    assert_non_null(strstr(err.text, "AccessDenied"));
    assert_int_equal(fake_s3_calls(AWS_OP_S3_ABORT_MULTIPART_UPLOAD), 1);
    assert_int_equal(fake_s3_uploads(), 0);
    assert_int_equal(count_files("state/uploads", ".json"), 0);
}

/* S3 is away from part 3 on until the put gives up. */
static void cut_off(size_t n)
{
    a->objects->connections = 1;
    fake_s3_fail((struct fake_fault){AWS_OP_S3_UPLOAD_PART, .skip = 2, .times = OBJECT_TRIES, .rc = BP_LATER});
    free(make_file("large", n));
    assert_int_equal(put("large", "large"), BP_LATER);
    assert_int_equal(fake_s3_uploads(), 1);
    assert_int_equal(count_files("state/uploads", ".json"), 1);
}

static void an_interrupted_upload_goes_on_where_it_ended(void **state)
{
    (void)state;
    size_t n = 23 * MIB;
    cut_off(n);
    int before = fake_s3_calls(AWS_OP_S3_UPLOAD_PART);
    assert_int_equal(put("large", "large"), 0);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_UPLOAD_PART) - before, 3); /* two were there */
    assert_int_equal(fake_s3_calls(AWS_OP_S3_CREATE_MULTIPART_UPLOAD), 1);
    assert_non_null(strstr(fake_log(), "2 of 5 parts are there"));
    char *bytes = make_file("large", n);
    expect_object("m/large", bytes, n);
    free(bytes);
    assert_int_equal(count_files("state/uploads", ".json"), 0);
}

static void another_file_of_that_key_begins_anew_and_the_former_upload_is_aborted(void **state)
{
    (void)state;
    cut_off(23 * MIB);
    free(make_file("large", 12 * MIB));
    assert_int_equal(put("large", "large"), 0);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_ABORT_MULTIPART_UPLOAD), 1);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_CREATE_MULTIPART_UPLOAD), 2);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_LIST_PARTS), 0);
    assert_int_equal(fake_s3_uploads(), 0);
}

static void the_same_file_with_other_bytes_begins_anew(void **state)
{
    (void)state;
    size_t n = 23 * MIB;
    cut_off(n);
    char *bytes = calloc(1, n);
    FILE *f = fopen("large", "r+b"); /* the same inode and size */
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    assert_int_equal(put("large", "large"), 0);
    expect_object("m/large", bytes, n);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_CREATE_MULTIPART_UPLOAD), 2);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_ABORT_MULTIPART_UPLOAD), 1);
    free(bytes);
}

static void grow_file(void)
{
    FILE *f = fopen("large", "ab");
    fputc('x', f);
    fclose(f);
}

static void a_file_that_changes_meanwhile_is_not_published(void **state)
{
    (void)state;
    size_t n;
    free(make_file("large", 12 * MIB));
    fake_s3_on_part = grow_file;
    assert_int_equal(put("large", "large"), BP_IO);
    assert_non_null(strstr(err.text, "changed while"));
    assert_null(fake_s3_object("m/large", &n));
    assert_int_equal(fake_s3_uploads(), 0);
}

static void an_upload_that_s3_forgot_begins_anew(void **state)
{
    (void)state;
    cut_off(23 * MIB);
    fake_s3_drop_uploads();
    assert_int_equal(put("large", "large"), 0);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_CREATE_MULTIPART_UPLOAD), 2);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_ABORT_MULTIPART_UPLOAD), 0);
}

static void a_part_that_s3_has_otherwise_is_sent_again(void **state)
{
    (void)state;
    size_t n = 23 * MIB;
    cut_off(n);
    fake_s3_replace_part(2);
    int before = fake_s3_calls(AWS_OP_S3_UPLOAD_PART);
    assert_int_equal(put("large", "large"), 0);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_UPLOAD_PART) - before, 4);
    char *bytes = make_file("large", n);
    expect_object("m/large", bytes, n);
    free(bytes);
}

static void state_that_is_damaged_begins_anew(void **state)
{
    (void)state;
    char name[4200] = "";
    cut_off(12 * MIB);
    DIR *d = opendir("state/uploads");
    for (struct dirent *e; (e = readdir(d));)
        if (strstr(e->d_name, ".json"))
            snprintf(name, sizeof name, "state/uploads/%s", e->d_name);
    closedir(d);
    assert_int_equal(truncate(name, 40), 0);
    assert_int_equal(put("large", "large"), 0);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_CREATE_MULTIPART_UPLOAD), 2);
    assert_int_equal(count_files("state/uploads", ".json"), 0);
}

static void two_uploads_of_one_key_do_not_mix(void **state)
{
    (void)state;
    struct upload_state s;
    struct stat st;
    char stale[1025];
    free(make_file("large", 12 * MIB));
    assert_int_equal(stat("large", &st), 0);
    const struct upload_source from = {"state/uploads", "bucket", "m/large", &st};
    assert_int_equal(upload_state_open(&s, &from, stale, &err), 0);
    assert_int_equal(put("large", "large"), BP_LATER);
    assert_non_null(strstr(err.text, "runs already"));
    upload_state_close(&s);
    assert_int_equal(put("large", "large"), 0);
}

static void uploads_nobody_took_up_are_aborted_after_a_day(void **state)
{
    (void)state;
    cut_off(12 * MIB);
    free(make_file("small", 10));
    fake_now_ms += 90000000;
    assert_int_equal(put("small", "small"), 0);
    fake_now_ms -= 90000000;
    assert_int_equal(fake_s3_uploads(), 0);
    assert_int_equal(count_files("state/uploads", ".json"), 0);
}

/* ---- completing ---- */

static void a_completion_that_says_200_and_then_error_is_repeated(void **state)
{
    (void)state;
    char *bytes = make_file("large", 12 * MIB);
    fake_s3_fail((struct fake_fault){
        AWS_OP_S3_COMPLETE_MULTIPART_UPLOAD, .times = 2,
        .body_200 = "<Error><Code>InternalError</Code><Message>Please try again.</Message></Error>"});
    assert_int_equal(put("large", "large"), 0);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_COMPLETE_MULTIPART_UPLOAD), 3);
    expect_object("m/large", bytes, 12 * MIB);
    free(bytes);
}

static void a_completion_that_always_fails_is_told_and_kept(void **state)
{
    (void)state;
    free(make_file("large", 12 * MIB));
    fake_s3_fail((struct fake_fault){AWS_OP_S3_COMPLETE_MULTIPART_UPLOAD, .times = OBJECT_TRIES,
                                     .body_200 = "<Error><Code>InternalError</Code><Message>no</Message></Error>"});
    assert_int_equal(put("large", "large"), BP_LATER);
    assert_non_null(strstr(err.text, "InternalError"));
    int before = fake_s3_calls(AWS_OP_S3_UPLOAD_PART);
    assert_int_equal(put("large", "large"), 0); /* only the completion is left */
    assert_int_equal(fake_s3_calls(AWS_OP_S3_UPLOAD_PART), before);
}

static void a_completion_whose_answer_was_lost_is_found_out(void **state)
{
    (void)state;
    free(make_file("large", 12 * MIB));
    fake_s3_fail(
        (struct fake_fault){AWS_OP_S3_COMPLETE_MULTIPART_UPLOAD, .times = 1, .rc = BP_TIMEOUT, .takes_effect = 1});
    assert_int_equal(put("large", "large"), 0);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_HEAD_OBJECT), 1);
    assert_int_equal(count_files("state/uploads", ".json"), 0);
}

static void put_new_refuses_what_is_there(void **state)
{
    (void)state;
    free(make_file("small", 10));
    free(make_file("large", 12 * MIB));
    assert_int_equal(objects_facet.put_new(a, "k", NULL, "small", &err), 0);
    assert_non_null(strstr(fake_s3_headers(AWS_OP_S3_PUT_OBJECT), "if-none-match: *\n"));
    assert_int_equal(objects_facet.put_new(a, "k", NULL, "small", &err), BP_CONFLICT);
    assert_int_equal(objects_facet.put_new(a, "k", NULL, "large", &err), BP_CONFLICT);
    assert_int_equal(fake_s3_uploads(), 0);
    assert_int_equal(put("k", "large"), 0);
}

/* ---- get ---- */

static int get(const char *key, const char *path)
{
    return objects_facet.get(a, key, path, &err);
}

static void expect_file(const char *path, const char *bytes, size_t n)
{
    char *got = malloc(n + 1);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(got, 1, n + 1, f), n);
    assert_memory_equal(got, bytes, n);
    fclose(f);
    free(got);
}

static void a_broken_download_goes_on_where_it_broke(void **state)
{
    (void)state;
    char *bytes = make_file("source", MIB);
    fake_s3_put("m/k", bytes, MIB);
    fake_s3_fail((struct fake_fault){AWS_OP_S3_GET_OBJECT, .times = 1, .rc = BP_LATER, .deliver = 100000});
    fake_s3_fail((struct fake_fault){AWS_OP_S3_GET_OBJECT, .times = 1, .rc = BP_TIMEOUT, .deliver = 5});
    assert_int_equal(get("k", "got"), 0);
    expect_file("got", bytes, MIB);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_GET_OBJECT), 3);
    assert_non_null(strstr(fake_s3_headers(AWS_OP_S3_GET_OBJECT), "range: bytes=100005-\n"));
    assert_non_null(strstr(fake_s3_headers(AWS_OP_S3_GET_OBJECT), "if-match: \""));
    free(bytes);
}

static void an_object_replaced_meanwhile_is_fetched_from_its_beginning(void **state)
{
    (void)state;
    char *bytes = make_file("source", MIB);
    fake_s3_put("m/k", bytes, MIB);
    fake_s3_fail((struct fake_fault){AWS_OP_S3_GET_OBJECT, .times = 1, .rc = BP_LATER, .deliver = 100});
    fake_s3_fail((struct fake_fault){AWS_OP_S3_GET_OBJECT, .times = 1, .rc = BP_CONFLICT, .status = 412,
                                     .code = "PreconditionFailed"});
    assert_int_equal(get("k", "got"), 0);
    expect_file("got", bytes, MIB);
    assert_null(strstr(fake_s3_headers(AWS_OP_S3_GET_OBJECT), "range"));
    free(bytes);
}

static void a_server_without_ranges_is_asked_for_the_whole_again(void **state)
{
    (void)state;
    char *bytes = make_file("source", MIB);
    fake_s3_put("m/k", bytes, MIB);
    fake_s3_ignores_range = 1;
    fake_s3_fail((struct fake_fault){AWS_OP_S3_GET_OBJECT, .times = 1, .rc = BP_LATER, .deliver = 100});
    assert_int_equal(get("k", "got"), 0);
    expect_file("got", bytes, MIB);
    free(bytes);
}

static void a_download_that_brings_nothing_ends_and_leaves_nothing(void **state)
{
    (void)state;
    free(make_file("got", 3));
    char *old = make_file("got", 3);
    fake_s3_put("m/k", "bytes", 5);
    fake_s3_fail((struct fake_fault){AWS_OP_S3_GET_OBJECT, .times = 100, .rc = BP_LATER, .status = 503});
    assert_int_equal(get("k", "got"), BP_LATER);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_GET_OBJECT), OBJECT_TRIES);
    expect_file("got", old, 3); /* what was there is untouched */
    free(old);
    assert_int_equal(get("gone/../k", "got"), BP_INVALID);
}

static void what_is_not_there_is_not_asked_for_twice(void **state)
{
    (void)state;
    assert_int_equal(get("none", "got-none"), BP_NOTFOUND);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_GET_OBJECT), 1);
    assert_int_not_equal(access("got-none", F_OK), 0);
}

static void a_damaged_download_is_refused(void **state)
{
    (void)state;
    fake_s3_put("m/k", "bytes", 5);
    fake_s3_damages = 1;
    assert_int_equal(get("k", "got-damaged"), BP_IO);
    assert_non_null(strstr(err.text, "damaged"));
    assert_int_not_equal(access("got-damaged", F_OK), 0);
}

/* ---- listing, keys, URLs ---- */

static void keys_come_in_order_page_by_page(void **state)
{
    (void)state;
    static const char *const keys[] = {"m/p/a", "m/p/a b", "m/p/a+b", "m/p/ä&<>'\"%", "m/p/b/c", "m/q", "x/p/z"};
    struct bp_object_info out[8];
    uint32_t n = 8;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        fake_s3_put(keys[i], "1234", i % 3);
    fake_s3_page = 2;
    assert_int_equal(objects_facet.list(a, "p/", NULL, out, &n, &err), 0);
    assert_int_equal(n, 5);
    assert_string_equal(out[0].key, "p/a");
    assert_string_equal(out[1].key, "p/a b");
    assert_string_equal(out[2].key, "p/a+b");
    assert_string_equal(out[3].key, "p/b/c");
    assert_string_equal(out[4].key, "p/ä&<>'\"%");
    assert_int_equal(out[1].bytes, 1);
    assert_int_equal(out[0].modified_ms, 1769860800000LL);
    assert_int_equal(fake_s3_calls(AWS_OP_S3_LIST_OBJECTS_V2), 3);
    n = 1;
    assert_int_equal(objects_facet.list(a, "p/", "p/a b", out, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_string_equal(out[0].key, "p/a+b");
    n = 8;
    assert_int_equal(objects_facet.list(a, "nothing", "", out, &n, &err), 0);
    assert_int_equal(n, 0);
}

static void a_list_out_of_order_is_refused(void **state)
{
    (void)state;
    struct bp_object_info out[8];
    uint32_t n = 8;
    fake_s3_put("m/a", "", 0);
    fake_s3_put("m/b", "", 0);
    fake_s3_shuffles = 1;
    assert_int_equal(objects_facet.list(a, "", NULL, out, &n, &err), BP_FAIL);
    assert_int_equal(n, 0);
    assert_non_null(strstr(err.text, "out of order"));
}

static void head_says_what_s3_says(void **state)
{
    (void)state;
    struct bp_object_info info;
    fake_s3_put("m/k", "12345", 5);
    assert_int_equal(objects_facet.head(a, "k", &info, &err), 0);
    assert_string_equal(info.key, "k");
    assert_string_equal(info.mime, "video/mp4");
    assert_int_equal(info.bytes, 5);
    assert_int_equal(objects_facet.head(a, "none", &info, &err), BP_NOTFOUND);
}

static void removing_what_is_gone_is_fine_but_no_bucket_is_not(void **state)
{
    (void)state;
    assert_int_equal(objects_facet.remove(a, "k", &err), 0);
    fake_s3_fail((struct fake_fault){AWS_OP_S3_DELETE_OBJECT, .times = 1, .rc = BP_NOTFOUND, .status = 404,
                                     .code = "NoSuchKey"});
    assert_int_equal(objects_facet.remove(a, "k", &err), 0);
    fake_s3_fail((struct fake_fault){AWS_OP_S3_DELETE_OBJECT, .times = 1, .rc = BP_NOTFOUND, .status = 404,
                                     .code = "NoSuchBucket"});
    assert_int_equal(objects_facet.remove(a, "k", &err), BP_NOTFOUND);
}

static void keys_that_are_none_are_refused(void **state)
{
    (void)state;
    char long_key[1100], *url;
    static const char *const keys[] = {"",         "/a",       "a/",           "a//b",
                                       ".",        "a/../b",   "a/./b",        "a\nb",
                                       "a\x7f",    "\xc3\x28", "\xed\xa0\x80", "\xf5\x80\x80\x80",
                                       "\xc0\x80", "\xff"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        assert_int_equal(objects_facet.presign(a, "GET", keys[i], NULL, 0, 60, &url, &err), BP_INVALID);
    memset(long_key, 'k', sizeof long_key);
    long_key[1023] = '\0';
    assert_int_equal(objects_facet.presign(a, "GET", long_key, NULL, 0, 60, &url, &err), BP_INVALID);
    assert_non_null(strstr(err.text, "keyPrefix"));
    long_key[1022] = '\0';
    assert_int_equal(objects_facet.presign(a, "GET", long_key, NULL, 0, 60, &url, &err), 0);
    free(url);
}

static void urls_pin_the_type_of_a_put_only(void **state)
{
    (void)state;
    char *url;
    assert_int_equal(objects_facet.presign(a, "PUT", "k", "video/mp4", 5, 60, &url, &err), 0);
    assert_string_equal(url, "https://bucket/m/k?PUT&60&content-type: video/mp4");
    free(url);
    assert_int_equal(objects_facet.presign(a, "GET", "k", "video/mp4", 0, 60, &url, &err), 0);
    assert_string_equal(url, "https://bucket/m/k?GET&60&");
    free(url);
    assert_int_equal(objects_facet.presign(a, "PUT", "k", "a/b\r\nX: y", 0, 60, &url, &err), BP_INVALID);
    assert_int_equal(objects_facet.presign(a, "DELETE", "k", NULL, 0, 60, &url, &err), BP_INVALID);
    assert_int_equal(objects_facet.presign(a, "GET", "k", NULL, 0, 604801, &url, &err), BP_INVALID);
    assert_int_equal(objects_facet.presign(a, "GET", "k", NULL, 0, 0, &url, &err), BP_INVALID);
}

static void without_a_bucket_the_remedy_is_told(void **state)
{
    (void)state;
    char *url;
    a->objects->bucket = "";
    assert_int_equal(objects_facet.presign(a, "GET", "k", NULL, 0, 60, &url, &err), BP_INVALID);
    assert_non_null(strstr(err.text, "set plugin.aws.bucket"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_small_file_is_one_request_with_its_type_and_checksum),
        TEST(a_large_file_goes_in_parts_and_is_whole),
        TEST(a_part_that_fails_is_repeated_alone),
        TEST(what_cannot_succeed_is_aborted),
        TEST(an_interrupted_upload_goes_on_where_it_ended),
        TEST(another_file_of_that_key_begins_anew_and_the_former_upload_is_aborted),
        TEST(the_same_file_with_other_bytes_begins_anew),
        TEST(a_file_that_changes_meanwhile_is_not_published),
        TEST(an_upload_that_s3_forgot_begins_anew),
        TEST(a_part_that_s3_has_otherwise_is_sent_again),
        TEST(state_that_is_damaged_begins_anew),
        TEST(two_uploads_of_one_key_do_not_mix),
        TEST(uploads_nobody_took_up_are_aborted_after_a_day),
        TEST(a_completion_that_says_200_and_then_error_is_repeated),
        TEST(a_completion_that_always_fails_is_told_and_kept),
        TEST(a_completion_whose_answer_was_lost_is_found_out),
        TEST(put_new_refuses_what_is_there),
        TEST(a_broken_download_goes_on_where_it_broke),
        TEST(an_object_replaced_meanwhile_is_fetched_from_its_beginning),
        TEST(a_server_without_ranges_is_asked_for_the_whole_again),
        TEST(a_download_that_brings_nothing_ends_and_leaves_nothing),
        TEST(what_is_not_there_is_not_asked_for_twice),
        TEST(a_damaged_download_is_refused),
        TEST(keys_come_in_order_page_by_page),
        TEST(a_list_out_of_order_is_refused),
        TEST(head_says_what_s3_says),
        TEST(removing_what_is_gone_is_fine_but_no_bucket_is_not),
        TEST(keys_that_are_none_are_refused),
        TEST(urls_pin_the_type_of_a_put_only),
        TEST(without_a_bucket_the_remedy_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
