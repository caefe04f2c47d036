/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - what the host remembers: files it saw (source), plugins by name (plugin), and each time one was brought up
 * (generation). Everything here belongs to the loop. Only for core/host.
 */
#ifndef HOST_STATE_H
#define HOST_STATE_H

#include "host/host.h"
#include "host/watch.h"
#include "pluginfile/facet.h"
#include "vetting/vet.h"
#include <assert.h>

#define HOST_MAGIC       0x40571a11U
#define GENERATION_MAGIC 0x6e4e7a70U
#define FILES_SERVICE    HOST_FILES_SERVICE
#define FAULTS_MAX       100 /* plugins.faults */

enum state {
    FOUND = 1,
    VETTED,
    LOADED,
    READY,
    RUNNING,
    DRAINING,
    RETIRED,
    REFUSED,
    QUARANTINED,
};

/* Who waits for how a bring-up or a retirement ends. Moved from the source to the generation; ended once. */
struct outcome {
    host_done done; /* NULL: nobody */
    void *arg;
    int initial; /* counts for `settled` */
};

/* A plugin file: known from when it is first seen until it is gone. */
struct source {
    struct source *next, *behind; /* behind: the next that waits to be vetted */
    char *path;
    int dir; /* index of its watched directory, -1: named by an operator */
    struct fingerprint print;
    int busy, again, gone, force; /* being vetted, or waiting for it; changed meanwhile; removed meanwhile; also when
                                     its content is the same */
    int64_t changed_ms;           /* monotonic; when print last changed */
    int64_t told_ms;              /* changed_ms of what was told as found */
    int64_t rest_ms; /* before the next try of a start that said BP_LATER, doubled each time; 0: none failed so */
    struct loop_timer *retry;
    struct host *host;
    char *name, *kind, *reason; /* of the last refusal; reason NULL: of a plugin that no setting names, or all NULL */
    char *from;                 /* read this instead of path, once: the private copy, for a change of settings */
    int is_definition;          /* a file of workflows.d */
    int held;                   /* found at first: it is looked at once the plugins found at first are up */
    char *template;       /* of a definition: the plugin it named last; when that comes or goes, it is vetted anew */
    char *from_signature; /* the signature that came with it, or NULL */
    int recheck;          /* vetted because plugins.signers changed: what runs of it may have to go */
    struct outcome outcome;
};

struct generation {
    struct generation *next, *older; /* of the host; of its plugin */
    uint32_t magic, number;
    enum state state, last; /* last: what it becomes when it has ended */
    struct host *host;
    struct plugin *plugin;
    struct manifest *manifest;
    struct json_object *settings;
    char *given, *file, *copy, *sha; /* given: config plugin.<name> as it was */
    char *code;      /* SHA-256 of the copy; sha is of all that makes it what it is, a file of workflows.d too */
    char *signature; /* text of its .sig file, or NULL */
    char *reason;
    struct actor *actor;
    struct queue_watch *faults;
    struct bp_self *self;
    const struct bp_plugin *api;
    void *inst;
    struct offer offers[FACETS];
    uint32_t n_offers;
    struct workflow *workflow;
    struct probe *probe;
    int64_t since_ms, deadline_ms; /* state entered (wall clock); end of the start (monotonic) */
    int started;                   /* stop() is due */
    int abandon;                   /* end it as soon as it is up: its file is gone, or the daemon stops */
    int stuck; /* a call of its start or stop has not returned in time; it is ended when that returns */
    int later; /* what its start needs is not there now; it is tried again */
    int ended; /* quarantined and nothing of it runs any more */
    struct outcome outcome;
};

/* Of a plugin; job 0: of none. */
struct fault {
    int64_t at_ms, job; /* monotonic */
};

/* A plugin by name, remembered for good. */
struct plugin {
    struct plugin *next; /* in name order */
    struct host *host;
    char *name, *file;
    enum plugin_kind kind;
    uint32_t last_number;
    struct generation *all;              /* its generations, the newest first, by `older` */
    struct generation *current, *coming; /* serving (or, a workflow, draining); coming up */
    int64_t leases;
    struct fault faults[FAULTS_MAX]; /* the newest first */
    int n_faults;
    char *quarantined; /* SHA of the content that is in quarantine, or NULL */
    struct json_object *history;
    enum state state; /* last entered by any of its generations */
    struct outcome retire;
};

struct host {
    uint32_t magic;
    enum host_role role;
    struct loop *loop;
    struct bus *bus;
    const struct config *config;
    struct signers *signers; /* of config; NULL: no signature is asked for */
    char *state_dir, *copies, *runner, *about;
    char **dirs; /* the last n_definition_dirs of them are of workflows.d */
    uint32_t n_dirs, n_definition_dirs;
    struct json_object *leases; /* last told count by slug: a workflow may come up after it was told */
    struct watch *watch;
    struct actor *files;
    struct source *sources;
    struct plugin *plugins;
    struct generation *generations;
    struct tried *tried;              /* candidate.h */
    uint32_t n_trying;                /* that are being vetted */
    struct generation *route[FACETS]; /* provider of each facet's service */
    int route_told[FACETS];           /* the doubt about its provider was logged */
    struct generation **workflows;    /* serving ones, in slug order */
    uint32_t n_workflows, workflows_room;
    char **old_copies; /* of generations that are gone, to be removed */
    uint32_t n_old_copies;
    struct bp_self **selves; /* of ended generations: a stray thread of a plugin may still log */
    uint32_t n_selves;
    int started, scanned, open; /* open: found at first and neither running nor refused yet */
    int held;                   /* of those, definitions that wait for the plugins */
    void (*settled)(void *arg);
    void *settled_arg;
    uint32_t vets; /* files being looked at */
    struct source *vets_waiting, *vets_last;
    uint32_t probes;              /* children that run */
    struct probe *probes_waiting; /* for one of them to end, in order */
    int probes_posted;            /* the next ones begin when the loop has its turn */
    int stopping;                 /* nothing serves any more */
    struct plugin *stop_next;     /* to be taken down */
    void (*stopped)(void *arg);
    void *stopped_arg;
    struct loop_timer *stop_limit;
};

#define ASSERT_HOST(h)                                                                                                 \
    do {                                                                                                               \
        assert((h)->magic == HOST_MAGIC);                                                                              \
        ASSERT_LOOP((h)->loop);                                                                                        \
    } while (0)

/* ---- host.c ---- */
struct plugin *plugin_find(struct host *h, const char *name);
struct plugin *plugin_take(struct host *h, const char *name); /* found or made */
/* Ends an outcome: tells who waits (rc of err 0: it worked) and counts down to `settled`. */
void outcome_end(struct host *h, struct outcome *o, const struct bp_err *err);
/* The same, later on the loop. */
void outcome_end_soon(struct host *h, struct outcome *o, const struct bp_err *err);
void settle_check(struct host *h);
void stop_check(struct host *h);

/* ---- life.c ---- */
const char *state_name(enum state s);
/* The one door for arrows: log line, event, history. name and kind for files whose plugin is not known yet. */
struct arrow {
    const char *name, *kind, *reason;
    uint32_t number;
    enum state from, to;
};
void arrow_tell(struct host *h, const struct arrow *a);
void generation_move(struct generation *g, enum state to, const char *reason);

/* ---- source.c ---- */
struct source *source_find(struct host *h, const char *path);
/* The file that is listed by this name though nothing of it runs: refused, or named by no setting. NULL: none. */
struct source *source_listed(struct host *h, const char *name);
/* Looks again at those that no setting named, where one does now. */
void sources_named(struct host *h);
struct source *source_take(struct host *h, const char *path, int dir);
/* When its turn comes. [s is not busy] */
void source_vet(struct source *s);
void source_refused(struct source *s, const char *name, const char *kind, const char *reason);
/* Tells that what was read of it (m, or NULL) is refused, and ends its outcome. */
void source_refuse(struct source *s, const struct manifest *m, const struct bp_err *err);
/* Has another file its name or slug, or this file another plugin? */
int source_check_name(const struct source *s, const struct manifest *m, struct bp_err *err);
/* Takes in v, checked: nothing to do, or a new generation of it. */
void source_bring_up(struct source *s, struct vetted *v);
/* Brings it up again by itself, after a rest that doubles up to 30 s. */
void source_again(struct source *s);
/* Were there few tries yet? What never ends is not tried for ever. */
int source_is_patient(const struct source *s);
/* It came up: no more tries. */
void source_up(struct source *s);
void source_scanned(const struct scan *scan, void *host);
void source_free(struct source *s);

/* ---- definitions.c: files of workflows.d ---- */
/* Vetted: goes to its template, waits for it, or is refused. */
void definition_take_in(struct source *s, struct vetted *v);
/* A template came, or went: its files are vetted anew. */
void definitions_follow(struct host *h, const char *plugin);
/* The plugins found at first are up: so now may be the files found at first. */
void definitions_release(struct host *h);

/* ---- generation.c ---- */
/* Takes what v holds and begins to bring it up; how it ends is told to o (moved). */
void generation_begin(struct host *h, struct source *s, struct vetted *v, struct outcome *o);
void generation_refuse(struct generation *g, const char *reason);
/* And tries again: what it needs is not there now. */
void generation_refuse_for_now(struct generation *g, const char *why);
void generation_ready(struct generation *g);
void generation_free(struct generation *g);
/* Is it signed by somebody who may, as plugins.signers is now? 0 with the reason. */
int generation_is_signed(const struct generation *g, struct bp_err *err);

/* ---- operate.c ---- */
/* The plugin, or NULL with the nearest name in err. */
struct plugin *plugin_wanted(struct host *h, const char *name, struct bp_err *err);

/* ---- fault.c ---- */
/* Does it serve, be it that no job of it is leased? */
int generation_is_up(const struct generation *g);
/* Other content serves: the quarantined one need not be shown any more. */
void quarantine_lift(struct plugin *p);

/* ---- start.c: bringing one up, on its own thread or in a child ---- */
void generation_start(struct generation *g);
/* Its stop(), on its own thread; then generation_ended(). */
void generation_stop(struct generation *g);

/* ---- drain.c: taking one down ---- */
/* Stops serving and ends: RETIRED, QUARANTINED or REFUSED. */
void generation_drain(struct generation *g, enum state last, const char *reason);
/* Its file is gone (or an operator retires it): a workflow first waits for its leases. */
void generation_remove(struct generation *g, const char *reason);
/* It was signed by somebody who is trusted no more. A workflow ends; what serves the daemon itself cannot be taken out
 * of it, which is said. */
void generation_disown(struct generation *g, const struct bp_err *err);
/* Lets its actor, if any, serve what waits, stops it when it was started, and ends the generation. */
void generation_close(struct generation *g);
/* [nothing of it runs or waits] */
void generation_ended(struct generation *g);

/* ---- route.c ---- */
void routes_update(struct host *h);
void routes_drop(struct generation *g);
void routes_warn_unknown(struct host *h);
const struct offer *generation_offer(const struct generation *g, const char *facet);

/* ---- tidy.c ---- */
/* A generation of this copy is gone. */
void tidy_later(struct host *h, const char *copy);
/* Removes copies that no generation has, unless a file is being vetted. */
void tidy(struct host *h);

/* ---- workflow.c ---- */
struct workflow *workflow_build(const struct generation *g, const struct config *c, struct bp_err *err);
void workflow_free(struct workflow *w);
void workflows_update(struct host *h);

/* ---- probe.c ---- */
/* Runs `runner --probe file` in a child, some at once, and calls generation_ready() or _refuse(); workflows that files
 * define are shown to their plugin, too, several of one plugin to one child. */
void probe_start(struct generation *g);
/* When the host stops: the generation is refused soon. */
void probe_cancel(struct generation *g);
/* The same for a file, waiting for the end. Not on the loop. */
int probe_wait(const char *runner, const char *file, int64_t limit_ms, struct bp_err *err);

#endif
