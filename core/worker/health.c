/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/health.h"

#include "log/err.h"
#include "log/log.h"
#include "spawn/runner_spawn.h"
#include "worker/worker_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MS   60000 /* a GPU's driver takes seconds to start, where it starts */
#define AGAIN_BAD_S 60    /* what is broken is looked at again at least so often */

struct health {
    struct worker *w;
    void (*told)(struct worker *w);
    pid_t pid; /* of the check under way, 0: none */
    int pidfd, output;
    struct loop_fd *exit;
    struct loop_timer *limit, *due;
    int late;    /* it was killed for taking too long */
    int known;   /* a check since the start, and since the last doubt, is over */
    int overdue; /* a check fell due while a job ran */
    int version;
    int64_t sound_ms; /* it was found sound first, 0: not yet */
    char fault[300];  /* "" none */
    struct json_object *report;
};

static int64_t period_ms(const struct health *h)
{
    double s = config_num(h->w->config, CONFIG_WORKER_HEALTH_S);
    if (h->fault[0] && s > AGAIN_BAD_S)
        s = AGAIN_BAD_S;
    return (int64_t)(s * 1000);
}

static int is_off(const struct health *h)
{
    return config_num(h->w->config, CONFIG_WORKER_HEALTH_S) <= 0;
}

/* ---- the answer ---- */

/* What of a report the controller is told: not what changes from check to check. */
static struct json_object *digest(const struct health *h, struct json_object *full)
{
    struct json_object *o = json_object_new_object(), *warnings = json_member(full, "warnings");
    json_put_bool(o, "ok", !h->fault[0]);
    json_put_str(o, "name", json_str(full, "name", ""));
    json_put_str(o, "text", h->fault);
    if (h->sound_ms)
        json_put_int(o, "sound_ms", h->sound_ms);
    json_object_object_add(o, "warnings", warnings ? json_object_get(warnings) : json_object_new_array());
    return o;
}

static void say(const struct health *h, const char *before)
{
    if (h->fault[0] && strcmp(h->fault, before) != 0)
        log_error(LOG_WORKER, "no job is taken, for the device of this machine is broken: %s", h->fault);
    else if (!h->fault[0] && before[0])
        log_info(LOG_WORKER, "the device of this machine is sound again: jobs are taken");
}

static void conclude(struct health *h, struct json_object *full, const char *fault)
{
    char before[sizeof(h->fault)];
    memcpy(before, h->fault, sizeof(before));
    snprintf(h->fault, sizeof(h->fault), "%s", fault);
    if (!fault[0] && !h->sound_ms)
        h->sound_ms = loop_now_ms(h->w->loop);
    struct json_object *now = digest(h, full);
    if (!h->report || !json_object_equal(h->report, now))
        h->version++;
    json_object_put(h->report);
    h->report = now;
    h->known = 1;
    say(h, before);
    loop_timer_after(h->due, period_ms(h));
}

/* The JSON it printed, NULL when that is none. */
static struct json_object *read_report(int fd)
{
    char text[4096];
    struct bp_err err;
    ssize_t n = pread(fd, text, sizeof(text), 0);
    struct json_object *o = n > 0 ? json_parse(text, (size_t)n, &err) : NULL;
    if (o && json_object_is_type(o, json_type_object) && json_member(o, "ok"))
        return o;
    json_object_put(o);
    return NULL;
}

static void shut(struct health *h)
{
    loop_fd_free(h->exit);
    h->exit = NULL;
    loop_timer_cancel(h->limit);
    if (h->pidfd >= 0)
        close(h->pidfd);
    if (h->output >= 0)
        close(h->output);
    h->pidfd = h->output = -1;
    h->pid = 0;
}

static void exited(int fd, short what, void *arg)
{
    struct health *h = arg;
    int status = 0;
    char fault[300] = "";
    (void)fd, (void)what;
    if (waitpid(h->pid, &status, WNOHANG) == 0)
        return;
    struct json_object *full = read_report(h->output);
    if (h->late)
        snprintf(fault, sizeof(fault), "a check of the device did not end within %d s", ANSWER_MS / 1000);
    else if (WIFSIGNALED(status))
        snprintf(fault, sizeof(fault), "a check of the device crashed: signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else if (!full)
        snprintf(fault, sizeof(fault), "a check of the device ended with status %d and said nothing",
                 WEXITSTATUS(status));
    else if (!json_truth(full, "ok", 0))
        snprintf(fault, sizeof(fault), "%s", json_str(full, "text", "no reason was given"));
    shut(h);
    conclude(h, full, fault);
    json_object_put(full);
    h->told(h->w);
}

static void too_late(void *arg)
{
    struct health *h = arg;
    h->late = 1;
    kill(-h->pid, SIGKILL);
}

/* ---- the question ---- */

static int spawn(struct health *h)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    char **env = runner_environment(environ, h->w->work_dir);
    char *argv[] = {h->w->runner_path, "--health", (char *)config_str(h->w->config, CONFIG_WORKER_DEVICE), NULL};
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, h->output, 1);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    int rc = env ? posix_spawn(&h->pid, h->w->runner_path, &files, &attributes, argv, env) : ENOMEM;
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    free(env);
    return rc;
}

static int watch(struct health *h)
{
    h->pidfd = pidfd_open(h->pid, 0);
    if (h->pidfd >= 0)
        h->exit = loop_fd_new(h->w->loop, "worker.health", h->pidfd, EV_READ, exited, h);
    if (h->exit) {
        loop_timer_after(h->limit, ANSWER_MS);
        return 0;
    }
    int why = h->pidfd < 0 ? errno : ENOMEM;
    kill(-h->pid, SIGKILL);
    waitpid(h->pid, NULL, 0);
    return why;
}

/* 0: `told` follows. 1: it failed at once, and is concluded. */
static int begin(struct health *h)
{
    char fault[300];
    if (h->pid > 0)
        return 0;
    h->overdue = h->late = 0;
    h->output = memfd_create("bp-health", MFD_CLOEXEC);
    int why = h->output < 0 ? errno : spawn(h);
    if (!why)
        why = watch(h);
    if (!why)
        return 0;
    shut(h);
    snprintf(fault, sizeof(fault), "%.150s cannot be started to check the device: %s; set plugins.runner",
             h->w->runner_path, strerror(why));
    conclude(h, NULL, fault);
    return 1;
}

static void fell_due(void *arg)
{
    struct health *h = arg;
    if (is_off(h))
        loop_timer_after(h->due, AGAIN_BAD_S * 1000); /* it may be turned on again */
    else if (h->w->attempt)
        h->overdue = 1;
    else if (begin(h))
        h->told(h->w);
}

/* ---- for the worker ---- */

struct health *health_new(struct worker *w, void (*told)(struct worker *w), struct bp_err *err)
{
    struct health *h = calloc(1, sizeof(*h));
    if (h) {
        *h = (struct health){.w = w, .told = told, .pidfd = -1, .output = -1};
        h->limit = loop_timer_new(w->loop, "worker.health_limit", too_late, h);
        h->due = loop_timer_new(w->loop, "worker.health_due", fell_due, h);
    }
    if (h && h->limit && h->due)
        return h;
    health_free(h);
    err_set(err, BP_NOMEM, "no memory for the worker");
    return NULL;
}

void health_free(struct health *h)
{
    if (!h)
        return;
    if (h->pid > 0) {
        kill(-h->pid, SIGKILL);
        waitpid(h->pid, NULL, 0);
    }
    shut(h);
    loop_timer_free(h->limit);
    loop_timer_free(h->due);
    json_object_put(h->report);
    free(h);
}

int health_is_known(struct health *h)
{
    if (h->known || is_off(h))
        return 1;
    return begin(h);
}

int health_is_sound(const struct health *h)
{
    return is_off(h) || (h->known && !h->overdue && !h->fault[0]);
}

const char *health_fault(const struct health *h)
{
    return h->fault[0] && !is_off(h) ? h->fault : NULL;
}

void health_doubt(struct health *h)
{
    h->known = 0;
}

void health_rested(struct health *h)
{
    if (h->overdue && !is_off(h) && begin(h))
        h->told(h->w);
}

struct json_object *health_json(const struct health *h)
{
    return h->report && !is_off(h) ? json_object_get(h->report) : NULL;
}

int health_version(const struct health *h)
{
    return h->version;
}
