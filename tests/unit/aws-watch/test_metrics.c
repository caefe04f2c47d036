/* SPDX-License-Identifier: Apache-2.0 */
/* What is sent to CloudWatch and when, what an outage and a refusal mean, under a clock that is set. */
#include "cm.h"
#include "fake_aws.h"
#include "fake_client.h"
#include "metrics_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MINUTE_MS 60000

static struct aws *a;
static struct bp_err err;
static const struct fake_answer outage = {.rc = BP_LATER};
static const struct fake_answer refusal = {.rc = BP_INVALID, .status = 400, .code = "InvalidParameterValue"};

static void begin(const char *settings)
{
    memset(&err, 0, sizeof err);
    fake_client_reset();
    a = fake_aws(settings);
    a->metrics = metrics_open(a, &err);
    assert_non_null(a->metrics);
}

static void end(void)
{
    metrics_close(a->metrics);
    fake_aws_free(a);
}

static int set_up(void **state)
{
    (void)state;
    alarm(60);
    begin("{\"region\":\"eu-central-1\",\"alarmPaceMilliseconds\":0}");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    end();
    fake_client_reset();
    return 0;
}

static void put_n(int n, const char *workflow, int64_t at_ms)
{
    struct bp_metric *s = calloc((size_t)n, sizeof *s);
    for (int i = 0; i < n; i++) {
        snprintf(s[i].name, sizeof s[i].name, "QueueDepth");
        snprintf(s[i].workflow, sizeof s[i].workflow, "%s%d", workflow, i);
        snprintf(s[i].stage, sizeof s[i].stage, "prod");
        snprintf(s[i].unit, sizeof s[i].unit, "Count");
        s[i].at_ms = at_ms;
        s[i].value = i;
    }
    assert_int_equal(metrics_facet.put(a, s, (uint32_t)n, &err), 0);
    free(s);
}

static int datums(int call)
{
    int n = 0;
    for (const char *p = fake_client_request(call); (p = strstr(p, ".MetricName=")); p++)
        n++;
    return n;
}

/* Steps until it rests or idles; what it said last. */
static int64_t run(void)
{
    int64_t said;
    while ((said = fake_background_step()) == BACKGROUND_AGAIN)
        ;
    return said;
}

static void requests_have_a_thousand_datums_at_most(void **state)
{
    (void)state;
    put_n(1100, "w", fake_now_ms);
    assert_int_equal(run(), BACKGROUND_IDLE);
    assert_int_equal(fake_client_calls(), 3);
    assert_int_equal(datums(0), 1000);
    assert_int_equal(datums(1), 1000);
    assert_int_equal(datums(2), 200);
    assert_non_null(strstr(fake_client_request(0), "Namespace=BP%2FWorkers"));
    assert_non_null(strstr(fake_client_request(0), "MetricData.member.1.StorageResolution=60"));
}

static void requests_stay_below_a_megabyte(void **state)
{
    (void)state;
    struct bp_metric *s = calloc(2000, sizeof *s);
    for (int i = 0; i < 2000; i++) { /* three bytes for each in a form */
        memset(s[i].name, '%', sizeof s[i].name - 1);
        memset(s[i].workflow, '%', sizeof s[i].workflow - 1);
        memset(s[i].stage, '%', sizeof s[i].stage - 1);
        s[i].at_ms = fake_now_ms;
    }
    assert_int_equal(metrics_facet.put(a, s, 2000, &err), 0);
    free(s);
    run();
    int all = 0;
    for (int i = 0; i < fake_client_calls(); i++) {
        assert_true(strlen(fake_client_request(i)) < 1000000);
        all += datums(i);
    }
    assert_true(fake_client_calls() > 4); /* by their number they would fit into four */
    assert_int_equal(all, 4000);
}

static void what_is_too_old_or_too_new_is_dropped_and_counted(void **state)
{
    (void)state;
    put_n(3, "old", fake_now_ms - 181 * MINUTE_MS);
    put_n(1, "fits", fake_now_ms - 179 * MINUTE_MS);
    put_n(2, "new", fake_now_ms + METRIC_FUTURE_MS + 1);
    put_n(1, "now", fake_now_ms);
    run();
    assert_int_equal(a->metrics->lost.late, 5);
    assert_int_equal(fake_client_calls(), 2); /* those between are apart */
    assert_non_null(strstr(fake_log(), "5 samples of metrics are lost: 5 too old"));
}

static void an_outage_keeps_everything_rests_longer_and_is_told_once(void **state)
{
    (void)state;
    int64_t rests[] = {5000, 10000, 20000, 40000, 60000, 60000};
    put_n(10, "w", fake_now_ms);
    fake_client_say(outage, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(fake_background_step(), rests[i]);
    put_n(10, "x", fake_now_ms);
    assert_int_equal(run(), BACKGROUND_IDLE);
    assert_int_equal(datums(6), 40);
    const char *told = strstr(fake_log(), "CloudWatch does not take metrics");
    assert_non_null(told);
    assert_null(strstr(told + 1, "CloudWatch does not take"));
    assert_non_null(strstr(told, "CloudWatch takes metrics again"));
    assert_int_equal(a->metrics->lost.late + a->metrics->lost.pushed_out + a->metrics->lost.refused, 0);
}

static void a_day_long_outage_loses_only_what_is_too_late_then(void **state)
{
    (void)state;
    int64_t began = fake_now_ms;
    for (int minute = 0; minute < 1440; minute += 10, fake_now_ms += 10 * MINUTE_MS) {
        put_n(2, "w", fake_now_ms);
        fake_client_say(outage, 1);
        fake_background_step();
        fake_client_reset();
    }
    run();
    assert_int_equal(a->metrics->lost.late, 2 * (144 - 18));
    int sent = 0;
    for (int i = 0; i < fake_client_calls(); i++)
        sent += datums(i);
    assert_int_equal(sent, 2 * 2 * 18);
    fake_now_ms = began;
}

static void the_buffer_is_bounded_and_counts_what_it_pushes_out(void **state)
{
    (void)state;
    end();
    begin("{\"metricsBufferSamples\":1000}");
    for (int i = 0; i < 4; i++)
        put_n(300, "w", fake_now_ms + i);
    assert_int_equal(a->metrics->lost.pushed_out, 200);
    run();
    assert_non_null(strstr(fake_log(), "200 beyond metricsBufferSamples"));
}

/* While a request is under way the buffer overflows: what is dropped after it are the samples that were sent, no
 * others. */
static void overflow_now(void)
{
    fake_client_on_call = NULL;
    put_n(900, "later", fake_now_ms);
}

static void samples_that_come_during_a_request_are_not_taken_for_sent(void **state)
{
    (void)state;
    end();
    begin("{\"metricsBufferSamples\":1000}");
    put_n(500, "w", fake_now_ms);
    fake_client_on_call = overflow_now;
    run();
    int later = 0;
    for (int i = 0; i < fake_client_calls(); i++)
        for (const char *p = fake_client_request(i); (p = strstr(p, "Value=later")); p++)
            later++;
    assert_int_equal(later, 2 * 900);
}

static void of_a_refused_request_only_the_wrong_sample_goes(void **state)
{
    (void)state;
    put_n(8, "w", fake_now_ms); /* the fourth one is wrong: 8 refused, 4 refused, 2 taken, then 2 (at most 4) */
    fake_client_say(refusal, 2);
    fake_client_say((struct fake_answer){0}, 1);
    fake_client_say(refusal, 3);
    assert_int_equal(run(), BACKGROUND_IDLE);
    assert_int_equal(a->metrics->lost.refused, 1);
    assert_non_null(strstr(fake_log(), "a sample of QueueDepth for w2 is dropped"));
}

static void a_throttled_or_denied_request_is_not_a_refusal(void **state)
{
    (void)state;
    put_n(4, "w", fake_now_ms);
    fake_client_say((struct fake_answer){.rc = BP_LATER, .status = 400, .code = "Throttling"}, 1);
    fake_client_say((struct fake_answer){.rc = BP_DENIED, .status = 403, .code = "AccessDenied"}, 1);
    fake_client_say((struct fake_answer){.rc = BP_INVALID}, 1); /* no region, say */
    fake_client_say((struct fake_answer){.rc = BP_INVALID, .status = 404}, 1);
    for (int i = 0; i < 4; i++)
        assert_true(fake_background_step() > 0);
    assert_int_equal(run(), BACKGROUND_IDLE);
    assert_int_equal(datums(4), 8);
    assert_int_equal(a->metrics->lost.refused, 0);
}

#define RESULT(token, items)                                                                                           \
    "<GetMetricDataResponse><GetMetricDataResult>" token "<MetricDataResults><member><Id>m</Id>" items                 \
    "</member></MetricDataResults></GetMetricDataResult></GetMetricDataResponse>"

static void history_is_read_page_by_page(void **state)
{
    (void)state;
    struct bp_metric got[10];
    uint32_t n = 10;
    fake_client_say(
        (struct fake_answer){
            .status = 200,
            .body = RESULT("<NextToken>more+/=</NextToken>",
                           "<Timestamps><member>2026-01-31T12:01:00Z</member><member>2026-01-31T12:02:00Z</member></"
                           "Timestamps><Values><member>1.5</member><member>2</member></Values>")},
        1);
    fake_client_say(
        (struct fake_answer){
            .status = 200,
            .body = RESULT("", "<Timestamps><member>2026-01-31T12:03:00Z</member></Timestamps><Values><member>3"
                               "</member></Values>")},
        1);
    assert_int_equal(metrics_facet.get(a, "QueueDepth", "w", 1769860800000LL - 600000, got, &n, &err), 0);
    assert_int_equal(n, 3);
    assert_true(got[0].value == 1.5 && got[2].value == 3);
    assert_int_equal(got[2].at_ms - got[0].at_ms, 120000);
    assert_string_equal(got[0].workflow, "w");
    assert_non_null(strstr(fake_client_request(1), "NextToken=more%2B%2F%3D"));
    assert_non_null(strstr(fake_client_request(0), "Period=60"));
}

static void old_history_is_asked_for_in_the_periods_that_are_kept(void **state)
{
    (void)state;
    struct bp_metric got[1];
    uint32_t n = 1;
    metrics_facet.get(a, "QueueDepth", "w", fake_now_ms - 20 * 86400000LL, got, &n, &err);
    n = 1;
    metrics_facet.get(a, "QueueDepth", "w", 0, got, &n, &err);
    assert_non_null(strstr(fake_client_request(0), "Period=300"));
    assert_non_null(strstr(fake_client_request(1), "Period=3600"));
}

static void a_dashboard_that_is_none_is_told_and_not_overwritten(void **state)
{
    (void)state;
    struct bp_metrics_watch w = {.size = sizeof w, .backlog_target = 2, .max_size = 1, .slug = "w", .stage = "prod"};
    fake_client_say((struct fake_answer){0}, 6); /* alarms */
    fake_client_say(
        (struct fake_answer){.status = 200,
                             .body = "<GetDashboardResponse><GetDashboardResult><DashboardBody>[1</DashboardBody>"
                                     "</GetDashboardResult></GetDashboardResponse>"},
        1);
    assert_int_equal(metrics_facet.watch(a, &w, 1, &err), BP_INVALID);
    assert_non_null(strstr(err.text, "bpd-local"));
    assert_int_equal(fake_client_count(AWS_OP_CLOUDWATCH_PUT_METRIC_ALARM), 5);
    assert_int_equal(fake_client_count(AWS_OP_CLOUDWATCH_PUT_DASHBOARD), 0);
}

static void an_error_stops_a_watch_and_the_next_one_goes_on(void **state)
{
    (void)state;
    struct bp_metrics_watch w = {.size = sizeof w, .backlog_target = 2, .max_size = 1, .slug = "w", .stage = "prod"};
    fake_client_say((struct fake_answer){0}, 3);
    fake_client_say((struct fake_answer){.rc = BP_LATER, .status = 400, .code = "Throttling"}, 1);
    assert_int_equal(metrics_facet.watch(a, &w, 1, &err), BP_LATER);
    assert_int_equal(fake_client_count(AWS_OP_CLOUDWATCH_PUT_METRIC_ALARM), 3);
}

static void a_longer_struct_of_a_newer_core_is_read_as_far_as_it_is_known(void **state)
{
    (void)state;
    struct {
        struct bp_metrics_watch w;
        char more[40];
    } specs[2] = {{.w = {.size = sizeof specs[0], .backlog_target = 2, .max_size = 1, .slug = "one", .stage = "prod"}},
                  {.w = {.size = sizeof specs[0], .backlog_target = 2, .max_size = 1, .slug = "two", .stage = "prod"}}};
    fake_client_say((struct fake_answer){0}, 11);
    fake_client_say((struct fake_answer){.rc = BP_NOTFOUND, .status = 404, .code = "ResourceNotFound"}, 1);
    assert_int_equal(metrics_facet.watch(a, &specs[0].w, 2, &err), 0);
    assert_int_equal(fake_client_count(AWS_OP_CLOUDWATCH_PUT_METRIC_ALARM), 10);
    assert_non_null(strstr(fake_client_request(0), "bpd-prod-two-queue-empty"));
    assert_int_equal(fake_client_count(AWS_OP_CLOUDWATCH_PUT_DASHBOARD), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_have_a_thousand_datums_at_most),
        TEST(requests_stay_below_a_megabyte),
        TEST(what_is_too_old_or_too_new_is_dropped_and_counted),
        TEST(an_outage_keeps_everything_rests_longer_and_is_told_once),
        TEST(a_day_long_outage_loses_only_what_is_too_late_then),
        TEST(the_buffer_is_bounded_and_counts_what_it_pushes_out),
        TEST(samples_that_come_during_a_request_are_not_taken_for_sent),
        TEST(of_a_refused_request_only_the_wrong_sample_goes),
        TEST(a_throttled_or_denied_request_is_not_a_refusal),
        TEST(history_is_read_page_by_page),
        TEST(old_history_is_asked_for_in_the_periods_that_are_kept),
        TEST(a_dashboard_that_is_none_is_told_and_not_overwritten),
        TEST(an_error_stops_a_watch_and_the_next_one_goes_on),
        TEST(a_longer_struct_of_a_newer_core_is_read_as_far_as_it_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
