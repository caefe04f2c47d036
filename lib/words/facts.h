/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.h - what an explanation is made from, and the words made of it. Pure: no engine, no clock but now_ms. Texts are
 * borrowed; times are ms since 1970, 0: none.
 */
#ifndef WORDS_FACTS_H
#define WORDS_FACTS_H

#include "policy/eta.h"
#include <stdint.h>

struct json_object;

/* $ of an instance-hour. */
struct price {
    double usd;     /* <= 0: not known */
    char from[160]; /* where that is from */
};

/* What more instances would change, asked for now. */
#define SOONER 3
struct sooner {
    int32_t more;
    struct eta_span start, end; /* of the job that is explained, or of the backlog (end alone) */
    double instance_s;          /* that instances are there beyond what they are without; may be below 0 */
};

/* A workflow and its fleet. */
struct fleet_facts {
    int64_t now_ms;
    const char *workflow;
    int served;                          /* a plugin serves it */
    int draining;                        /* bpd leases nothing any more */
    const char *quarantine;              /* why no job of it is leased, or NULL */
    int described;                       /* the fleet's numbers are known */
    int32_t desired;                     /* as its provider was told */
    int32_t asked;                       /* as the policy decided last */
    int32_t idle, busy;                  /* instances and other workers that can work */
    int32_t booting;                     /* launched, no worker yet */
    int32_t leaving;                     /* draining */
    int32_t broken;                      /* instances whose device is broken: they take no job */
    const char *broken_instance, *fault; /* one of them, and what it says; NULL: none */
    int32_t lacking;                     /* workers that cannot have the workflow's assets: they take no job of it */
    const char *lacking_worker, *lacks;  /* one of them, and what it says */
    int32_t max_size;
    int32_t failures;    /* launches that failed within 10 min */
    double boot_s;       /* usual, launch to when it can serve; <= 0: not known */
    int64_t boot_ms;     /* launch of the one that boots longest */
    int64_t failed_ms;   /* the latest failed launch that the provider told of */
    const char *failure; /* what it said, or NULL */
    const char *error;   /* why the fleet cannot be made or described, or NULL */
    const char *policy, *reason;
    int64_t planned_ms; /* when that was decided, by the numbers of jobs below */
    int64_t changed_ms; /* the last change of size, from -> to, and why */
    int32_t from, to;
    const char *change;
    int32_t hold; /* kept at so many by an operator; < 0: not held */
    int64_t hold_until_ms;
    const char *hold_by;
    struct json_object *scale; /* the listing of its rules, windows and shadow, borrowed; NULL: none */
    int64_t queued, leased;
    struct eta_span backlog; /* until all that is queued or runs has ended; of explain_fleet_words */
    struct price price;
    double instance_s; /* that instances are there for the backlog, or INFINITY */
    struct sooner sooner[SOONER];
    uint32_t n_sooner;
    double tick_s; /* between decisions */
};

/* One job that another waits for. */
struct after_fact {
    int64_t id;
    const char *status;
};

struct job_facts {
    int64_t id;
    const char *status, *tenant, *worker, *error; /* worker and error may be NULL */
    int32_t priority, attempts, max_attempts, requeues, waits_for, cancel_requested;
    double progress;
    int64_t created_ms, not_before_ms, leased_ms, lease_expires_ms, finished_ms;
    int64_t ahead;                              /* < 0: not known */
    int64_t tenant_running, tenant_max_running; /* max 0: unlimited */
    const struct after_fact *after;
    uint32_t n_after;
    struct eta eta; /* queued; leased: its finish alone */
    double run_s;   /* of a job of this workflow, the mean; <= 0: not known */
    int for_tenant; /* 1: nothing that is the operator's or of other tenants, but counts and times */
};

/*
 * {"id","workflow","status","held_by","ahead","because":[{"at_ms","at","what","text"}],"next":{"at_ms","text"},
 * at_ms and at are null where nobody can say. "estimate":{"start":{"p50_ms","p95_ms"},"finish":{...}} or null}. held_by
 * of a job that does not run: dependency, not-before, drain, no-plugin, quarantine, tenant-limit, turn, capacity, boot,
 * launch, busy, hold, size, unknown; null otherwise. The caller's.
 */
struct json_object *explain_job_words(const struct job_facts *j, const struct fleet_facts *f);
/* {"workflow","because":[...],"next":{...},"estimate":{"backlog":{"p50_ms","p95_ms"}}}: why the fleet is as it is, and
 * when what is queued and runs will be done. The caller's. */
struct json_object *explain_fleet_words(const struct fleet_facts *f);

/* ---- cost_words.c ---- */

/* Adds "cost": {"usd","usd_per_hour","instance_hours","from"}, null without a price, and a line. work_s: in seconds of
 * one instance; `of` names it: "its run". */
void explain_cost(struct json_object *o, const struct fleet_facts *f, double work_s, const char *of);
/* Adds "sooner": [{"instances","start":{},"finish":{},"usd_more"}] and a line of each that is worth one. without: when
 * it ends as it is; `it` names it: "it ends". */
void explain_sooner(struct json_object *o, const struct fleet_facts *f, const struct eta_span *without, const char *it);

/* ---- rule_words.c ---- */

/* Lines of an operator's limits and pauses, of a schedule's open windows, of an adopted policy and a shadow, by what
 * scale lists of the workflow (NULL: none). */
void explain_rule_lines(struct json_object *o, struct json_object *scale);

/* ---- lines.c: what both are put together with ---- */

/* Adds a line to o's "because", at_ms 0: no time. */
void explain_line(struct json_object *o, int64_t at_ms, const char *what, const char *fmt, ...) BP_PRINTF(4, 5);
/* What happens next; at_ms 0: nobody can say when. */
void explain_next(struct json_object *o, int64_t at_ms, const char *fmt, ...) BP_PRINTF(3, 4);
/* "12 s", "3 min 20 s", "2 h 5 min", "3 d 4 h"; of INFINITY "never". */
const char *explain_time(double s, char out[32]);
/* "12:00:31.000Z (in 12 s)" of a moment ahead of now, "(12 s ago)" of one behind. */
const char *explain_moment(int64_t at_ms, int64_t now_ms, char out[80]);
/* Adds the span's moments as o's member `key`, null where nobody can say. */
void explain_span(struct json_object *o, const char *key, int64_t now_ms, const struct eta_span *e);
/* A line that says when something is to be expected; none where nobody can say. */
void explain_expect(struct json_object *o, int64_t now_ms, const char *what, const struct eta_span *e);
/* Desired and why, launches, failures, boots: the lines of a fleet. brief: without reasons of the operator's. */
void explain_fleet_lines(struct json_object *o, const struct fleet_facts *f, int brief);

#endif
