/* SPDX-License-Identifier: Apache-2.0 */
/* One group out of a description: what counts as an instance, and what outlives the next look. */
#include "cm.h"
#include "groups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void lifecycle_states_are_those_of_instances(void **state)
{
    static const struct {
        const char *lifecycle;
        int32_t state;
    } rows[] = {{"Pending", BP_INSTANCE_PENDING},
                {"Pending:Wait", BP_INSTANCE_PENDING},
                {"Pending:Proceed", BP_INSTANCE_PENDING},
                {"InService", BP_INSTANCE_RUNNING},
                {"Terminating", BP_INSTANCE_TERMINATING},
                {"Terminating:Wait", BP_INSTANCE_TERMINATING},
                {"Terminating:Retained", BP_INSTANCE_TERMINATING},
                {"Terminated", BP_INSTANCE_TERMINATED},
                {"ReplacingRootVolume:Wait", BP_INSTANCE_PENDING},
                {"Standby", 0},
                {"EnteringStandby", 0},
                {"Detaching", 0},
                {"Detached", 0},
                {"Quarantined", 0},
                {"Warmed:Stopped", 0},
                {"", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(group_state(rows[i].lifecycle), rows[i].state);
}

static struct group parse(const char *members, int64_t now_ms)
{
    static char text[4096];
    struct group g = {0};
    struct bp_err err = {0};
    snprintf(text, sizeof text,
             "<member><AutoScalingGroupName>asg-x</AutoScalingGroupName><MinSize>1</MinSize><MaxSize>9</MaxSize>"
             "<DesiredCapacity>3</DesiredCapacity><VPCZoneIdentifier>s1,s2</VPCZoneIdentifier><Instances>%s</Instances>"
             "</member>",
             members);
    struct xml *x = xml_parse(text, strlen(text), &err);
    assert_non_null(x);
    assert_int_equal(group_parse(x, now_ms, &g), 0);
    xml_free(x);
    return g;
}

#define MEMBER(id, state, on)                                                                                          \
    "<member><InstanceId>" id "</InstanceId><InstanceType>g6</InstanceType><AvailabilityZone>z</AvailabilityZone>"     \
    "<LifecycleState>" state "</LifecycleState><ProtectedFromScaleIn>" on "</ProtectedFromScaleIn></member>"

static void what_is_no_capacity_is_no_instance(void **state)
{
    (void)state;
    struct group g = parse(MEMBER("i-1", "InService", "true") MEMBER("i-2", "Standby", "false")
                               MEMBER("i-3", "Pending", "false") MEMBER("", "InService", "true"),
                           1000);
    assert_int_equal(g.n, 2);
    assert_string_equal(g.members[0].pub.id, "i-1");
    assert_int_equal(g.members[0].pub.is_protected, 1);
    assert_int_equal(g.members[0].pub.running_ms, 1000);
    assert_string_equal(g.members[1].pub.id, "i-3");
    assert_int_equal(g.members[1].pub.running_ms, 0);
    assert_true(g.exists && g.desired == 3 && g.min_size == 1 && g.max_size == 9);
    assert_string_equal(g.subnets, "s1,s2");
    free(g.members);
}

static void what_was_learned_of_an_instance_is_kept(void **state)
{
    (void)state;
    struct group was = parse(MEMBER("i-1", "Pending", "true") MEMBER("i-2", "InService", "true"), 1000);
    struct group now = parse(MEMBER("i-2", "InService", "true") MEMBER("i-1", "InService", "true"), 9000);
    was.members[1].pub.spot = 1;
    was.members[1].pub.launched_ms = 500;
    was.members[1].machine_known = 1;
    was.members[1].pub.is_protected = 0;
    was.members[1].change = 5; /* it was changed after this look had begun: what the look saw is old */
    group_keep(&now, &was, 4);
    assert_int_equal(now.members[0].pub.spot, 1);
    assert_int_equal(now.members[0].pub.launched_ms, 500);
    assert_int_equal(now.members[0].pub.running_ms, 1000);
    assert_int_equal(now.members[0].machine_known, 1);
    assert_int_equal(now.members[0].pub.is_protected, 0);
    assert_int_equal(now.members[1].pub.launched_ms, 1000);
    assert_int_equal(now.members[1].pub.running_ms, 9000); /* it was pending before */
    now.members[0].pub.is_protected = 1;
    group_keep(&now, &was, 5);
    assert_int_equal(now.members[0].pub.is_protected, 1);
    free(was.members);
    free(now.members);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lifecycle_states_are_those_of_instances),
        cmocka_unit_test(what_is_no_capacity_is_no_instance),
        cmocka_unit_test(what_was_learned_of_an_instance_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
