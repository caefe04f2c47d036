/* SPDX-License-Identifier: Apache-2.0 */
/* The runner's side of a job under test. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int32_t job_progress(void *ctx, double fraction, const char *text)
{
    struct bp_test_job *job = ((struct bp_test *)ctx)->job;
    job->n_progress++;
    job->fraction = fraction;
    snprintf(job->text, sizeof job->text, "%s", text ? text : "");
    return job->stop_after && job->n_progress > job->stop_after ? BP_STOPPED : BP_OK;
}

static int32_t job_checkpoint_save(void *ctx, const void *bytes, uint64_t n, struct bp_err *err)
{
    struct bp_test *t = ctx;
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        return bp_error(err, BP_NOMEM, "no memory for a checkpoint of %llu bytes", (unsigned long long)n);
    if (n)
        memcpy(copy, bytes, n);
    free(t->checkpoint);
    t->checkpoint = copy;
    t->checkpoint_bytes = n;
    t->job->n_saved++;
    t->job->saved_bytes = n;
    return BP_OK;
}

static int32_t job_checkpoint_load(void *ctx, const void **bytes, uint64_t *n)
{
    struct bp_test *t = ctx;
    *bytes = t->checkpoint;
    *n = t->checkpoint ? t->checkpoint_bytes : 0;
    return t->checkpoint ? BP_OK : BP_NOTFOUND;
}

static void job_log(void *ctx, int32_t level, const char *text)
{
    struct bp_test *t = ctx;
    (void)level;
    test_note(t, &t->log, "%s", text ? text : "");
}

static int32_t facet_open(struct bp_test *t, struct bp_err *err)
{
    const struct bp_job_facet *f = bp_test_facet(t, BP_JOB_FACET);
    if (!f || !BP_HAS(f, open) || !BP_HAS(f, run) || !BP_HAS(f, close))
        return bp_error(err, BP_UNSUPPORTED, "%s offers no %s with open, run and close", t->plugin->name, BP_JOB_FACET);
    int32_t rc = t->real ? BP_OK : test_device_open(t, err);
    if (rc == BP_OK)
        rc = f->open(t->inst, &t->counted, &t->state, err);
    if (rc == BP_OK)
        t->facet = f;
    return rc;
}

static uint32_t inputs_of(const struct bp_test_job *job, struct bp_job_input inputs[BP_TEST_INPUTS])
{
    uint32_t n = 0;
    for (; n < BP_TEST_INPUTS && job->inputs[n]; n++)
        inputs[n] = (struct bp_job_input){.path = job->inputs[n], .mime = "", .name = job->inputs[n]};
    return n;
}

int32_t bp_test_run(struct bp_test *t, struct bp_test_job *job, struct bp_err *err)
{
    char temp[DIR_BYTES + 8];
    struct bp_job_input inputs[BP_TEST_INPUTS];
    snprintf(temp, sizeof temp, "%s/temp", t->dir);
    if (!t->facet) {
        int32_t rc = facet_open(t, err);
        if (rc != BP_OK)
            return rc;
    }
    struct bp_job j = {.size = (uint32_t)sizeof j,
                       .n_inputs = inputs_of(job, inputs),
                       .id = 1,
                       .attempt = ++t->attempt,
                       .params = job->params ? job->params : "{}",
                       .inputs = inputs,
                       .output_path = job->output ? job->output : "",
                       .temp_dir = temp,
                       .ctx = t,
                       .progress = job_progress,
                       .checkpoint_save = job_checkpoint_save,
                       .checkpoint_load = job_checkpoint_load,
                       .log = job_log,
                       .slug = job->slug ? job->slug : t->plugin->name,
                       .settings = job->settings ? job->settings : "{}",
                       .settings_dir = job->settings_dir ? job->settings_dir : "",
                       .assets_dir = job->assets_dir ? job->assets_dir : ""};
    if (mkdir(temp, 0700) < 0)
        return bp_error(err, BP_IO, "cannot make the directory %.200s", temp);
    t->job = job;
    job->n_progress = job->n_saved = 0;
    job->fraction = 0;
    job->text[0] = 0;
    int32_t rc = t->facet->run(t->state, &j, err);
    if (rc == BP_OK) {
        free(t->checkpoint);
        t->checkpoint = NULL;
    }
    t->job = NULL;
    test_remove(temp);
    return rc;
}
