/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered is read before anything is decided, and anew with each term of the lead. */
#include "scale/rig.h"

#include "scale/scale_priv.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int counts(void *fleets, const char *slug, struct bp_view *v, int64_t *described_ms)
{
    (void)slug;
    v->desired = 0;
    *described_ms = loop_now_ms(((struct rig *)fleets)->loop);
    return 0;
}

static int32_t resized; /* to what, the last time; -1: not */

static int resize(void *fleets, const char *slug, int32_t to, const char *reason, struct bp_err *err)
{
    (void)fleets;
    (void)slug;
    (void)reason;
    (void)err;
    resized = to;
    return 0;
}

static int leading = 1;

static int leads(void *arg, struct lead_term *term)
{
    (void)arg;
    *term = (struct lead_term){0, INT64_MAX};
    return leading;
}

static struct scale *begin(struct rig *r)
{
    struct scale_fleet fleet = {.counts = counts, .resize = resize, .fleets = r};
    struct leads who = {leads, NULL};
    struct scale *s = scale_new(r->bus, NULL, r->config, &fleet);
    assert_non_null(s);
    scale_set_leads(s, &who);
    scale_start(s);
    return s;
}

static struct rig *remembering(void)
{
    struct rig *r = rig_new((const char *const[]){"scale.tickMilliseconds=100", "scale.policy=target", NULL});
    r->keeps_memos = 1;
    leading = 1;
    resized = -1;
    return r;
}

static void remember(struct rig *r, uint32_t at, const char *kind, const char *workflow, const char *text)
{
    pthread_mutex_lock(&r->lock);
    snprintf(r->memos[at].kind, sizeof r->memos[at].kind, "%s", kind);
    snprintf(r->memos[at].workflow, sizeof r->memos[at].workflow, "%s", workflow);
    snprintf(r->memos[at].text, sizeof r->memos[at].text, "%s", text);
    r->n_memos = at + 1 > r->n_memos ? at + 1 : r->n_memos;
    pthread_mutex_unlock(&r->lock);
}

static void quit(struct rig *r, struct scale *s)
{
    rig_quiet(r);
    scale_free(s);
    rig_free(r);
}

static void assert_only_decided(const struct scale_item *i, int32_t to)
{
    assert_true(i->n_decisions > 0);
    for (uint32_t k = 0; k < i->n_decisions && k < SCALE_DECISIONS; k++)
        assert_int_equal(i->decisions[k].to, to);
}

static int has_decided(struct rig *r, const void *arg)
{
    (void)r;
    const struct scale *s = arg;
    return s->items && s->items->n_decisions > 0;
}

/* It has looked, and left it to another controller. */
static int has_followed(struct rig *r, const void *arg)
{
    (void)r;
    const struct scale *s = arg;
    return s->items && s->items->planned_ms;
}

static void nothing_is_decided_before_it_is_read(void **state)
{
    (void)state;
    struct rig *r = remembering();
    rig_depth(r, 5, 0);
    leading = 0;
    struct scale *s = begin(r);
    rig_until(r, has_followed, s);
    rig_until_calls(r, "stats", rig_calls(r, "stats") + 2);
    assert_int_equal(resized, -1);
    remember(r, 0, "scale.rules", "photo", "{\"v\":1,\"rules\":[{\"rule\":\"max\",\"value\":1,\"by\":\"bob\"}]}");
    leading = 1;
    bus_publish(r->bus, EVENT_LEADER_GAINED, "me", (int64_t)2);
    rig_until(r, has_decided, s);
    assert_only_decided(s->items, 1);
    quit(r, s);
}

/* It lost the lead and has it again while the answer was on its way: another one may have been told something since. */
static void what_was_asked_for_in_a_former_term_counts_for_nothing(void **state)
{
    (void)state;
    struct rig *r = remembering();
    rig_depth(r, 5, 0);
    struct scale *s = begin(r);
    assert_non_null(scale_item_get(s, "photo"));
    memos_follow(s);
    while (!rig_calls(r, "memos fleet.lives")) /* the queue has answered, and the loop has not heard */
        usleep(1000);
    remember(r, 0, "scale.rules", "photo", "{\"v\":1,\"rules\":[{\"rule\":\"max\",\"value\":1,\"by\":\"bob\"}]}");
    bus_publish(r->bus, EVENT_LEADER_LOST, "me", (int64_t)1, "the test says so");
    bus_publish(r->bus, EVENT_LEADER_GAINED, "me", (int64_t)2);
    rig_until(r, has_decided, s);
    assert_only_decided(s->items, 1);
    quit(r, s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_decided_before_it_is_read),
        cmocka_unit_test(what_was_asked_for_in_a_former_term_counts_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
