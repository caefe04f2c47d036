/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/worker.h"

#include "log/err.h"
#include "log/log.h"
#include "spawn/scratch.h"
#include "worker/attempt.h"
#include "worker/worker_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define WORKER_MAGIC 0x776f726bU

static void run_again(void *arg)
{
    struct worker *w = arg;
    w->on_again(w);
}

static int read_settings(struct worker *w, struct bp_err *err)
{
    const struct config *c = w->config;
    snprintf(w->url, sizeof(w->url), "%s", config_str(c, CONFIG_WORKER_URL));
    for (size_t n = strlen(w->url); n > 0 && w->url[n - 1] == '/'; n--)
        w->url[n - 1] = '\0';
    const char *param = config_secret_param(c, CONFIG_WORKER_SECRET);
    snprintf(w->secret_param, sizeof(w->secret_param), "%s", param ? param : "");
    snprintf(w->secret, sizeof(w->secret), "%s", param ? "" : config_str(c, CONFIG_WORKER_SECRET));
    snprintf(w->token, sizeof(w->token), "%s", config_str(c, CONFIG_WORKER_TOKEN));
    snprintf(w->fleet, sizeof(w->fleet), "%s", config_str(c, CONFIG_WORKER_FLEET));
    snprintf(w->stage, sizeof(w->stage), "%s", config_str(c, CONFIG_STAGE));
    snprintf(w->id, sizeof(w->id), "%s", config_str(c, CONFIG_WORKER_ID));
    if (!w->id[0])
        snprintf(w->id, sizeof(w->id), "worker-%08x%08x", arc4random(), arc4random());
    if (strncmp(w->url, "http://", 7) != 0 && strncmp(w->url, "https://", 8) != 0)
        return err_set(err, BP_INVALID, "worker.url is \"%.100s\": set it to the controller's http:// or https:// URL",
                       w->url);
    if (!w->secret[0] && !w->secret_param[0] && !w->token[0])
        return err_set(err, BP_INVALID,
                       "set worker.fleetSecret to register with, or worker.token as an operator gave it");
    return BP_OK;
}

/* What an earlier process left behind is of no use: its leases are over. */
static int make_work_dir(struct worker *w, const char *state_dir, struct bp_err *err)
{
    if ((size_t)snprintf(w->work_dir, sizeof(w->work_dir), "%s/work", state_dir) >= sizeof(w->work_dir) - 64)
        return err_set(err, BP_INVALID, "state.dir is too long: %.100s...", state_dir);
    snprintf(w->jobs_dir, sizeof(w->jobs_dir), "%s/jobs", w->work_dir);
    scratch_remove(w->work_dir);
    if ((mkdir(w->work_dir, 0700) < 0 && errno != EEXIST) || (mkdir(w->jobs_dir, 0700) < 0 && errno != EEXIST))
        return err_set(err, errno == ENOSPC ? BP_NOSPACE : BP_IO, "make %s: %s", w->jobs_dir, strerror(errno));
    return BP_OK;
}

static int make_parts(struct worker *w, const char *state_dir, struct bp_err *err)
{
    w->http = http_client_new(w->loop, w->url, config_str(w->config, CONFIG_WORKER_CA), err);
    if (!w->http)
        return err->rc;
    w->health = health_new(w, worker_health_checked, err);
    if (!w->health)
        return err->rc;
    w->assets = assets_new(w, state_dir, err);
    if (!w->assets)
        return err->rc;
    w->link = calloc(1, sizeof(*w->link));
    w->again = loop_timer_new(w->loop, "worker.again", run_again, w);
    w->renew = loop_timer_new(w->loop, "worker.renew", worker_renew, w);
    if (!w->link || !w->again || !w->renew)
        return err_set(err, BP_NOMEM, "no memory for the worker");
    *w->link = (struct worker_link){.worker = w, .refs = 1};
    return BP_OK;
}

struct worker *worker_new(const struct worker_spec *spec, struct bp_err *err)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w) {
        err_set(err, BP_NOMEM, "no memory for the worker");
        return NULL;
    }
    w->magic = WORKER_MAGIC;
    w->loop = bus_loop(spec->bus);
    w->bus = spec->bus;
    w->host = spec->host;
    w->config = spec->config;
    w->ended = spec->ended;
    w->arg = spec->arg;
    w->phase = WORKER_NEW;
    snprintf(w->runner_path, sizeof(w->runner_path), "%s", spec->runner);
    snprintf(w->kernels_dir, sizeof(w->kernels_dir), "%.4000s/kernels", spec->state_dir);
    int rc = read_settings(w, err);
    rc = rc ? rc : make_work_dir(w, spec->state_dir, err);
    rc = rc ? rc : make_parts(w, spec->state_dir, err);
    if (rc < 0) {
        worker_free(w);
        return NULL;
    }
    return w;
}

void worker_start(struct worker *w)
{
    assert(w->magic == WORKER_MAGIC && w->phase == WORKER_NEW);
    if (worker_is_stopping(w))
        return;
    worker_watch_notices(w);
    worker_watch_plugins(w);
    worker_identify(w);
}

const char *worker_id(const struct worker *w)
{
    return w->phase == WORKER_NEW || w->phase == WORKER_IDENTIFYING ? NULL : w->id;
}

void worker_attempt_ended(struct worker *w)
{
    struct attempt *gone = w->attempt;
    w->attempt = NULL;
    attempt_free(gone);
    if (worker_take(w)) {
        if (worker_is_stopping(w)) /* told so while the report was on its way */
            attempt_interrupt(w->attempt, w->stop_reason, w->stop_deadline_ms - mono_ms());
    } else if (worker_is_stopping(w)) {
        worker_leave(w);
    } else if (!w->token[0]) {
        api_cancel(&w->renewal);
        loop_timer_cancel(w->renew);
        worker_register(w);
    } else if (w->unable) {
        w->unable = 0;
        worker_poll_later(w, backoff_next_ms(&w->unable_backoff, 0));
    } else {
        worker_poll(w);
        health_rested(w->health);
    }
}

/* ---- the end ---- */

void worker_end(struct worker *w)
{
    if (w->phase == WORKER_ENDED)
        return;
    w->phase = WORKER_ENDED;
    api_cancel(&w->call);
    api_cancel(&w->renewal);
    loop_timer_cancel(w->again);
    loop_timer_cancel(w->renew);
    if (w->hold)
        loop_timer_cancel(w->hold);
    loop_timer_free(w->deadline);
    w->deadline = NULL;
    if (w->attempt)
        log_warn(LOG_WORKER, "the time to leave is over: the job held is left to its lease's end");
    attempt_free(w->attempt);
    w->attempt = NULL;
    worker_runner_drop(w, 1);
    log_info(LOG_WORKER, "%s has left (%s)", w->id, w->stop_reason);
    w->ended(0, w->arg);
}

void worker_leave(struct worker *w)
{
    w->phase = WORKER_LEAVING;
    /* A token that an operator gave, without a secret to register again with, must survive. */
    if (w->token[0] && w->secret[0])
        worker_deregister(w);
    else
        worker_release_instance(w);
}

static void out_of_time(void *arg)
{
    worker_end(arg);
}

static void leave_soon(void *arg)
{
    struct worker *w = arg;
    if (w->attempt)
        attempt_interrupt(w->attempt, w->stop_reason, w->stop_deadline_ms - mono_ms());
    else
        worker_leave(w);
}

void worker_stop(struct worker *w, const char *reason, int64_t grace_ms)
{
    assert(w->magic == WORKER_MAGIC);
    ASSERT_LOOP(w->loop);
    if (worker_is_stopping(w))
        return;
    snprintf(w->stop_reason, sizeof(w->stop_reason), "%s", reason);
    w->stop_deadline_ms = mono_ms() + grace_ms;
    log_info(LOG_WORKER, "stopping (%s), at most %.1f s", reason, (double)grace_ms / 1000);
    if (w->notice)
        loop_timer_cancel(w->notice);
    api_cancel(&w->call);
    /* From the loop, so that `ended` is never called before this returned. */
    w->on_again = leave_soon;
    loop_timer_after(w->again, 0);
    w->deadline = loop_timer_new(w->loop, "worker.deadline", out_of_time, w);
    if (w->deadline)
        loop_timer_after(w->deadline, grace_ms > 0 ? grace_ms : 1);
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    attempt_free(w->attempt);
    api_cancel(&w->call);
    api_cancel(&w->renewal);
    worker_runner_drop(w, 0);
    runner_child_reap_all();
    assets_free(w->assets);
    health_free(w->health);
    bus_unsubscribe(w->plugins);
    loop_timer_free(w->again);
    loop_timer_free(w->renew);
    loop_timer_free(w->notice);
    loop_timer_free(w->hold);
    loop_timer_free(w->deadline);
    http_client_free(w->http);
    if (w->link) {
        w->link->worker = NULL;
        if (--w->link->refs == 0)
            free(w->link);
    }
    scratch_remove(w->work_dir);
    free(w->runner_rules);
    free(w->registered);
    free(w->identity);
    json_object_put(w->told);
    json_object_put(w->next);
    explicit_bzero(w->secret, sizeof(w->secret));
    explicit_bzero(w->token, sizeof(w->token));
    w->magic = 0;
    free(w);
}
