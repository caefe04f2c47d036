/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of the Redis bridge: where it is, and the words on the channel, which anybody may write. */
#include "dispatch/rig.h"

#include "dispatch/bridge.h"

#include <string.h>

static void an_address_is_read_with_all_its_parts(void **state)
{
    (void)state;
    struct redis_place p;
    struct bp_err err = {0};
    assert_int_equal(redis_place_read("redis://cache.example", &p, &err), 0);
    assert_string_equal(p.host, "cache.example");
    assert_int_equal(p.port, 6379);
    assert_int_equal(p.db, -1);
    assert_string_equal(p.password, "");
    assert_int_equal(redis_place_read("redis://:s%40cret%2F@10.0.0.1:7000/3", &p, &err), 0);
    assert_string_equal(p.password, "s@cret/");
    assert_string_equal(p.user, "");
    assert_int_equal(p.port, 7000);
    assert_int_equal(p.db, 3);
    assert_int_equal(redis_place_read("redis://bpd:word@[::1]:7001", &p, &err), 0);
    assert_string_equal(p.host, "::1");
    assert_string_equal(p.user, "bpd");
    assert_string_equal(p.password, "word");
}

static void what_is_no_address_is_refused_without_telling_the_password(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "cache.example:6379",
                                      "rediss://:secret@cache.example",
                                      "redis://",
                                      "redis://:secret@",
                                      "redis://:secret@cache.example/db",
                                      "redis://:secret@cache.example:99999",
                                      "redis://:secret@cache.example/-1",
                                      "redis://:sec%00ret@cache.example"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct redis_place p;
        struct bp_err err = {0};
        if (redis_place_read(bad[i], &p, &err) != BP_INVALID)
            fail_msg("taken: %s", bad[i]);
        assert_null(strstr(err.text, "secret"));
        assert_non_null(strstr(err.text, "redis://"));
    }
}

static void a_word_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct word w = {"one", 3, "image-to-video"}, got;
    char text[300];
    assert_true(word_write(&w, text, sizeof text));
    assert_string_equal(text, "one 3 image-to-video");
    assert_true(word_read(text, strlen(text), &got));
    assert_string_equal(got.from, "one");
    assert_int_equal(got.jobs, 3);
    assert_string_equal(got.workflow, "image-to-video");
    assert_false(word_write(&w, text, 8));
}

static void a_word_of_anybody_does_no_harm(void **state)
{
    (void)state;
    char lengthy[600];
    struct word got;
    memset(lengthy, 'x', sizeof lengthy);
    static const char *const bad[] = {"", " ", "a", "a 1", "a  b", "a -1 b", "a 1x b", "a 0x1 b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (word_read(bad[i], strlen(bad[i]), &got))
            fail_msg("taken: %s", bad[i]);
    }
    assert_false(word_read(lengthy, sizeof lengthy, &got));
    lengthy[1] = lengthy[3] = ' ';
    lengthy[2] = '1';
    assert_false(word_read(lengthy, sizeof lengthy, &got)); /* no slug is so long */
    assert_false(word_read("a 1 b\0c", 7, &got));
    assert_true(word_read("a 99999999999999999999 b", 24, &got) == 0 || got.jobs <= 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_read_with_all_its_parts),
        cmocka_unit_test(what_is_no_address_is_refused_without_telling_the_password),
        cmocka_unit_test(a_word_is_read_as_it_was_written),
        cmocka_unit_test(a_word_of_anybody_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
