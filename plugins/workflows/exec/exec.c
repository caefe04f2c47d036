/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec - any command as a workflow. A template: each file of workflows.d that names it says in "settings" what is run;
 * docs/plugins.md has the words.
 */
#include "check.h"
#include "place.h"
#include "verdict.h"
#include "watch.h"
#include "words.h"

#include <bp/workflow.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct state {
    const char *device;
};

/* All that one job needs; large, so not on the stack. */
struct task {
    struct settings settings;
    struct place place;
    struct words words;
    struct watch watch;
    struct json_object *params;
    char program[PATH_MAX];
};

static void log_line(void *arg, const char *line)
{
    bp_job_log(arg, BP_LOG_INFO, "%s", line);
}

static int32_t prepare(struct task *t, const struct state *state, const struct bp_job *job, struct bp_err *err)
{
    if (settings_open(&t->settings, job->settings, err) < 0)
        return err->rc;
    t->params = json_tokener_parse(job->params);
    if (!json_object_is_type(t->params, json_type_object))
        return bp_error(err, BP_INVALID, "the job's params are no JSON object");
    if (t->settings.reads_input && job->n_inputs == 0)
        return bp_error(err, BP_BADINPUT, "the job has no input file, but the workflow needs one");
    if (place_make(&t->place, &t->settings, job, err) < 0)
        return err->rc;
    struct scope scope = {.inputs = t->place.inputs,
                          .n_inputs = job->n_inputs,
                          .output = t->place.output,
                          .temp = t->place.dir,
                          .params_file = t->place.params_file,
                          .checkpoint = t->place.checkpoint,
                          .dir = job->settings_dir,
                          .assets = BP_HAS(job, assets_dir) ? job->assets_dir : "",
                          .slug = job->slug,
                          .device = state->device,
                          .job = job->id,
                          .attempt = job->attempt,
                          .params = t->params};
    int32_t rc = words_make(&t->words, &t->settings, &scope, environ, err);
    return rc < 0 ? rc : words_program(&t->words, job->settings_dir, t->program, sizeof t->program, err);
}

static int32_t start(struct task *t, const struct bp_job *job, struct bp_err *err)
{
    struct child_spec spec = {.program = t->program,
                              .argv = t->words.argv,
                              .envp = t->words.envp,
                              .dir = t->place.dir,
                              .stdin_path = t->settings.reads_input ? t->place.inputs[0] : NULL,
                              .stdout_path = t->settings.prints_output ? t->place.output : NULL,
                              .memory_bytes = t->settings.memory_bytes,
                              .cpu_s = t->settings.cpu_s};
    struct watch *w = &t->watch;
    w->job = job;
    w->settings = &t->settings;
    w->place = &t->place;
    w->lines.settings = &t->settings;
    w->lines.log = log_line;
    w->lines.arg = (void *)(uintptr_t)job;
    return child_start(&w->child, &spec, err);
}

/* Interrupted: a later attempt goes on from what the command saved when it was told to end. */
static int32_t stopped(const struct task *t, const struct bp_job *job, struct bp_err *err)
{
    if (place_save(&t->place, job, err) < 0)
        bp_job_log(job, BP_LOG_WARN, "%s", err->text);
    return bp_error(err, BP_STOPPED, "stopped as asked");
}

static int32_t finish(struct task *t, const struct child_report *end, const struct bp_job *job, struct bp_err *err)
{
    const struct watch *w = &t->watch;
    if (w->stop == STOP_ASKED)
        return stopped(t, job, err);
    if (w->stop == STOP_TOO_LONG)
        return bp_error(err, BP_FAIL, "the command ran longer than its limit of %.1f s (%s) and was ended",
                        (double)w->limit_ms / 1000,
                        w->limit_ms == t->settings.timeout_ms ? "settings.timeoutSeconds" : "the job's timeoutSeconds");
    int32_t rc = verdict_of(end, &t->settings, &w->lines, t->program, err);
    if (rc < 0)
        return rc;
    rc = place_hand_over(&t->place, job, err);
    if (rc == BP_NOTFOUND) /* a workflow whose result is not a file names none */
        return t->settings.output || t->settings.prints_output ? verdict_code(t->settings.otherwise) : BP_OK;
    return rc;
}

static int32_t run(void *state, const struct bp_job *job, struct bp_err *err)
{
    struct child_report end;
    if (!BP_HAS(job, slug) || !BP_HAS(job, settings) || !BP_HAS(job, settings_dir))
        return bp_error(err, BP_UNSUPPORTED, "this worker's bpd is older than templates: bring it up to date");
    struct task *t = calloc(1, sizeof *t);
    if (!t)
        return bp_error(err, BP_NOMEM, "no memory for the job");
    int32_t rc = prepare(t, state, job, err);
    rc = rc < 0 ? rc : start(t, job, err);
    if (rc == BP_OK) {
        watch_run(&t->watch, &end);
        rc = finish(t, &end, job, err);
    }
    words_free(&t->words);
    json_object_put(t->params);
    settings_close(&t->settings);
    free(t);
    return rc;
}

static int32_t open_exec(void *inst, const struct bp_device *dev, void **state, struct bp_err *err)
{
    static struct state one;
    (void)inst, (void)err;
    one.device = dev->kind == BP_DEVICE_CUDA ? "cuda" : "cpu";
    *state = &one;
    return BP_OK;
}

static void close_exec(void *state)
{
    (void)state;
}

BP_WORKFLOW("exec", .open = open_exec, .run = run, .close = close_exec, .check = exec_check)
