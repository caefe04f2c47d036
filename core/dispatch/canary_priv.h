/* SPDX-License-Identifier: Apache-2.0 */
/* canary_priv.h - one canary, for the canary*.c files. */
#ifndef DISPATCH_CANARY_PRIV_H
#define DISPATCH_CANARY_PRIV_H

#include "dispatch/canary.h"

#define CANARY_TRIALS 50 /* the last ones are kept to be shown */

enum canary_state {
    CANARY_STARTING = 1, /* the candidate is being vetted */
    CANARY_RUNNING,
    CANARY_PROMOTING, /* the candidate is being put in place */
    CANARY_PROMOTED,
    CANARY_PASSED, /* good, but this daemon cannot put it in place */
    CANARY_ROLLED_BACK,
    CANARY_ABORTED
};

struct canary {
    struct canary *next;
    char slug[65], plugin[65], version[65], from_version[65], who[64];
    char sha[65];
    char base[4096]; /* private copy of the version that served at the start: another one is another comparison */
    enum canary_state state;
    int vetting; /* its candidate is being vetted, also when it was aborted meanwhile */
    struct canary_limits limits;
    struct canary_counts counts;
    int64_t marked;
    double credit; /* of the share: at 100 the next job is marked */
    int64_t started_ms, ended_ms;
    char why[400];
    struct json_object *trials; /* the last CANARY_TRIALS, oldest first */
};

struct canaries {
    struct dispatch *d;
    struct canary *list; /* one a workflow, also ended ones */
};

struct canary *canary_find(struct canaries *all, const char *slug);
/* A fresh one in place of an ended one of the same workflow. */
struct canary *canary_make(struct canaries *all, const char *slug);
void canary_remove(struct canaries *all, struct canary *c);
const char *canary_state_name(enum canary_state s);
static inline int canary_is_open(const struct canary *c)
{
    return c->state <= CANARY_PROMOTING;
}
/* The next state, with its reason: log line, event, record. */
void canary_move(struct canaries *all, struct canary *c, enum canary_state state, const char *why);
/* Does another version serve than the one it is held against? Then it is aborted, for its trials say nothing any more.
 */
int canary_outlived(struct canaries *all, struct canary *c);
/* Puts the candidate in place. done may be NULL. */
void canary_promote(struct canaries *all, struct canary *c, const char *why, host_done done, void *arg);

/* ---- canary_record.c: <state>/canary/SLUG.json ---- */
void canary_save(const struct canaries *all, const struct canary *c);
/* Reads all records into the list. */
void canary_load(struct canaries *all);

#endif
