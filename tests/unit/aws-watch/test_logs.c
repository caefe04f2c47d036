/* SPDX-License-Identifier: Apache-2.0 */
/* From the spool to CloudWatch Logs, under a clock that is set: what is made when it is missing, kept, dropped and
 * told. */
#include "cm.h"
#include "fake_aws.h"
#include "fake_client.h"
#include "logs_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUP "/bp/prod/bpd"

static struct aws *a;
static struct bp_err err;
static const struct fake_answer works = {.status = 200, .body = "{}"}, outage = {.rc = BP_LATER},
                                refusal = {.rc = BP_INVALID, .status = 400, .code = "InvalidParameterException"},
                                missing = {.rc = BP_NOTFOUND, .status = 400, .code = "ResourceNotFoundException"};

static void begin(const char *settings)
{
    memset(&err, 0, sizeof err);
    fake_client_reset();
    a = fake_aws(settings);
    a->logs = logs_open(a, &err);
    assert_non_null(a->logs);
}

static void end(void)
{
    logs_close(a->logs);
    fake_aws_free(a);
}

static int set_up(void **state)
{
    (void)state;
    alarm(60);
    assert_int_equal(system("rm -rf state"), 0);
    begin("{\"logRetentionDays\":14}");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    end();
    fake_client_reset();
    return 0;
}

static int put_n(int n, int64_t at_ms)
{
    struct bp_log_line lines[64];
    char texts[64][16];
    for (int i = 0; i < n; i++) {
        snprintf(texts[i], sizeof texts[i], "line %d", i);
        lines[i] = (struct bp_log_line){at_ms + i, texts[i]};
    }
    return logs_facet.put_at(a, GROUP, "ctl-1", lines, (uint32_t)n, &err);
}

static int64_t run(void)
{
    int64_t said;
    while ((said = fake_background_step()) == BACKGROUND_AGAIN)
        ;
    return said;
}

static int events(int call)
{
    int n = 0;
    for (const char *p = fake_client_request(call); (p = strstr(p, "\"message\"")); p++)
        n++;
    return n;
}

static void accepted_lines_are_on_disk_before_anything_is_sent(void **state)
{
    (void)state;
    int wakes = fake_background_wakes();
    assert_int_equal(put_n(3, fake_now_ms), 0);
    assert_int_equal(fake_client_calls(), 0);
    assert_int_equal(fake_background_wakes(), wakes + 1);
    end(); /* nothing was sent; another process takes it up */
    begin("{}");
    assert_int_equal(fake_background_wakes(), 1);
    assert_int_equal(run(), BACKGROUND_IDLE);
    assert_int_equal(events(0), 3);
}

static void a_missing_stream_is_made_and_a_missing_group_with_its_retention(void **state)
{
    (void)state;
    static const enum aws_op ops[] = {AWS_OP_LOGS_PUT_LOG_EVENTS,    AWS_OP_LOGS_CREATE_LOG_STREAM,
                                      AWS_OP_LOGS_CREATE_LOG_GROUP,  AWS_OP_LOGS_PUT_RETENTION_POLICY,
                                      AWS_OP_LOGS_CREATE_LOG_STREAM, AWS_OP_LOGS_PUT_LOG_EVENTS};
    put_n(2, fake_now_ms);
    fake_client_say(missing, 2);
    assert_int_equal(run(), BACKGROUND_IDLE);
    assert_int_equal(fake_client_calls(), 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(fake_client_op(i), ops[i]);
    assert_non_null(strstr(fake_client_request(3), "\"retentionInDays\":14"));
    assert_int_equal(events(5), 2);
}

static void somebody_else_may_make_them_at_the_same_time(void **state)
{
    (void)state;
    const struct fake_answer there = {.rc = BP_CONFLICT, .status = 400, .code = "ResourceAlreadyExistsException"};
    put_n(2, fake_now_ms);
    fake_client_say(missing, 2);
    fake_client_say(there, 2); /* the group, so no retention; the stream */
    assert_int_equal(run(), BACKGROUND_IDLE);
    assert_int_equal(fake_client_count(AWS_OP_LOGS_PUT_RETENTION_POLICY), 0);
    assert_int_equal(events(4), 2);
}

static void a_retention_that_cannot_be_set_holds_nothing_up(void **state)
{
    (void)state;
    put_n(2, fake_now_ms);
    fake_client_say(missing, 2);
    fake_client_say(works, 1);
    fake_client_say((struct fake_answer){.rc = BP_DENIED, .status = 400, .code = "AccessDeniedException"}, 1);
    assert_int_equal(run(), BACKGROUND_IDLE);
    assert_non_null(strstr(fake_log(), "keeps its lines for ever"));
    assert_int_equal(events(5), 2);
}

static void an_outage_rests_longer_and_is_told_once(void **state)
{
    (void)state;
    int64_t rests[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    put_n(5, fake_now_ms);
    fake_client_say(outage, 8);
    for (int i = 0; i < 8; i++)
        assert_int_equal(fake_background_step(), rests[i]);
    put_n(5, fake_now_ms);
    assert_int_equal(run(), BACKGROUND_IDLE);
    assert_int_equal(events(8), 10);
    const char *told = strstr(fake_log(), "does not take log lines");
    assert_non_null(told);
    assert_null(strstr(told + 1, "does not take log lines"));
    assert_non_null(strstr(told, "takes log lines again"));
}

static void only_the_wrong_line_of_a_refused_call_goes(void **state)
{
    (void)state;
    put_n(8, fake_now_ms);
    fake_client_say(refusal, 3); /* of 8, 4, 2 */
    fake_client_say(works, 1);   /* 1: the first one */
    fake_client_say(refusal, 2); /* of 2 and of 1: the second one is it */
    assert_int_equal(run(), BACKGROUND_IDLE);
    assert_int_equal(a->logs->lost.refused, 1);
    int sent = 0;
    for (int i = 6; i < fake_client_calls(); i++)
        sent += events(i);
    assert_int_equal(sent, 6);
}

static void what_was_taken_already_is_not_sent_again(void **state)
{
    (void)state;
    put_n(2, fake_now_ms);
    fake_client_say((struct fake_answer){.rc = BP_INVALID, .status = 400, .code = "DataAlreadyAcceptedException"}, 1);
    assert_int_equal(run(), BACKGROUND_IDLE);
    assert_int_equal(fake_client_calls(), 1);
}

static void lines_that_grew_old_on_disk_are_dropped_and_counted(void **state)
{
    (void)state;
    int64_t now = fake_now_ms;
    put_n(5, fake_now_ms);
    fake_client_say(outage, 1);
    fake_background_step();
    fake_now_ms += 15 * 86400000LL;
    put_n(1, fake_now_ms);
    assert_int_equal(run(), BACKGROUND_IDLE);
    assert_int_equal(fake_client_calls(), 2);
    assert_int_equal(events(1), 1);
    assert_int_equal(a->logs->lost.late, 5);
    fake_now_ms = now;
}

static void losses_are_told_once_a_minute_at_most(void **state)
{
    (void)state;
    int64_t now = fake_now_ms;
    int told = 0;
    for (int s = 0; s < 180; s += 5, fake_now_ms += 5000) {
        put_n(1, fake_now_ms - 15 * 86400000LL);
        assert_int_equal(run(), BACKGROUND_IDLE);
    }
    for (const char *p = fake_log(); (p = strstr(p, "CloudWatch does not have")); p++)
        told++;
    assert_int_equal(told, 3);
    fake_now_ms = now;
}

static void without_a_disk_lines_go_straight_out_or_come_again(void **state)
{
    (void)state;
    end();
    assert_int_equal(system("rm -rf state && mkdir state && touch state/log-spool"), 0);
    begin("{}");
    assert_non_null(strstr(fake_log(), "cannot wait on disk"));
    assert_int_equal(put_n(3, fake_now_ms), 0);
    assert_int_equal(events(0), 3);
    fake_client_say(outage, 1);
    assert_int_equal(put_n(3, fake_now_ms), BP_LATER);
    fake_client_say(refusal, 3); /* of 3, and of 1 twice: one line is wrong each time */
    assert_int_equal(put_n(3, fake_now_ms), BP_INVALID);
    assert_int_equal(events(fake_client_calls() - 1), 1);
}

static void names_are_checked_before_anything_is_kept(void **state)
{
    (void)state;
    const struct bp_log_line line = {fake_now_ms, "x"};
    char name[600];
    memset(name, 'g', sizeof name);
    name[513] = '\0';
    assert_int_equal(logs_facet.put_at(a, name, "s", &line, 1, &err), BP_INVALID);
    assert_int_equal(logs_facet.put_at(a, GROUP, name, &line, 1, &err), BP_INVALID);
    assert_int_equal(logs_facet.put_at(a, "a b", "s", &line, 1, &err), BP_INVALID);
    assert_int_equal(logs_facet.put_at(a, NULL, "s", &line, 1, &err), BP_INVALID);
    name[512] = '\0';
    assert_int_equal(logs_facet.put_at(a, name, name, &line, 1, &err), 0);
    assert_int_equal(logs_facet.put_at(a, GROUP, "i-1:2*", &line, 1, &err), 0);
    run();
    assert_non_null(strstr(fake_client_request(1), "\"i-1-2-\""));
}

static void lines_without_times_are_of_now(void **state)
{
    (void)state;
    const char *const texts[] = {"a", "b"};
    char want[60];
    assert_int_equal(logs_facet.put(a, GROUP, "ctl-1", texts, 2, &err), 0);
    run();
    snprintf(want, sizeof want, "\"timestamp\":%lld,\"message\":\"b\"", (long long)fake_now_ms);
    assert_non_null(strstr(fake_client_request(0), want));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(accepted_lines_are_on_disk_before_anything_is_sent),
        TEST(a_missing_stream_is_made_and_a_missing_group_with_its_retention),
        TEST(somebody_else_may_make_them_at_the_same_time),
        TEST(a_retention_that_cannot_be_set_holds_nothing_up),
        TEST(an_outage_rests_longer_and_is_told_once),
        TEST(only_the_wrong_line_of_a_refused_call_goes),
        TEST(what_was_taken_already_is_not_sent_again),
        TEST(lines_that_grew_old_on_disk_are_dropped_and_counted),
        TEST(losses_are_told_once_a_minute_at_most),
        TEST(without_a_disk_lines_go_straight_out_or_come_again),
        TEST(names_are_checked_before_anything_is_kept),
        TEST(lines_without_times_are_of_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
