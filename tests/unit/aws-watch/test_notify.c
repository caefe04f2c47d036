/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to people under a clock that is set: none twice, not too many, and what a lost answer means. */
#include "cm.h"
#include "fake_aws.h"
#include "fake_client.h"
#include "notify_limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPIC "\"region\":\"eu-central-1\",\"snsTopicArn\":\"arn:aws:sns:eu-central-1:123456789012:ops"

static struct aws *a;
static struct bp_err err;
static const struct fake_answer outage = {.rc = BP_LATER}, lost = {.rc = BP_LATER, .unsure = 1};

static void begin(const char *settings)
{
    memset(&err, 0, sizeof err);
    fake_client_reset();
    a = fake_aws(settings);
    a->notify = notify_open(a, &err);
    assert_non_null(a->notify);
}

static int set_up(void **state)
{
    (void)state;
    begin("{" TOPIC "\",\"notifyPerMinute\":6}");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    notify_close(a->notify);
    fake_aws_free(a);
    fake_client_reset();
    return 0;
}

static int say(const char *subject, const char *key)
{
    return notify_facet.send(a, subject, "text", key, &err);
}

/* ---- the limit ---- */

static void a_key_counts_for_its_time(void **state)
{
    (void)state;
    struct notify_limit l;
    notify_limit_init(&l, 10, 1000);
    assert_int_equal(notify_limit_is_repeat(&l, "k", 5000), 0);
    notify_limit_went(&l, "k", 5000, 0);
    assert_int_equal(notify_limit_is_repeat(&l, "k", 5999), 1);
    assert_int_equal(notify_limit_is_repeat(&l, "k", 6000), 0);
    assert_int_equal(notify_limit_is_repeat(&l, "k", 4000), 0); /* the clock was set back */
    notify_limit_went(&l, "", 5000, 0);
    assert_int_equal(notify_limit_is_repeat(&l, "", 5000), 0);
    notify_limit_went(&l, "k", 7000, 1);
    assert_int_equal(notify_limit_is_repeat(&l, "k", 7001), 0);
    assert_int_equal(notify_limit_is_unsure(&l, "k", 7001), 1);
    assert_int_equal(notify_limit_is_unsure(&l, "k", 8000), 0);
}

static void of_too_many_keys_the_one_that_went_first_is_forgotten(void **state)
{
    (void)state;
    struct notify_limit l;
    char key[20];
    notify_limit_init(&l, 10, 1000000);
    for (int i = 0; i <= NOTIFY_KEYS; i++) {
        snprintf(key, sizeof key, "k%d", i);
        notify_limit_went(&l, key, 1000 + i, 0);
    }
    assert_int_equal(notify_limit_is_repeat(&l, "k0", 2000), 0);
    for (int i = 1; i <= NOTIFY_KEYS; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(notify_limit_is_repeat(&l, key, 2000), 1);
    }
}

static void tokens_come_back_evenly_and_never_pile_up(void **state)
{
    (void)state;
    struct notify_limit l;
    int64_t now = 1000000;
    notify_limit_init(&l, 6, 0);
    for (int i = 0; i < 6; i++)
        assert_int_equal(notify_limit_take(&l, now), 1);
    assert_int_equal(notify_limit_take(&l, now), 0);
    assert_int_equal(notify_limit_take(&l, now + 9999), 0);
    assert_int_equal(notify_limit_take(&l, now + 10001), 1);
    assert_int_equal(notify_limit_take(&l, now + 10001), 0);
    now += 86400000;
    for (int i = 0; i < 6; i++)
        assert_int_equal(notify_limit_take(&l, now), 1);
    assert_int_equal(notify_limit_take(&l, now), 0);
    assert_int_equal(notify_limit_take(&l, now - 3600000), 0); /* set back: nothing is given, nothing is owed */
    assert_int_equal(notify_limit_take(&l, now - 3600000 + 10001), 1);
    int sent = 0;
    notify_limit_init(&l, 6, 0);
    for (int64_t t = 1; t < 3600000; t += 100)
        sent += notify_limit_take(&l, t);
    assert_in_range(sent, 6 + 6 * 60 - 2, 6 + 6 * 60);
}

/* ---- the facet ---- */

static void a_key_goes_out_again_after_its_time(void **state)
{
    (void)state;
    int64_t now = fake_now_ms;
    assert_int_equal(say("down", "k"), 0);
    fake_now_ms += 299999;
    assert_int_equal(say("down", "k"), 0);
    assert_int_equal(fake_client_calls(), 1);
    fake_now_ms += 1;
    assert_int_equal(say("down", "k"), 0);
    assert_int_equal(fake_client_calls(), 2);
    fake_now_ms = now;
}

static void a_message_that_failed_is_not_taken_for_sent(void **state)
{
    (void)state;
    fake_client_say(outage, 1);
    assert_int_equal(say("down", "k"), BP_LATER);
    assert_int_equal(say("down", "k"), 0);
    assert_null(strstr(fake_client_request(1), "Sent%20again"));
    assert_int_equal(say("down", "k"), 0);
    assert_int_equal(fake_client_calls(), 2);
}

static void one_that_may_have_arrived_is_marked_when_it_comes_again(void **state)
{
    (void)state;
    fake_client_say(lost, 2);
    assert_int_equal(say("down", "k"), BP_LATER);
    assert_int_equal(say("down", "k"), BP_LATER);
    assert_int_equal(say("down", "k"), 0);
    assert_null(strstr(fake_client_request(0), "Sent%20again"));
    assert_non_null(strstr(fake_client_request(1), "Sent%20again"));
    assert_non_null(strstr(fake_client_request(2), "Sent%20again"));
}

static void id_of(int call, char out[65])
{
    const char *at = strstr(fake_client_request(call), "MessageDeduplicationId=");
    assert_non_null(at);
    snprintf(out, 65, "%s", strchr(at, '=') + 1);
}

static void a_fifo_topic_knows_a_message_by_its_id(void **state)
{
    char one[65], other[65];
    (void)state;
    tear_down(state);
    begin("{" TOPIC ".fifo\"}");
    fake_client_say(lost, 1);
    say("down", "k");
    say("down", "k");
    say("down", "l");
    say("down", NULL);
    say("down", NULL);
    assert_null(strstr(fake_client_request(1), "Sent%20again"));
    assert_non_null(strstr(fake_client_request(1), "MessageGroupId=bpd-local"));
    id_of(0, one);
    id_of(1, other);
    assert_string_equal(one, other);
    id_of(2, other);
    assert_string_not_equal(one, other);
    id_of(3, one);
    id_of(4, other);
    assert_string_not_equal(one, other);
}

static void the_rest_of_a_storm_is_one_summary(void **state)
{
    (void)state;
    int64_t now = fake_now_ms;
    char name[40];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "launches fail for w%03d", i);
        assert_int_equal(say(name, name), 0);
    }
    assert_int_equal(fake_client_calls(), 6);
    assert_int_equal(fake_background_step(), 60000);
    fake_now_ms += 59000;
    assert_int_equal(fake_background_step(), 1000);
    fake_now_ms += 1000;
    fake_client_say(outage, 1);
    assert_true(fake_background_step() > 0);
    assert_non_null(strstr(fake_log(), "a summary of notifications could not be sent"));
    assert_int_equal(fake_background_step(), BACKGROUND_IDLE);
    assert_int_equal(fake_client_calls(), 8);
    assert_non_null(strstr(fake_client_request(7), "Subject=bpd%20local%3A%20494%20more%20messages"));
    assert_non_null(strstr(fake_client_request(7), "w006")); /* of so many, the first ones are named */
    assert_null(strstr(fake_client_request(7), "w005"));
    assert_true(strlen(fake_client_request(7)) < 32000);
    assert_int_equal(fake_background_step(), BACKGROUND_IDLE);
    assert_int_equal(fake_client_calls(), 8);
    fake_now_ms = now;
}

static void a_test_message_is_refused_when_there_were_too_many(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++)
        assert_int_equal(say("test", ""), 0);
    assert_int_equal(say("test", ""), BP_LATER);
    assert_non_null(strstr(err.text, "notifyPerMinute"));
    assert_int_equal(fake_background_step(), BACKGROUND_IDLE);
}

static void what_cannot_be_sent_is_refused(void **state)
{
    (void)state;
    char key[NOTIFY_KEY_SIZE + 1];
    memset(key, 'k', sizeof key);
    key[NOTIFY_KEY_SIZE] = '\0';
    assert_int_equal(say("s", key), BP_INVALID);
    assert_int_equal(say("", "k"), BP_INVALID);
    assert_int_equal(say(NULL, "k"), BP_INVALID);
    assert_int_equal(notify_facet.send(a, "s", NULL, NULL, &err), 0);
    tear_down(state);
    begin("{\"region\":\"eu-central-1\"}");
    assert_int_equal(say("s", "k"), BP_UNSUPPORTED);
    tear_down(state);
    begin("{\"region\":\"us-gov-west-1\",\"snsTopicArn\":\"arn:aws-us-gov:sns:us-gov-west-1:123456789012:ops\"}");
    assert_int_equal(say("s", "k"), 0);
    tear_down(state);
    begin("{\"region\":\"eu-central-1\",\"snsTopicArn\":\"arn:aws:sqs:eu-central-1:123456789012:ops\"}");
    assert_int_equal(say("s", "k"), BP_INVALID);
    assert_int_equal(fake_client_calls(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_counts_for_its_time),
        cmocka_unit_test(of_too_many_keys_the_one_that_went_first_is_forgotten),
        cmocka_unit_test(tokens_come_back_evenly_and_never_pile_up),
        TEST(a_key_goes_out_again_after_its_time),
        TEST(a_message_that_failed_is_not_taken_for_sent),
        TEST(one_that_may_have_arrived_is_marked_when_it_comes_again),
        TEST(a_fifo_topic_knows_a_message_by_its_id),
        TEST(the_rest_of_a_storm_is_one_summary),
        TEST(a_test_message_is_refused_when_there_were_too_many),
        TEST(what_cannot_be_sent_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
