/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moody.c - a workflow that does wrong where its settings or params say: {"start": "crash"}, {"open": "exit"}, ... Its
 * output is a PNG file, or what params.write says.
 */
#include <bp/job.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *settings;

/* Does the JSON text hold "key":"word"? */
static int says(const char *json, const char *key, const char *word)
{
    char tight[64], loose[64];
    snprintf(tight, sizeof(tight), "\"%s\":\"%s\"", key, word);
    snprintf(loose, sizeof(loose), "\"%s\": \"%s\"", key, word);
    return strstr(json, tight) || strstr(json, loose);
}

static int32_t mood(const char *json, const char *key, struct bp_err *err)
{
    if (says(json, key, "crash")) {
        signal(SIGSEGV, SIG_DFL); /* a sanitizer would turn it into an exit */
        raise(SIGSEGV);
    }
    if (says(json, key, "abort"))
        abort();
    if (says(json, key, "exit"))
        exit(3);
    if (says(json, key, "quit"))
        exit(0);
    while (says(json, key, "loop"))
        (void)getppid();
    if (!says(json, key, "fail"))
        return BP_OK;
    snprintf(err->text, sizeof(err->text), "it is in a bad mood in %s", key);
    return err->rc = BP_FAIL;
}

static int32_t open_job(void *inst, const struct bp_device *dev, void **state, struct bp_err *err)
{
    (void)dev;
    *state = inst;
    return mood(settings, "open", err);
}

static int32_t write_output(const struct bp_job *job, struct bp_err *err)
{
    static const unsigned char png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 0};
    struct timespec now;
    FILE *f = says(job->params, "write", "nothing") ? NULL : fopen(job->output_path, "wb");
    if (!f)
        return says(job->params, "write", "nothing") ? BP_OK : (err->rc = BP_IO);
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (says(job->params, "write", "jpeg"))
        fputs("\xff\xd8\xff\xe0 a photo", f);
    else
        fwrite(png, 1, sizeof(png), f);
    if (says(job->params, "write", "time"))
        fprintf(f, "%ld.%ld", (long)now.tv_sec, now.tv_nsec);
    return fclose(f) == 0 ? BP_OK : (err->rc = BP_IO);
}

static void leak(void)
{
    char *at = malloc(64U << 20);
    for (size_t i = 0; at && i < 64U << 20; i += 4096)
        at[i] = 1;
}

static int32_t run(void *state, const struct bp_job *job, struct bp_err *err)
{
    (void)state;
    if (says(job->params, "run", "bad_input")) {
        snprintf(err->text, sizeof(err->text), "this is no photo");
        return err->rc = BP_BADINPUT;
    }
    if (says(job->params, "run", "silent"))
        return BP_FAIL;
    if (says(job->params, "run", "leak"))
        leak();
    int32_t rc = mood(job->params, "run", err);
    return rc < 0 ? rc : write_output(job, err);
}

/* Of a workflow that a file makes of it: {"settings": {"check": "crash"}}. */
static int32_t check(void *inst, const char *workflow, const char *settings_dir, struct bp_err *err)
{
    (void)inst, (void)settings_dir;
    return mood(workflow, "check", err);
}

static void close_job(void *state)
{
    (void)state;
}

static int32_t start(struct bp_self *self, const struct bp_host *host, void **inst, struct bp_err *err)
{
    settings = host->config(self);
    *inst = NULL;
    return mood(settings, "start", err);
}

static void stop(void *inst)
{
    struct bp_err err;
    (void)inst;
    mood(settings, "stop", &err);
}

static const void *facet(void *inst, const char *id)
{
    static const struct bp_job_facet job = {
        .size = sizeof(job), .open = open_job, .run = run, .close = close_job, .check = check};
    (void)inst;
    return strcmp(id, BP_JOB_FACET) == 0 ? &job : NULL;
}

BP_EXPORT const struct bp_plugin bp_plugin_v1;
const struct bp_plugin bp_plugin_v1 = {
    .size = sizeof(bp_plugin_v1), .abi = BP_ABI_VERSION, .name = T_NAME, .start = start, .stop = stop, .facet = facet};
