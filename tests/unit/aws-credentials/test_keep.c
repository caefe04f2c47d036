/* SPDX-License-Identifier: Apache-2.0 */
/* How a set is kept fresh: hours of rotations by a clock of the test's own, failures, refusals. */
#include "cm.h"
#include "credentials_priv.h"
#include "rig.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOUR_MS 3600000LL

static int64_t clock_ms;

static int64_t fake_clock(void)
{
    return clock_ms;
}

/* A source by script. */
struct script {
    struct source base;
    int64_t life_ms;  /* of what it gives; 0: for ever */
    int64_t fresh_ms; /* until so long before the end it gives the same set again; 0: always a new one */
    int64_t end_ms;   /* of the present one */
    int number, fails, changed;
    _Atomic int fetches, slow_ms, inside, most_inside;
};

static int fetch(struct source *s, struct aws_creds *out, struct bp_err *err)
{
    struct script *x = (struct script *)s;
    int inside = ++x->inside;
    if (inside > x->most_inside)
        x->most_inside = inside;
    x->fetches++;
    if (x->slow_ms)
        usleep((useconds_t)x->slow_ms * 1000);
    x->inside--;
    if (x->fails) {
        err->rc = BP_LATER;
        snprintf(err->text, sizeof err->text, "the script fails");
        return BP_LATER;
    }
    if (!x->number || !x->fresh_ms || x->end_ms - clock_ms <= x->fresh_ms) {
        x->number++;
        x->end_ms = clock_ms + x->life_ms;
    }
    x->changed = 0;
    snprintf(out->key_id, sizeof out->key_id, "ASIA%d", x->number);
    snprintf(out->secret, sizeof out->secret, "secret");
    snprintf(out->token, sizeof out->token, "token");
    out->expires_ms = x->life_ms ? x->end_ms : 0;
    return 0;
}

static int is_changed(struct source *s)
{
    return ((struct script *)s)->changed;
}

static void close_script(struct source *s)
{
    free(s);
}

static struct script *script;

static struct credentials *open_script(int64_t life_ms, int64_t fresh_ms)
{
    struct bp_err err = {0};
    rig_open("{}", NULL, NULL);
    clock_ms = 1800000000000LL;
    script = source_new(&rig, sizeof *script, &err);
    script->base.fetch = fetch;
    script->base.is_changed = is_changed;
    script->base.close = close_script;
    snprintf(script->base.name, sizeof script->base.name, "script");
    script->life_ms = life_ms;
    script->fresh_ms = fresh_ms;
    return creds_open_with(&rig, &script->base, fake_clock, &err);
}

static void end(struct credentials *c)
{
    creds_close(c);
    rig_close();
}

/* The number of the set that is in use. */
static int number(struct credentials *c)
{
    struct aws_creds s;
    struct bp_err err = {0};
    int rc = creds_get(c, &s, &err);
    return rc < 0 ? rc : atoi(s.key_id + 4);
}

/* Time passes, in steps of a second at most; at each one the set in use is a good one, and nobody waited for it. */
static void pass(struct credentials *c, int64_t ms)
{
    struct aws_creds s;
    struct bp_err err = {0};
    for (int64_t until = clock_ms + ms; clock_ms < until;) {
        int64_t wait = creds_tick(c);
        int before = script->fetches;
        assert_true(wait >= 1 && wait <= 60000);
        assert_int_equal(creds_get(c, &s, &err), 0);
        assert_true(s.expires_ms > clock_ms);
        assert_int_equal(script->fetches, before);
        clock_ms += wait < 1000 ? wait : 1000;
    }
}

static void six_hours_of_rotations(void **state)
{
    (void)state;
    struct credentials *c = open_script(HOUR_MS, 0);
    assert_int_equal(number(c), 1);
    pass(c, 6 * HOUR_MS);
    assert_in_range(script->fetches, 7, 9); /* every 47 to 50 minutes */
    end(c);
}

static void a_source_that_gives_the_same_until_late(void **state)
{
    (void)state;
    struct credentials *c = open_script(6 * HOUR_MS, 300000); /* as the instance's role does */
    assert_int_equal(number(c), 1);
    pass(c, 24 * HOUR_MS);
    assert_in_range(script->number, 4, 6);
    assert_in_range(script->fetches, script->number, script->number * 12);
    end(c);
}

static void a_short_life_is_renewed_at_its_half(void **state)
{
    (void)state;
    struct credentials *c = open_script(120000, 0);
    assert_int_equal(number(c), 1);
    pass(c, HOUR_MS);
    assert_in_range(script->fetches, 58, 64);
    end(c);
}

static void a_failure_keeps_the_old_set(void **state)
{
    (void)state;
    struct credentials *c = open_script(HOUR_MS, 0);
    assert_int_equal(number(c), 1);
    script->fails = 1;
    while (script->fetches == 1)
        pass(c, 1000);
    pass(c, 60000);
    assert_in_range(script->fetches, 6, 9); /* 1 s, 2 s, 4 s, ..., less a quarter at the most */
    pass(c, 5 * 60000);
    assert_int_equal(number(c), 1);
    assert_non_null(strstr(rig_logged, "those before go on being used: the script fails"));
    script->fails = 0;
    pass(c, 2 * HOUR_MS);
    assert_true(number(c) >= 3);
    assert_non_null(strstr(rig_logged, "are renewed again"));
    end(c);
}

static void without_a_set_the_reason_is_told_and_it_comes_back(void **state)
{
    (void)state;
    struct credentials *c = open_script(HOUR_MS, 0);
    script->fails = 1;
    assert_int_equal(number(c), BP_LATER);
    assert_int_equal(number(c), BP_LATER);
    assert_int_equal(script->fetches, 1); /* not at every call */
    script->fails = 0;
    clock_ms += 1100;
    assert_int_equal(number(c), 1);
    script->fails = 1;
    clock_ms += HOUR_MS + 1;
    assert_int_equal(number(c), BP_LATER); /* it is over */
    end(c);
}

static void it_renews_by_itself_after_it_had_none(void **state)
{
    (void)state;
    struct credentials *c = open_script(HOUR_MS, 0);
    script->fails = 1;
    assert_int_equal(number(c), BP_LATER);
    for (int i = 0; i < 100; i++)
        clock_ms += creds_tick(c);
    script->fails = 0;
    clock_ms += 30000;
    creds_tick(c);
    int before = script->fetches;
    assert_int_equal(number(c), 1);
    assert_int_equal(script->fetches, before);
    end(c);
}

static void a_set_that_is_over_is_taken_from_an_instance_only(void **state)
{
    (void)state;
    struct credentials *c = open_script(-1000, 0);
    assert_int_equal(number(c), BP_DENIED);
    end(c);
    c = open_script(-1000, 0);
    script->base.may_be_late = 1;
    assert_int_equal(number(c), 1);
    assert_non_null(strstr(rig_logged, "used all the same"));
    script->life_ms = HOUR_MS;
    pass(c, 240000); /* and soon replaced */
    assert_int_equal(number(c), 2);
    end(c);
    c = open_script(HOUR_MS, 0);
    script->base.may_be_late = 1;
    assert_int_equal(number(c), 1);
    script->life_ms = -1000;
    pass(c, 58 * 60000); /* but never put before one that is good */
    assert_int_equal(number(c), 1);
    end(c);
}

static void a_refusal_renews_once(void **state)
{
    (void)state;
    struct aws_creds used;
    struct bp_err err = {0};
    struct credentials *c = open_script(HOUR_MS, 0);
    assert_int_equal(creds_get(c, &used, &err), 0);
    assert_int_equal(creds_refresh(c, &used, &err), 0);
    assert_int_equal(script->fetches, 2);
    assert_int_equal(creds_refresh(c, &used, &err), 0); /* a newer one is there already */
    assert_int_equal(script->fetches, 2);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(creds_get(c, &used, &err), 0);
        creds_refresh(c, &used, &err);
    }
    assert_int_equal(script->fetches, 4); /* whoever refuses everything is not believed for ever */
    clock_ms += 60001;
    assert_int_equal(creds_refresh(c, &used, &err), 0);
    end(c);
    c = open_script(0, HOUR_MS);
    script->fresh_ms = -HOUR_MS; /* the same for ever */
    assert_int_equal(creds_get(c, &used, &err), 0);
    assert_int_equal(creds_refresh(c, &used, &err), BP_DENIED);
    assert_non_null(strstr(err.text, "gives the same credentials again"));
    assert_int_equal(number(c), 1);
    end(c);
}

static void keys_that_changed_are_read_again(void **state)
{
    (void)state;
    struct credentials *c = open_script(0, 0);
    assert_int_equal(number(c), 1);
    clock_ms += HOUR_MS;
    assert_int_equal(number(c), 1);
    script->changed = 1;
    clock_ms += 6000;
    assert_int_equal(number(c), 2);
    script->changed = script->fails = 1; /* half written */
    clock_ms += 6000;
    assert_int_equal(number(c), 2);
    script->fails = 0;
    clock_ms += 6000;
    assert_int_equal(number(c), 3);
    end(c);
}

static void the_clock_of_aws_counts(void **state)
{
    (void)state;
    struct credentials *c = open_script(HOUR_MS, 0);
    assert_int_equal(number(c), 1);
    creds_set_skew(c, 2 * HOUR_MS); /* theirs is ahead */
    script->life_ms = 4 * HOUR_MS;
    assert_int_equal(number(c), 2);
    end(c);
}

static void *get_one(void *arg)
{
    return (void *)(intptr_t)number(arg);
}

static void many_callers_make_one_flight(void **state)
{
    (void)state;
    pthread_t threads[16];
    struct credentials *c = open_script(HOUR_MS, 0);
    script->slow_ms = 200;
    for (int i = 0; i < 16; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_one, c), 0);
    for (int i = 0; i < 16; i++) {
        void *got = NULL;
        pthread_join(threads[i], &got);
        assert_int_equal((intptr_t)got, 1);
    }
    assert_int_equal(script->fetches, 1);
    assert_int_equal(script->most_inside, 1);
    end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(six_hours_of_rotations),
        cmocka_unit_test(a_source_that_gives_the_same_until_late),
        cmocka_unit_test(a_short_life_is_renewed_at_its_half),
        cmocka_unit_test(a_failure_keeps_the_old_set),
        cmocka_unit_test(without_a_set_the_reason_is_told_and_it_comes_back),
        cmocka_unit_test(it_renews_by_itself_after_it_had_none),
        cmocka_unit_test(a_set_that_is_over_is_taken_from_an_instance_only),
        cmocka_unit_test(a_refusal_renews_once),
        cmocka_unit_test(keys_that_changed_are_read_again),
        cmocka_unit_test(the_clock_of_aws_counts),
        cmocka_unit_test(many_callers_make_one_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
