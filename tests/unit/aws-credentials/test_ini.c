/* SPDX-License-Identifier: Apache-2.0 */
/* The shared files: sections, settings, comments, lines that go on, and everything that is none of these. */
#include "cm.h"
#include "ini.h"
#include "profile.h"
#include "rig.h"

#include <stdlib.h>
#include <string.h>

static struct ini *parse(const char *text)
{
    struct bp_err err = {0};
    struct ini *i = ini_parse(text, strlen(text), &err);
    if (!i)
        fail_msg("%s", err.text);
    return i;
}

static void sections_and_settings(void **state)
{
    (void)state;
    struct ini *i =
        parse("\xef\xbb\xbf[default]\r\nregion = eu-west-1 \r\n[profile  a b]\nX=1\nx = 2\n[ profile \"q r\" ]\n"
              "k=v=w\n[services s]\ns3 =\n  endpoint_url = http://s3\n\tother=1\nec2=\n endpoint_url=http://ec2\n"
              "endpoint_url = http://all");
    assert_string_equal(ini_get(i, "", "default", NULL, "REGION"), "eu-west-1");
    assert_string_equal(ini_get(i, "profile", "a b", NULL, "x"), "2"); /* the last counts */
    assert_string_equal(ini_get(i, "profile", "q r", NULL, "k"), "v=w");
    assert_string_equal(ini_get(i, "services", "s", "s3", "endpoint_url"), "http://s3");
    assert_string_equal(ini_get(i, "services", "s", "S3", "other"), "1");
    assert_string_equal(ini_get(i, "services", "s", "ec2", "endpoint_url"), "http://ec2");
    assert_string_equal(ini_get(i, "services", "s", NULL, "endpoint_url"), "http://all");
    assert_string_equal(ini_get(i, "services", "s", NULL, "s3"), "");
    assert_null(ini_get(i, "services", "s", NULL, "other"));
    assert_null(ini_get(i, "", "a b", NULL, "x"));
    assert_true(ini_has(i, "profile", "a b") && !ini_has(i, "profile", "A b") && !ini_has(i, "", "profile"));
    ini_free(i);
}

static void comments_and_odd_lines(void **state)
{
    (void)state;
    struct ini *i =
        parse("before = 1\n# c\n;d\n[x] # of x\na = 1 # one\nb = 2 ;two\nc = 3#three\nnothing\n= 4\n  [y]\n[z\nd=5\n"
              "[x]\ne = first\n  second # not this\n\n   third\nf=6");
    assert_string_equal(ini_get(i, "", "x", NULL, "a"), "1");
    assert_string_equal(ini_get(i, "", "x", NULL, "b"), "2");
    assert_string_equal(ini_get(i, "", "x", NULL, "c"), "3#three");
    assert_string_equal(ini_get(i, "", "x", NULL, "e"), "first\nsecond\nthird");
    assert_string_equal(ini_get(i, "", "x", NULL, "f"), "6");
    assert_null(ini_get(i, "", "x", NULL, "d")); /* of a section that cannot be read */
    assert_null(ini_get(i, "", "x", NULL, "before"));
    assert_false(ini_has(i, "", "y"));
    assert_null(ini_get(NULL, "", "x", NULL, "a"));
    ini_free(i);
}

static void refused_as_a_whole(void **state)
{
    (void)state;
    struct bp_err err = {0};
    assert_null(ini_parse("a\0b", 3, &err));
    assert_int_equal(err.rc, BP_INVALID);
    char *large = calloc(1, INI_BYTES_MAX + 1);
    memset(large, 'x', INI_BYTES_MAX + 1);
    assert_null(ini_parse(large, INI_BYTES_MAX + 1, &err));
    assert_int_equal(err.rc, BP_TOOLARGE);
    struct ini *i = ini_parse(large, INI_BYTES_MAX, &err);
    assert_non_null(i);
    ini_free(i);
    free(large);
    assert_null(ini_read("/nowhere/at/all", &err));
    assert_int_equal(err.rc, BP_NOTFOUND);
    assert_null(ini_read("/tmp", &err));
    assert_int_equal(err.rc, BP_INVALID);
}

static void profiles_come_from_both_files(void **state)
{
    (void)state;
    struct profiles p;
    struct bp_err err = {0};
    rig_open("{}",
             "[default]\nregion=a\n[profile default]\nregion=b\n[x]\nregion=no\n[profile x]\nregion=c\nk=config\n"
             "services=s\nendpoint_url=http://all\n[services s]\ns3=\n endpoint_url=http://s3\n",
             "[x]\nk=creds\n[profile y]\nk=1\n");
    assert_int_equal(profiles_open(&p, &err), 0);
    assert_string_equal(profiles_get(&p, "default", "region"), "b");
    assert_string_equal(profiles_get(&p, "x", "region"), "c");
    assert_string_equal(profiles_get(&p, "x", "k"), "creds");
    assert_false(profiles_has(&p, "y"));
    assert_string_equal(profiles_endpoint(&p, "x", "s3"), "http://s3");
    assert_string_equal(profiles_endpoint(&p, "x", "ec2"), "http://all");
    assert_null(profiles_endpoint(&p, "default", "s3"));
    uint64_t stamp = profiles_stamp(&p);
    assert_true(stamp == profiles_stamp(&p));
    rig_write_credentials("[x]\nk=other\n");
    assert_true(stamp != profiles_stamp(&p));
    profiles_close(&p);
    rig_close();
}

static void the_region_of_the_profile_comes_last(void **state)
{
    (void)state;
    rig_open("{\"profile\":\"x\"}", "[profile x]\nregion = eu-south-2\n", NULL);
    assert_string_equal(rig.settings.region, "eu-south-2");
    assert_string_equal(rig.settings.region_from, "the profile");
    rig_close();
    rig_open("{\"region\":\"eu-west-3\"}", "[default]\nregion = eu-south-2\n", NULL);
    assert_string_equal(rig.settings.region, "eu-west-3");
    rig_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_and_settings),
        cmocka_unit_test(comments_and_odd_lines),
        cmocka_unit_test(refused_as_a_whole),
        cmocka_unit_test(profiles_come_from_both_files),
        cmocka_unit_test(the_region_of_the_profile_comes_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
