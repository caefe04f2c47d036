/* SPDX-License-Identifier: Apache-2.0 */
#include "scale/memo_fixture.h"

#include <stdio.h>

char lives[256];

static int counts(void *fleets, const char *slug, struct bp_view *v, int64_t *described_ms)
{
    (void)slug;
    v->desired = 0;
    *described_ms = loop_now_ms(((struct rig *)fleets)->loop);
    return 0;
}

int32_t resized;

static int resize(void *fleets, const char *slug, int32_t to, const char *reason, struct bp_err *err)
{
    (void)fleets;
    (void)slug;
    (void)reason;
    (void)err;
    resized = to;
    return 0;
}

static struct json_object *lives_now(void *fleets)
{
    (void)fleets;
    return json_tokener_parse(lives);
}

static void take_lives(void *fleets, struct json_object *o)
{
    (void)fleets;
    snprintf(lives, sizeof lives, "%s", json_text(o));
}

int leading = 1;

static int leads(void *arg, struct lead_term *term)
{
    (void)arg;
    *term = (struct lead_term){0, INT64_MAX};
    return leading;
}

struct scale *begin(struct rig *r)
{
    struct scale_fleet fleet = {
        .counts = counts, .resize = resize, .fleets = r, .lives = lives_now, .take_lives = take_lives};
    struct leads who = {leads, NULL};
    struct scale *s = scale_new(r->bus, NULL, r->config, &fleet);
    assert_non_null(s);
    scale_set_leads(s, &who);
    scale_start(s);
    return s;
}

struct rig *remembering_as(const char *const *sets)
{
    struct rig *r = rig_new(sets);
    r->keeps_memos = 1;
    leading = 1;
    resized = -1;
    snprintf(lives, sizeof lives, "{}");
    return r;
}

struct rig *remembering(void)
{
    static const char *const sets[] = {"scale.tickMilliseconds=100", "scale.policy=target", NULL};
    return remembering_as(sets);
}

void remember(struct rig *r, uint32_t at, const char *kind, const char *workflow, const char *text)
{
    pthread_mutex_lock(&r->lock);
    snprintf(r->memos[at].kind, sizeof r->memos[at].kind, "%s", kind);
    snprintf(r->memos[at].workflow, sizeof r->memos[at].workflow, "%s", workflow);
    snprintf(r->memos[at].text, sizeof r->memos[at].text, "%s", text);
    r->n_memos = at + 1 > r->n_memos ? at + 1 : r->n_memos;
    pthread_mutex_unlock(&r->lock);
}

void quit(struct rig *r, struct scale *s)
{
    rig_quiet(r);
    scale_free(s);
    rig_free(r);
}
