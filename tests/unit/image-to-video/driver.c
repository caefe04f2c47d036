/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

#include "device/device.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int32_t fail(struct bp_err *err, const char *text)
{
    err->rc = BP_FAIL;
    snprintf(err->text, sizeof err->text, "%s", text);
    return BP_FAIL;
}

/* "cpu:LEVEL" is a CPU that knows no more than BP_CPU_BASE or BP_CPU_V3. */
static int32_t open_device(struct driver *d, const char *which, struct bp_err *err)
{
    int32_t capped = strncmp(which, "cpu:", 4) == 0;
    int32_t rc = device_open(capped ? "cpu" : which, &d->dev, err);
    if (rc == BP_OK && capped && which[4] - '0' < d->dev->cpu_level)
        d->dev->cpu_level = which[4] == '1' ? BP_CPU_V3 : BP_CPU_BASE;
    return rc;
}

int32_t driver_open(struct driver *d, const char *so, const char *which, struct bp_err *err)
{
    memset(d, 0, sizeof *d);
    int32_t rc = open_device(d, which, err);
    if (rc != BP_OK)
        return rc;
    d->lib = dlopen(so, RTLD_NOW | RTLD_LOCAL);
    if (!d->lib)
        return fail(err, dlerror());
    d->plugin = dlsym(d->lib, BP_ENTRY_SYMBOL);
    if (!d->plugin)
        return fail(err, dlerror());
    rc = d->plugin->start(NULL, NULL, &d->inst, err);
    if (rc != BP_OK)
        return rc;
    d->facet = d->plugin->facet(d->inst, BP_JOB_FACET);
    if (!d->facet)
        return fail(err, "the plugin has no bp.job/1");
    return d->facet->open(d->inst, d->dev, &d->state, err);
}

void driver_close(struct driver *d)
{
    if (d->state)
        d->facet->close(d->state);
    if (d->plugin)
        d->plugin->stop(d->inst);
    device_close(&d->dev);
    free(d->checkpoint);
    memset(d, 0, sizeof *d);
}

static int32_t progress(void *ctx, double fraction, const char *text)
{
    struct driver *d = ctx;
    d->n_progress++;
    d->last_fraction = fraction;
    snprintf(d->last_text, sizeof d->last_text, "%s", text);
    return d->stop_after && d->n_progress >= d->stop_after ? BP_STOPPED : BP_OK;
}

static int32_t checkpoint_save(void *ctx, const void *bytes, uint64_t n, struct bp_err *err)
{
    struct driver *d = ctx;
    void *copy = malloc(n ? n : 1);
    if (!copy)
        return fail(err, "no memory");
    memcpy(copy, bytes, n);
    free(d->checkpoint);
    d->checkpoint = copy;
    d->checkpoint_bytes = n;
    d->n_saved++;
    return BP_OK;
}

static int32_t checkpoint_load(void *ctx, const void **bytes, uint64_t *n)
{
    struct driver *d = ctx;
    *bytes = d->checkpoint;
    *n = d->checkpoint_bytes;
    return d->checkpoint ? BP_OK : BP_NOTFOUND;
}

static void log_line(void *ctx, int32_t level, const char *text)
{
    struct driver *d = ctx;
    (void)level;
    size_t n = strlen(d->logs);
    snprintf(d->last_log, sizeof d->last_log, "%s", text);
    snprintf(d->logs + n, sizeof d->logs - n, "%s\n", text);
}

int32_t driver_run(struct driver *d, const char *input, const char *params, const char *output, struct bp_err *err)
{
    struct bp_job_input in = {input, "", ""};
    struct bp_job job = {.size = (uint32_t)sizeof job,
                         .n_inputs = 1,
                         .id = 1,
                         .attempt = ++d->attempt,
                         .params = params,
                         .inputs = &in,
                         .output_path = output,
                         .temp_dir = ".",
                         .ctx = d,
                         .progress = progress,
                         .checkpoint_save = checkpoint_save,
                         .checkpoint_load = checkpoint_load,
                         .log = log_line};
    d->n_progress = 0;
    d->last_log[0] = d->logs[0] = 0;
    memset(err, 0, sizeof *err);
    return d->facet->run(d->state, &job, err);
}
