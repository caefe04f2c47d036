/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule.h - windows in which a workflow has other limits or another policy: each opens at the times of a cron text
 * in a time zone and stays open for so many minutes of real time. At a change of the clock a time that is skipped does
 * not open, one that comes twice opens twice.
 *
 * JSON: [{"cron": "0 8 * * mon-fri", "zone": "Europe/Berlin", "minutes": 600, "min": 1, "max": 8, "policy": "direct"}];
 * zone is UTC and min, max and policy are unchanged when they are not there.
 */
#ifndef POLICY_SCHEDULE_H
#define POLICY_SCHEDULE_H

#include <bp/plugin.h>

#define SCHEDULE_WINDOWS 16
#define SCHEDULE_MINUTES 10080 /* a week */

struct schedule;
struct json_object;

/* What the open windows say together; what a later one in the list says goes before. */
struct schedule_now {
    int32_t min, max;   /* < 0: nothing said */
    const char *policy; /* borrowed from the schedule; NULL: nothing said */
};

/* Is it one? BP_INVALID with which window and member, and the remedy. A zone is looked for only where there are
 * zoneinfo files. */
int schedule_check(struct json_object *list, struct bp_err *err);
/* NULL with err when it is none, or a zone cannot be read. schedule_free() it. */
struct schedule *schedule_new(struct json_object *list, struct bp_err *err);
void schedule_free(struct schedule *s); /* NULL is fine */
/* At this moment (milliseconds since 1970). Cheap when it is asked at least once a minute. NULL: nothing is said. */
struct schedule_now schedule_at(struct schedule *s, int64_t now_ms);
/* Until when a window is open, 0: it is closed; for at the last schedule_at(). i < schedule_count(). */
int64_t schedule_open_until(const struct schedule *s, uint32_t i);
uint32_t schedule_count(const struct schedule *s);

#endif
