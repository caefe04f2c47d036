/* SPDX-License-Identifier: Apache-2.0 */
/* What trials of a candidate come to, and what the engine makes of a poll that tells of them. */
#include "cm.h"
#include "dispatch/canary.h"
#include <math.h>
#include <string.h>

static const struct canary_limits usual = {
    .percent = 10, .jobs = 5, .failures = 2, .tolerance = 4, .sound_tolerance = 0.25, .slowest = 1.5};

static struct canary_trial alike(int64_t old_ms, int64_t new_ms, double difference)
{
    return (struct canary_trial){.job = 7,
                                 .outcome = TRIAL_RAN,
                                 .old_ms = old_ms,
                                 .new_ms = new_ms,
                                 .compared = 1,
                                 .difference = difference,
                                 .text = ""};
}

static enum canary_verdict judge(const struct canary_limits *l, struct canary_counts *c, struct canary_trial t)
{
    char words[400];
    enum canary_verdict v = canary_judge(l, c, &t, words);
    assert_true(strlen(words) > 10);
    return v;
}

static void enough_good_trials_promote_and_not_one_fewer(void **state)
{
    struct canary_counts c = {0};
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(judge(&usual, &c, alike(100, 100, 4)), CANARY_GOES_ON);
    assert_int_equal(judge(&usual, &c, alike(100, 100, 0)), CANARY_PROMOTES);
    assert_true(c.good == 5 && c.bad == 0 && c.worst == 4 && c.old_ms == 500 && c.new_ms == 500);
}

static void difference_beyond_the_tolerance_is_bad(void **state)
{
    struct canary_counts c = {0};
    (void)state;
    assert_int_equal(judge(&usual, &c, alike(1, 1, 4.01)), CANARY_GOES_ON);
    assert_int_equal(judge(&usual, &c, alike(1, 1, 200)), CANARY_ROLLS_BACK);
    assert_true(c.bad == 2 && c.good == 0);
}

static void sound_beyond_its_tolerance_is_bad_and_told(void **state)
{
    char words[400];
    struct canary_counts c = {0};
    struct canary_trial t = alike(1, 1, 0);
    (void)state;
    t.sound = 0.25;
    assert_int_equal(canary_judge(&usual, &c, &t, words), CANARY_GOES_ON);
    assert_true(c.good == 1 && c.worst_sound == 0.25);
    t.sound = 0.26;
    assert_int_equal(canary_judge(&usual, &c, &t, words), CANARY_GOES_ON);
    assert_string_equal(words, "the sound of job 7 differs by 0.26 of its loudness, more than the tolerance of 0.25");
    assert_true(c.bad == 1);
}

/* With no number there is no tolerance that could excuse it. */
static void output_that_cannot_be_compared_is_bad_at_any_tolerance(void **state)
{
    struct canary_counts c = {0};
    struct canary_limits l = usual;
    struct canary_trial t = {.job = 7, .outcome = TRIAL_RAN, .text = "the bytes differ"};
    (void)state;
    l.tolerance = 255;
    l.failures = 1;
    assert_int_equal(judge(&l, &c, t), CANARY_ROLLS_BACK);
}

static void failures_roll_back_at_their_limit(void **state)
{
    struct canary_counts c = {0};
    struct canary_trial t = {.job = 7, .outcome = TRIAL_FAILED, .text = "it crashed"};
    (void)state;
    assert_int_equal(judge(&usual, &c, t), CANARY_GOES_ON);
    assert_int_equal(judge(&usual, &c, alike(1, 1, 0)), CANARY_GOES_ON);
    assert_int_equal(judge(&usual, &c, t), CANARY_ROLLS_BACK);
}

static void slowness_counts_from_three_trials_on(void **state)
{
    struct canary_counts c = {0};
    (void)state;
    assert_int_equal(judge(&usual, &c, alike(1000, 9000, 0)), CANARY_GOES_ON);
    assert_int_equal(judge(&usual, &c, alike(1000, 9000, 0)), CANARY_GOES_ON);
    assert_int_equal(judge(&usual, &c, alike(1000, 9000, 0)), CANARY_ROLLS_BACK);
}

/* 1.5 times 3 x 1000 ms, and 3 x 100 ms for processes that have just begun. */
static void slowness_has_its_limit_and_its_grace(void **state)
{
    struct canary_counts at = {0}, over = {0};
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(judge(&usual, &at, alike(1000, 1600, 0)), CANARY_GOES_ON);
        assert_int_equal(judge(&usual, &over, alike(1000, 1601, 0)), i < 2 ? CANARY_GOES_ON : CANARY_ROLLS_BACK);
    }
}

/* The last good trial that would promote a slow one rolls it back. */
static void one_trial_is_enough_to_be_slow_when_one_would_promote(void **state)
{
    struct canary_counts c = {0};
    struct canary_limits l = usual;
    (void)state;
    l.jobs = 1;
    assert_int_equal(judge(&l, &c, alike(1000, 2000, 0)), CANARY_ROLLS_BACK);
}

static void absent_and_dropped_trials_decide_nothing(void **state)
{
    struct canary_counts c = {0};
    struct canary_trial absent = {.job = 7, .outcome = TRIAL_ABSENT, .text = ""};
    struct canary_trial dropped = {.job = 7, .outcome = TRIAL_DROPPED, .text = "the worker left"};
    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(judge(&usual, &c, absent), CANARY_GOES_ON);
        assert_int_equal(judge(&usual, &c, dropped), CANARY_GOES_ON);
    }
    assert_true(c.absent == 100 && c.dropped == 100 && c.good == 0 && c.bad == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enough_good_trials_promote_and_not_one_fewer),
        cmocka_unit_test(difference_beyond_the_tolerance_is_bad),
        cmocka_unit_test(sound_beyond_its_tolerance_is_bad_and_told),
        cmocka_unit_test(output_that_cannot_be_compared_is_bad_at_any_tolerance),
        cmocka_unit_test(failures_roll_back_at_their_limit),
        cmocka_unit_test(slowness_counts_from_three_trials_on),
        cmocka_unit_test(slowness_has_its_limit_and_its_grace),
        cmocka_unit_test(one_trial_is_enough_to_be_slow_when_one_would_promote),
        cmocka_unit_test(absent_and_dropped_trials_decide_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
