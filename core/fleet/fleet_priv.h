/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_priv.h - the fleet engine's own state, shared by its files. All [loop]. */
#ifndef FLEET_FLEET_PRIV_H
#define FLEET_FLEET_PRIV_H

#include "fleet/fleet.h"
#include "host/queue_call.h"
#include "log/name_map.h"
#include "policy/drain_step.h"
#include "policy/risk.h"

#define FLEET_ACTIVITIES 20
#define FLEET_CALL_MS    60000 /* a cloud may be slow */
#define FLEET_QUEUE_MS   10000

struct instance {
    struct instance *next;
    struct bp_instance now; /* as last described */
    int known;              /* met by the description under way */
    int has_worker;         /* its worker is registered */
    int worker_draining;    /* and gets no more jobs, says the queue */
    int boot_known;         /* how long it took to come up has been learned */
    int64_t registered_ms;  /* its worker did, 0: not yet */
    int sound;              /* its worker has checked its device, */
    int64_t sound_ms;       /* at this time by its own clock, 0: it does not say */
    int64_t first_job_ms;   /* it got its first lease, 0: none was seen */
    unsigned stages;        /* a bit for each enum stage that it has reached */
    int32_t leases;         /* live ones, as of the last look at the queue */
    enum drain_step drain;
    int64_t marked_ms;
    int64_t idle_since_ms, busy_since_ms;
    int64_t lived_ms;        /* up to when its life has been counted, 0: it is not */
    int64_t silent_since_ms; /* monotonic; no worker of it has been registered since, 0: one is */
    int given_up;            /* it is ended for that, or for what follows: growth does not call it back */
    int noticed;             /* its worker left on an interruption notice, which the provider may tell of later */
    char fault[200];         /* what its worker says of its device, "": it is sound */
    int protecting;          /* a call is under way that protects it (1) or ends that (2) */
    int old;                 /* a roll-out under way is to replace it */
    int rolling;             /* drained by a roll-out: another one takes its place, so growth does not call it back */
};

/* A roll-out that is looked after; before_ms 0: none. */
struct rollout {
    int64_t before_ms; /* when it began */
    int64_t asked_ms;  /* when the provider was last asked how it goes */
    int asking, provider_done;
    int32_t percent, left;
    char status[24];
};

struct fleet_call;

struct fleet {
    struct fleet *next;
    char slug[128];
    uint64_t ensured_as, ensure_tried;       /* hash of what it was made as, or is being; of what was tried last */
    int ensured_dry;                         /* it was only said what it lacks (scale.dryRun): it may not exist */
    int64_t ensure_rest_ms, ensure_after_ms; /* after one that failed; 0: none did */
    int ensured, ensuring, growing;
    int asked;  /* for its description, by the look under way */
    int wanted; /* its workflow is still there */
    int exists;
    int met;               /* it was described: what comes up from now on is watched from its launch */
    int64_t jobs_asked_ms; /* monotonic, for first jobs */
    int32_t desired, max_size;
    int64_t described_ms;
    int32_t warmup_s; /* of its workflow */
    int32_t silences; /* how often in a row instances were ended because no worker of theirs registered */
    double boot_s;    /* moving mean of launch to registration */
    struct instance *instances;
    struct name_map by_id;                           /* the same */
    struct bp_activity activities[FLEET_ACTIVITIES]; /* newest first */
    uint32_t n_activities;
    int64_t activities_ms; /* of the newest one */
    int asking_activities;
    struct rollout rollout;
    int affording, affords_not;    /* the provider is being told; knows no such thing */
    int32_t afforded;              /* what it was told last; it begins, as the provider does, with none */
    struct json_object *penalties; /* of the provider, or NULL */
    struct json_object *prices;    /* the same */
    char error[252];               /* of the last call, "" when it went well */
    char unmade[252];              /* why it is not as its workflow wants it, "" when it is or was not tried */
};

struct fleets {
    struct bus *bus;
    struct host *host;
    const struct config *config;
    struct fleet *list;
    struct name_map by_slug; /* the same */
    uint32_t n_fleets;       /* when the last look began */
    int ensuring;            /* calls under way */
    struct risk risk;        /* what was learned of the lives of Spot instances since the start */
    struct loop_timer *tick, *soon;
    struct subscription *jobs, *workers, *plugins, *leaders;
    struct leads leads;
    int leading; /* when the look under way began */
    int acting;  /* calls under way that change something */
    int started;
    struct fleets_ending ending;
    int refreshing, again; /* a look is under way; another is wanted */
    int asking_jobs;       /* for first jobs */
    uint32_t first_jobs;   /* instances that await theirs, as of the last look */
    int queue_silent;      /* the queue did not answer the last look: told once */
    int64_t refresh_began_ms;
    struct fleet_workers *workers_now; /* the queue's answer of the look under way */
    char *learned;                     /* by the provider, as of the last look, owned; NULL: nothing */
    char *to_recall;                   /* it has not been told yet, owned; NULL: nothing */
};

struct fleet *fleet_find(struct fleets *f, const char *slug);
void fleet_free(struct fleet *fl); /* taken out of the list already */
struct instance *instance_find(struct fleet *fl, const char *id);
/* Pending or running. */
int instance_is_live(const struct instance *i);
int64_t fleets_now(const struct fleets *f);
/* Looks again soon (a burst of wishes is one look). */
void fleets_poke(struct fleets *f);

/* refresh.c: one look: the queue's workers first, then the provider's instances, then what follows from both. */
void refresh_begin(struct fleets *f);

/* ensure.c */
void ensure_fleet(struct fleets *f, struct fleet *fl, const struct workflow *w);

/* drain.c */
void drain_instance(struct fleets *f, struct fleet *fl, struct instance *i, const char *why);
void drain_cancel(struct fleets *f, struct fleet *fl, struct instance *i);
/* After a look that began at began_ms: ends those that were idle after their mark. */
void drain_advance(struct fleets *f, struct fleet *fl, int64_t began_ms);
/* While another controller leads: drains are as the store tells. */
void drain_follow(struct instance *i);
/* The worker of an instance registered: one that is to leave is told so before its first request for work. */
void drain_worker_up(struct fleets *f, struct fleet *fl, struct instance *i);
/* Protection follows leases. */
void protect_follow(struct fleets *f, struct fleet *fl);

/* stages.c: what is known of an instance is new; events tell. */
enum stage { STAGE_REQUESTED, STAGE_RUNNING, STAGE_REGISTERED, STAGE_DEVICE, STAGE_READY, STAGE_FIRST_JOB, STAGES };
void stages_follow(struct fleets *f, struct fleet *fl, struct instance *i);
/* It has registered of late, and no job of it was seen. */
int stages_await_job(const struct instance *i, int64_t now_ms);
void stages_leased(struct fleets *f, const struct event_msg *e); /* a job was leased, here */
/* After a look: the leader looks into the queue for first jobs that another controller has leased. */
void stages_ask(struct fleets *f, struct fleet *fl);

/* lore.c: what the provider has learned, on its way to the queue and back. What a look takes along is the look's. */
struct lore {
    char *recall;  /* for the provider, or NULL */
    char *learned; /* from it, or NULL */
    int recalled;  /* it was told */
    int answered;  /* it said what it has learned, if only that it is nothing */
};
void lore_ask(const struct fleets *f, struct lore *l);
void lore_run(const struct bp_fleet *t, void *inst, struct lore *l); /* on the provider's thread */
void lore_got(struct fleets *f, struct lore *l);
void lore_free(struct lore *l);
/* The provider has started anew and knows nothing. */
void lore_again(struct fleets *f);
/* JSON, to be kept; NULL: nothing. Borrowed. */
const char *lore_text(const struct fleets *f);
/* What was kept; NULL: nothing. */
void lore_take(struct fleets *f, struct json_object *o);

/* life.c */
void life_follow(struct fleets *f, struct instance *i);      /* it was described */
void life_taken(struct fleets *f, const struct instance *i); /* a notice was given, or it went without one */
/* Seconds that it is expected to live on; INFINITY: nobody takes it away. */
double life_s(const struct fleets *f, const struct instance *i);

/* silent.c: after a look, for the leader: instances whose worker does not come are ended, and so replaced. */
void silent_follow(struct fleets *f, struct fleet *fl);
/* broken.c: the same for those whose device is broken. */
void broken_follow(struct fleets *f, struct fleet *fl);

/* notice.c: the same for those under an interruption notice. */
void notice_follow(struct fleets *f, struct fleet *fl);
/* A worker left: was it on notice? */
void notice_heard(struct fleets *f, const struct event_msg *gone);

/* activities.c: activities_note() adds what the engine itself found. */
void activities_note(struct fleets *f, struct fleet *fl, const struct bp_activity *a);
void activities_ask(struct fleets *f, struct fleet *fl);

/* ensure.c: the call owns the strings its spec points to. */
void fleet_spec_fill(struct fleet_call *c, const struct workflow *w, const char *stage);

/* rollout.c: after a look, for the leader. */
void rollout_follow(struct fleets *f, struct fleet *fl);

/* counts of one fleet, from what is known */
void fleet_count(const struct fleet *fl, int64_t now_ms, struct fleet_counts *out);

/* A call to the fleet service: what every file here sends. */
struct fleet_call {
    struct fleets *fleets;
    char slug[128], instance[64];
    int32_t number; /* desired, on, dry_run: as the call means it */
    char text[512], text2[512];
    struct bp_fleet_spec spec;
    char *diff;
    char (*ids)[64]; /* instances, of a call about several; the provider's until it is done */
    uint32_t n_ids;
    request_run run;
    struct lead_term term; /* in which it was sent: it changes nothing after that */
};
struct fleet_call *fleet_call_new(struct fleets *f, const char *slug, const char *instance);
/* Sends what only the leader may do; the call is consumed. On failure reply is called with the error. */
void fleet_call_send(struct fleet_call *c, const char *name, request_run run, request_reply reply);

#endif
