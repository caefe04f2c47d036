/* SPDX-License-Identifier: Apache-2.0 */
/*
 * penalty.h - the penalty box: pools (type, zone, market) that launches failed in, left out for a while.
 *
 * A pool whose stock ran out is out for PENALTY_BASE_MS, twice as long each time that it fails again after its return,
 * at most PENALTY_CAP_MS; a launch that succeeds in it clears it. Failures that are no matter of stock are counted and
 * shown, never avoided: another zone would not help. An empty type or zone means any; a pool of which neither is known
 * is counted only. Stock is the account's, not a group's: an entry with a type counts for every group, one without only
 * for the group that met it. A value of fixed size, the clock given; not shared between threads without a lock.
 */
#ifndef AWS_PENALTY_H
#define AWS_PENALTY_H

#include "capacity.h"
#include <stdint.h>

#define PENALTY_BASE_MS   300000LL  /* 5 min */
#define PENALTY_CAP_MS    3600000LL /* 1 h */
#define PENALTY_FORGET_MS 7200000LL /* after its last failure, and when it is not out */
#define PENALTY_POOLS     256       /* the one that is back soonest makes room */

struct penalty {
    char group[128]; /* "": every group */
    char type[32], zone[32];
    enum market market;
    enum failure_class cls;    /* of the last failure */
    uint32_t count;            /* failures since it was last clear */
    uint32_t strikes;          /* times that it was put out in a row */
    int64_t last_ms, until_ms; /* until_ms 0: not left out */
};

struct json_object;

struct penalty_box {
    int64_t as_of_ms;    /* end of the newest scaling activity that is in it */
    int64_t recalled_ms; /* activities that ended by then were in what was recalled; 0: nothing was */
    uint32_t n;
    uint32_t changes; /* grows with each pool that is put out or cleared */
    struct penalty list[PENALTY_POOLS];
};

void penalty_note(struct penalty_box *b, const char *group, const struct failure *f, int64_t now_ms);
/* A launch succeeded there; market as it was bought. */
void penalty_clear(struct penalty_box *b, const char *group, const struct failure *pool, int64_t now_ms);
/* Is this pool of the group left out now? zone "": in every zone, that is by entries without a zone. MARKET_ANY asks
 * for either market. */
int penalty_is_out(const struct penalty_box *b, const char *group, const struct failure *pool, int64_t now_ms);
/* An entry as it was known elsewhere or before: joined with what is known of its pool. */
void penalty_add(struct penalty_box *b, const struct penalty *known, int64_t now_ms);
/* penalty_text.c: as JSON of at most BP_FLEET_LEARNED_MAX bytes, and back, added to what the box has by now; what makes
 * no sense is left out. NULL: it is empty, or there is no memory. json_object_put() it. */
struct json_object *penalty_text(const struct penalty_box *b);
void penalty_recall(struct penalty_box *b, struct json_object *text, int64_t now_ms);
/* Drops what is over and forgotten. */
void penalty_expire(struct penalty_box *b, int64_t now_ms);

#endif
