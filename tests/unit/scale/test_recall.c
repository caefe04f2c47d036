/* SPDX-License-Identifier: Apache-2.0 */
/* What the queue remembers of a workflow is its history again after a start. */
#include "scale/rig.h"

#include "log/err.h"
#include "scale/scale_priv.h"
#include <math.h>
#include <string.h>

static int counts(void *fleets, const char *slug, struct bp_view *v, int64_t *described_ms)
{
    (void)slug;
    v->desired = 0;
    *described_ms = loop_now_ms(((struct rig *)fleets)->loop);
    return 0;
}

static int resize(void *fleets, const char *slug, int32_t to, const char *reason, struct bp_err *err)
{
    (void)fleets;
    (void)slug;
    (void)to;
    (void)reason;
    return err_set(err, BP_LATER, "the test said so");
}

/* A job that came so many seconds ago, waited and ran; ran_s < 0: it still waits. */
static void past(struct rig *r, int64_t now, double ago_s, double wait_s, double ran_s)
{
    struct bp_job_row *j = &r->past[r->n_past];
    int64_t came = now - (int64_t)(ago_s * 1000);
    *j = (struct bp_job_row){
        .size = sizeof *j, .id = 100 - (int64_t)r->n_past++, .status = BP_JOB_QUEUED, .created_ms = came};
    if (ran_s < 0)
        return;
    j->status = BP_JOB_COMPLETED;
    j->leased_ms = came + (int64_t)(wait_s * 1000);
    j->finished_ms = j->leased_ms + (int64_t)(ran_s * 1000);
}

static struct scale *begin(struct rig *r)
{
    struct scale_fleet fleet = {.counts = counts, .resize = resize, .fleets = r};
    struct scale *s = scale_new(r->bus, NULL, r->config, &fleet);
    assert_non_null(s);
    scale_start(s);
    return s;
}

static int is_recalled(struct rig *r, const void *arg)
{
    (void)r;
    const struct scale *s = arg;
    return s->items && s->items->recalled && !s->recall;
}

static void end(struct rig *r, struct scale *s)
{
    rig_quiet(r);
    scale_free(s);
    rig_free(r);
}

static void jobs_come_and_end_again_in_the_order_of_their_times(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    int64_t now = loop_now_ms(r->loop);
    rig_depth(r, 1, 0);
    past(r, now, 20, 0, -1);      /* still queued */
    past(r, now, 1000, 50, 100);  /* alone: level 1 for 150 s */
    past(r, now, 3000, 10, 300);  /* with the next: levels 1 and 2 */
    past(r, now, 3100, 100, 200); /* 100 s before it */
    r->past[r->n_past] = (struct bp_job_row){.id = 1, .status = BP_JOB_SCHEDULED, .created_ms = now - 4000000};
    r->n_past++;
    struct scale *s = begin(r);
    rig_until(r, is_recalled, s);
    const struct history *h = s->items->history;
    assert_int_equal(h->arrivals, 4);
    assert_int_equal(h->runs, 3);
    assert_true(fabs(h->run_mean_s - 200) < 1e-6);
    assert_int_equal(h->level[2].spells, 1);
    assert_true(fabsf(h->level[2].hot_s[0] - 200) < 0.01f); /* 3000 to 2800 s ago */
    assert_int_equal(h->level[1].spells, 2);
    assert_true(fabsf(h->level[1].hot_s[0] - 410) < 0.01f); /* 3100 to 2690 s ago */
    assert_true(fabsf(h->level[1].gap_s[1] - 1690) < 0.01f);
    assert_int_equal(h->demand, 1);
    assert_int_equal(rig_calls(r, "list photo"), 1);
    end(r, s);
}

static void pages_are_asked_for_until_the_last_one(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    int64_t now = loop_now_ms(r->loop);
    for (int i = 1; i <= 5; i++)
        past(r, now, 1000 * i, 50, 100);
    r->page = 2;
    struct scale *s = begin(r);
    rig_until(r, is_recalled, s);
    assert_int_equal(s->items->history->arrivals, 5);
    assert_int_equal(rig_calls(r, "list photo"), 3);
    end(r, s);
}

static void what_is_older_than_a_week_counts_no_more(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    int64_t now = loop_now_ms(r->loop);
    past(r, now, 604000, 50, 100);
    past(r, now, 605000, 50, 100);
    struct scale *s = begin(r);
    rig_until(r, is_recalled, s);
    assert_int_equal(s->items->history->arrivals, 1);
    end(r, s);
}

static void quiet_hours_between_jobs_are_known_again(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    past(r, loop_now_ms(r->loop), 3 * 86400, 50, 100);
    past(r, loop_now_ms(r->loop), 2 * 86400, 50, 100);
    struct scale *s = begin(r);
    rig_until(r, is_recalled, s);
    const struct daily *d = &s->items->history->forecast.daily;
    for (int k = 0; k < DAILY_SLOTS; k++)
        assert_in_range(d->days[k], 2, 3);
    end(r, s);
}

static void a_queue_that_remembers_nothing_leaves_what_was_learned_since(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct scale *s = begin(r);
    rig_until(r, is_recalled, s);
    assert_int_equal(s->items->history->arrivals, 0);
    rig_submitted(r);
    rig_turn(r, 20);
    assert_int_equal(s->items->history->arrivals, 1);
    end(r, s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_come_and_end_again_in_the_order_of_their_times),
        cmocka_unit_test(pages_are_asked_for_until_the_last_one),
        cmocka_unit_test(what_is_older_than_a_week_counts_no_more),
        cmocka_unit_test(quiet_hours_between_jobs_are_known_again),
        cmocka_unit_test(a_queue_that_remembers_nothing_leaves_what_was_learned_since),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
