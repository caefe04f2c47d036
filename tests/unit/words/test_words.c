/* SPDX-License-Identifier: Apache-2.0 */
/* What an explanation says, rule by rule, and what a tenant is not told. */
#include "cm.h"
#include "log/json.h"
#include "words/facts.h"

#include <math.h>
#include <string.h>

#define NOW INT64_C(1700000000000) /* 2023-11-14T22:13:20Z */

static struct fleet_facts fleet;
static struct job_facts job;
static struct json_object *said;

static int fresh(void **state)
{
    (void)state;
    fleet = (struct fleet_facts){.now_ms = NOW,
                                 .workflow = "copy",
                                 .served = 1,
                                 .described = 1,
                                 .max_size = 4,
                                 .boot_s = 120,
                                 .policy = "slo",
                                 .reason = "SECRET 7 queued",
                                 .planned_ms = NOW - 1000,
                                 .hold = -1,
                                 .backlog = {INFINITY, INFINITY},
                                 .tick_s = 5};
    job = (struct job_facts){.id = 7,
                             .status = "queued",
                             .tenant = "acme",
                             .max_attempts = 3,
                             .created_ms = NOW - 60000,
                             .eta = {{INFINITY, INFINITY}, {INFINITY, INFINITY}, {0, 0}, 0}};
    said = NULL;
    return 0;
}

static int drop(void **state)
{
    (void)state;
    json_object_put(said);
    return 0;
}

static void tell(void)
{
    json_object_put(said);
    said = explain_job_words(&job, &fleet);
}

static void held_by(const char *rule)
{
    tell();
    assert_string_equal(json_str(said, "held_by", ""), rule);
    assert_true(json_str(json_member(said, "next"), "text", "")[0]);
}

/* The line of a kind, which must be there. */
static const char *line(const char *what)
{
    struct json_object *list = json_member(said, "because");
    for (size_t i = 0; i < json_object_array_length(list); i++)
        if (strcmp(json_str(json_object_array_get_idx(list, i), "what", ""), what) == 0)
            return json_str(json_object_array_get_idx(list, i), "text", "");
    fail_msg("no line %s in %s", what, json_text(said));
    return "";
}

static const char *next(void)
{
    return json_str(json_member(said, "next"), "text", "");
}

static void a_dependency_is_named_with_its_state(void **state)
{
    (void)state;
    const struct after_fact after[] = {{3, "completed"}, {5, "queued"}};
    job.status = "scheduled";
    job.waits_for = 1;
    job.after = after;
    job.n_after = 2;
    held_by("dependency");
    assert_string_equal(line("dependency"), "it waits for job 5, which is queued");
    assert_string_equal(next(), "it is queued when job 5 has completed");
}

static void not_before_has_its_time(void **state)
{
    (void)state;
    job.status = "scheduled";
    job.not_before_ms = NOW + 200000;
    held_by("not-before");
    assert_string_equal(next(), "it is queued at 2023-11-14T22:16:40Z (in 3 min 20 s)");
    assert_int_equal(json_int(json_member(said, "next"), "at_ms", 0), NOW + 200000);
}

static void rules_come_in_their_order(void **state)
{
    (void)state;
    fleet.draining = 1;
    fleet.served = 0;
    fleet.idle = 1;
    job.tenant_running = job.tenant_max_running = 2;
    held_by("drain");
    fleet.draining = 0;
    held_by("no-plugin");
    fleet.served = 1;
    held_by("tenant-limit");
    assert_string_equal(line("tenant-limit"), "acme runs 2 jobs and may run 2 at once");
    job.tenant_running = 1;
    held_by("turn");
    fleet.idle = 0;
    fleet.busy = 2;
    held_by("busy");
    fleet.booting = 1;
    held_by("boot");
}

static void a_place_is_told_in_words(void **state)
{
    (void)state;
    tell();
    assert_string_equal(line("position"), "it is the next job of copy");
    job.ahead = 1;
    tell();
    assert_string_equal(line("position"), "1 job of copy is leased before it (its priority is 0)");
    job.ahead = 10000;
    tell();
    assert_string_equal(line("position"), "at least 10000 jobs of copy are leased before it (its priority is 0)");
    assert_int_equal(json_int(said, "ahead", 0), 10000);
    job.ahead = -1;
    tell();
    assert_null(json_member(said, "ahead"));
}

static void an_instance_that_boots_has_its_expected_moment(void **state)
{
    (void)state;
    fleet.desired = fleet.booting = 1;
    fleet.boot_ms = NOW - 50000;
    held_by("boot");
    assert_string_equal(line("boot"), "1 instance boots, the first since 50 s; it usually takes 2 min 0 s");
    assert_int_equal(json_int(json_member(said, "next"), "at_ms", 0), NOW + 70000);
    fleet.boot_ms = NOW - 500000;
    held_by("boot");
    assert_string_equal(next(), "an instance that boots longer than usual may be ready any moment");
}

static void no_capacity_no_launch_no_size(void **state)
{
    (void)state;
    held_by("size");
    fleet.desired = 1;
    held_by("launch");
    assert_string_equal(line("launch"), "1 launch is asked for and not there yet");
    fleet.failures = 2;
    fleet.failed_ms = NOW - 5000;
    fleet.failure = "SECRET InsufficientInstanceCapacity";
    held_by("capacity");
    assert_string_equal(line("failure"),
                        "2 launches failed within 10 min, the last with: SECRET InsufficientInstanceCapacity");
    fleet.described = 0;
    fleet.failures = 0;
    held_by("unknown");
    fleet.described = 1;
    fleet.desired = 0;
    fleet.hold = 0;
    held_by("hold");
}

static void lacking_assets_are_named(void **state)
{
    (void)state;
    fleet.lacking = 2;
    fleet.lacking_worker = "w-1";
    fleet.lacks = "m.bin: there is no object";
    tell();
    assert_string_equal(line("assets"), "2 workers take no job of copy, for its assets cannot be had: w-1 says: m.bin: "
                                        "there is no object");
}

static void a_broken_device_is_named(void **state)
{
    (void)state;
    fleet.broken = 1;
    fleet.broken_instance = "i-12";
    fleet.fault = "SECRET Xid 79";
    tell();
    assert_string_equal(line("broken"),
                        "1 instance takes no job, for the device of it is broken: i-12 says: SECRET Xid 79");
    job.for_tenant = 1;
    tell();
    assert_null(strstr(json_text(said), "SECRET"));
}

static void a_tenant_is_told_counts_and_times_only(void **state)
{
    (void)state;
    fleet.desired = 2;
    fleet.failures = 1;
    fleet.failure = "SECRET account 1234";
    fleet.error = "SECRET arn";
    fleet.hold = 3;
    fleet.hold_by = "SECRET operator";
    fleet.changed_ms = NOW;
    fleet.change = "SECRET change";
    tell();
    assert_non_null(strstr(json_text(said), "SECRET account 1234"));
    assert_non_null(strstr(json_text(said), "SECRET arn"));
    assert_non_null(strstr(json_text(said), "SECRET 7 queued"));
    job.for_tenant = 1;
    held_by("capacity");
    assert_null(strstr(json_text(said), "SECRET"));
    assert_string_equal(line("failure"), "1 launch failed within 10 min");
}

static void an_estimate_has_both_quantiles(void **state)
{
    (void)state;
    job.eta = (struct eta){{10, 20}, {70, 3600}, {0, 0}, 0};
    tell();
    struct json_object *e = json_member(said, "estimate");
    assert_int_equal(json_int(json_member(e, "start"), "p50_ms", 0), NOW + 10000);
    assert_int_equal(json_int(json_member(e, "start"), "p95_ms", 0), NOW + 20000);
    assert_int_equal(json_int(json_member(e, "finish"), "p95_ms", 0), NOW + 3600000);
    assert_string_equal(line("estimate"), "it starts at about 2023-11-14T22:13:30Z (in 10 s), 95 % sure by "
                                          "2023-11-14T22:13:40Z (in 20 s)");
    job.eta = (struct eta){{INFINITY, INFINITY}, {INFINITY, INFINITY}, {0, 0}, 0};
    tell();
    assert_null(json_member(json_member(json_member(said, "estimate"), "start"), "p50_ms"));
    assert_non_null(strstr(line("estimate"), "nobody can say"));
}

static void the_cost_and_what_sooner_would_cost(void **state)
{
    (void)state;
    fleet.price = (struct price){0.5, "g5.xlarge: the setting prices"};
    fleet.sooner[0] = (struct sooner){1, {300, 400}, {600, 700}, 240};
    fleet.sooner[1] = (struct sooner){2, {300, 400}, {599, 700}, 480};
    fleet.n_sooner = 2;
    fleet.busy = 3;
    job.eta = (struct eta){{900, 1000}, {1200, 1300}, {0, 0}, 0};
    job.run_s = 72;
    tell();
    assert_string_equal(line("cost"),
                        "a run of this workflow costs about $0.01: 1 min 12 s of an instance at $0.50 an hour "
                        "(g5.xlarge: the setting prices)");
    assert_string_equal(line("sooner"),
                        "with 1 more instance (bpctl scale hold copy 4) it ends at about "
                        "2023-11-14T22:23:20Z (in 10 min 0 s), 10 min 0 s sooner, for about $0.033 more");
    struct json_object *first = json_object_array_get_idx(json_member(said, "sooner"), 0);
    assert_int_equal(json_int(json_member(first, "finish"), "p50_ms", 0), NOW + 600000);
    assert_true(fabs(json_num(first, "usd_more", 0) - 240.0 / 3600 / 2) < 1e-9);
    assert_true(fabs(json_num(json_member(said, "cost"), "usd", 0) - 0.01) < 1e-9);
    job.for_tenant = 1; /* prices are the operator's */
    tell();
    assert_null(strstr(json_text(said), "cost"));
    assert_null(strstr(json_text(said), "sooner"));
}

static void what_is_hardly_sooner_is_data_and_no_line(void **state)
{
    (void)state;
    fleet.sooner[0] = (struct sooner){1, {9, 9}, {99, 110}, 10};
    fleet.n_sooner = 1;
    job.eta = (struct eta){{10, 20}, {100, 120}, {0, 0}, 0};
    tell();
    assert_null(strstr(json_text(said), "\"what\":\"sooner\""));
    assert_int_equal(json_object_array_length(json_member(said, "sooner")), 1);
    assert_null(json_member(said, "cost"));
}

static void what_runs_and_what_has_ended(void **state)
{
    (void)state;
    job.status = "leased";
    job.worker = "i-1";
    job.attempts = 2;
    job.progress = 0.25;
    job.leased_ms = NOW - 1000;
    job.lease_expires_ms = NOW + 30000;
    job.eta.finish = (struct eta_span){5, 9};
    tell();
    assert_null(json_member(said, "held_by"));
    assert_string_equal(line("running"), "i-1 runs it, attempt 2 of 3, 25 % done");
    assert_int_equal(json_int(json_member(json_member(said, "estimate"), "finish"), "p95_ms", 0), NOW + 9000);
    job.status = "failed";
    job.error = "no such file";
    tell();
    assert_string_equal(line("failed"), "it was given up after 2 of 3 attempts: no such file");
    assert_string_equal(next(), "nothing, unless it is retried: bpctl job retry 7");
}

static void a_fleet_says_what_it_does_next(void **state)
{
    (void)state;
    fleet.desired = 3;
    fleet.busy = 1;
    fleet.queued = 4;
    said = explain_fleet_words(&fleet);
    assert_string_equal(line("queue"), "4 jobs queued, 0 running");
    assert_string_equal(line("fleet"), "0 idle, 1 busy, 0 booting, 0 leaving; 3 asked for, at most 4");
    assert_string_equal(line("policy"), "slo wants 0: SECRET 7 queued");
    assert_string_equal(next(), "the provider goes on trying to launch 2");
    json_object_put(said);
    fleet.booting = 2;
    fleet.boot_ms = NOW - 20000;
    fleet.backlog = (struct eta_span){60, 90};
    said = explain_fleet_words(&fleet);
    assert_int_equal(json_int(json_member(said, "next"), "at_ms", 0), NOW + 100000);
    assert_int_equal(json_int(json_member(json_member(said, "estimate"), "backlog"), "p95_ms", 0), NOW + 90000);
    assert_string_equal(line("estimate"),
                        "all of these jobs have ended at about 2023-11-14T22:14:20Z (in 1 min 0 s), 95 % "
                        "sure by 2023-11-14T22:14:50Z (in 1 min 30 s)");
}

static void times_read_well(void **state)
{
    (void)state;
    char out[32];
    assert_string_equal(explain_time(-3, out), "0 s");
    assert_string_equal(explain_time(59.4, out), "59 s");
    assert_string_equal(explain_time(3599.6, out), "1 h 0 min");
    assert_string_equal(explain_time(90000, out), "1 d 1 h");
    assert_string_equal(explain_time(INFINITY, out), "never");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_dependency_is_named_with_its_state, fresh, drop),
        cmocka_unit_test_setup_teardown(not_before_has_its_time, fresh, drop),
        cmocka_unit_test_setup_teardown(rules_come_in_their_order, fresh, drop),
        cmocka_unit_test_setup_teardown(a_place_is_told_in_words, fresh, drop),
        cmocka_unit_test_setup_teardown(an_instance_that_boots_has_its_expected_moment, fresh, drop),
        cmocka_unit_test_setup_teardown(no_capacity_no_launch_no_size, fresh, drop),
        cmocka_unit_test_setup_teardown(lacking_assets_are_named, fresh, drop),
        cmocka_unit_test_setup_teardown(a_broken_device_is_named, fresh, drop),
        cmocka_unit_test_setup_teardown(a_tenant_is_told_counts_and_times_only, fresh, drop),
        cmocka_unit_test_setup_teardown(an_estimate_has_both_quantiles, fresh, drop),
        cmocka_unit_test_setup_teardown(the_cost_and_what_sooner_would_cost, fresh, drop),
        cmocka_unit_test_setup_teardown(what_is_hardly_sooner_is_data_and_no_line, fresh, drop),
        cmocka_unit_test_setup_teardown(what_runs_and_what_has_ended, fresh, drop),
        cmocka_unit_test_setup_teardown(a_fleet_says_what_it_does_next, fresh, drop),
        cmocka_unit_test_setup_teardown(times_read_well, fresh, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
