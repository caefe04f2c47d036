/* SPDX-License-Identifier: Apache-2.0 */
/* What arrivals of the past tell of those to come. */
#include "cm.h"

#include "policy/forecast.h"
#include <math.h>
#include <string.h>

#define T0     1700000100000LL
#define SECOND 1000LL
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

static struct forecast f;

static void fresh(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
}

/* Jobs come at random, on average one each gap_s, from `from` to `to`; the same ones in each run. */
static void random_jobs(int64_t from, int64_t to, double gap_s)
{
    static uint64_t dice = 1;
    for (int64_t t = from; t < to; t += SECOND) {
        dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
        double u = (double)(dice >> 11) / 9007199254740992.0;
        if (u < 1 / gap_s)
            forecast_arrived(&f, t, 1);
        else
            forecast_advance(&f, t);
    }
}

static void nothing_seen_foretells_nothing(void **state)
{
    fresh(state);
    assert_int_equal(forecast_count(&f, 600), 0);
    assert_true(forecast_trusted(&f) == 0 && forecast_expected(&f, 0) == 0);
    forecast_advance(&f, T0);
    assert_true(forecast_trusted(&f) == 0 && forecast_expected(&f, 0) == 0);
}

static void arrivals_are_counted_over_a_window(void **state)
{
    fresh(state);
    forecast_arrived(&f, T0, 3);
    forecast_arrived(&f, T0 + 60 * SECOND, 2);
    assert_int_equal(forecast_count(&f, 60), 2);
    assert_int_equal(forecast_count(&f, 70), 5);
    forecast_advance(&f, T0 + 2 * HOUR);
    assert_int_equal(forecast_count(&f, 3600), 0);
    assert_int_equal(f.total, 5);
}

static void a_steady_load_is_trusted_nearly_as_a_whole(void **state)
{
    fresh(state);
    random_jobs(T0, T0 + 4 * HOUR, 12);
    assert_true(fabs(forecast_dispersion(&f) - 1) < 0.4);
    assert_true(forecast_window_s(&f) >= 1200);
    assert_true(forecast_trusted(&f) > 0.8 / 12 && forecast_trusted(&f) < 1.1 / 12);
}

static void a_new_workflow_is_taken_for_what_it_has_shown(void **state)
{
    fresh(state);
    random_jobs(T0, T0 + 55 * SECOND, 1.5);
    assert_true(forecast_trusted(&f) > 0.6 * forecast_count(&f, 600) / 60);
    random_jobs(T0 + 55 * SECOND, T0 + HOUR, 1000);
    random_jobs(T0 + HOUR, T0 + HOUR + 55 * SECOND, 1.5);
    assert_true(forecast_trusted(&f) < 0.4 * forecast_count(&f, 60) / 60); /* by now it could be a gust */
}

/* Eight jobs in the first moment may be all that ever come; eight more say how often they do. */
static void those_that_the_watch_began_with_are_no_rate(void **state)
{
    fresh(state);
    forecast_arrived(&f, T0, 8);
    assert_true(forecast_trusted(&f) == 0);
    forecast_arrived(&f, T0 + 30 * SECOND, 16);
    assert_true(forecast_trusted(&f) > 8 / 60.0 && forecast_trusted(&f) < 16 / 60.0);
}

static void what_a_large_count_is_unsure_of_is_a_small_part_of_it(void **state)
{
    fresh(state);
    random_jobs(T0, T0 + 2 * HOUR, 4);
    double n = forecast_count(&f, forecast_window_s(&f)), sure = forecast_trusted(&f) * forecast_window_s(&f);
    assert_true(fabs(n - sure - 5 * forecast_dispersion(&f)) < 0.01 * n);
}

/* One after the other: hours of a job each 20 s, and hours of one each 200 s, the first one of the day being busy or
 * not. Each hour is alike. */
static void day(int64_t from, int busy)
{
    for (int i = 0; i < 24; i++)
        random_jobs(from + i * HOUR, from + (i + 1) * HOUR, (i + busy) % 2 ? 20 : 200);
}

#define DAY0 (20000LL * 24 * HOUR)

static void days_that_resemble_each_other_foretell_better_than_the_last_hour(void **state)
{
    fresh(state);
    for (int i = 0; i < 3; i++) {
        assert_true(i > 0 || !forecast_is_daily(&f));
        day(DAY0 + i * 24 * HOUR, 0);
    }
    assert_true(forecast_is_daily(&f));
    random_jobs(DAY0 + 72 * HOUR, DAY0 + 73 * HOUR - MINUTE, 200); /* quiet; the next hour is not */
    assert_true(forecast_trusted(&f) > 2.0 / 200);
}

static void days_that_do_not_are_not_gone_by(void **state)
{
    fresh(state);
    for (int i = 0; i < 4; i++)
        day(DAY0 + i * 24 * HOUR, i % 2);
    assert_false(forecast_is_daily(&f));
}

static void batches_are_not_taken_for_a_rate(void **state)
{
    fresh(state);
    for (int i = 0; i < 12; i++) {
        forecast_arrived(&f, T0 + i * 20 * MINUTE, 30);
        for (int s = 0; s < 1200; s += 10)
            forecast_advance(&f, T0 + i * 20 * MINUTE + s * SECOND);
    }
    assert_true(forecast_dispersion(&f) > 5);
    assert_true(forecast_trusted(&f) < 0.5 * 30 / 1200);
}

static void a_rate_that_changes_wants_a_shorter_window(void **state)
{
    fresh(state);
    for (int i = 0; i < 24; i++)
        random_jobs(T0 + i * 20 * MINUTE, T0 + (i + 1) * 20 * MINUTE, i % 2 ? 2 : 40);
    assert_true(forecast_window_s(&f) <= 300);
}

/* One job and, half a minute later, nine more, seventy times; what does the first one of the next batch tell? */
static void the_first_job_of_a_batch_tells_of_the_rest(void **state)
{
    fresh(state);
    int64_t t = T0;
    for (int i = 0; i < 70; i++, t += HOUR) {
        forecast_arrived(&f, t, 1);
        forecast_arrived(&f, t + 35 * SECOND, 9);
        for (int s = 40; s < 3600; s += 10)
            forecast_advance(&f, t + s * SECOND);
    }
    assert_true(forecast_expected(&f, 0) * FORECAST_AHEAD_S < 1.2); /* a batch an hour */
    forecast_arrived(&f, t, 1);
    double more = forecast_expected(&f, 0) * FORECAST_AHEAD_S;
    assert_true(more > 7 && more < 10);
}

static void a_night_without_the_daemon_teaches_nothing(void **state)
{
    fresh(state);
    random_jobs(T0, T0 + HOUR, 12);
    struct forecast before = f;
    forecast_advance(&f, T0 + 10 * HOUR);
    assert_memory_equal(before.context, f.context, sizeof f.context);
    assert_memory_equal(before.loss, f.loss, sizeof f.loss);
    assert_int_equal(forecast_count(&f, 3600), 0);
    random_jobs(T0 + 10 * HOUR, T0 + 11 * HOUR, 12);
    assert_true(forecast_trusted(&f) > 0.6 / 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_seen_foretells_nothing),
        cmocka_unit_test(arrivals_are_counted_over_a_window),
        cmocka_unit_test(a_steady_load_is_trusted_nearly_as_a_whole),
        cmocka_unit_test(a_new_workflow_is_taken_for_what_it_has_shown),
        cmocka_unit_test(those_that_the_watch_began_with_are_no_rate),
        cmocka_unit_test(what_a_large_count_is_unsure_of_is_a_small_part_of_it),
        cmocka_unit_test(days_that_resemble_each_other_foretell_better_than_the_last_hour),
        cmocka_unit_test(days_that_do_not_are_not_gone_by),
        cmocka_unit_test(batches_are_not_taken_for_a_rate),
        cmocka_unit_test(a_rate_that_changes_wants_a_shorter_window),
        cmocka_unit_test(the_first_job_of_a_batch_tells_of_the_rest),
        cmocka_unit_test(a_night_without_the_daemon_teaches_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
