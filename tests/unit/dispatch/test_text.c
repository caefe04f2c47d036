/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/rig.h"

#include "dispatch/job_json.h"
#include "dispatch/mime.h"
#include "dispatch/order.h"
#include "dispatch/output.h"
#include "dispatch/text.h"

#include <string.h>

static void times_are_written_and_read_back(void **state)
{
    (void)state;
    char text[TIME_SIZE];
    int64_t ms = 0;
    time_iso(1769860800123, text);
    assert_string_equal(text, "2026-01-31T12:00:00+00:00");
    assert_true(time_parse(text, &ms));
    assert_int_equal(ms, 1769860800000);
    moment_text(1769860800123, text);
    assert_string_equal(text, "2026-01-31T12:00:00.123Z");
    assert_true(time_parse(text, &ms));
    assert_int_equal(ms, 1769860800123);
    assert_true(time_parse("2026-01-31 12:00:00", &ms));
    assert_int_equal(ms, 1769860800000);
    assert_true(time_parse("2026-01-31T14:30:00.5+02:30", &ms));
    assert_int_equal(ms, 1769860800500);
    assert_true(time_parse("2026-01-31T12:00:00.123456789Z", &ms));
    assert_int_equal(ms, 1769860800123);
    const char *const bad[] = {
        "", "tomorrow", "2026-01-31", "2026-13-31T12:00:00", "2026-01-31T12:00:00X", "2026-01-31T12:00:00+25:00"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(time_parse(bad[i], &ms));
}

static void uuids_are_version_4(void **state)
{
    (void)state;
    char a[UUID_SIZE], b[UUID_SIZE];
    uuid_make(a);
    uuid_make(b);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 36);
    assert_int_equal(a[14], '4');
    assert_non_null(strchr("89ab", a[19]));
    for (int i = 0; i < 36; i++)
        assert_true(i == 8 || i == 13 || i == 18 || i == 23 ? a[i] == '-' : strchr("0123456789abcdef", a[i]) != NULL);
}

static void uuids_made_together_are_all_different(void **state)
{
    (void)state;
    char all[70][UUID_SIZE];
    uuids_make(all, 70);
    for (int i = 0; i < 70; i++) {
        assert_int_equal(strlen(all[i]), 36);
        assert_int_equal(all[i][14], '4');
        for (int k = 0; k < i; k++)
            assert_string_not_equal(all[i], all[k]);
    }
}

static void a_time_of_another_second_is_not_the_last_one(void **state)
{
    (void)state;
    char text[TIME_SIZE];
    moment_text(1769860800999, text);
    moment_text(1769860800001, text);
    assert_string_equal(text, "2026-01-31T12:00:00.001Z");
    moment_text(1769860801000, text);
    assert_string_equal(text, "2026-01-31T12:00:01.000Z");
    time_iso(1, text);
    assert_string_equal(text, "1970-01-01T00:00:00+00:00");
}

static void numbers_are_written_as_json_c_writes_them(void **state)
{
    (void)state;
    const double all[] = {0, 1, 30, 0.5, 0.1, -1, -0.0, 999999999, 1e9, 1e300, 1.5e-7};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct json_object *o = json_object_new_object(), *plain = json_object_new_object();
        put_num(o, "v", all[i]);
        put_new(plain, "v", json_object_new_double(all[i]));
        assert_string_equal(json_text(o), json_text(plain));
        json_object_put(o);
        json_object_put(plain);
    }
}

static void digest_is_sha256(void **state)
{
    (void)state;
    char out[DIGEST_SIZE];
    digest_make("abc", 3, out); /* FIPS 180-4 example */
    assert_string_equal(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void digest_of_an_order_ignores_member_order_and_the_key(void **state)
{
    (void)state;
    char a[DIGEST_SIZE], b[DIGEST_SIZE], c[DIGEST_SIZE];
    struct json_object *x = js("{'a':{'p':1,'q':[{'r':1,'s':2}]},'b':null,'idempotency_key':'1'}");
    struct json_object *y = js("{'idempotency_key':'2','b':null,'a':{'q':[{'s':2,'r':1}],'p':1}}");
    struct json_object *z = js("{'b':null,'a':{'q':[{'s':2,'r':2}],'p':1}}");
    order_digest(x, a);
    order_digest(y, b);
    order_digest(z, c);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    assert_string_equal(json_str(x, "idempotency_key", ""), "1"); /* the body is left as it was */
    json_object_put(x);
    json_object_put(y);
    json_object_put(z);
}

static void mime_patterns_match_what_they_say(void **state)
{
    (void)state;
    assert_true(mime_matches("image/jpeg", "image/jpeg"));
    assert_true(mime_matches("image/*", "image/png"));
    assert_true(mime_matches("*/*", "x/y"));
    assert_true(mime_matches("text/plain", "Text/Plain; charset=utf-8"));
    assert_false(mime_matches("image/jpeg", "image/jpegx"));
    assert_false(mime_matches("image/*", "imagex/png"));
    assert_false(mime_matches("image/*", "image/"));
    assert_false(mime_matches("image/jpegx", "image/jpeg"));
    assert_true(mime_is_valid("application/vnd.x+json"));
    assert_false(mime_is_valid("image"));
    assert_false(mime_is_valid("/png"));
    assert_false(mime_is_valid("image/"));
    assert_false(mime_is_valid("image/png\r\nX: y"));
    assert_false(mime_is_valid("image/png;\n"));
    assert_string_equal(mime_extension("video/mp4"), ".mp4");
    assert_string_equal(mime_extension("x/y"), "");
    assert_string_equal(mime_extension(NULL), "");
}

static void checkpoint_keys_name_job_and_attempt(void **state)
{
    (void)state;
    assert_true(checkpoint_key_ok("tenants/acme/jobs/12/abc/checkpoint", 12));
    const char *const bad[] = {"tenants/acme/jobs/13/abc/checkpoint",    "tenants/acme/jobs/12/checkpoint",
                               "tenants/acme/jobs/12/abc/checkpoint/",   "tenants/acme/jobs/12/../checkpoint",
                               "/tenants/acme/jobs/12/abc/checkpoint",   "tenants//jobs/12/abc/checkpoint",
                               "tenants/acme/jobs/12/abc/checkpoint/x",  "",
                               "tenants/acme/uploads/12/abc/checkpoint", "tenants/acme/jobs/12/abc/checkpointx"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(checkpoint_key_ok(bad[i], 12));
}

static void names_of_states_go_both_ways(void **state)
{
    (void)state;
    for (int i = BP_JOB_SCHEDULED; i <= BP_JOB_CANCELLED; i++)
        assert_int_equal(job_status_find(job_status_name(i)), i);
    assert_null(job_status_name(0));
    assert_null(job_status_name(7));
    assert_int_equal(job_status_find("running"), 0);
    assert_int_equal(job_status_find(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_written_and_read_back),
        cmocka_unit_test(uuids_are_version_4),
        cmocka_unit_test(uuids_made_together_are_all_different),
        cmocka_unit_test(a_time_of_another_second_is_not_the_last_one),
        cmocka_unit_test(numbers_are_written_as_json_c_writes_them),
        cmocka_unit_test(digest_is_sha256),
        cmocka_unit_test(digest_of_an_order_ignores_member_order_and_the_key),
        cmocka_unit_test(mime_patterns_match_what_they_say),
        cmocka_unit_test(checkpoint_keys_name_job_and_attempt),
        cmocka_unit_test(names_of_states_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
