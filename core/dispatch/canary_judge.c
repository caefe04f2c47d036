/* SPDX-License-Identifier: Apache-2.0 */
/* canary_judge.c - what the trials of a candidate come to. */
#include "dispatch/canary.h"

#include <stdio.h>

#define TIMED_MIN 3   /* trials before its speed is judged, unless fewer promote it */
#define GRACE_MS  100 /* a trial runs in a process that has just begun: so much of each is forgiven */

static int is_alike(const struct canary_limits *l, const struct canary_trial *t)
{
    return t->compared && t->difference <= l->tolerance && t->sound <= l->sound_tolerance;
}

/* Is it slower than it may be? */
static int is_slow(const struct canary_limits *l, const struct canary_counts *c)
{
    int64_t enough = l->jobs < TIMED_MIN ? l->jobs : TIMED_MIN;
    return c->timed >= enough && (double)c->new_ms > l->slowest * (double)c->old_ms + GRACE_MS * (double)c->timed;
}

static enum canary_verdict bad(const struct canary_limits *l, struct canary_counts *c, const struct canary_trial *t,
                               char words[400])
{
    c->bad++;
    if (t->outcome == TRIAL_FAILED)
        snprintf(words, 400, "job %lld failed on it: %.300s", (long long)t->job,
                 t->text[0] ? t->text : "no reason given");
    else if (t->compared && t->difference <= l->tolerance)
        snprintf(words, 400, "the sound of job %lld differs by %.2f of its loudness, more than the tolerance of %g",
                 (long long)t->job, t->sound, l->sound_tolerance);
    else if (t->compared)
        snprintf(words, 400, "the output of job %lld differs by %.1f of 255, more than the tolerance of %g",
                 (long long)t->job, t->difference, l->tolerance);
    else
        snprintf(words, 400, "the output of job %lld is another one: %.300s", (long long)t->job, t->text);
    return c->bad >= l->failures ? CANARY_ROLLS_BACK : CANARY_GOES_ON;
}

static enum canary_verdict good(const struct canary_limits *l, struct canary_counts *c, const struct canary_trial *t,
                                char words[400])
{
    c->good++;
    if (t->difference > c->worst)
        c->worst = t->difference;
    if (t->sound > c->worst_sound)
        c->worst_sound = t->sound;
    if (t->old_ms > 0 || t->new_ms > 0) {
        c->timed++;
        c->old_ms += t->old_ms;
        c->new_ms += t->new_ms;
    }
    if (is_slow(l, c)) {
        snprintf(words, 400,
                 "it is slower: %lld ms for what the version in place does in %lld (%lld jobs; at most %g times)",
                 (long long)c->new_ms, (long long)c->old_ms, (long long)c->timed, l->slowest);
        return CANARY_ROLLS_BACK;
    }
    snprintf(words, 400, "%lld of %lld trials were good", (long long)c->good, (long long)l->jobs);
    return c->good >= l->jobs ? CANARY_PROMOTES : CANARY_GOES_ON;
}

enum canary_verdict canary_judge(const struct canary_limits *l, struct canary_counts *c, const struct canary_trial *t,
                                 char words[400])
{
    words[0] = '\0';
    if (t->outcome == TRIAL_ABSENT) {
        c->absent++;
        snprintf(words, 400, "the worker of job %lld does not have the candidate's file", (long long)t->job);
        return CANARY_GOES_ON;
    }
    if (t->outcome == TRIAL_DROPPED) {
        c->dropped++;
        snprintf(words, 400, "the trial of job %lld was dropped: %.300s", (long long)t->job, t->text);
        return CANARY_GOES_ON;
    }
    if (t->outcome == TRIAL_FAILED || !is_alike(l, t))
        return bad(l, c, t, words);
    return good(l, c, t, words);
}
