/* SPDX-License-Identifier: Apache-2.0 */
/* The instance's metadata and what the worker hears of it. */
#include "err.h"
#include "fake_aws.h"
#include "imds.h"
#include "node_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW            1769860800000LL /* 2026-01-31T12:00:00Z */
#define IN_TWO_MINUTES "2026-01-31T12:02:00Z"

int32_t node_ending(void *inst, int32_t done, struct bp_err *e)
{
    (void)inst, (void)done, (void)e;
    return 0;
}

/* ---- the metadata ---- */

static struct {
    const char *path, *body;
    int rc;
} pages[16];
static int n_pages, asked;

static void page(const char *path, const char *body)
{
    for (int i = 0; i < n_pages; i++)
        if (strcmp(pages[i].path, path) == 0) {
            pages[i].body = body;
            pages[i].rc = 0;
            return;
        }
    pages[n_pages].path = path;
    pages[n_pages++].body = body;
}

static void fails(const char *path, int rc)
{
    page(path, NULL);
    for (int i = 0; i < n_pages; i++)
        if (strcmp(pages[i].path, path) == 0)
            pages[i].rc = rc;
}

int imds_get(struct imds *m, const char *path, char *out, size_t size, size_t *n, struct bp_err *e)
{
    (void)m;
    asked++;
    assert_int_equal(strncmp(path, "/latest/meta-data/", 18), 0);
    for (int i = 0; i < n_pages; i++) {
        if (strcmp(path + 18, pages[i].path) != 0)
            continue;
        if (pages[i].rc)
            return err_set(e, pages[i].rc, "the metadata is away");
        if (!pages[i].body)
            break;
        *n = strlen(pages[i].body);
        assert_true(*n < size);
        memcpy(out, pages[i].body, *n + 1);
        return 0;
    }
    return err_set(e, BP_NOTFOUND, "404");
}

/* ---- */

static struct aws *a;
static struct bp_err err;

static int set_up(void **state)
{
    (void)state;
    memset(&err, 0, sizeof err);
    memset(pages, 0, sizeof pages);
    n_pages = asked = 0;
    fake_now_ms = NOW;
    a = fake_aws("{}");
    a->node = node_open(a, &err);
    page("instance-id", "i-0123456789abcdef0");
    page("instance-type", "g5.xlarge");
    page("placement/availability-zone", "eu-central-1a");
    page("instance-life-cycle", "spot");
    page("autoscaling/target-lifecycle-state", "InService");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    node_close(a->node);
    fake_aws_free(a);
    return 0;
}

static void expect_notice(int32_t kind, int64_t deadline_ms)
{
    int32_t k = -1;
    int64_t d = -1;
    if (node_facet.notice(a, &k, &d, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(k, kind);
    assert_int_equal(d, deadline_ms);
}

static void it_is_who_the_metadata_says_and_asks_once(void **state)
{
    (void)state;
    struct bp_node_identity id;
    assert_int_equal(node_facet.identity(a, &id, &err), 0);
    assert_string_equal(id.instance_id, "i-0123456789abcdef0");
    assert_string_equal(id.instance_type, "g5.xlarge");
    assert_string_equal(id.zone, "eu-central-1a");
    assert_string_equal(id.capacity_type, "spot");
    asked = 0;
    assert_int_equal(node_facet.identity(a, &id, &err), 0);
    assert_int_equal(asked, 0);
}

static void whatever_is_not_spot_is_on_demand(void **state)
{
    (void)state;
    struct bp_node_identity id;
    page("instance-life-cycle", "scheduled");
    assert_int_equal(node_facet.identity(a, &id, &err), 0);
    assert_string_equal(id.capacity_type, "on-demand");
}

static void an_identity_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const odd[] = {"", "<html>", "i-1\r\nX-Fleet: y",
                                      "i-0123456789012345678901234567890123456789012345678901234567890123"};
    struct bp_node_identity id;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        page("instance-id", odd[i]);
        assert_int_equal(node_facet.identity(a, &id, &err), BP_INVALID);
    }
    page("instance-id", NULL);
    assert_int_equal(node_facet.identity(a, &id, &err), BP_NOTFOUND);
    assert_non_null(strstr(err.text, "EC2"));
}

static void a_quiet_instance_costs_four_gets(void **state)
{
    (void)state;
    expect_notice(BP_NOTICE_NONE, 0);
    asked = 0;
    expect_notice(BP_NOTICE_NONE, 0);
    assert_int_equal(asked, 4);
    page("instance-life-cycle", "on-demand");
    tear_down(state);
    a = fake_aws("{}");
    a->node = node_open(a, &err);
    expect_notice(BP_NOTICE_NONE, 0);
    asked = 0;
    expect_notice(BP_NOTICE_NONE, 0); /* Spot's own pages are not there */
    assert_int_equal(asked, 1);
}

static void an_interruption_has_its_deadline(void **state)
{
    (void)state;
    page("spot/instance-action", "{\"action\":\"terminate\",\"time\":\"" IN_TWO_MINUTES "\"}");
    expect_notice(BP_NOTICE_INTERRUPTION, NOW + 120000);
}

static void the_old_form_is_heard_too(void **state)
{
    (void)state;
    page("spot/termination-time", IN_TWO_MINUTES);
    expect_notice(BP_NOTICE_INTERRUPTION, NOW + 120000);
    page("spot/termination-time", "none");
    expect_notice(BP_NOTICE_NONE, 0);
}

static void a_deadline_of_a_wrong_clock_leaves_time_for_the_checkpoint(void **state)
{
    (void)state;
    page("spot/instance-action", "{\"action\":\"terminate\",\"time\":\"2026-01-31T11:00:00Z\"}");
    expect_notice(BP_NOTICE_INTERRUPTION, NOW + 10000);
    fake_now_ms = NOW + 5000;
    expect_notice(BP_NOTICE_INTERRUPTION, NOW + 10000); /* it does not move */
}

static void the_fleets_end_is_a_termination(void **state)
{
    (void)state;
    page("autoscaling/target-lifecycle-state", "Terminated");
    expect_notice(BP_NOTICE_TERMINATION, 0);
    page("autoscaling/target-lifecycle-state", "Standby");
    expect_notice(BP_NOTICE_NONE, 0);
    page("autoscaling/target-lifecycle-state", NULL);
    expect_notice(BP_NOTICE_NONE, 0);
}

static void the_worst_comes_first(void **state)
{
    (void)state;
    page("events/recommendations/rebalance", "{\"noticeTime\":\"2026-01-31T11:59:00Z\"}");
    expect_notice(BP_NOTICE_REBALANCE, 0);
    page("autoscaling/target-lifecycle-state", "Terminated");
    expect_notice(BP_NOTICE_TERMINATION, 0);
    page("spot/instance-action", "{\"action\":\"stop\",\"time\":\"" IN_TWO_MINUTES "\"}");
    expect_notice(BP_NOTICE_INTERRUPTION, NOW + 120000);
}

static void a_rebalance_recommendation_counts_for_a_while(void **state)
{
    (void)state;
    page("events/recommendations/rebalance", "{\"noticeTime\":\"2026-01-31T11:59:00Z\"}");
    expect_notice(BP_NOTICE_REBALANCE, 0);
    fake_now_ms = NOW + 900000;
    expect_notice(BP_NOTICE_NONE, 0);
    page("events/recommendations/rebalance", "{\"noticeTime\":\"2026-01-31T12:14:59Z\"}");
    expect_notice(BP_NOTICE_REBALANCE, 0);
    page("events/recommendations/rebalance", NULL);
    expect_notice(BP_NOTICE_NONE, 0);
}

static void what_cannot_be_asked_leaves_things_as_they_were(void **state)
{
    (void)state;
    int32_t kind;
    int64_t deadline;
    page("events/recommendations/rebalance", "{\"noticeTime\":\"2026-01-31T11:59:00Z\"}");
    expect_notice(BP_NOTICE_REBALANCE, 0);
    fails("events/recommendations/rebalance", BP_LATER);
    expect_notice(BP_NOTICE_REBALANCE, 0);
    /* one page that fails does not hide another's notice */
    fails("spot/instance-action", BP_FAIL);
    page("autoscaling/target-lifecycle-state", "Terminated");
    expect_notice(BP_NOTICE_TERMINATION, 0);
    page("autoscaling/target-lifecycle-state", "InService");
    page("events/recommendations/rebalance", NULL);
    assert_int_equal(node_facet.notice(a, &kind, &deadline, &err), BP_FAIL);
    assert_int_equal(kind, BP_NOTICE_NONE);
}

static void where_nothing_answers_it_does_not_wait_four_times(void **state)
{
    (void)state;
    int32_t kind;
    int64_t deadline;
    expect_notice(BP_NOTICE_NONE, 0);
    fails("spot/instance-action", BP_TIMEOUT);
    fails("spot/termination-time", BP_TIMEOUT);
    fails("autoscaling/target-lifecycle-state", BP_TIMEOUT);
    asked = 0;
    assert_int_equal(node_facet.notice(a, &kind, &deadline, &err), BP_TIMEOUT);
    assert_int_equal(asked, 1);
}

static void what_is_no_notice_is_ignored_and_told_once(void **state)
{
    (void)state;
    page("spot/instance-action", "<html>terminate</html>");
    page("events/recommendations/rebalance", "{\"noticeTime\":\"yesterday\"}");
    page("autoscaling/target-lifecycle-state", "{\"Terminated\":1}");
    expect_notice(BP_NOTICE_NONE, 0);
    expect_notice(BP_NOTICE_NONE, 0);
    const char *first = strstr(fake_log(), "no notice");
    assert_non_null(first);
    assert_null(strstr(first + 1, "no notice"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_who_the_metadata_says_and_asks_once),
        TEST(whatever_is_not_spot_is_on_demand),
        TEST(an_identity_that_is_none_is_refused),
        TEST(a_quiet_instance_costs_four_gets),
        TEST(an_interruption_has_its_deadline),
        TEST(the_old_form_is_heard_too),
        TEST(a_deadline_of_a_wrong_clock_leaves_time_for_the_checkpoint),
        TEST(the_fleets_end_is_a_termination),
        TEST(the_worst_comes_first),
        TEST(a_rebalance_recommendation_counts_for_a_while),
        TEST(what_cannot_be_asked_leaves_things_as_they_were),
        TEST(where_nothing_answers_it_does_not_wait_four_times),
        TEST(what_is_no_notice_is_ignored_and_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
