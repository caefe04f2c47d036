/* SPDX-License-Identifier: Apache-2.0 */
/* Scaling activities are told once, when they end, in the order in which we learn of it; failures fill the box. */
#include "../cm.h"

#include "activity_log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOW    1800000000000LL
#define MINUTE 60000LL

static void iso(int64_t ms, char out[32])
{
    time_t t = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

struct given {
    const char *id, *group, *status, *description, *message, *details, *cause;
    int64_t began_ms, ended_ms;
};

static int take(struct activity_log *l, const struct given *g, int ours, int64_t now_ms)
{
    char text[4096], began[32], ended[32] = "";
    struct bp_err err = {0};
    iso(g->began_ms, began);
    if (g->ended_ms)
        iso(g->ended_ms, ended);
    snprintf(text, sizeof text,
             "<member><ActivityId>%s</ActivityId><AutoScalingGroupName>%s</AutoScalingGroupName><StatusCode>%s"
             "</StatusCode><Description>%s</Description><StatusMessage>%s</StatusMessage><Details>%s</Details>"
             "<Cause>%s</Cause><StartTime>%s</StartTime>%s%s%s</member>",
             g->id, g->group, g->status, g->description, g->message ? g->message : "", g->details ? g->details : "",
             g->cause ? g->cause : "", began, ended[0] ? "<EndTime>" : "", ended, ended[0] ? "</EndTime>" : "");
    struct xml *x = xml_parse(text, strlen(text), &err);
    assert_non_null(x);
    int known = activity_log_take(l, x, ours, now_ms);
    xml_free(x);
    return known;
}

#define LAUNCHING "Launching a new EC2 instance"
#define NO_SPOT                                                                                                        \
    "Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available that "        \
    "matches your request. Launching EC2 instance failed."
#define ZONE_A "{\"Subnet ID\":\"subnet-1\",\"Availability Zone\":\"us-east-1a\"}"

static struct given failed(const char *id, int64_t ended_ms)
{
    return (struct given){.id = id,
                          .group = "asg-t-up",
                          .status = "Failed",
                          .description = LAUNCHING ".  Status Reason: x",
                          .message = NO_SPOT,
                          .details = ZONE_A,
                          .began_ms = ended_ms - 5000,
                          .ended_ms = ended_ms};
}

static struct bp_activity out[32];

static uint32_t list(const struct activity_log *l, const char *group, int64_t since)
{
    return activity_log_list(l, group, since, out, 32);
}

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct activity_log));
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void a_failed_launch_is_told_once_with_class_and_zone(void **state)
{
    struct activity_log *l = *state;
    struct given g = failed("a-1", NOW - MINUTE);
    assert_int_equal(take(l, &g, 1, NOW), 0);
    assert_int_equal(take(l, &g, 1, NOW), 1);
    assert_int_equal(list(l, "asg-t-up", 0), 1);
    assert_int_equal(out[0].failed, 1);
    assert_string_equal(out[0].reason, "capacity");
    assert_non_null(strstr(out[0].text, "us-east-1a: Could not launch Spot"));
    assert_int_equal(out[0].at_ms, NOW - MINUTE);
    assert_int_equal(list(l, "asg-t-other", 0), 0);
    assert_int_equal(l->box.n, 1);
    assert_string_equal(l->box.list[0].zone, "us-east-1a");
    assert_int_equal(l->box.list[0].market, MARKET_SPOT);
    assert_int_equal(l->box.list[0].count, 1);
}

static void one_under_way_is_told_when_it_ends(void **state)
{
    struct activity_log *l = *state;
    struct given g = failed("a-1", NOW);
    g.status = "WaitingForSpotInstanceId";
    g.ended_ms = 0;
    take(l, &g, 1, NOW);
    assert_int_equal(list(l, "asg-t-up", 0), 0);
    assert_int_equal(activity_log_waiting(l, NOW), 1);
    struct given other = failed("a-2", NOW + MINUTE);
    take(l, &other, 1, NOW + MINUTE);
    g.status = "Cancelled";
    g.ended_ms = NOW + 1000; /* before the other one, but learned of after it */
    take(l, &g, 1, NOW + MINUTE);
    assert_int_equal(activity_log_waiting(l, NOW), 0);
    assert_int_equal(list(l, "asg-t-up", NOW + MINUTE + 1), 1);
    assert_int_equal(list(l, "asg-t-up", 0), 2);
    assert_true(out[0].at_ms > out[1].at_ms);
}

static void one_that_never_ends_is_waited_for_for_an_hour(void **state)
{
    struct activity_log *l = *state;
    struct given g = failed("a-1", NOW);
    g.status = "InProgress";
    g.ended_ms = 0;
    take(l, &g, 1, NOW);
    assert_int_equal(activity_log_waiting(l, NOW + 59 * MINUTE), 1);
    assert_int_equal(activity_log_waiting(l, NOW + 61 * MINUTE), 0);
}

static void history_and_other_peoples_groups_are_seen_but_not_told(void **state)
{
    struct activity_log *l = *state;
    struct given old = failed("a-1", NOW - 120 * MINUTE), strange = failed("a-2", NOW);
    assert_int_equal(take(l, &old, 1, NOW), 0);
    assert_int_equal(take(l, &strange, 0, NOW), 0);
    assert_int_equal(take(l, &strange, 0, NOW), 1);
    assert_int_equal(list(l, "asg-t-up", 0), 0);
    assert_int_equal(l->box.n, 0);
}

static void a_launch_that_succeeds_clears_its_zone(void **state)
{
    struct activity_log *l = *state;
    struct given bad = failed("a-1", NOW), good = failed("a-2", NOW + 1000);
    take(l, &bad, 1, NOW);
    good.status = "Successful";
    good.description = LAUNCHING ": i-0123456789abcdef0";
    good.message = NULL;
    take(l, &good, 1, NOW + 1000);
    assert_int_equal(l->box.n, 0);
    assert_int_equal(list(l, "asg-t-up", 0), 2);
    assert_string_equal(out[0].instance, "i-0123456789abcdef0");
    assert_string_equal(out[0].reason, "launch");
    assert_int_equal(out[0].failed, 0);
}

static void ends_tell_interruptions_apart(void **state)
{
    struct activity_log *l = *state;
    struct given g = failed("a-1", NOW);
    g.status = "Successful";
    g.description = "Terminating EC2 instance: i-0aa";
    g.message = NULL;
    g.cause = "At 2027-01-15T08:00:00Z an instance was taken out of service in response to a user request.";
    take(l, &g, 1, NOW);
    g.id = "a-2";
    g.cause = "At 2027-01-15T08:00:00Z an instance was taken out of service in response to an EC2 instance spot "
              "interruption.";
    take(l, &g, 1, NOW);
    assert_int_equal(list(l, "asg-t-up", 0), 2);
    assert_string_equal(out[0].reason, "interruption");
    assert_string_equal(out[1].reason, "terminate");
    assert_string_equal(out[0].instance, "i-0aa");
}

static void errors_of_launch_instances_count_like_activities(void **state)
{
    struct activity_log *l = *state;
    struct activity_error e = {
        "asg-t-up", "InsufficientInstanceCapacity", "none left", "g5.xlarge", "us-east-1b", "subnet-2", ""};
    activity_log_error(l, &e, NOW);
    activity_log_error(l, &e, NOW);
    assert_int_equal(list(l, "asg-t-up", NOW), 2);
    assert_string_equal(out[0].type, "g5.xlarge");
    assert_string_equal(out[0].reason, "capacity");
    assert_string_equal(out[0].text, "InsufficientInstanceCapacity in us-east-1b: none left");
    assert_int_equal(out[0].at_ms, NOW + 1);
    struct failure pool = {.cls = FAILURE_CAPACITY, .market = MARKET_SPOT, .type = "g5.xlarge", .zone = "us-east-1b"};
    assert_true(penalty_is_out(&l->box, "asg-t-up", &pool, NOW + 1));
}

static void a_subnet_is_out_when_all_types_are_out_in_its_zone(void **state)
{
    struct activity_log *l = *state;
    struct activity_error e = {"asg-t-up", "InsufficientInstanceCapacity", "", "g5.xlarge", "us-east-1b", "subnet-2",
                               ""};
    activity_log_error(l, &e, NOW);
    assert_true(activity_log_is_out(l, "asg-t-up", "subnet-2", "g5.xlarge", NOW));
    assert_false(activity_log_is_out(l, "asg-t-up", "subnet-2", "g5.xlarge g6.xlarge", NOW));
    assert_false(activity_log_is_out(l, "asg-t-up", "subnet-2", "", NOW));
    e.type = "g6.xlarge";
    activity_log_error(l, &e, NOW);
    assert_true(activity_log_is_out(l, "asg-t-up", "subnet-2", "g5.xlarge g6.xlarge", NOW));
    assert_false(activity_log_is_out(l, "asg-t-up", "subnet-1", "g5.xlarge g6.xlarge", NOW));
    assert_false(activity_log_is_out(l, "asg-t-up", "subnet-2", "g5.xlarge g6.xlarge", NOW + PENALTY_BASE_MS));
    struct given g = failed("a-1", NOW); /* names no type: the whole zone of subnet-1, for this group */
    take(l, &g, 1, NOW);
    assert_true(activity_log_is_out(l, "asg-t-up", "subnet-1", "g5.xlarge", NOW));
    assert_true(activity_log_is_out(l, "asg-t-up", "subnet-1", "", NOW));
    assert_false(activity_log_is_out(l, "asg-t-other", "subnet-1", "g5.xlarge", NOW));
}

static void a_subnet_of_an_unknown_zone_stands_for_it(void **state)
{
    struct activity_log *l = *state;
    struct activity_error e = {"asg-t-up", "InsufficientInstanceCapacity", "", "", "", "subnet-9", ""};
    activity_log_error(l, &e, NOW);
    assert_true(activity_log_is_out(l, "asg-t-up", "subnet-9", "g5.xlarge", NOW));
    assert_false(activity_log_is_out(l, "asg-t-up", "subnet-8", "g5.xlarge", NOW));
}

static void open_ones_that_a_read_does_not_meet_are_named(void **state)
{
    struct activity_log *l = *state;
    char ids[ACTIVITY_OPEN][ACTIVITY_ID];
    struct given one = failed("a-1", NOW), two = failed("a-2", NOW);
    one.status = two.status = "InProgress";
    one.ended_ms = two.ended_ms = 0;
    activity_log_begin(l);
    take(l, &one, 1, NOW);
    take(l, &two, 1, NOW);
    assert_int_equal(activity_log_missed(l, ids), 0);
    activity_log_begin(l);
    take(l, &two, 1, NOW);
    assert_int_equal(activity_log_missed(l, ids), 1);
    assert_string_equal(ids[0], "a-1");
}

static void memory_is_bounded(void **state)
{
    struct activity_log *l = *state;
    char id[32];
    for (int i = 0; i < 4 * ACTIVITY_SEEN; i++) {
        snprintf(id, sizeof id, "a-%d", i);
        struct given g = failed(id, NOW + i * 1000LL);
        if (i % 2) {
            g.status = "InProgress";
            g.ended_ms = 0;
        }
        take(l, &g, 1, NOW + i * 1000LL);
    }
    assert_int_equal(l->n, ACTIVITY_KEPT);
    assert_int_equal(l->n_open, ACTIVITY_OPEN);
    assert_int_equal(list(l, "asg-t-up", 0), 32);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_failed_launch_is_told_once_with_class_and_zone),
        T(one_under_way_is_told_when_it_ends),
        T(one_that_never_ends_is_waited_for_for_an_hour),
        T(history_and_other_peoples_groups_are_seen_but_not_told),
        T(a_launch_that_succeeds_clears_its_zone),
        T(ends_tell_interruptions_apart),
        T(errors_of_launch_instances_count_like_activities),
        T(a_subnet_is_out_when_all_types_are_out_in_its_zone),
        T(a_subnet_of_an_unknown_zone_stands_for_it),
        T(open_ones_that_a_read_does_not_meet_are_named),
        T(memory_is_bounded),
    };
    return cmocka_run_group_tests_name("activity_log", tests, NULL, NULL);
}
