/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at groups: how many calls they take, what a failed one leaves, and that an end is asked for once. */
#include "fake_client.h"
#include "groups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOREVER 1000000000

static struct aws *a;
static struct fleets fleets;
static struct bp_err err;

static int set_up(void **state)
{
    (void)state;
    fake_client_reset();
    memset(&err, 0, sizeof err);
    memset(&fleets, 0, sizeof fleets);
    a = fake_aws("{\"_bpd\":{\"stage\":\"prod\"},\"fleet\":{\"groups\":{\"photo\":\"old name\"}}}");
    fleets.aws = a;
    a->fleets = &fleets;
    fleets.groups = groups_new();
    assert_int_equal(fleet_settings_read(&fleets.set, a, &err), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    groups_free(fleets.groups);
    fake_aws_free(a);
    return 0;
}

/* The next description: these <member>s, with a token when there are more pages. */
static void page(const char *members, const char *token)
{
    char text[8192];
    snprintf(text, sizeof text,
             "<R><DescribeAutoScalingGroupsResult><AutoScalingGroups>%s</AutoScalingGroups>%s%s%s"
             "</DescribeAutoScalingGroupsResult></R>",
             members, token ? "<NextToken>" : "", token ? token : "", token ? "</NextToken>" : "");
    fake_answer(text, "", 0);
}

#define GROUP(name, desired, members)                                                                                  \
    "<member><AutoScalingGroupName>" name "</AutoScalingGroupName><MinSize>0</MinSize><MaxSize>9</MaxSize>"            \
    "<DesiredCapacity>" desired "</DesiredCapacity><Instances>" members "</Instances></member>"
#define ONE                                                                                                            \
    "<member><InstanceId>i-1</InstanceId><LifecycleState>InService</LifecycleState><ProtectedFromScaleIn>true"         \
    "</ProtectedFromScaleIn></member>"
#define ENDING "<member><InstanceId>i-1</InstanceId><LifecycleState>Terminating:Wait</LifecycleState></member>"

static int look(const char *slug, int64_t max_age_ms)
{
    return groups_look(&fleets, &slug, 1, max_age_ms, 0, &err);
}

static struct group *at(const char *slug)
{
    groups_lock(fleets.groups);
    struct group *g = groups_at(&fleets, slug);
    groups_unlock(fleets.groups);
    return g;
}

static void a_group_is_asked_for_by_its_name(void **state)
{
    (void)state;
    page(GROUP("old name", "2", ONE), NULL);
    assert_int_equal(look("photo", 0), 0);
    assert_string_equal(fake_calls[0].form, "AutoScalingGroupNames.member.1=old%20name&MaxRecords=100");
    assert_true(at("photo")->exists && at("photo")->desired == 2 && at("photo")->n == 1);
    page("", NULL);
    assert_int_equal(look("video", 0), 0);
    assert_non_null(strstr(fake_calls[1].form, "asg-prod-video"));
    assert_false(at("video")->exists);
}

static void many_are_asked_for_a_hundred_at_a_time(void **state)
{
    static char slugs[250][16];
    const char *names[250];
    (void)state;
    for (int i = 0; i < 250; i++) {
        snprintf(slugs[i], sizeof slugs[i], "w%03d", i);
        names[i] = slugs[i];
    }
    page(GROUP("asg-prod-w000", "1", ""), NULL);
    page(GROUP("asg-prod-w100", "1", ""), "more");
    page(GROUP("asg-prod-w199", "1", ""), NULL);
    page(GROUP("asg-prod-w249", "1", ""), NULL);
    assert_int_equal(groups_look(&fleets, names, 250, 0, 0, &err), 0);
    assert_int_equal(fake_n_calls, 4);
    assert_non_null(strstr(fake_calls[2].form, "NextToken=more"));
    assert_true(at("w000")->exists && at("w100")->exists && at("w199")->exists && at("w249")->exists);
    assert_false(at("w001")->exists);
}

static void what_was_seen_counts_for_a_while_and_a_change_is_looked_at(void **state)
{
    (void)state;
    page(GROUP("old name", "2", ""), NULL);
    assert_int_equal(look("photo", FOREVER), 0);
    assert_int_equal(look("photo", FOREVER), 0);
    assert_int_equal(fake_n_calls, 1);
    struct group *g = at("photo");
    groups_lock(fleets.groups);
    groups_touch(fleets.groups, g);
    groups_unlock(fleets.groups);
    page(GROUP("old name", "3", ""), NULL);
    assert_int_equal(look("photo", FOREVER), 0);
    assert_int_equal(g->desired, 3);
    assert_int_equal(look("photo", FOREVER), 0);
    assert_int_equal(fake_n_calls, 2);
    fake_now_ms += 6000;
    page(GROUP("old name", "4", ""), NULL);
    assert_int_equal(look("photo", 5000), 0);
    assert_int_equal(g->desired, 4);
    fake_now_ms -= 3600000; /* a clock set back makes nothing fresh for an hour */
    page(GROUP("old name", "5", ""), NULL);
    assert_int_equal(look("photo", 5000), 0);
    assert_int_equal(g->desired, 5);
    fake_now_ms += 3600000;
}

/* An outage, half an answer, a page of a proxy: what is known stays. */
static void a_look_that_fails_leaves_what_is_known(void **state)
{
    (void)state;
    page(GROUP("old name", "2", ONE), NULL);
    assert_int_equal(look("photo", 0), 0);
    fake_answer("", "ServiceUnavailable", BP_LATER);
    assert_int_equal(look("photo", 0), BP_LATER);
    page(GROUP("old name", "0", ""), "more");
    fake_answer("", "Throttling", BP_LATER);
    assert_int_equal(look("photo", 0), BP_LATER);
    fake_answer("<html><body>nice page</body></html>", "", 0);
    assert_int_equal(look("photo", 0), BP_FAIL);
    fake_answer("", "", 0);
    assert_int_equal(look("photo", 0), BP_FAIL);
    assert_true(at("photo")->exists && at("photo")->desired == 2 && at("photo")->n == 1);
}

static void pages_that_never_end_are_given_up(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        page("", "more");
    assert_int_equal(look("photo", 0), BP_FAIL);
    assert_int_equal(fake_n_calls, 20);
}

/* ---- ends ---- */

static void an_end_is_asked_for_once(void **state)
{
    (void)state;
    page(GROUP("old name", "1", ONE), NULL);
    fake_answer("<R/>", "", 0);
    assert_int_equal(fleet_terminate(a, "photo", "i-1", &err), 0);
    assert_int_equal(fake_calls[1].op, AWS_OP_AUTOSCALING_TERMINATE_INSTANCE);
    assert_string_equal(fake_calls[1].form, "InstanceId=i-1&ShouldDecrementDesiredCapacity=true");
    assert_int_equal(at("photo")->desired, 0);
    assert_int_equal(fleet_terminate(a, "photo", "i-1", &err), BP_NOTFOUND);
    assert_int_equal(fake_n_calls, 2);
}

static void an_end_of_unknown_outcome_is_looked_at_first(void **state)
{
    (void)state;
    page(GROUP("old name", "1", ONE), NULL);
    fake_answer("", "", BP_LATER);
    assert_int_equal(fleet_terminate(a, "photo", "i-1", &err), BP_LATER);
    page(GROUP("old name", "0", ENDING), NULL);
    assert_int_equal(fleet_terminate(a, "photo", "i-1", &err), BP_NOTFOUND);
    assert_int_equal(fake_calls[2].op, AWS_OP_AUTOSCALING_DESCRIBE_AUTO_SCALING_GROUPS);
    assert_int_equal(fake_n_calls, 3);
}

static void a_group_that_cannot_be_seen_loses_nobody(void **state)
{
    (void)state;
    fake_answer("", "ServiceUnavailable", BP_LATER);
    assert_int_equal(fleet_terminate(a, "photo", "i-1", &err), BP_LATER);
    assert_int_equal(fake_n_calls, 1);
}

/* ---- protection ---- */

static void protection_goes_out_fifty_at_a_time_and_is_known_at_once(void **state)
{
    static char ids[60][16];
    const char *list[60];
    (void)state;
    for (int i = 0; i < 60; i++) {
        snprintf(ids[i], sizeof ids[i], "i-%d", i);
        list[i] = ids[i];
    }
    page(GROUP("old name", "1", ONE), NULL);
    assert_int_equal(look("photo", 0), 0);
    fake_answer("<R/>", "", 0);
    fake_answer("<R/>", "", 0);
    assert_int_equal(fleet_protect_many(a, "photo", list, 60, 0, &err), 0);
    assert_non_null(strstr(fake_calls[1].form, "InstanceIds.member.50=i-49&ProtectedFromScaleIn=false"));
    assert_non_null(strstr(fake_calls[2].form, "InstanceIds.member.10=i-59&"));
    assert_int_equal(at("photo")->members[0].pub.is_protected, 0);
    assert_int_equal(look("photo", FOREVER), 0); /* no call */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_group_is_asked_for_by_its_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_are_asked_for_a_hundred_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_seen_counts_for_a_while_and_a_change_is_looked_at, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_look_that_fails_leaves_what_is_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pages_that_never_end_are_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_is_asked_for_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_of_unknown_outcome_is_looked_at_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_group_that_cannot_be_seen_loses_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(protection_goes_out_fifty_at_a_time_and_is_known_at_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
