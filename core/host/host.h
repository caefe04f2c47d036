/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - the plugin host: finds, vets, loads, starts, replaces and retires plugins, and routes services to them.
 *
 * A plugin moves found -> vetted -> loaded -> ready -> running -> draining -> retired, or to refused(reason), or, after
 * three faults in ten minutes, quarantined. Each arrow is one log line and one event. A generation never goes back, but
 * for a workflow that is released from quarantine.
 *
 * A workflow plugin is not loaded into this process unless its manifest lists the facet bp.scaling/1: its manifest is
 * all the controller needs, and a child process (bp-runner --probe) proves that it loads. Queue and cloud plugins are
 * actors: a mailbox and their own thread(s).
 *
 * All functions are [loop].
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "bus/bus.h"
#include "config/config.h"
#include <bp/plugin.h>

struct host;
struct json_object;

/* The host's own actor on the bus: whatever of core reads files off the loop is run there. */
#define HOST_FILES_SERVICE "host.files"

/* What the host may load in this process. */
enum host_role {
    HOST_CONTROLLER = 1,
    HOST_WORKER
}; /* WORKER: cloud plugins (for node, params, logs) and workflow manifests; no queue */

struct host_spec {
    struct bus *bus;
    const struct config *config; /* borrowed until host_reconfigure or host_free */
    enum host_role role;
    const char *state_dir;   /* private copies go to <state_dir>/plugins, plugin state to <state_dir>/plugin/<name> */
    const char *const *dirs; /* watched directories */
    uint32_t n_dirs;
    const char *workflows_dir; /* watched too, for files that each define a workflow (definition.h); it need not exist;
                                  NULL: none */
    const char *runner;        /* path of bp-runner */
    const char *about; /* JSON object text about this daemon (url, bpd, role, stage, plugins_dirs, ...); every plugin
                          finds it as the member "_bpd" of its settings (bp_host.config). NULL: none */
};
struct host *host_new(const struct host_spec *spec, struct bp_err *err);
/* Scans the directories and begins to bring everything up; `settled` is called once when each plugin found at first is
 * running or refused. */
void host_start(struct host *h, void (*settled)(void *arg), void *arg);
/* Drains and stops every plugin, then calls done. */
void host_stop(struct host *h, void (*done)(void *arg), void *arg);
void host_free(struct host *h);
/* Who may sign plugins, as configured; free() it. NULL: anybody may. BP_INVALID, BP_IO. Reads files; any thread. */
struct signers;
int host_signers(const struct config *c, struct signers **out, struct bp_err *err);
/* Is what the settings say of plugins sound (plugins.signers)? BP_INVALID, BP_IO. Reads files; any thread. */
int host_config_check(const struct config *c, struct bp_err *err);
/* After a reload (of settings that host_config_check() found sound): plugins whose settings changed restart as a new
 * generation; workflow overrides apply at once. */
void host_reconfigure(struct host *h, const struct config *c);

/* ---- workflows ---- */

/* One workflow as it serves now: manifest with the config's overrides merged. Borrowed until the next return to the
 * loop; copy what you keep. */
struct workflow {
    const char *slug, *display_name, *plugin, *version;
    const char
        *listed;      /* the name its generations and faults go by: the plugin's, or its slug when a file defines it */
    const char *file; /* private copy to hand to a runner */
    uint32_t generation;
    const char *quarantine;       /* why no job of it is leased, or NULL */
    const char *sha;              /* SHA-256 of the file, hex */
    int draining;                 /* the file was removed: no new submits, running jobs end */
    struct json_object *manifest; /* the whole, read only */
    struct json_object *params;   /* JSON Schema of the params, or NULL: any object */
    const char *settings_dir;     /* where relative file names of the manifest's settings begin, or NULL */
    const char *ami_id, *ami_parameter;
    struct json_object *sandbox;  /* pluginfile/sandbox.h, narrowed by the config; all members */
    struct json_object *schedule; /* policy/schedule.h, checked; NULL: none */
    const char *policy;           /* a built-in one's name, "plugin", or NULL: scale.policy */
    int32_t max_size, warmup_s, scale_to_zero_minutes, backlog_target;
    double scale_to_zero_s; /* scaleToZeroSeconds when given (demo and tests), else minutes * 60 */
    int32_t timeout_s;      /* a job running longer is killed and fails; manifest timeoutSeconds, default 3600 */
    int32_t max_attempts;   /* manifest maxAttempts, 0: dispatch.maxAttempts */
    const void *scaling;    /* struct bp_scaling table, or NULL */
    void *scaling_inst;
    struct actor *actor; /* of the plugin, on whose thread it is called */
};
/* NULL when there is none (or it is refused). */
const struct workflow *host_workflow(struct host *h, const char *slug);
/* Calls fn for each workflow in slug order. */
void host_each_workflow(struct host *h, void (*fn)(const struct workflow *w, void *arg), void *arg);
uint32_t host_workflow_count(struct host *h);
/* Files that are there and were refused. */
uint32_t host_refused_count(const struct host *h);
/* Nearest known slug to a wrong one, or NULL. */
const char *host_nearest_workflow(struct host *h, const char *slug);
/* Tells the host how many leases a workflow has, for the words of a drain ("2 leases"). */
void host_set_leases(struct host *h, const char *slug, int64_t leases);

/* ---- operator's view ---- */

/* Array of
 * {"name","kind","version","state","generation","file","reason","services":[],"facets":[],"waiting","served",...}.
 * json_object_put() it. */
struct json_object *host_describe(struct host *h);
/* The same in the same order, without what costs: for thousands of them, again and again. Borrowed for the call. */
struct host_plugin {
    const char *name, *kind, *state, *file, *reason;
    uint32_t generation, waiting;
    uint64_t served;
    const struct generation *of; /* the host's own; NULL: nothing of it runs */
};
typedef void (*host_plugin_fn)(const struct host_plugin *p, void *arg);
void host_each_plugin(struct host *h, host_plugin_fn fn, void *arg);
/* One plugin with its manifest and history, NULL when unknown. */
struct json_object *host_describe_one(struct host *h, const char *name);
/* bpctl plugin load FILE | reload NAME | retire NAME: begins it; done is called with the outcome. */
typedef void (*host_done)(const struct bp_err *err, void *arg);
void host_load(struct host *h, const char *file, host_done done, void *arg);
void host_reload(struct host *h, const char *name, host_done done, void *arg);
void host_retire(struct host *h, const char *name, host_done done, void *arg);

/* ---- candidates: versions of workflow plugins that are tried on jobs beside those that serve ---- */

/* Strings are borrowed until the next return to the loop. */
struct candidate {
    const char *plugin, *version, *sha;
    const char *file; /* private copy to hand to a runner */
    struct json_object *manifest;
};
/* The candidate of a plugin, or NULL. */
const struct candidate *host_candidate(struct host *h, const char *plugin);
/* Controller: takes `file` (absolute path) as the candidate of a plugin: vetted, copied, probed, compared with the
 * version that serves, shown to the workers on this machine. done is called with the outcome. */
void host_try(struct host *h, const char *plugin, const char *file, host_done done, void *arg);
/* Where it lies when no file is named: NAME.canary.so beside the plugin's file. */
void host_default_candidate(struct host *h, const char *plugin, char *out, size_t n);
/* Where it is kept for the next start of the daemon. */
void host_kept_candidate(const struct host *h, const char *plugin, char *out, size_t n);
/* It is tried no more. */
void host_candidate_drop(struct host *h, const char *plugin);
/* Puts the candidate's file, and its signature, where the plugin's file is, and brings it up. done: it serves, or why
 * not; BP_DENIED: this daemon may not write there. */
void host_promote(struct host *h, const char *plugin, host_done done, void *arg);
/* The daemon's state directory, borrowed. */
const char *host_state_path(const struct host *h);

/* Calls fn for each running plugin that offers a facet, in name order, with the actor to ask by actor_call(). */
struct offered {
    const char *plugin, *facet;
    struct actor *actor;
    const void *table;
    void *inst;
};
void host_each_offer(struct host *h, const char *facet, void (*fn)(const struct offered *o, void *arg), void *arg);
/* Name of the plugin that provides a service now, or NULL. Borrowed until the next return to the loop. */
const char *host_provider(const struct host *h, const char *service);
/* Counts a fault against a plugin (a failed batch, a crashed runner); plugins.faults within plugins.faultSeconds
 * quarantine it. job: that failed by it, which counts once within that time; 0: none. */
void host_fault(struct host *h, const char *plugin, int64_t job, const char *what);
/* The same by the workflow, unless its code was other than what serves now. sha: of the code that failed, NULL or "":
 * not known. */
void host_workflow_fault(struct host *h, const char *slug, const char *sha, int64_t job, const char *what);
/* bpctl plugin release NAME: of a plugin or a workflow in quarantine, whose faults are forgotten. */
void host_release(struct host *h, const char *name, host_done done, void *arg);

#endif
