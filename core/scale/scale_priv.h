/* SPDX-License-Identifier: Apache-2.0 */
/* scale_priv.h - the scaling engine's own state, shared by its files. All [loop]. */
#ifndef SCALE_SCALE_PRIV_H
#define SCALE_SCALE_PRIV_H

#include "log/name_map.h"
#include "policy/allowance.h"
#include "policy/decide.h"
#include "policy/mirror.h"
#include "policy/schedule.h"
#include "scale/scale.h"
#include <bp/cloud.h>
#include <bp/queue.h>

#define SCALE_DECISIONS 50
#define SCALE_METRICS   10
#define STATS_WINDOW_MS 300000
#define SCALE_OFFENCES  3 /* of a plugin's policy before it is replaced */

/* One decision that changed (or in dry run would have changed) a fleet. */
struct scale_decision {
    int64_t at_ms;
    int32_t from, to;
    char policy[32];
    char reason[200];
};

/* What the provider's alarms of a workflow were made for; max_size 0: not made yet. */
struct scale_alarms {
    int32_t backlog_target, max_size, empty_after_s;
};

/* A rule of an operator beside the hold. */
struct scale_rule {
    int on;
    int32_t value;
    int64_t until_ms; /* 0: for ever */
    char who[64];
};

/* A policy that decides nothing. */
struct shadow {
    const struct policy *policy;
    void *memory; /* the policy's, owned */
    int32_t desired;
    int64_t since_ms, at_ms, last_scale_ms; /* first and last look, last change */
    double hours, live_hours;               /* instance-hours: what it asked for, and what there was */
    struct mirror its, live;                /* fleets in thought: of the size it asks for, and of what decides */
    char reason[200];
    struct scale_decision decisions[SCALE_DECISIONS];
    uint32_t n_decisions;
};

/* Which of a workflow's memos the store has, see memo.c. */
struct memo_state {
    int known;             /* what the store remembers was taken in, since this controller leads */
    int listed;            /* by the list that is being taken in */
    int rules_unsaved;     /* an operator's rules are not in the store yet */
    int rules_stored;      /* the store has a row of them */
    int64_t rules_changed; /* number of the last change here */
    uint64_t view_hash;    /* of what was last written, 0: nothing */
    uint32_t pass;         /* the last walk that looked at it */
};

#define OWN_RUNS 64

/* Jobs that ended at this controller, and up to when those that ended elsewhere are known: runs.c. */
struct own_runs {
    struct own_run {
        int64_t job, at_ms;
    } ended[OWN_RUNS]; /* ring */
    uint32_t n;        /* ever */
    int64_t looked_ms; /* end of the newest one elsewhere */
    int64_t asked_ms;  /* monotonic */
};

/* What the engine remembers of one workflow; what is not in a memo may be lost at any time without harm. */
struct scale_item {
    char slug[128];
    struct scale_item *next;
    void *memory;                /* the policy's, owned; NULL: it keeps none */
    char policy[32];             /* whose memory that is */
    struct json_object *learned; /* by policies that do not decide now, by name, owned, or NULL: see memo_policy.c */
    struct history *history;     /* owned */
    struct promises promises;
    struct own_runs own;
    int64_t missed;   /* arrivals that the queue counts and no event told, as of the last round */
    int recalled;     /* the queue was, or is being, asked for what came before */
    char reason[200]; /* of the last plan, change or not */
    int32_t desired;
    int64_t planned_ms, last_scale_ms, empty_since_ms;
    int32_t hold_size; /* < 0: none */
    int64_t hold_until_ms;
    char hold_who[64];
    struct scale_rule rules[SCALE_RULES];
    struct schedule *schedule;    /* owned, NULL: none */
    char *schedule_text;          /* it was made from, owned; NULL: none */
    struct shadow *shadow;        /* owned, NULL: none */
    const struct policy *adopted; /* by an operator, before what settings say; NULL: none */
    char adopted_over[32];        /* what they said then: the adoption ends when they change. "": not known yet */
    struct memo_state memo;
    struct plan_call *asked; /* a question to a plugin's policy that is not answered yet, NULL: none */
    int offences;
    uint32_t generation; /* of the plugin whose policy made them */
    int seen;            /* by the walk under way */
    char plugin[128];    /* that serves it, or did so last, and its generation */
    uint32_t plugin_generation;
    int retired; /* that generation was retired by its operator: not refused, not quarantined */
    struct scale_alarms alarms;
    struct allowance allowance;
    struct bp_queue_stats_row stats;
    struct bp_metric latest[SCALE_METRICS];
    uint32_t n_latest;
    struct scale_decision decisions[SCALE_DECISIONS];
    uint32_t n_decisions; /* ever; the ring's head */
};

struct scale {
    struct bus *bus;
    struct host *host;
    const struct config *config;
    struct scale_fleet fleet;
    struct scale_item *items;
    struct name_map by_slug; /* the same */
    struct recall *recall;   /* the workflow whose past is asked for, NULL: none */
    char runs_of[128];       /* the workflow whose ends elsewhere are asked for, "": none */
    struct memos *memos;     /* what goes to the store and comes from it, owned */
    int64_t rule_changes;    /* by operators, here, ever */
    struct loop_timer *tick, *soon, *minute;
    struct subscription *jobs, *instances, *boots, *arrivals, *workers, *failures, *leader, *plugins;
    struct leads leads;
    int started, asking, again;
    int taken_in;               /* workflows that are new in the round under way */
    int unknown;                /* the round under way met one of which is not known what is remembered */
    int taking_over;            /* leads since the last statistics */
    int64_t wall_ms, steady_ms; /* of the last round; 0: there was none */
    int64_t jump_ms;            /* of the wall clock since the last round; 0: it went on */
    int64_t round_us;           /* that the last round of decisions kept the loop */
    int64_t last_stats_ms;      /* when the queue last answered; 0: never */
    char stats_error[252];
    int watching;           /* a question about alarms is under way */
    int64_t watch_after_ms; /* of mono_ms(): no other one before */
    char watch_error[252];
};

/* The item of a slug, made when it is new. NULL: no memory. */
struct scale_item *scale_item_get(struct scale *s, const char *slug);
struct scale_item *scale_item_find(struct scale *s, const char *slug);
/* Is a metric of that name published each minute? */
int metric_is_published(const char *name);

/* Makes and ends an item, with what it owns. NULL: no memory. */
struct scale_item *scale_item_new(const char *slug);
void scale_item_free(struct scale_item *item);

/* Asks for statistics, then decides. */
void scale_look(struct scale *s);
/* The newest first. */
struct json_object *decisions_json(const struct scale_decision *ring, uint32_t made);

/* rules.c */
struct scale_item *scale_item_named(struct scale *s, const char *slug, struct bp_err *err);
void rules_forget(struct scale *s, struct scale_item *item, int64_t now_ms); /* those that have expired */
/* The operator's go before the schedule's. */
struct decide_rules rules_of(const struct scale_item *item, const struct schedule_now *scheduled);
/* Follows what the workflow says of windows; what they say at this moment. */
struct schedule_now rules_schedule(struct scale_item *item, const struct workflow *w, int64_t now_ms);
void rules_free(struct scale_item *item);
void rules_describe(const struct scale_item *item, struct json_object *o);

/* The policy that the settings, or the manifest, name. */
const char *policy_configured(const struct scale *s, const struct workflow *w);

/* shadow.c */
/* Runs a policy beside the one that decides; 0: no memory. */
int shadow_begin(struct scale_item *i, const struct policy *p);
void shadow_decide(struct scale_item *item, const struct decide_rules *rules, const struct policy_now *now);
/* Jobs came. */
void shadow_arrived(struct scale_item *item, int64_t at_ms, uint32_t n);
void shadow_describe(const struct scale_item *item, struct json_object *o);
void shadow_free(struct scale_item *item);

/* runs.c */
void runs_ended_here(struct scale_item *item, int64_t job, int64_t at_ms);
/* After a round of statistics: asks for ends at other controllers where it is due. */
void runs_follow(struct scale *s);

/* recall.c: asks the queue for the past of the next workflow that has none yet. */
void recall_next(struct scale *s);
void recall_free(struct scale *s);
/* Is it the one whose past is being asked for? */
int recall_is_of(const struct scale *s, const struct scale_item *item);

/*
 * memo.c: what an operator imposed (a row "scale.rules" of each workflow) and what was measured of instances (rows
 * "scale.view", and "fleet.lives" of all) survive a restart and a change of the leader in the queue. Rules are written
 * when they change and read each tick; the rest the leader writes every scale.rememberSeconds, and reads before its
 * first decision.
 */
struct memos *memos_new(struct scale *s);
void memos_free(struct scale *s);
void memos_start(struct scale *s); /* or follows new settings */
void memos_stop(struct scale *s);  /* writes once more */
/* A tick: reads what other controllers changed, tries again what could not be written. */
void memos_follow(struct scale *s);
/* May be decided about. */
int memos_known(const struct scale *s, const struct scale_item *item);
/* What is in memory is not the store's any more: it is read anew, and nothing decided before. NULL: of all. */
void memos_forget(struct scale *s, struct scale_item *item);
/* An operator changed something, or what was said before is over. */
void memos_changed(struct scale *s, struct scale_item *item);

/* memo_rules.c, memo_view.c: as JSON and back; what another version wrote and this one cannot read is left out. NULL:
 * there is nothing to keep. json_object_put() it. */
struct json_object *memo_rules(const struct scale_item *item);
void memo_rules_take(struct scale_item *item, struct json_object *o); /* NULL: none */
struct json_object *memo_view(const struct scale_item *item);         /* for people */
struct json_object *memo_view_whole(const struct scale_item *item);   /* with all of a shadow's figures */
void memo_view_take(struct scale_item *item, struct json_object *o, int64_t now_ms);
uint64_t memo_count(struct json_object *o, const char *key); /* 0 for what is none */

/* memo_policy.c: the same of policies. What one has learned is kept, by its name, when another one takes over, and
 * given back when it does again, or after a start. */
void learned_keep(struct scale_item *item);                                   /* before item->memory goes */
void learned_give(struct scale_item *item);                                   /* item->memory is new */
struct json_object *learned_json(const struct policy *p, const void *memory); /* NULL: nothing */
void learned_take(const struct policy *p, void *memory, struct json_object *o);
/* What each policy of the workflow has learned, by name; NULL: nothing. */
struct json_object *learned_by_all(const struct scale_item *item);
/* Figures of a shadow; what is taken was measured up to now_ms at the latest. */
struct json_object *memo_shadow(const struct shadow *sh);
void memo_shadow_take(struct shadow *sh, struct json_object *o, int64_t now_ms);

/* learn.c: what events tell of a workflow goes into its history. */
void learn_event(struct scale *s, const struct event_msg *e);
/* Jobs that came past this controller, by the queue's statistics. */
void learn_missed(struct scale *s, struct scale_item *item, int64_t now_ms);

/* Fills the view of one workflow. BP_NOTFOUND: the fleet is not known yet. */
int view_build(struct scale *s, const struct workflow *w, struct scale_item *item, struct bp_view *v);
/* Runs hold, plugin policy or built-in policy over the view and clamps the plan. *policy: static or item text. */
void plan_make(struct scale *s, const struct workflow *w, struct scale_item *item, const struct bp_view *v,
               struct bp_plan *p);
/* plan_plugin.c: the planner of a plugin's policy; arg: struct plugin_policy. */
struct plugin_policy {
    const struct workflow *workflow;
    struct scale_item *item;
};
int32_t plan_by_plugin(void *arg, const struct policy_now *now, void *memory, struct bp_plan *p);
void plan_call_forget(struct scale_item *item);
/* Publishes and applies a plan that changes the fleet. */
void plan_apply(struct scale *s, struct scale_item *item, const struct bp_view *v, const struct bp_plan *p);

/* afford.c: decides the on-demand allowance of a workflow and tells the fleets; the leader's, at each decision. */
void afford_follow(struct scale *s, const struct workflow *w, struct scale_item *item, const struct bp_view *v);
/* Adds what the operator is shown of it. */
void afford_describe(const struct scale_item *item, struct json_object *o);

/* Has the metrics provider make or correct the alarms of workflows that appeared or changed; the leader's. */
void alarms_keep(struct scale *s);
/* The workflow has retired: takes them away. */
void alarms_drop(struct scale *s, const struct scale_item *item);

/* Timer: the minute's metrics. */
void metrics_publish(void *scale);

#endif
