/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane.h - one workflow as the engine sees it: who waits for its jobs, and whether its queue is known to be empty.
 *
 * A lane is empty only while nothing could have arrived since a lease found nothing: `arrivals` counts what could, and
 * `empty_at` is its value when that lease was sent. Lanes live as long as the engine. All [loop].
 */
#ifndef DISPATCH_LANE_H
#define DISPATCH_LANE_H

#include "dispatch/engine.h"

#include <sys/queue.h>

struct poll_link;
TAILQ_HEAD(poll_links, poll_link);

struct lane {
    SLIST_ENTRY(lane) next;
    uint64_t arrivals, empty_at; /* empty when equal */
    struct poll_links waiting;   /* oldest first */
    int64_t leases, leases_told; /* live leases we know of; what the host was last told */
    int watched;                 /* the next two are known */
    int64_t store_arrivals, store_queued;
    uint32_t untold; /* jobs that other controllers are to hear of */
    int64_t run_ms;  /* of a job: decaying mean over those that completed here; 0: none did */
    char slug[];
};

struct lanes *lanes_new(void);
void lanes_free(struct lanes *l);
/* The lane of a workflow, made when there is none yet. */
struct lane *lane_get(struct dispatch *d, const char *slug);
void lanes_each(struct dispatch *d, void (*fn)(struct lane *lane, void *arg), void *arg);
/* Something may now be queued here. */
void lane_arrived(struct lane *lane);
int lane_is_empty(const struct lane *lane);
/* A job of it completed after running so long. */
void lane_ran(struct lane *lane, int64_t run_ms);
/* Are its jobs expected to run longer than a machine at risk may be counted on (dispatch.atRiskSeconds)? By what was
 * measured here, before that by the workflow's timeout. */
int lane_is_long(struct dispatch *d, const struct lane *lane);
/* Tells the host the number of leases per workflow, where it changed. */
void lanes_tell_host(struct dispatch *d);

#endif
