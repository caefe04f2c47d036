/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/workflow.h - what a workflow plugin is written with. Linked from the static library bp_workflow_sdk.
 *
 *   static int32_t run(void *state, const struct bp_job *job, struct bp_err *err) { ... }
 *   BP_WORKFLOW("sepia", .open = open, .run = run, .close = close)
 *
 * is a whole plugin: sizes, the exported symbol and the facet table come from the macro, the manifest from
 * bp_add_workflow() in CMake. The name is the manifest's.
 */
#ifndef BP_WORKFLOW_H
#define BP_WORKFLOW_H

#include <bp/device.h>
#include <bp/job.h>
#include <bp/sdk.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One log line of the job, printf style, cut at 500 bytes. */
void bp_job_log(const struct bp_job *job, int32_t level, const char *fmt, ...) BP_PRINTF(3, 4);

/*
 * A param of the job by its name. Params are validated and complete when a job runs, so there is no error to return:
 * an absent param or one of another type gives 0, "" or, with _or, the fallback.
 */
double bp_param_f(const struct bp_job *job, const char *name);
double bp_param_f_or(const struct bp_job *job, const char *name, double fallback);
int64_t bp_param_i(const struct bp_job *job, const char *name);
int64_t bp_param_i_or(const struct bp_job *job, const char *name, int64_t fallback);
int32_t bp_param_b_or(const struct bp_job *job, const char *name, int32_t fallback);
/* Copies a string param to out (n >= 1 bytes, NUL-terminated, cut when too long) and returns out. */
const char *bp_param_s(const struct bp_job *job, const char *name, char *out, uint32_t n);

/* Fractions (0..1) and "<what> <done> of <all>"; BP_OK or BP_STOPPED as bp_job.progress. */
int32_t bp_job_progress(const struct bp_job *job, const char *what, int64_t done, int64_t all);

/* A workflow without shared state needs no instance: the runner's bp_self is kept for nothing. */
#define BP_WORKFLOW(name_, ...)                                                                                        \
    static int32_t bp_workflow_start(struct bp_self *self, const struct bp_host *host, void **inst,                    \
                                     struct bp_err *err)                                                               \
    {                                                                                                                  \
        (void)self, (void)host, (void)err;                                                                             \
        *inst = NULL;                                                                                                  \
        return BP_OK;                                                                                                  \
    }                                                                                                                  \
    static void bp_workflow_stop(void *inst)                                                                           \
    {                                                                                                                  \
        (void)inst;                                                                                                    \
    }                                                                                                                  \
    static const void *bp_workflow_facet(void *inst, const char *id)                                                   \
    {                                                                                                                  \
        static const struct bp_job_facet facet = {.size = (uint32_t)sizeof facet, __VA_ARGS__};                        \
        (void)inst;                                                                                                    \
        return strcmp(id, BP_JOB_FACET) == 0 ? &facet : NULL;                                                          \
    }                                                                                                                  \
    extern const struct bp_plugin bp_plugin_v1;                                                                        \
    BP_EXPORT const struct bp_plugin bp_plugin_v1 = {(uint32_t)sizeof(struct bp_plugin),                               \
                                                     BP_ABI_VERSION,                                                   \
                                                     name_,                                                            \
                                                     bp_workflow_start,                                                \
                                                     bp_workflow_stop,                                                 \
                                                     bp_workflow_facet};

#ifdef __cplusplus
}
#endif
#endif
