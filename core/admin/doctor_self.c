/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_self.c - the daemon's own checks: what it knows of itself, and one question each to its queue and its disk. */
#include "doctor.h"

#include "log/err.h"
#include "log/json.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define QUEUE_SLOW_MS 1000
#define LOOP_SLOW_US  100000
#define FREE_WARN     1073741824LL /* bytes */
#define FREE_FAIL     67108864LL
#define STALE_WARN_S  60 /* beyond three ticks of the scaling */
#define STALE_FAIL_S  600

/* ---- known at once ---- */

static void check_settings(struct doctor *d)
{
    struct json_object *all = config_describe(d->app->config);
    int given = 0;
    for (size_t i = 0; i < json_object_array_length(all); i++)
        given += strcmp(json_str(json_object_array_get_idx(all, i), "origin", ""), "default") != 0;
    doctor_say(d, "settings", BP_CHECK_OK, NULL, "loaded for stage %s, %d of %zu settings are given",
               config_str(d->app->config, CONFIG_STAGE), given, json_object_array_length(all));
    json_object_put(all);
}

static void check_ready(struct doctor *d)
{
    const struct app *app = d->app;
    int64_t lag = loop_lag_us(app->loop);
    if (app->draining)
        doctor_say(d, "ready", BP_CHECK_WARN, "bpd ends or was told to drain: bpctl status", "draining: no submits");
    else if (!app->ready)
        doctor_say(d, "ready", BP_CHECK_FAIL, "see bpctl plugin and bpctl log", "not ready: %s",
                   app->not_ready[0] ? app->not_ready : "still starting");
    else if (lag > LOOP_SLOW_US)
        doctor_say(d, "ready", BP_CHECK_WARN, "is the machine overloaded? The log names callbacks that take long",
                   "ready, but answers come %lld ms late", (long long)lag / 1000);
    else
        doctor_say(d, "ready", BP_CHECK_OK, NULL, "%s", app->url[0] ? app->url : "ready");
}

static void check_leadership(struct doctor *d)
{
    struct leadership l;
    dispatch_leadership(d->app->dispatch, &l);
    if (l.leads)
        doctor_say(d, "leadership", BP_CHECK_OK, NULL, "this controller leads, of %lld", (long long)l.controllers);
    else if (l.who[0])
        doctor_say(d, "leadership", BP_CHECK_OK, NULL, "%s leads; this controller stands by", l.who);
    else
        doctor_say(d, "leadership", BP_CHECK_WARN, "fleets keep their sizes until one leads; does the queue answer?",
                   "no controller leads");
}

static void check_plugins(struct doctor *d)
{
    struct json_object *all = host_describe(d->app->host);
    int running = 0;
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        char check[96], remedy[200];
        struct json_object *p = json_object_array_get_idx(all, i);
        const char *state = json_str(p, "state", ""), *name = json_str(p, "name", "");
        running += strcmp(state, "running") == 0;
        if (strcmp(state, "refused") != 0 && strcmp(state, "quarantined") != 0)
            continue;
        snprintf(check, sizeof check, "plugin %.64s", name);
        snprintf(remedy, sizeof remedy, "mend or remove its file, then: bpctl plugin reload %.64s", name);
        doctor_say(d, check, BP_CHECK_FAIL, remedy, "%s: %s", state, json_str(p, "reason", ""));
    }
    doctor_say(d, "plugins", running ? BP_CHECK_OK : BP_CHECK_FAIL, running ? NULL : "set --plugins-dir", "%d running",
               running);
    json_object_put(all);
}

static void check_services(struct doctor *d)
{
    static const char *const services[] = {"queue", "objects", "params", "fleet", "metrics", "logs", "notify"};
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        char check[64], remedy[160];
        if (bus_has_service(d->app->bus, services[i]))
            continue;
        snprintf(check, sizeof check, "service %s", services[i]);
        snprintf(remedy, sizeof remedy,
                 "name a plugin that offers it: services.%s; bpctl plugin shows what each offers", services[i]);
        doctor_say(d, check, i < 2 ? BP_CHECK_FAIL : BP_CHECK_WARN, remedy, "no running plugin offers it");
    }
}

/* A sentence "what is wrong; what to do" as a row of a fleet. */
static void say_sentence(struct doctor *d, const char *check, const char *before, const char *sentence)
{
    char text[252];
    const char *remedy = "see bpctl log; when it is mended: bpctl fleet ensure";
    snprintf(text, sizeof text, "%s", sentence);
    for (char *at = text + strlen(text); at > text; at--)
        if (strncmp(at, "; ", 2) == 0) {
            *at = 0;
            remedy = at + 2;
            break;
        }
    doctor_say(d, check, BP_CHECK_FAIL, remedy, "%s%s", before, text);
}

/* What its provider refused, image and rights among it. 1: something, and it was said. */
static int is_in_trouble(struct doctor *d, const char *check, const char *slug)
{
    struct json_object *all = fleets_describe(d->app->fleets, slug);
    struct json_object *o = json_object_array_get_idx(all, 0);
    const char *unmade = json_str(o, "unmade", ""), *error = json_str(o, "error", "");
    int bad = unmade[0] || error[0], other = error[0] && strcmp(error, unmade) != 0;
    char instances[160];
    snprintf(instances, sizeof instances, "instances %.120s", slug);
    if (unmade[0])
        say_sentence(d, check, "it cannot be made as its workflow wants it: ", unmade);
    if (other)
        say_sentence(d, unmade[0] ? instances : check, "held as it is: ", error);
    json_object_put(all);
    return bad;
}

static void check_fleet(const struct workflow *w, void *arg)
{
    struct doctor *d = arg;
    struct fleet_counts n;
    char check[160];
    int64_t tick_s = (config_int(d->app->config, CONFIG_SCALE_TICK_MS) + 999) / 1000;
    snprintf(check, sizeof check, "fleet %.120s", w->slug);
    if (!bus_has_service(d->app->bus, "fleet") || is_in_trouble(d, check, w->slug))
        return;
    if (fleet_counts(d->app->fleets, w->slug, &n) < 0) {
        doctor_say(d, check, BP_CHECK_WARN, "its size is held until then; see bpctl fleet and bpctl log",
                   "its provider has not described it yet");
        return;
    }
    int64_t age_s = (loop_now_ms(d->app->loop) - n.described_ms) / 1000, late_s = age_s - 3 * tick_s;
    int status = late_s > STALE_FAIL_S ? BP_CHECK_FAIL : late_s > STALE_WARN_S ? BP_CHECK_WARN : BP_CHECK_OK;
    doctor_say(d, check, status, status == BP_CHECK_OK ? NULL : "its size is held; see the provider's checks below",
               "%d instances run, %d wanted; described %lld s ago", n.running, n.desired,
               (long long)(age_s < 0 ? 0 : age_s));
}

/* ---- the queue ---- */

static void queue_answered(const struct dispatch_answer *a, void *arg)
{
    struct doctor *d = arg;
    int64_t ms = (mono_us() - d->began_us) / 1000;
    d->queue_answered = 1;
    if (d->call && a->rc < 0)
        doctor_say(d, "queue", BP_CHECK_FAIL, "submits and workers get 503, fleets keep their sizes until it is back",
                   "%s", a->message ? a->message : err_name(a->rc));
    else if (d->call)
        doctor_say(d, "queue", ms > QUEUE_SLOW_MS ? BP_CHECK_WARN : BP_CHECK_OK,
                   ms > QUEUE_SLOW_MS ? "is its disk or its server overloaded? See bpctl plugin" : NULL,
                   "answered in %lld ms", (long long)ms);
    doctor_heard(d);
}

static void ask_queue(struct doctor *d)
{
    d->began_us = mono_us();
    d->refs++;
    d->open++;
    dispatch_stats(d->app->dispatch, queue_answered, d);
}

/* ---- files, on the thread for them ---- */

struct look {
    char state_dir[4096], runner[4096];
    int64_t free_bytes, free_inodes;
    int disk_errno, runner_errno;
};

static int look_at_files(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct look *l = args;
    struct statvfs fs;
    (void)table, (void)inst, (void)err;
    l->disk_errno = statvfs(l->state_dir, &fs) < 0 ? errno : access(l->state_dir, W_OK) < 0 ? errno : 0;
    if (!l->disk_errno) {
        l->free_bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
        l->free_inodes = fs.f_files ? (int64_t)fs.f_favail : INT32_MAX;
    }
    l->runner_errno = access(l->runner, X_OK) < 0 ? errno : 0;
    return BP_OK;
}

static void say_disk(struct doctor *d, const struct look *l)
{
    int status = l->free_bytes < FREE_FAIL || l->free_inodes < 100 ? BP_CHECK_FAIL
                 : l->free_bytes < FREE_WARN                       ? BP_CHECK_WARN
                                                                   : BP_CHECK_OK;
    if (l->disk_errno)
        doctor_say(d, "state directory", BP_CHECK_FAIL, "give it to the user of bpd, or set state.dir", "%s: %s",
                   l->state_dir, strerror(l->disk_errno));
    else
        doctor_say(d, "state directory", status,
                   status == BP_CHECK_OK ? NULL : "free room on its file system, or move state.dir",
                   "%s: %lld MiB free", l->state_dir, (long long)(l->free_bytes >> 20));
    if (l->runner_errno)
        doctor_say(d, "runner", BP_CHECK_FAIL, "install bp-runner beside bpd, or set plugins.runner", "%s: %s",
                   l->runner, strerror(l->runner_errno));
    else
        doctor_say(d, "runner", BP_CHECK_OK, NULL, "%s", l->runner);
}

static void files_answered(void *args, const struct bp_err *err, void *arg)
{
    struct doctor *d = arg;
    if (d->call && err->rc == BP_OK) {
        d->files_answered = 1;
        say_disk(d, args);
    }
    doctor_heard(d);
}

static void ask_files(struct doctor *d)
{
    struct bp_err err = {0};
    struct look *l = calloc(1, sizeof *l);
    assert(l);
    snprintf(l->state_dir, sizeof l->state_dir, "%s", d->app->state_dir);
    snprintf(l->runner, sizeof l->runner, "%s", d->app->runner);
    struct request_spec spec = {.service = HOST_FILES_SERVICE,
                                .name = "doctor.files",
                                .run = look_at_files,
                                .args = l,
                                .args_free = free,
                                .reply = files_answered,
                                .arg = d,
                                .timeout_ms = d->budget_ms};
    d->refs++;
    d->open++;
    if (bus_request(d->app->bus, &spec, &err) < 0)
        doctor_heard(d);
}

/* ---- all ---- */

void doctor_check_self(struct doctor *d)
{
    check_settings(d);
    check_ready(d);
    check_leadership(d);
    check_plugins(d);
    check_services(d);
    host_each_workflow(d->app->host, check_fleet, d);
    ask_queue(d);
    ask_files(d);
}

void doctor_self_late(struct doctor *d)
{
    if (!d->queue_answered)
        doctor_say(d, "queue", BP_CHECK_FAIL, "is its server or its disk stuck? See bpctl plugin",
                   "no answer within %d s", d->budget_ms / 1000);
    if (!d->files_answered)
        doctor_say(d, "state directory", BP_CHECK_FAIL, "is its file system stuck?", "no answer within %d s",
                   d->budget_ms / 1000);
}
