/* SPDX-License-Identifier: Apache-2.0 */
/* When scaling activities are read, how many calls that takes, and what the facet answers from them. */
#include "activities.h"
#include "fake_client.h"
#include "groups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define START 1769860800000LL

static struct aws *a;
static struct fleets fleets;
static struct bp_err err;
static struct bp_activity list[32];
static struct group group;

/* ---- the groups: all fleets are the same one ---- */

void groups_lock(struct groups *g)
{
    (void)g;
}

void groups_unlock(struct groups *g)
{
    (void)g;
}

struct group *groups_at(struct fleets *f, const char *slug)
{
    (void)f, (void)slug;
    return &group;
}

static void lack(int32_t n)
{
    group.exists = 1;
    group.desired = n;
}

/* ---- */

static int set_up(void **state)
{
    (void)state;
    fake_client_reset();
    fake_now_ms = START;
    memset(&err, 0, sizeof err);
    memset(&group, 0, sizeof group);
    memset(&fleets, 0, sizeof fleets);
    snprintf(group.types, sizeof group.types, "g5.xlarge g6.xlarge");
    a = fake_aws("{\"fleet\":{\"groups\":{\"odd\":\"made-by-hand\"}},\"_bpd\":{\"stage\":\"prod\"}}");
    fleets.aws = a;
    a->fleets = &fleets;
    assert_int_equal(fleet_settings_read(&fleets.set, a, &err), 0);
    fleets.activities = activities_open(&fleets, &err);
    assert_non_null(fleets.activities);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    activities_close(fleets.activities);
    fake_aws_free(a);
    return 0;
}

static uint32_t ask(const char *slug)
{
    uint32_t n = 32;
    assert_int_equal(fleet_activities(a, slug, 0, list, &n, &err), 0);
    return n;
}

static void iso(int64_t ms, char out[32])
{
    time_t t = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* "ID GROUP STATUS" of each, newest first; next: token of the next page or NULL. */
static void page(const char *const *rows, size_t n, const char *next)
{
    static char text[16384];
    char when[32];
    iso(fake_now_ms, when);
    size_t at = (size_t)snprintf(text, sizeof text, "<R><DescribeScalingActivitiesResult><Activities>");
    for (size_t i = 0; i < n; i++) {
        char id[32], name[64], status[32];
        assert_int_equal(sscanf(rows[i], "%31s %63s %31s", id, name, status), 3);
        at += (size_t)snprintf(text + at, sizeof text - at,
                               "<member><ActivityId>%s</ActivityId><AutoScalingGroupName>%s</AutoScalingGroupName>"
                               "<StatusCode>%s</StatusCode><Description>Launching a new EC2 instance</Description>"
                               "<StatusMessage>There is no Spot capacity available that matches your request."
                               "</StatusMessage><Details>{\"Subnet ID\":\"subnet-1\",\"Availability Zone\":"
                               "\"us-east-1a\"}</Details><StartTime>%s</StartTime>"
                               "<EndTime>%s</EndTime></member>",
                               id, name, status, when, strcmp(status, "InProgress") == 0 ? "" : when);
    }
    snprintf(text + at, sizeof text - at, "</Activities>%s%s%s</DescribeScalingActivitiesResult></R>",
             next ? "<NextToken>" : "", next ? next : "", next ? "</NextToken>" : "");
    fake_answer(text, "", 0);
}
#define PAGE(next, ...)                                                                                                \
    page((const char *const[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), next)

static void nothing_is_read_while_no_group_lacks_an_instance(void **state)
{
    (void)state;
    lack(0);
    assert_int_equal(ask("up"), 0);
    assert_int_equal(fake_n_calls, 0);
}

static void one_call_serves_every_fleet_of_a_tick(void **state)
{
    char slug[32];
    (void)state;
    lack(1);
    PAGE(NULL, "a-1 asg-prod-f7 Failed");
    for (int i = 0; i < 500; i++) {
        snprintf(slug, sizeof slug, "f%d", i);
        assert_int_equal(ask(slug), i == 7);
    }
    assert_int_equal(fake_n_calls, 1);
    assert_null(strstr(fake_calls[0].form, "AutoScalingGroupName"));
    assert_non_null(strstr(fake_calls[0].form, "MaxRecords=100"));
}

static void it_is_read_again_after_a_while_and_told_once(void **state)
{
    (void)state;
    lack(1);
    PAGE(NULL, "a-1 asg-prod-up Failed");
    assert_int_equal(ask("up"), 1);
    fake_now_ms += 4999;
    assert_int_equal(ask("up"), 1);
    assert_int_equal(fake_n_calls, 1);
    fake_now_ms += 1;
    PAGE("more", "a-2 asg-prod-up Failed", "a-1 asg-prod-up Failed");
    assert_int_equal(ask("up"), 2);
    assert_int_equal(fake_n_calls, 2); /* a-1 was known: no second page */
    assert_string_equal(list[0].reason, "capacity");
    assert_true(list[0].at_ms > list[1].at_ms);
}

static void new_ones_are_followed_for_two_pages_at_most(void **state)
{
    (void)state;
    lack(1);
    PAGE("more", "a-1 asg-prod-up Failed");
    assert_int_equal(ask("up"), 1); /* the first time one page is enough: the rest is history */
    assert_int_equal(fake_n_calls, 1);
    fake_now_ms += 5000;
    PAGE("more", "a-3 asg-prod-up Failed");
    PAGE("more", "a-2 asg-prod-up Failed");
    assert_int_equal(ask("up"), 3);
    assert_int_equal(fake_n_calls, 3);
    assert_non_null(strstr(fake_calls[2].form, "NextToken=more"));
}

static void one_under_way_is_asked_for_by_its_id_when_it_is_on_no_page(void **state)
{
    (void)state;
    lack(1);
    PAGE(NULL, "a-1 asg-prod-up InProgress");
    assert_int_equal(ask("up"), 0);
    lack(0); /* nothing lacks any more, but this one has not ended */
    fake_now_ms += 5000;
    PAGE(NULL, "a-2 asg-other-x Failed");
    PAGE(NULL, "a-1 asg-prod-up Failed");
    assert_int_equal(ask("up"), 1);
    assert_int_equal(fake_n_calls, 3);
    assert_non_null(strstr(fake_calls[2].form, "ActivityIds.member.1=a-1"));
    fake_now_ms += 61000;
    assert_int_equal(ask("up"), 1);
    assert_int_equal(fake_n_calls, 3);
}

static void groups_by_their_own_names_are_ours_and_other_stages_are_not(void **state)
{
    (void)state;
    lack(1);
    PAGE(NULL, "a-1 made-by-hand Failed", "a-2 asg-staging-up Failed", "a-3 whatever Failed");
    assert_int_equal(ask("odd"), 1);
    assert_int_equal(ask("up"), 0);
}

static void a_read_that_fails_is_told_once_and_holds_nothing_up(void **state)
{
    (void)state;
    lack(1);
    for (int i = 0; i < 3; i++) {
        fake_answer("", "AccessDenied", BP_DENIED);
        assert_int_equal(ask("up"), 0);
        fake_now_ms += 5000;
    }
    const char *told = strstr(fake_log(), "it is not known why launches fail");
    assert_non_null(told);
    assert_null(strstr(told + 1, "it is not known why launches fail"));
    PAGE(NULL, "a-1 asg-prod-up Failed");
    assert_int_equal(ask("up"), 1);
}

static void errors_of_launches_are_activities_and_fill_the_box(void **state)
{
    char *out = NULL;
    const struct launch_error e = {.code = "InsufficientInstanceCapacity",
                                   .message = "none",
                                   .type = "g5.xlarge",
                                   .zone = "us-east-1b",
                                   .subnet = "subnet-2",
                                   .market = "spot"};
    (void)state;
    activities_note_launch_error(&fleets, "up", &e);
    assert_int_equal(ask("up"), 1);
    assert_string_equal(list[0].type, "g5.xlarge");
    assert_true(activities_is_out(&fleets, "up", "subnet-2", "g5.xlarge"));
    assert_false(activities_is_out(&fleets, "up", "subnet-2", "g5.xlarge g6.xlarge"));
    assert_int_equal(fleet_penalties(a, "up", &out, &err), 0);
    assert_non_null(out);
    assert_non_null(strstr(out, "\"type\":\"g5.xlarge\",\"zone\":\"us-east-1b\",\"market\":\"spot\""));
    assert_non_null(strstr(out, "\"failures\":1"));
    free(out);
    fake_now_ms += 300000;
    assert_false(activities_is_out(&fleets, "up", "subnet-2", "g5.xlarge"));
    assert_int_equal(fleet_penalties(a, "up", &out, &err), 0);
    assert_non_null(strstr(out, "\"until_ms\":0"));
    free(out);
    fake_now_ms += 7200000;
    assert_int_equal(fleet_penalties(a, "up", &out, &err), 0);
    assert_null(out);
}

static void a_fleet_is_shown_pools_of_its_own_types_only(void **state)
{
    char *out = NULL;
    const struct launch_error e = {.code = "InsufficientInstanceCapacity",
                                   .message = "",
                                   .type = "g6.xlarge",
                                   .zone = "z",
                                   .subnet = "",
                                   .market = ""};
    (void)state;
    activities_note_launch_error(&fleets, "up", &e);
    snprintf(group.types, sizeof group.types, "g5.xlarge g6.xlarge2");
    assert_int_equal(fleet_penalties(a, "other", &out, &err), 0);
    assert_null(out);
    snprintf(group.types, sizeof group.types, "g6.xlarge");
    assert_int_equal(fleet_penalties(a, "other", &out, &err), 0);
    assert_non_null(out);
    free(out);
}

/* The first read after a start meets what happened before it; the next one what came since. */
static void the_box_is_there_again_after_a_start_and_counts_nothing_twice(void **state)
{
    char *text = NULL, *out = NULL;
    (void)state;
    lack(1);
    PAGE(NULL, "a-1 asg-prod-up Failed");
    assert_int_equal(ask("up"), 1);
    assert_int_equal(fleet_learned(a, &text, &err), 0);
    assert_non_null(text);
    activities_close(fleets.activities);
    fleets.activities = activities_open(&fleets, &err);
    assert_int_equal(fleet_recall(a, text, &err), 0);
    assert_true(activities_is_out(&fleets, "up", "us-east-1a", "g5.xlarge"));
    PAGE(NULL, "a-1 asg-prod-up Failed");
    assert_int_equal(ask("up"), 1);
    assert_int_equal(fleet_penalties(a, "up", &out, &err), 0);
    assert_non_null(strstr(out, "\"failures\":1"));
    free(out);
    fake_now_ms += 5000;
    PAGE(NULL, "a-2 asg-prod-up Failed", "a-1 asg-prod-up Failed");
    assert_int_equal(ask("up"), 2);
    free(text);
    assert_int_equal(fleet_recall(a, "no JSON", &err), 0);
    assert_int_equal(fleet_penalties(a, "up", &out, &err), 0);
    assert_non_null(strstr(out, "\"failures\":2"));
    free(out);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(nothing_is_read_while_no_group_lacks_an_instance),
        T(one_call_serves_every_fleet_of_a_tick),
        T(it_is_read_again_after_a_while_and_told_once),
        T(new_ones_are_followed_for_two_pages_at_most),
        T(one_under_way_is_asked_for_by_its_id_when_it_is_on_no_page),
        T(groups_by_their_own_names_are_ours_and_other_stages_are_not),
        T(a_read_that_fails_is_told_once_and_holds_nothing_up),
        T(errors_of_launches_are_activities_and_fill_the_box),
        T(a_fleet_is_shown_pools_of_its_own_types_only),
        T(the_box_is_there_again_after_a_start_and_counts_nothing_twice),
    };
    return cmocka_run_group_tests_name("aws_activities", tests, NULL, NULL);
}
