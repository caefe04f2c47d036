/* SPDX-License-Identifier: Apache-2.0 */
/* By when it is told: one in twenty comes later, whatever is wrong with what was drawn. */
#include "cm.h"
#include "policy/promise.h"

#include "log/json.h"
#include <math.h>
#include <string.h>

#define DRAWS        200
#define STEADY_STEPS (400 * 0.3 * 0.05) /* down, one for each of 400 jobs */

static struct promises p;
static double drawn[DRAWS]; /* 1 to 200 s, each as likely */
static uint64_t dice;

static int fresh(void **state)
{
    (void)state;
    memset(&p, 0, sizeof p);
    for (int i = 0; i < DRAWS; i++)
        drawn[i] = i + 1;
    dice = 88172645463325252u;
    return 0;
}

static double roll(void)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return ((double)(dice >> 11) + 0.5) / 9007199254740992.0;
}

static double told(void)
{
    return promise_told(&p, PROMISE_START, drawn, DRAWS).p95_s;
}

static double told_half(void)
{
    return promise_told(&p, PROMISE_START, drawn, DRAWS).p50_s;
}

static void without_experience_it_is_as_drawn(void **state)
{
    (void)state;
    struct eta_span drawn_so = promise_told(NULL, PROMISE_START, drawn, DRAWS);
    assert_true(drawn_so.p95_s == 191 && drawn_so.p50_s == 101);
    assert_true(told() == 191 && told_half() == 101);
    assert_true(promise_told(NULL, PROMISE_START, drawn, 1).p95_s == 1);
    p.of[PROMISE_END].shift = -9;
    assert_true(told() == 191);                                            /* of ends only */
    assert_true(promise_told(&p, PROMISE_END, drawn, DRAWS).p95_s == 101); /* the median as told, nothing below */
    p.of[PROMISE_END].middle = -2;
    struct eta_span sooner = promise_told(&p, PROMISE_END, drawn, DRAWS);
    assert_true(sooner.p50_s == 24 && sooner.p95_s == 24);
}

/* All of some 200 draws may be too late. */
static void below_the_draws_the_time_shrinks(void **state)
{
    (void)state;
    double before = told_half();
    for (int halves = 1; halves <= 10; halves++) {
        p.of[PROMISE_START].middle = -halves / 2.0;
        assert_true(told_half() <= before);
        before = told_half();
    }
    assert_true(before > 2 && before < 3);
    p.of[PROMISE_START].middle = -5.5;
    assert_true(told_half() < before);
}

static void beyond_the_draws_the_distance_from_the_median_grows(void **state)
{
    (void)state;
    double before = told();
    for (int halves = 1; halves <= 14; halves++) {
        p.of[PROMISE_START].shift = halves / 2.0;
        assert_true(told() >= before);
        before = told();
    }
    assert_true(before > 1000 && before < 2000);
    drawn[DRAWS / 2] = 101;
    for (int i = DRAWS / 2 + 1; i < DRAWS; i++)
        drawn[i] = INFINITY; /* and what may never be is not made sooner */
    assert_true(isinf(told()));
}

/* Promises of jobs that come when `scale` times what was drawn has passed; the share of the last 1000 that was kept,
 * and of those that had come by half. */
static double kept_of(int n, double scale, double *by_half)
{
    int kept = 0, early = 0;
    for (int i = 0; i < n; i++) {
        struct promise m = {i, (int64_t)(1000 * told()), (int64_t)(1000 * told_half()), PROMISE_START, 1};
        int64_t came_ms = (int64_t)(1000 * scale * 200 * roll());
        promise_judge(&p, &m, came_ms);
        kept += came_ms <= m.by_ms && i >= n - 1000;
        early += came_ms <= m.half_ms && i >= n - 1000;
    }
    *by_half = early / 1000.0;
    return kept / 1000.0;
}

static void p95_and_p50_hold_through_a_drift(void **state)
{
    (void)state;
    static const double scales[] = {1, 5, 0.7, 7, 1};
    for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++) {
        double half, kept = kept_of(3000, scales[i], &half);
        print_message("%g times as long: %.3f kept, shift %.2f, %.3f by half\n", scales[i], kept,
                      p.of[PROMISE_START].shift, half);
        assert_true(kept > 0.93 && kept < 0.97);
        assert_true(half > 0.45 && half < 0.55);
        assert_true(fabs(p.of[PROMISE_START].kept - 0.95) < 0.06);
    }
    assert_true(p.of[PROMISE_END].judged == 0);
}

/* What comes at a hundredth of what was drawn: by the 95 % of 400 jobs alone it would be told as late as before. */
static void the_way_down_from_far_too_late_is_not_one_step_at_a_time(void **state)
{
    (void)state;
    double half;
    (void)kept_of(400, 0.01, &half);
    assert_true(told_half() < 20 && p.of[PROMISE_START].shift < -STEADY_STEPS);
}

static void what_cannot_hold_moves_no_further_than_its_bound(void **state)
{
    (void)state;
    struct promise m = {1, 1, 1, PROMISE_START, 8};
    for (int i = 0; i < 1000; i++)
        promise_judge(&p, &m, INT64_MAX);
    double most = told();
    assert_true(most < 2000 && p.of[PROMISE_START].kept < 0.01);
    for (int i = 0; i < 1000; i++)
        promise_judge(&p, &m, 0);
    assert_true(told() > 0.2 && told() < 3 && told_half() < 3 && p.of[PROMISE_START].kept > 0.99);
}

/* Of those that do not fit the ones that are over last are left out: what is days away stands in nobody's way. */
static void memory_is_bounded(void **state)
{
    (void)state;
    struct promise due;
    float weight;
    for (int job = 0; job < 10000; job++)
        promise_make(&p, (struct promise){job, 1000000 - job, 0, PROMISE_START, 1});
    assert_int_equal(p.n_open, PROMISES_OPEN);
    assert_int_equal(promise_due(&p, 1000000 - 9999, &due), 0); /* not over yet */
    for (int n = 0; n < PROMISES_OPEN; n++) {
        assert_int_equal(promise_due(&p, 1000000, &due), 1); /* each once */
        assert_true(due.job > 9999 - PROMISES_OPEN && due.kind == PROMISE_START);
    }
    assert_int_equal(promise_due(&p, INT64_MAX, &due), 0);
    promise_make(&p, (struct promise){1, 1000, 0, PROMISE_END, 1});
    promise_came(&p, 1);
    promise_forget(&p);
    assert_int_equal(promise_due(&p, INT64_MAX, &due), 0);
    assert_true(promise_pick(&p, &weight) < 0);
    promise_came(&p, 7);
    assert_true(promise_pick(&p, &weight) == 7 && weight == 1);
}

static void each_of_the_jobs_that_came_is_as_likely_to_be_asked_about(void **state)
{
    (void)state;
    int picked[10] = {0};
    float weight;
    assert_true(promise_pick(&p, &weight) < 0);
    for (int i = 0; i < 5000; i++) {
        for (int job = 0; job < 10; job++)
            promise_came(&p, job);
        picked[promise_pick(&p, &weight)]++;
        assert_true(weight == 8); /* at most */
    }
    for (int job = 0; job < 10; job++)
        assert_in_range(picked[job], 400, 600);
    promise_came(&p, 3);
    promise_came(&p, 4);
    assert_true(promise_pick(&p, &weight) >= 3 && weight == 2);
}

static void what_came_of_it_is_read_from_the_job(void **state)
{
    (void)state;
    const struct promise start = {.kind = PROMISE_START}, end = {.kind = PROMISE_END};
    assert_true(promise_outcome(&start, &(struct promise_job){"queued", 0, 0, 0}) == INT64_MAX);
    assert_true(promise_outcome(&start, &(struct promise_job){"leased", 1, 1000, 0}) == 1000);
    assert_true(promise_outcome(&start, &(struct promise_job){"completed", 1, 900, 1500}) == 900);
    assert_true(promise_outcome(&start, &(struct promise_job){"leased", 2, 1500, 0}) < 0); /* of its second run */
    assert_true(promise_outcome(&start, &(struct promise_job){"queued", 1, 0, 0}) < 0);
    assert_true(promise_outcome(&start, &(struct promise_job){"cancelled", 0, 0, 900}) < 0);
    assert_true(promise_outcome(&end, &(struct promise_job){"completed", 1, 900, 1000}) == 1000);
    assert_true(promise_outcome(&end, &(struct promise_job){"completed", 2, 900, 1001}) == 1001);
    assert_true(promise_outcome(&end, &(struct promise_job){"leased", 1, 900, 0}) == INT64_MAX);
    assert_true(promise_outcome(&end, &(struct promise_job){"failed", 3, 900, 950}) < 0);
    assert_true(promise_outcome(&end, &(struct promise_job){"cancelled", 0, 0, 900}) < 0);
}

static void what_was_learned_survives_as_text(void **state)
{
    (void)state;
    assert_null(promise_json(&p));
    double half_kept;
    (void)kept_of(1000, 4, &half_kept);
    struct json_object *o = promise_json(&p);
    double before = told(), half = told_half();
    struct promise m = {1, 1, 1, PROMISE_START, 1};
    memset(&p, 0, sizeof p);
    promise_make(&p, m);
    promise_take(&p, o);
    assert_true(fabs(told() - before) < 0.01 * before && fabs(told_half() - half) < 0.01 * half);
    assert_true(p.of[PROMISE_START].judged == 1000 && p.n_open == 1);
    json_object_put(o);
    struct bp_err err = {0};
    const char *bad = "{\"start\": {\"shift\": 1e9, \"middle\": -1e9, \"kept\": -3, \"judged\": \"x\"}, \"end\": [1]}";
    promise_take(&p, o = json_parse(bad, strlen(bad), &err));
    assert_true(told() < 2000 && p.of[PROMISE_START].kept == 0 && p.of[PROMISE_START].judged == 0);
    assert_true(p.of[PROMISE_END].shift == 0);
    json_object_put(o);
    promise_take(&p, NULL);
    assert_true(told() == 191);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_experience_it_is_as_drawn, fresh),
        cmocka_unit_test_setup(beyond_the_draws_the_distance_from_the_median_grows, fresh),
        cmocka_unit_test_setup(below_the_draws_the_time_shrinks, fresh),
        cmocka_unit_test_setup(p95_and_p50_hold_through_a_drift, fresh),
        cmocka_unit_test_setup(the_way_down_from_far_too_late_is_not_one_step_at_a_time, fresh),
        cmocka_unit_test_setup(what_cannot_hold_moves_no_further_than_its_bound, fresh),
        cmocka_unit_test_setup(memory_is_bounded, fresh),
        cmocka_unit_test_setup(each_of_the_jobs_that_came_is_as_likely_to_be_asked_about, fresh),
        cmocka_unit_test_setup(what_came_of_it_is_read_from_the_job, fresh),
        cmocka_unit_test_setup(what_was_learned_survives_as_text, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
