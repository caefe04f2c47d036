/* SPDX-License-Identifier: Apache-2.0 */
/* What is a notice, and what only looks like one. */
#include "cm.h"
#include "node_notice.h"

#include <string.h>

#define AT 1769860800000LL /* 2026-01-31T12:00:00Z */

static int action(const char *body, int64_t *at)
{
    *at = -2;
    return notice_action(body, strlen(body), at);
}

static void each_action_is_a_notice(void **state)
{
    (void)state;
    int64_t at;
    assert_true(action("{\"action\":\"terminate\",\"time\":\"2026-01-31T12:00:00Z\"}", &at));
    assert_int_equal(at, AT);
    assert_true(action(" {\"action\": \"stop\", \"time\": \"2026-01-31T12:00:00Z\", \"more\": [1]}\n", &at));
    assert_true(action("{\"time\":\"2026-01-31T12:00:00Z\",\"action\":\"hibernate\"}", &at));
    assert_int_equal(at, AT);
}

static void what_only_looks_like_one_is_none(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        " \n",
        "null",
        "[]",
        "{}",
        "\"terminate\"",
        "<html><body>terminate 2026-01-31T12:00:00Z</body></html>",
        "{\"action\":\"terminate\"}",
        "{\"action\":\"none\",\"time\":\"2026-01-31T12:00:00Z\"}",
        "{\"action\":\"Terminate\",\"time\":\"2026-01-31T12:00:00Z\"}",
        "{\"action\":\"terminate\\u0000x\",\"time\":\"2026-01-31T12:00:00Z\"}",
        "{\"action\":[\"terminate\"],\"time\":\"2026-01-31T12:00:00Z\"}",
        "{\"action\":\"terminate\",\"time\":\"soon\"}",
        "{\"action\":\"terminate\",\"time\":1769860800}",
        "{\"action\":\"terminate\",\"time\":\"2026-01-31T12:00:00\"}",
        "{\"action\":\"terminate\",\"time\":\"2026-02-30T12:00:00Z\"}",
        "{\"action\":\"terminate\",\"time\":\"2026-01-31T12:00:00Z\"} {}",
        "{\"action\":\"terminate\",\"time\":\"2026-01-31T12:00:00Z\"",
        "{'action':'terminate','time':'2026-01-31T12:00:00Z'}",
        "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":1}}}},\"action\":\"terminate\",\"time\":\"2026-01-31T12:00:00Z\"}",
        "{\"Code\":\"Failed\",\"Message\":\"no such metadata\"}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        int64_t at;
        if (action(bodies[i], &at))
            fail_msg("taken for a notice: %s", bodies[i]);
        assert_int_equal(at, -2);
    }
}

static void an_endless_body_is_none(void **state)
{
    (void)state;
    char body[8192];
    int64_t at = 0;
    memset(body, ' ', sizeof body);
    memcpy(body, "{\"action\":\"terminate\",\"time\":\"2026-01-31T12:00:00Z\",\"x\":\"", 57);
    memset(body + 57, 'x', sizeof body - 57);
    memcpy(body + sizeof body - 2, "\"}", 2);
    assert_false(notice_action(body, sizeof body, &at));
    assert_false(notice_action("{\"a\0b\":1}", 9, &at));
}

static int64_t time_of(const char *text)
{
    return notice_time(text, strlen(text));
}

static void the_old_form_holds_a_time_or_nothing(void **state)
{
    (void)state;
    assert_int_equal(time_of("2026-01-31T12:00:00Z"), AT);
    assert_int_equal(time_of("2026-01-31T12:00:00Z\n"), AT);
    assert_int_equal(time_of("1970-01-01T00:00:00Z"), 0);
    assert_int_equal(time_of("2024-02-29T00:00:00Z"), 1709164800000LL);
    assert_int_equal(time_of("2000-03-01T00:00:00Z"), 951868800000LL);
    static const char *const others[] = {"",
                                         "none",
                                         "2025-02-29T00:00:00Z",
                                         "2100-02-29T00:00:00Z",
                                         "2026-13-01T00:00:00Z",
                                         "2026-00-01T00:00:00Z",
                                         "2026-01-00T00:00:00Z",
                                         "2026-01-31T24:00:00Z",
                                         "2026-01-31 12:00:00Z",
                                         "2026-01-31T12:00:00+00:00",
                                         "2026-01-31T12:00:00.000Z",
                                         "-026-01-31T12:00:00Z",
                                         "2026-01-31T12:00:00ZZ",
                                         "0000-01-31T12:00:00Z"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (time_of(others[i]) != -1)
            fail_msg("taken for a time: %s", others[i]);
}

static void a_rebalance_recommendation_has_its_time(void **state)
{
    (void)state;
    int64_t at = 0;
    static const char good[] = "{\"noticeTime\":\"2026-01-31T12:00:00Z\"}", bad[] = "{\"noticeTime\":\"\"}";
    assert_true(notice_rebalance(good, strlen(good), &at));
    assert_int_equal(at, AT);
    assert_false(notice_rebalance(bad, strlen(bad), &at));
    assert_false(notice_rebalance("<html>", 6, &at));
}

static void only_terminated_is_an_end(void **state)
{
    (void)state;
    static const char *const others[] = {"",
                                         "InService",
                                         "Standby",
                                         "Detached",
                                         "Warmed:Stopped",
                                         "terminated",
                                         "Terminated:Wait",
                                         "Warmed:Terminated",
                                         "<html>Terminated</html>"};
    assert_true(notice_target_ends("Terminated", 10));
    assert_true(notice_target_ends("Terminated\n", 11));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(notice_target_ends(others[i], strlen(others[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_action_is_a_notice),
        cmocka_unit_test(what_only_looks_like_one_is_none),
        cmocka_unit_test(an_endless_body_is_none),
        cmocka_unit_test(the_old_form_holds_a_time_or_nothing),
        cmocka_unit_test(a_rebalance_recommendation_has_its_time),
        cmocka_unit_test(only_terminated_is_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
