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
#include <stdlib.h>
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
/* The same within a range. BP_INVALID names the param, its value and what is allowed; *out is set either way. */
int32_t bp_param_f_in(const struct bp_job *job, const char *name, double fallback, double minimum, double maximum,
                      double *out, struct bp_err *err);
int64_t bp_param_i(const struct bp_job *job, const char *name);
int64_t bp_param_i_or(const struct bp_job *job, const char *name, int64_t fallback);
int32_t bp_param_b_or(const struct bp_job *job, const char *name, int32_t fallback);
/* Copies a string param to out (n >= 1 bytes, NUL-terminated, cut when too long) and returns out. */
const char *bp_param_s(const struct bp_job *job, const char *name, char *out, uint32_t n);

/* A setting of the plugin (plugin.<name>.<key>, a string of its manifest's `config`), as bp_param_s; "" where there is
 * none. */
const char *bp_config_s(const char *name, char *out, uint32_t n);

/* Fractions (0..1) and "<what> <done> of <all>"; BP_OK or BP_STOPPED as bp_job.progress. */
int32_t bp_job_progress(const struct bp_job *job, const char *what, int64_t done, int64_t all);

/* The kernels of one .cu file, loaded on a device. */
struct bp_kernels {
    const struct bp_device *dev;
    const struct bp_kernel_image *image;
    struct bp_module *module;
    struct bp_kernel **kernels; /* in the image's order */
};

/* Loads the image and finds all its kernels. On error *out is NULL. *out: bp_kernels_close(), which accepts NULL in it
 * and leaves NULL. */
int32_t bp_kernels_open(const struct bp_device *dev, const struct bp_kernel_image *image, struct bp_kernels **out,
                        struct bp_err *err);
void bp_kernels_close(struct bp_kernels **kernels);
/* Launches a kernel by its name, else as bp_device.launch. BP_NOTFOUND when the file has no such kernel. */
int32_t bp_kernels_run(const struct bp_kernels *kernels, const char *name, struct bp_grid grid, const void *args,
                       uint32_t args_bytes, struct bp_err *err);

/* Keeps what bp_config_s() reads, in a plugin that is linked with it. One plugin has one start. */
__attribute__((weak)) void bp_workflow_keep(struct bp_self *self, const struct bp_host *host);

/* A workflow without shared state needs no instance. */
#define BP_WORKFLOW(name_, ...)                                                                                        \
    static int32_t bp_workflow_start(struct bp_self *self, const struct bp_host *host, void **inst,                    \
                                     struct bp_err *err)                                                               \
    {                                                                                                                  \
        (void)err;                                                                                                     \
        if (bp_workflow_keep)                                                                                          \
            bp_workflow_keep(self, host);                                                                              \
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

/*
 * BP_WORKFLOW for one whose state is a struct of its own, state_type, zeroed: load_(dev, state, err) fills it, and
 * unload_(state) empties it, also after an error; run() gets a state_type *.
 */
#define BP_STATE_WORKFLOW(name_, state_type, load_, unload_, run_)                                                     \
    static int32_t bp_workflow_open(void *inst, const struct bp_device *dev, void **state, struct bp_err *err)         \
    {                                                                                                                  \
        (void)inst;                                                                                                    \
        *state = NULL;                                                                                                 \
        state_type *made = (state_type *)calloc(1, sizeof *made);                                                      \
        if (!made)                                                                                                     \
            return bp_error(err, BP_NOMEM, "no memory to start %s", name_);                                            \
        int32_t rc = load_(dev, made, err);                                                                            \
        if (rc != BP_OK) {                                                                                             \
            unload_(made);                                                                                             \
            free(made);                                                                                                \
            return rc;                                                                                                 \
        }                                                                                                              \
        *state = made;                                                                                                 \
        return BP_OK;                                                                                                  \
    }                                                                                                                  \
    static void bp_workflow_close(void *state)                                                                         \
    {                                                                                                                  \
        unload_((state_type *)state);                                                                                  \
        free(state);                                                                                                   \
    }                                                                                                                  \
    BP_WORKFLOW(name_, .open = bp_workflow_open, .run = (run_), .close = bp_workflow_close)

/* BP_WORKFLOW for one whose state is the kernels of one .cu file: run() gets a struct bp_kernels * as its state. */
#define BP_KERNEL_WORKFLOW(name_, image_, run_)                                                                        \
    static int32_t bp_workflow_open(void *inst, const struct bp_device *dev, void **state, struct bp_err *err)         \
    {                                                                                                                  \
        struct bp_kernels *kernels = NULL;                                                                             \
        int32_t rc = bp_kernels_open(dev, &(image_), &kernels, err);                                                   \
        (void)inst;                                                                                                    \
        *state = kernels;                                                                                              \
        return rc;                                                                                                     \
    }                                                                                                                  \
    static void bp_workflow_close(void *state)                                                                         \
    {                                                                                                                  \
        struct bp_kernels *kernels = (struct bp_kernels *)state;                                                       \
        bp_kernels_close(&kernels);                                                                                    \
    }                                                                                                                  \
    BP_WORKFLOW(name_, .open = bp_workflow_open, .run = (run_), .close = bp_workflow_close)

#ifdef __cplusplus
}
#endif
#endif
