/* SPDX-License-Identifier: Apache-2.0 */
/* runner.c - the worker's one runner: kept from job to job while it is sound and serves the same plugin file. */
#include "log/err.h"
#include "log/log.h"
#include "pluginfile/asset.h"
#include "spawn/scratch.h"
#include "worker/attempt.h"
#include "worker/worker_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Said once a process: it is the kernel's, and the same for every runner. */
static void warn_open(const char *open)
{
    static char said[512];
    if (*open && strcmp(said, open) != 0)
        log_warn(LOG_WORKER, "the sandbox of runners has gaps here: %s", open);
    snprintf(said, sizeof(said), "%s", open);
}

static void on_ready(const char *device, const char *device_name, const char *open, void *arg)
{
    struct worker *w = arg;
    warn_open(open);
    log_info(LOG_WORKER, "runner of %s is ready on %s (%s)", w->runner_plugin, device, device_name);
    if (w->attempt)
        attempt_runner_ready(w->attempt);
}

static void on_progress(double fraction, const char *text, void *arg)
{
    struct worker *w = arg;
    if (w->attempt)
        attempt_progress(w->attempt, fraction, text);
}

static void on_checkpoint(void *arg)
{
    struct worker *w = arg;
    if (w->attempt)
        attempt_checkpoint_saved(w->attempt);
}

/* A candidate's fault is no fault of what serves. */
static void count_fault(struct worker *w, const char *why)
{
    if (!w->attempt || !attempt_is_trying(w->attempt))
        host_workflow_fault(w->host, w->runner_slug, w->runner_sha, w->attempt ? attempt_job(w->attempt) : 0, why);
}

static void on_result(int rc, const char *text, int spent, void *arg)
{
    struct worker *w = arg;
    if (spent) {
        worker_runner_drop(w, 0);
        log_error(LOG_WORKER, "a runner of %s is replaced, its device is broken in it: %s", w->runner_plugin, text);
        count_fault(w, text);
    }
    if (w->attempt && spent)
        attempt_is_fault(w->attempt, w->runner_sha);
    if (w->attempt)
        attempt_result(w->attempt, rc, text);
}

static void on_gone(const char *why, int fault, void *arg)
{
    struct worker *w = arg;
    int served_others = w->runner_jobs > 1;
    worker_runner_drop(w, 0);
    /* An idle runner that ends has harmed nobody, but it should not have. */
    log_write(LOG_WORKER, w->attempt ? BP_LOG_ERROR : BP_LOG_WARN, "%s", why);
    if (fault)
        count_fault(w, why);
    if (w->attempt)
        attempt_runner_gone(w->attempt, why, fault ? w->runner_sha : NULL, served_others);
}

static const struct runner_events events = {
    .ready = on_ready, .progress = on_progress, .checkpoint = on_checkpoint, .result = on_result, .gone = on_gone};

static void leave_files(struct worker *w)
{
    scratch_remove(w->runner_dir);
    w->runner_dir[0] = '\0';
    if (w->runner_link[0])
        unlink(w->runner_link);
    w->runner_link[0] = '\0';
}

/* The host removes the file when another version came, perhaps before the runner has opened it. Not in the runner's
 * own directory, where it could be written. Without a link the file itself has to do. */
static const char *keep_file(struct worker *w)
{
    snprintf(w->runner_link, sizeof(w->runner_link), "%s.so", w->runner_dir);
    if (link(w->runner_file, w->runner_link) == 0)
        return w->runner_link;
    w->runner_link[0] = '\0';
    return w->runner_file;
}

void worker_runner_drop(struct worker *w, int politely)
{
    struct runner_child *gone = w->runner;
    w->runner = NULL;
    runner_child_free(gone, politely);
    leave_files(w);
}

#define READS_MAX 32 /* of the operator's */
#define READS_ALL (READS_MAX + ASSETS_MAX + 4)

/* What lies beside a file of workflows.d, a script of its command say. Not the whole machine, whatever a file says. */
static const char *settings_dir_of(const struct workflow *flow)
{
    return flow->settings_dir && strcmp(flow->settings_dir, "/") != 0 ? flow->settings_dir : "";
}

/* What a runner may read: its plugin, what lies with the workflow's settings, and what the operator says. out ends with
 * NULL. */
static void list_reads(struct worker *w, const struct workflow *flow, const char *out[READS_ALL])
{
    const char *const *paths;
    uint32_t n = config_strs(w->config, CONFIG_WORKER_READ_PATHS, &paths), used = 0;
    out[used++] = w->runner_link[0] ? w->runner_link : w->runner_file;
    if (*settings_dir_of(flow))
        out[used++] = settings_dir_of(flow);
    for (uint32_t i = 0; i < n && i < READS_MAX; i++)
        out[used++] = paths[i];
    used += assets_reads(w->assets, flow->slug, out + used, ASSETS_MAX + 1);
    out[used] = NULL;
}

static int64_t memory_limit(const struct worker *w)
{
    int64_t bytes = config_int(w->config, CONFIG_WORKER_JOB_MEMORY);
    return bytes > 0 ? bytes : (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 10 * 9;
}

/* A runner may run jobs of any workflow of its plugin for which this text is the same; free() it. */
static char *rules_text(const struct worker *w, const struct workflow *flow)
{
    char *text = NULL;
    if (asprintf(&text, "%s %s %s", flow->sandbox ? json_text(flow->sandbox) : "{}", settings_dir_of(flow),
                 assets_dir(w->assets, flow->slug)) < 0)
        abort();
    return text;
}

static int has_rules_of(const struct worker *w, const struct workflow *flow)
{
    char *text = rules_text(w, flow);
    int same = strcmp(w->runner_rules, text) == 0;
    free(text);
    return same;
}

static int kernels_make(const char *dir)
{
    if (mkdir(dir, 0700) == 0 || errno == EEXIST)
        return 1;
    log_warn(LOG_WORKER, "compiled kernels are not kept: make %s: %s", dir, strerror(errno));
    return 0;
}

/* Where this plugin's compiled kernels are kept, apart from other plugins': it may write there. NULL: nowhere. */
static const char *kernels_of(struct worker *w, char *out, size_t n)
{
    snprintf(out, n, "%s/%s", w->kernels_dir, w->runner_plugin);
    int keep = config_int(w->config, CONFIG_WORKER_KERNELS) > 0;
    return keep && kernels_make(w->kernels_dir) && kernels_make(out) ? out : NULL;
}

static int start(struct worker *w, const struct workflow *flow, struct bp_err *err)
{
    char kernels[4300];
    const char *write[] = {w->runner_dir, w->jobs_dir, NULL, NULL}, *read[READS_ALL];
    struct json_object *settings = json_member(config_map(w->config, CONFIG_PLUGIN_CONFIG), flow->plugin);
    if (scratch_make(w->work_dir, "runner", w->runner_dir, sizeof(w->runner_dir), err) < 0)
        return err->rc;
    snprintf(w->runner_file, sizeof(w->runner_file), "%s", flow->file);
    snprintf(w->runner_plugin, sizeof(w->runner_plugin), "%s", flow->plugin);
    snprintf(w->runner_slug, sizeof(w->runner_slug), "%s", flow->slug);
    snprintf(w->runner_sha, sizeof(w->runner_sha), "%s", flow->sha ? flow->sha : "");
    w->runner_jobs = 0;
    free(w->runner_rules);
    w->runner_rules = rules_text(w, flow);
    const char *file = keep_file(w);
    list_reads(w, flow, read);
    write[2] = kernels_of(w, kernels, sizeof(kernels));
    struct runner_child_spec spec = {
        .loop = w->loop,
        .runner = w->runner_path,
        .file = file,
        .name = w->runner_plugin,
        .device = config_str(w->config, CONFIG_WORKER_DEVICE),
        .config = settings ? json_text(settings) : "{}",
        .rules = {.write = write,
                  .read = read,
                  .sandbox = flow->sandbox,
                  .file_bytes = config_int(w->config, CONFIG_WORKER_MAX_OUTPUT),
                  .memory_bytes = memory_limit(w),
                  .disk_bytes = config_int(w->config, CONFIG_WORKER_JOB_DISK),
                  .processes = config_int(w->config, CONFIG_WORKER_JOB_PROCESSES)},
        .kernels = write[2],
        .kernels_bytes = config_int(w->config, CONFIG_WORKER_KERNELS),
        .on = events,
        .arg = w,
    };
    w->runner = runner_child_start(&spec, err);
    if (w->runner)
        return BP_LATER;
    leave_files(w);
    return err->rc;
}

int worker_runner_get(struct worker *w, const struct workflow *flow, struct bp_err *err)
{
    int same = w->runner && !strcmp(w->runner_file, flow->file) && has_rules_of(w, flow);
    if (same && runner_child_is_ready(w->runner)) {
        snprintf(w->runner_slug, sizeof(w->runner_slug), "%s", flow->slug); /* one code may serve several */
        return BP_OK;
    }
    if (same && runner_child_is_opening(w->runner))
        return BP_LATER;
    if (w->runner)
        worker_runner_drop(w, 1);
    return start(w, flow, err);
}

void worker_runner_warm_up(struct worker *w)
{
    struct bp_err err = {0};
    const struct workflow *flow = w->fleet[0] ? host_workflow(w->host, w->fleet) : NULL;
    if (!flow || flow->quarantine || w->runner || !assets_are_ready(w->assets, flow))
        return;
    if (worker_runner_get(w, flow, &err) != BP_LATER)
        log_warn(LOG_WORKER, "%s", err.text);
}
