/* SPDX-License-Identifier: Apache-2.0 */
#include "agent.h"

#include "about.h"
#include "host/host.h"
#include "log/err.h"
#include "log/log.h"
#include "log_forward.h"
#include "logging.h"
#include "paths.h"
#include "sd_notify.h"
#include "state_dir.h"
#include "worker/worker.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct agent {
    struct loop *loop;
    struct bus *bus;
    struct config *config;
    struct host *host;
    struct worker *worker;
    struct log_forward *forward;
    const struct options *options;
    char state_dir[4096], runner[4096], own_plugins[4096];
    int exit_status;
    int stopping;
};

static void host_stopped(void *arg)
{
    struct agent *a = arg;
    loop_stop(a->loop);
}

static void logs_are_out(void *arg)
{
    struct agent *a = arg;
    host_stop(a->host, host_stopped, a);
}

static void worker_ended(int exit_status, void *arg)
{
    struct agent *a = arg;
    a->exit_status = exit_status;
    log_forward_end(a->forward, logs_are_out, a);
}

static void on_stop_signal(int signo, void *arg)
{
    struct agent *a = arg;
    log_info(LOG_WORKER, "signal %d: handing back what runs, then ending", signo);
    if (a->stopping++)
        return;
    sd_notify_send("STOPPING=1");
    worker_stop(a->worker, "sigterm", (int64_t)(config_num(a->config, CONFIG_SHUTDOWN_GRACE_S) * 1000));
}

static void on_hangup(int signo, void *arg)
{
    (void)signo;
    struct agent *a = arg;
    struct bp_err err;
    if (logging_open(a->config, &err) < 0)
        log_warn(LOG_WORKER, "%s", err.text);
}

static void host_settled(void *arg)
{
    struct agent *a = arg;
    if (a->stopping)
        return;
    worker_start(a->worker);
    sd_notify_send("READY=1");
}

static int open_host(struct agent *a, struct bp_err *err)
{
    char workflows_dir[4200];
    const char *dirs[OPTIONS_MAX];
    uint32_t n = about_plugins_dirs(a->options, a->config, a->own_plugins, sizeof a->own_plugins, dirs);
    about_workflows_dir(a->options, a->config, dirs[0], workflows_dir, sizeof workflows_dir);
    struct about about = {.role = "worker",
                          .url = config_str(a->config, CONFIG_WORKER_URL),
                          .stage = config_str(a->config, CONFIG_STAGE),
                          .state_dir = a->state_dir,
                          .instance_id = config_str(a->config, CONFIG_WORKER_ID),
                          .fleet = config_str(a->config, CONFIG_WORKER_FLEET),
                          .plugins_dirs = dirs,
                          .n_plugins_dirs = n,
                          .workflows_dir = workflows_dir};
    char *text = about_json(&about);
    struct host_spec spec = {.bus = a->bus,
                             .config = a->config,
                             .role = HOST_WORKER,
                             .state_dir = a->state_dir,
                             .dirs = dirs,
                             .n_dirs = n,
                             .workflows_dir = workflows_dir,
                             .runner = a->runner,
                             .about = text};
    a->host = host_new(&spec, err);
    free(text);
    return a->host ? 0 : err->rc;
}

/* The stream of this worker's lines: its id, the instance's. */
static const char *log_stream(void *arg)
{
    const struct agent *a = arg;
    return a->worker ? worker_id(a->worker) : NULL;
}

static int open_forward(struct agent *a, struct bp_err *err)
{
    char group[600];
    const char *own = config_str(a->config, CONFIG_LOG_FORWARD_GROUP),
               *fleet = config_str(a->config, CONFIG_WORKER_FLEET);
    if (*own)
        snprintf(group, sizeof group, "%s", own);
    else if (*fleet)
        snprintf(group, sizeof group, "/gpu-workers/%s", fleet);
    else
        snprintf(group, sizeof group, "/bp/%s/workers", config_str(a->config, CONFIG_STAGE));
    struct log_forward_spec spec = {.bus = a->bus, .config = a->config, .group = group, .stream = log_stream, .arg = a};
    a->forward = log_forward_new(&spec, err);
    return a->forward ? 0 : err->rc;
}

static int open_all(struct agent *a, struct bp_err *err)
{
    int rc = state_dir_open(a->config, a->state_dir, sizeof a->state_dir, err);
    if (rc < 0 || (rc = state_dir_lock(a->state_dir, err)) < 0)
        return rc;
    paths_runner(config_str(a->config, CONFIG_PLUGINS_RUNNER), a->runner, sizeof a->runner);
    a->loop = loop_new();
    a->bus = a->loop ? bus_new(a->loop) : NULL;
    if (!a->bus)
        return err_set(err, BP_NOMEM, "no memory to start");
    loop_on_signal(a->loop, SIGTERM, on_stop_signal, a);
    loop_on_signal(a->loop, SIGINT, on_stop_signal, a);
    loop_on_signal(a->loop, SIGHUP, on_hangup, a);
    if ((rc = open_forward(a, err)) < 0 || (rc = open_host(a, err)) < 0)
        return rc;
    struct worker_spec spec = {.bus = a->bus,
                               .host = a->host,
                               .config = a->config,
                               .state_dir = a->state_dir,
                               .runner = a->runner,
                               .ended = worker_ended,
                               .arg = a};
    a->worker = worker_new(&spec, err);
    return a->worker ? 0 : err->rc;
}

static void close_all(struct agent *a)
{
    if (a->worker)
        worker_free(a->worker);
    log_forward_free(a->forward);
    if (a->host)
        host_free(a->host);
    if (a->bus)
        bus_free(a->bus);
    if (a->loop)
        loop_free(a->loop);
    config_free(a->config);
}

int agent_run(const struct options *o, struct config *c)
{
    struct agent a = {.options = o, .config = c};
    struct bp_err err = {0};
    if (open_all(&a, &err) < 0) {
        log_error(LOG_WORKER, "cannot start: %s", err.text);
        close_all(&a);
        return err.rc == BP_INVALID ? 2 : 1;
    }
    host_start(a.host, host_settled, &a);
    loop_run(a.loop);
    close_all(&a);
    return a.exit_status;
}
