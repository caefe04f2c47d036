/* SPDX-License-Identifier: Apache-2.0 */
/* Windows open by the clock of their zone. What local time is, the C library says independently, from the same files.
 */
#include "cm.h"

#include "log/json.h"
#include "policy/cron.h"
#include "policy/schedule.h"
#include "policy/zone.h"
#include "policy/zone_rule.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t utc(const char *text)
{
    struct tm tm = {0};
    assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
    return timegm(&tm);
}

/* ---- zones ---- */

static void local_time_is_what_the_c_library_says(void **state)
{
    static const char *const names[] = {"Europe/Berlin",     "America/New_York",
                                        "Australia/Sydney",  "Asia/Kolkata",
                                        "America/Sao_Paulo", "Pacific/Auckland",
                                        "Africa/Casablanca", "Australia/Lord_Howe",
                                        "Europe/Dublin"}; /* half an hour; an hour less in winter */
    (void)state;
    if (!zone_files_exist())
        skip();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct bp_err err = {0};
        struct zone *z = zone_load(names[i], &err);
        assert_non_null(z);
        setenv("TZ", names[i], 1);
        tzset();
        for (int64_t t = utc("1840-01-01 00:30"); t < /* before its first change, too */ utc("2120-01-01 00:00");
             t += 86400 * 5 + 3607) {
            struct tm tm;
            time_t at = (time_t)t;
            localtime_r(&at, &tm);
            if (zone_offset_s(z, t) != tm.tm_gmtoff)
                fail_msg("%s at %lld: %d, not %ld", names[i], (long long)t, zone_offset_s(z, t), tm.tm_gmtoff);
        }
        zone_free(z);
    }
    setenv("TZ", "UTC", 1);
    tzset();
}

static void a_change_in_the_file_counts_from_its_second(void **state)
{
    (void)state;
    struct bp_err err = {0};
    if (!zone_files_exist())
        skip();
    struct zone *z = zone_load("Europe/Berlin", &err);
    assert_non_null(z);
    assert_int_equal(zone_offset_s(z, utc("1980-04-06 01:00") - 1), 3600);
    assert_int_equal(zone_offset_s(z, utc("1980-04-06 01:00")), 7200);
    zone_free(z);
}

static void a_rule_changes_at_its_second(void **state)
{
    (void)state;
    struct zone_rule r;
    assert_true(zone_rule_parse(&r, "CET-1CEST,M3.5.0,M10.5.0/3"));
    assert_int_equal(zone_rule_offset_s(&r, utc("2026-03-29 01:00") - 1), 3600);
    assert_int_equal(zone_rule_offset_s(&r, utc("2026-03-29 01:00")), 7200);
    assert_int_equal(zone_rule_offset_s(&r, utc("2026-10-25 01:00") - 1), 7200);
    assert_int_equal(zone_rule_offset_s(&r, utc("2026-10-25 01:00")), 3600);
    assert_true(zone_rule_parse(&r, "<-02>2<-01>,M3.5.0/-1,M10.5.0/0"));
    assert_int_equal(r.from.time_s, -3600);
    assert_true(zone_rule_parse(&r, "XST-1XDT,J60,J300"));
    assert_int_equal(zone_rule_offset_s(&r, utc("2024-03-01 01:00")), 7200); /* day 60 is 1 March also in a leap year */
    assert_int_equal(zone_rule_offset_s(&r, utc("2024-02-29 23:00")), 3600);
    assert_true(zone_rule_parse(&r, "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"));
    assert_int_equal(zone_rule_offset_s(&r, utc("2026-01-15 00:00")), 39600);
    assert_int_equal(zone_rule_offset_s(&r, utc("2026-07-15 00:00")), 37800);
    assert_true(zone_rule_parse(&r, "UTC0"));
    static const char *const wrong[] = {"",
                                        "C-1",
                                        "CET",
                                        "CET-1CEST",
                                        "CET-1CEST,M13.1.0,M10.5.0",
                                        "CET-1CEST,M3.5.0",
                                        "CET-1CEST,M3.5.0,M10.5.0x",
                                        "<CET",
                                        "CET-1CEST,M3.5.0,M10.5.0/200"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(zone_rule_parse(&r, wrong[i]));
}

static void a_name_does_not_lead_out_of_the_folder(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "../../etc/passwd", "/etc/localtime", "Europe/../x", "Europe Berlin", "."};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct bp_err err = {0};
        assert_null(zone_load(wrong[i], &err));
        assert_int_equal(err.rc, BP_INVALID);
    }
    struct bp_err err = {0};
    assert_null(zone_load("Europe/Atlantis", &err));
    assert_int_equal(err.rc, BP_NOTFOUND);
}

static void a_damaged_file_is_refused(void **state)
{
    (void)state;
    unsigned char bytes[4096];
    FILE *f = fopen("/usr/share/zoneinfo/Europe/Berlin", "rb");
    if (!f)
        skip();
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    for (size_t cut = 0; cut < n - 1; cut++) { /* cut anywhere: refused, or read without its rule */
        struct bp_err err = {0};
        zone_free(zone_parse(bytes, cut, &err));
    }
    for (size_t i = 0; i < n; i++) {
        struct bp_err err = {0};
        unsigned char was = bytes[i];
        bytes[i] ^= 0xff;
        struct zone *z = zone_parse(bytes, n, &err);
        if (z)
            (void)zone_offset_s(z, utc("2030-07-01 00:00"));
        zone_free(z);
        bytes[i] = was;
    }
}

/* ---- cron ---- */

static int matches(const char *text, const char *at)
{
    struct cron c;
    struct bp_err err = {0};
    time_t t = (time_t)utc(at);
    struct tm tm;
    if (cron_parse(&c, text, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return cron_matches(&c, gmtime_r(&t, &tm));
}

static void cron_fields_mean_what_crontab_says(void **state)
{
    (void)state;
    assert_true(matches("* * * * *", "2026-11-26 12:34"));
    assert_true(matches("0 8 * * mon-fri", "2026-11-26 08:00")); /* a Thursday */
    assert_false(matches("0 8 * * mon-fri", "2026-11-28 08:00"));
    assert_true(matches("0 8 * * 7", "2026-11-29 08:00"));
    assert_true(matches("0 8 * * 0", "2026-11-29 08:00"));
    assert_true(matches("*/15 * * * *", "2026-11-26 12:45"));
    assert_false(matches("*/15 * * * *", "2026-11-26 12:46"));
    assert_true(matches("5,10-20/5 0 1 jan,NOV *", "2026-11-01 00:15"));
    assert_false(matches("5,10-20/5 0 1 jan,nov *", "2026-11-01 00:25"));
    assert_true(matches("0 0 13 * fri", "2026-11-13 00:00"));
    assert_true(matches("0 0 13 * fri", "2026-11-27 00:00")); /* both days given: one is enough */
    assert_true(matches("0 0 13 * fri", "2026-12-13 00:00"));
    assert_false(matches("0 0 13 * fri", "2026-12-14 00:00"));
}

static void a_wrong_field_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } rows[] = {{"", "five fields"},         {"* * * *", "five fields"},     {"* * * * * *", "five fields"},
                {"60 * * * *", "(minute)"},  {"* 24 * * *", "(hour)"},       {"* * 0 * *", "(day of month)"},
                {"* * * 13 *", "(month)"},   {"* * * * 8", "(day of week)"}, {"5-1 * * * *", "(minute)"},
                {"*/0 * * * *", "(minute)"}, {"1,,2 * * * *", "(minute)"},   {"x * * * *", "(minute)"},
                {"1- * * * *", "(minute)"},  {"* * * foo *", "(month)"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cron c;
        struct bp_err err = {0};
        assert_int_equal(cron_parse(&c, rows[i].text, &err), BP_INVALID);
        if (!strstr(err.text, rows[i].why))
            fail_msg("%s: %s", rows[i].text, err.text);
    }
}

/* ---- windows ---- */

static struct schedule *schedule(const char *json, struct bp_err *err)
{
    struct json_object *list = json_parse(json, strlen(json), err);
    assert_non_null(list);
    struct schedule *s = schedule_new(list, err);
    assert_int_equal(schedule_check(list, err) == BP_OK, s != NULL);
    json_object_put(list);
    return s;
}

static struct schedule_now at(struct schedule *s, const char *text)
{
    return schedule_at(s, utc(text) * 1000);
}

static void a_window_is_open_from_its_time_for_its_minutes(void **state)
{
    (void)state;
    struct bp_err err = {0};
    struct schedule *s =
        schedule("[{\"cron\":\"0 8 * * mon-fri\",\"minutes\":600,\"min\":1,\"policy\":\"direct\"}]", &err);
    assert_non_null(s);
    assert_int_equal(at(s, "2026-11-26 07:59").min, -1);
    assert_int_equal(schedule_open_until(s, 0), 0);
    assert_int_equal(at(s, "2026-11-26 08:00").min, 1);
    assert_string_equal(at(s, "2026-11-26 17:59").policy, "direct");
    assert_int_equal(schedule_open_until(s, 0), utc("2026-11-26 18:00") * 1000);
    assert_int_equal(at(s, "2026-11-26 18:00").min, -1);
    assert_null(at(s, "2026-11-26 18:00").policy);
    assert_int_equal(at(s, "2026-11-28 09:00").min, -1); /* a Saturday */
    schedule_free(s);
}

static void a_window_that_opened_before_the_start_is_open(void **state)
{
    (void)state;
    struct bp_err err = {0};
    struct schedule *s = schedule("[{\"cron\":\"0 0 * * mon\",\"minutes\":10080,\"max\":3}]", &err);
    assert_int_equal(at(s, "2026-11-29 23:59").max, 3);
    schedule_free(s);
}

static void a_clock_that_jumps_opens_and_closes_what_it_should(void **state)
{
    (void)state;
    struct bp_err err = {0};
    struct schedule *s = schedule("[{\"cron\":\"0 8 * * *\",\"minutes\":60,\"max\":3}]", &err);
    assert_int_equal(at(s, "2026-11-26 08:30").max, 3);
    assert_int_equal(at(s, "2026-11-26 07:30").max, -1); /* back */
    assert_int_equal(at(s, "2026-11-26 08:10").max, 3);
    assert_int_equal(at(s, "2027-11-26 08:59").max, 3); /* a year on */
    assert_int_equal(at(s, "2027-11-26 09:00").max, -1);
    schedule_free(s);
}

static void a_window_follows_the_clock_of_its_zone(void **state)
{
    (void)state;
    struct bp_err err = {0};
    if (!zone_files_exist())
        skip();
    struct schedule *s =
        schedule("[{\"cron\":\"0 8 * * *\",\"zone\":\"Europe/Berlin\",\"minutes\":60,\"max\":3}]", &err);
    assert_int_equal(at(s, "2026-01-10 07:00").max, 3); /* winter */
    assert_int_equal(at(s, "2026-01-10 06:30").max, -1);
    assert_int_equal(at(s, "2026-07-10 06:00").max, 3); /* summer */
    assert_int_equal(at(s, "2026-07-10 07:00").max, -1);
    schedule_free(s);
}

static void later_windows_go_before(void **state)
{
    (void)state;
    struct bp_err err = {0};
    struct schedule *s = schedule("[{\"cron\":\"0 * * * *\",\"minutes\":60,\"min\":1,\"max\":9},"
                                  "{\"cron\":\"0 8 * * *\",\"minutes\":60,\"max\":3}]",
                                  &err);
    struct schedule_now now = at(s, "2026-11-26 08:30");
    assert_true(now.min == 1 && now.max == 3);
    schedule_free(s);
}

static void a_wrong_window_is_named_with_the_remedy(void **state)
{
    (void)state;
    static const struct {
        const char *json, *why;
    } rows[] = {
        {"{}", "a list of at most"},
        {"[7]", "window 1: it must be an object"},
        {"[{\"minutes\":5,\"min\":1}]", "cron is missing"},
        {"[{\"cron\":\"0 8 * * *\",\"min\":1}]", "minutes is missing"},
        {"[{\"cron\":\"0 8 * * *\",\"minutes\":5}]", "it changes nothing"},
        {"[{\"cron\":\"0 8 * * *\",\"minutes\":0,\"min\":1}]", "minutes must be a whole number"},
        {"[{\"cron\":\"0 8 * * *\",\"minutes\":5,\"min\":1.5}]", "min must be a whole number"},
        {"[{\"cron\":\"0 8 * * *\",\"minutes\":5,\"min\":4,\"max\":3}]", "min 4 is above max 3"},
        {"[{\"cron\":\"0 8 * * *\",\"minutes\":5,\"policy\":\"fast\"}]", "no policy \"fast\""},
        {"[{\"cron\":\"0 25 * * *\",\"minutes\":5,\"min\":1}]", "window 1: cron: field 2 (hour)"},
        {"[{\"cron\":\"0 8 * * *\",\"minutes\":5,\"min\":1},{\"cron\":7}]", "window 2: cron must be a text"},
        {"[{\"cron\":\"0 8 * * *\",\"minute\":5,\"min\":1}]", "unknown member \"minute\""},
        {"[{\"cron\":\"0 8 * * *\",\"minutes\":5,\"min\":1,\"zone\":\"../x\"}]", "zone: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bp_err err = {0};
        assert_null(schedule(rows[i].json, &err));
        if (!strstr(err.text, rows[i].why))
            fail_msg("%s: %s", rows[i].json, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_time_is_what_the_c_library_says),
        cmocka_unit_test(a_change_in_the_file_counts_from_its_second),
        cmocka_unit_test(a_rule_changes_at_its_second),
        cmocka_unit_test(a_name_does_not_lead_out_of_the_folder),
        cmocka_unit_test(a_damaged_file_is_refused),
        cmocka_unit_test(cron_fields_mean_what_crontab_says),
        cmocka_unit_test(a_wrong_field_is_named),
        cmocka_unit_test(a_window_is_open_from_its_time_for_its_minutes),
        cmocka_unit_test(a_window_that_opened_before_the_start_is_open),
        cmocka_unit_test(a_clock_that_jumps_opens_and_closes_what_it_should),
        cmocka_unit_test(a_window_follows_the_clock_of_its_zone),
        cmocka_unit_test(later_windows_go_before),
        cmocka_unit_test(a_wrong_window_is_named_with_the_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
