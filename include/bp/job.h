/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/job.h - facet "bp.job/1": the work itself. Only ever called inside a runner process, from one thread.
 *
 * open() once per runner, run() once per job (several jobs one after another), close() at the end. run()
 * reads and writes files; it has no network and sees no secret.
 */
#ifndef BP_JOB_H
#define BP_JOB_H

#include <bp/device.h>
#include <bp/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_JOB_FACET "bp.job/1"

struct bp_job_input {
    const char *path; /* a readable local file */
    const char *mime; /* as the tenant declared it, may be wrong; "" when unknown */
    const char *name; /* the tenant's file name, for messages only; "" when unknown */
};

/* One job, borrowed for run(). */
struct bp_job {
    uint32_t size;
    uint32_t n_inputs;
    int64_t id;
    int32_t attempt; /* from 1 */
    int32_t reserved;
    int64_t deadline_ms; /* since the Unix epoch; the runner is killed then. 0: none */
    const char *params;  /* JSON object, validated against the manifest's schema, defaults filled in */
    const struct bp_job_input *inputs;
    const char *output_path; /* write the result here */
    const char *temp_dir;    /* private, emptied after the job */
    void *ctx;               /* hand it to the calls below */
    /* Fraction 0..1 and words ("frame 12 of 120"); cheap, rate-limited by the runner. Returns 0: go on, or
     * BP_STOPPED: interrupted or cancelled; save a checkpoint and return BP_STOPPED within a few seconds. */
    int32_t (*progress)(void *ctx, double fraction, const char *text);
    /* Replaces the job's checkpoint; durable once it returns BP_OK (the runner and worker carry it off the machine
     * with the requeue). At most 64 MiB. To keep files too, name them: see checkpoint_file. */
    int32_t (*checkpoint_save)(void *ctx, const void *bytes, uint64_t n, struct bp_err *err);
    /* The checkpoint of an earlier attempt: *bytes is borrowed until run() returns. BP_NOTFOUND: none. */
    int32_t (*checkpoint_load)(void *ctx, const void **bytes, uint64_t *n);
    void (*log)(void *ctx, int32_t level, const char *text);
    /* Appended: ask BP_HAS(job, slug) first. A template serves many workflows (docs/plugins.md): which one this is, and
     * what its file in workflows.d says. None of them is NULL. */
    const char *slug;         /* of the workflow */
    const char *settings;     /* JSON object: the workflow's "settings", checked against settingsSchema; "{}": none */
    const char *settings_dir; /* where relative file names in settings begin, absolute; "": nowhere */
    /* Appended: ask BP_HAS(job, assets_dir) first. Directory with the files that the manifest's "assets" lists, each
     * under its name, whole and as their SHA-256 says; read only. "": it lists none. Never NULL. */
    const char *assets_dir;
};

struct bp_job_facet {
    uint32_t size;
    uint32_t reserved;
    int32_t (*open)(void *inst, const struct bp_device *dev, void **state, struct bp_err *err);
    /* BP_OK; BP_BADINPUT or BP_INVALID: terminal, err.text is shown to the tenant; BP_STOPPED; else retryable. */
    int32_t (*run)(void *state, const struct bp_job *job, struct bp_err *err);
    void (*close)(void *state);
    /* Appended, may be NULL; of a template. Is the workflow that a file of workflows.d defines right, as far as
     * settingsSchema cannot say? workflow: its manifest, JSON text with "settings", "params" and "assets"; settings_dir
     * as in bp_job. Called after start() and without open(), in a process apart that has no network and reads nothing
     * but settings_dir. BP_INVALID with a sentence that begins with the setting: "settings.command[2]: ...". */
    int32_t (*check)(void *inst, const char *workflow, const char *settings_dir, struct bp_err *err);
};

#ifdef __cplusplus
}
#endif
#endif
