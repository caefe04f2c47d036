/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daily.h - what past days say of a time of day: the mean arrivals of each quarter of an hour, and whether that, at
 * the level of the last two hours, has foretold better than the recent past alone.
 *
 * It counts only once it has foretold better, over hours, than the best window of the recent past: a workflow without
 * days loses nothing by it. Days are of 24 hours (UTC), so a change of the clock moves what was learned by an hour
 * until it is learned anew. Bounded and pure: a struct without pointers, part of struct forecast.
 */
#ifndef POLICY_DAILY_H
#define POLICY_DAILY_H

#include <stdint.h>

#define DAILY_SLOT_S  900
#define DAILY_SLOTS   96
#define DAILY_LEVEL_S 7000 /* that today's level is taken from */

struct daily {
    float mean[DAILY_SLOTS];   /* arrivals of each slot, the last five days counting most */
    uint8_t days[DAILY_SLOTS]; /* that it was watched as a whole, at most five */
    int64_t slot;              /* number since 1970 of the present one; 0: none */
    uint32_t begun;            /* arrivals, ever, when it began */
    uint8_t whole;             /* it was watched from its begin */

    float loss, other_loss; /* Poisson loss of it and of the best window, moving means of the last half day */
    uint32_t compared;      /* minutes that they are taken from */
};

/* Time has come to now_s (since 1970), with so many arrivals ever. Slots that were passed by are not learned. */
void daily_advance(struct daily *d, int64_t now_s, uint32_t total);
/* Watching begins (again): the present slot is not whole. */
void daily_begin(struct daily *d, int64_t now_s, uint32_t total);
/* It had foretold `mine` arrivals, the best window `others`; so many came. */
void daily_judge(struct daily *d, double mine, double others, double came);

/* ---- questions ---- */

/* The slots around now_s have been watched on at least one day, from DAILY_LEVEL_S before it on. */
int daily_is_known(const struct daily *d, int64_t now_s);
/* It has foretold better than the best window. */
int daily_is_better(const struct daily *d);
/* Arrivals per second at that time of past days. */
double daily_rate(const struct daily *d, double at_s);
/* Today's level: arrivals of the last over_s (at most DAILY_LEVEL_S) by those of past days then. */
double daily_level(const struct daily *d, int64_t now_s, double over_s, double count);
/* Arrivals that the slot of now_s and the next one were learned from. */
double daily_learned_from(const struct daily *d, int64_t now_s);

#endif
