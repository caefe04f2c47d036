/* SPDX-License-Identifier: Apache-2.0 */
/* A child that loads the plugin, so that a plugin that crashes when it is loaded does not crash this process. */
#include "host/state.h"
#include "log/err.h"
#include "log/log.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBE_TEXT  200
#define PATIENCE_MS 1000 /* from being told to end to the end */

#define PROBES_AT_ONCE 4 /* a thousand workflows come up when bpd starts */

struct probe {
    struct generation *generation;
    struct probe *next; /* of those that wait */
    pid_t pid;          /* 0: it waits */
    int pidfd, output;  /* output: an anonymous file, so that a talkative child never blocks */
    struct loop_fd *exit;
    struct loop_timer *limit;
    int killed;
};

/* Only what a dynamic loader and a GPU runtime need: the daemon's environment may hold secrets. */
static const char *const passed[] = {"PATH",         "LANG",         "HOME",         "TMPDIR",       "LD_LIBRARY_PATH",
                                     "ASAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS"};
#define PASSED (sizeof(passed) / sizeof(passed[0]))

static void env_make(char *env[PASSED + 1])
{
    size_t n = 0;
    for (char **e = environ; *e && n < PASSED; e++) {
        for (size_t i = 0; i < PASSED; i++) {
            size_t len = strlen(passed[i]);
            if (strncmp(*e, passed[i], len) == 0 && (*e)[len] == '=')
                env[n++] = *e;
        }
    }
    env[n] = NULL;
}

/* The manifest of a workflow that a file defines, to be read by the child; -1: there is none, or no memory. */
static int workflow_file(const struct manifest *m)
{
    const char *text = m && m->definition ? json_text(m->json) : NULL;
    size_t n = text ? strlen(text) : 0;
    int fd = text ? memfd_create("bp-workflow", MFD_CLOEXEC) : -1;
    if (fd >= 0 && (write(fd, text, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) < 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* m: of the generation that is proved; NULL: of a candidate's. */
static int child_spawn(struct probe *p, const char *runner, const char *file, const struct manifest *m)
{
    char *env[PASSED + 1];
    char probe[] = "--probe", workflow[] = "--workflow";
    int text = workflow_file(m);
    char *argv[] = {(char *)(uintptr_t)runner, probe, (char *)(uintptr_t)file, text >= 0 ? workflow : NULL, NULL};
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t at;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    env_make(env);
    posix_spawn_file_actions_init(&fa);
    if (text >= 0)
        posix_spawn_file_actions_adddup2(&fa, text, 0);
    else
        posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&fa, p->output, 1);
    posix_spawn_file_actions_adddup2(&fa, p->output, 2);
    posix_spawnattr_init(&at);
    posix_spawnattr_setsigmask(&at, &none);
    posix_spawnattr_setsigdefault(&at, &all);
    posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int rc = posix_spawn(&p->pid, runner, &fa, &at, argv, env);
    posix_spawn_file_actions_destroy(&fa);
    posix_spawnattr_destroy(&at);
    if (text >= 0)
        close(text);
    return rc;
}

static void probe_free(struct probe *p)
{
    loop_fd_free(p->exit);
    loop_timer_free(p->limit);
    if (p->pidfd >= 0)
        close(p->pidfd);
    if (p->output >= 0)
        close(p->output);
    free(p);
}

/* The last line the child wrote: its one sentence. */
static void last_line(int fd, char *line, size_t size)
{
    char buf[4096];
    off_t end = lseek(fd, 0, SEEK_END);
    off_t from = end > (off_t)sizeof(buf) - 1 ? end - (off_t)sizeof(buf) + 1 : 0;
    ssize_t n = pread(fd, buf, sizeof(buf) - 1, from);
    buf[n > 0 ? n : 0] = '\0';
    while (n > 0 && (unsigned char)buf[n - 1] <= ' ')
        buf[--n] = '\0';
    const char *nl = n > 0 ? strrchr(buf, '\n') : NULL;
    snprintf(line, size, "%.*s", (int)size - 1, nl ? nl + 1 : buf);
}

static void failed_words(const struct probe *p, const siginfo_t *si, char *why, size_t size)
{
    char line[PROBE_TEXT];
    last_line(p->output, line, sizeof(line));
    if (p->killed)
        snprintf(why, size, "bp-runner --probe did not load it within plugins.startTimeoutSeconds");
    else if (si->si_code != CLD_EXITED)
        snprintf(why, size, "bp-runner --probe crashed when it loaded it (signal %d, %s)", si->si_status,
                 strsignal(si->si_status));
    else
        snprintf(why, size, "%s", line[0] ? line : "bp-runner --probe cannot load it, but does not say why");
}

static void next_begin(struct host *h);

static void exited(int fd, short what, void *arg)
{
    char why[PROBE_TEXT + 64];
    struct probe *p = arg;
    struct generation *g = p->generation;
    siginfo_t si;
    (void)fd, (void)what;
    memset(&si, 0, sizeof(si));
    if (waitid(P_PIDFD, (id_t)p->pidfd, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0)
        return;
    int ok = si.si_code == CLD_EXITED && si.si_status == 0;
    if (!ok)
        failed_words(p, &si, why, sizeof(why));
    probe_free(p);
    g->probe = NULL;
    g->host->probes--;
    next_begin(g->host);
    if (!ok) {
        generation_refuse(g, why);
        return;
    }
    generation_move(g, LOADED, NULL);
    generation_ready(g);
}

/* It will not be asked: bpd stops. */
static void waited_in_vain(struct probe *p)
{
    struct generation *g = p->generation;
    for (struct probe **at = &g->host->probes_waiting; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    probe_free(p);
    g->probe = NULL;
    generation_refuse(g, "bpd is stopping");
}

static void too_slow(void *arg)
{
    struct probe *p = arg;
    if (p->pid == 0) {
        waited_in_vain(p);
        return;
    }
    kill(p->pid, p->killed ? SIGKILL : SIGTERM); /* told so, it takes its child and its directory with it */
    p->killed = 1;
    loop_timer_after(p->limit, PATIENCE_MS);
}

/* On error it is gone. */
static int begin(struct probe *p, struct bp_err *err)
{
    struct generation *g = p->generation;
    struct host *h = g->host;
    p->output = memfd_create("bp-probe", MFD_CLOEXEC);
    int rc = p->output < 0 ? errno : child_spawn(p, h->runner, g->copy, g->manifest);
    if (!rc)
        p->pidfd = pidfd_open(p->pid, 0);
    if (!rc && p->pidfd < 0) {
        rc = errno;
        kill(p->pid, SIGKILL);
        waitpid(p->pid, NULL, 0);
    }
    if (rc) {
        probe_free(p);
        g->probe = NULL;
        return err_set(err, BP_FAIL, "cannot run %s to load it: %s; set plugins.runner", h->runner, strerror(rc));
    }
    fcntl(p->pidfd, F_SETFD, FD_CLOEXEC);
    p->exit = loop_fd_new(h->loop, "host.probe", p->pidfd, EV_READ, exited, p);
    loop_timer_after(p->limit, config_int(h->config, CONFIG_PLUGINS_START_TIMEOUT_S) * 1000);
    h->probes++;
    return BP_OK;
}

static void next_begin(struct host *h)
{
    while (h->probes_waiting && h->probes < PROBES_AT_ONCE && !h->stopping) {
        struct bp_err err = {0};
        struct probe *p = h->probes_waiting;
        struct generation *g = p->generation;
        h->probes_waiting = p->next;
        if (begin(p, &err) < 0)
            generation_refuse(g, err.text);
    }
}

int probe_start(struct generation *g, struct bp_err *err)
{
    struct host *h = g->host;
    struct probe *p = calloc(1, sizeof(*p)), **last = &h->probes_waiting;
    assert(p);
    p->generation = g;
    p->pidfd = p->output = -1;
    p->limit = loop_timer_new(h->loop, "host.probe.limit", too_slow, p);
    g->probe = p;
    if (h->probes < PROBES_AT_ONCE)
        return begin(p, err);
    while (*last)
        last = &(*last)->next;
    *last = p;
    return BP_OK;
}

int probe_wait(const char *runner, const char *file, int64_t limit_ms, struct bp_err *err)
{
    char why[PROBE_TEXT + 64];
    siginfo_t si = {0};
    struct probe p = {.pidfd = -1, .output = memfd_create("bp-probe", MFD_CLOEXEC)};
    int rc = p.output < 0 ? errno : child_spawn(&p, runner, file, NULL);
    if (!rc) {
        struct pollfd ended = {.fd = pidfd_open(p.pid, 0), .events = POLLIN};
        p.killed = ended.fd < 0 || poll(&ended, 1, (int)limit_ms) == 0;
        if (p.killed)
            kill(p.pid, SIGTERM);
        if (p.killed && (ended.fd < 0 || poll(&ended, 1, PATIENCE_MS) == 0))
            kill(p.pid, SIGKILL);
        while (waitid(P_PID, (id_t)p.pid, &si, WEXITED) < 0 && errno == EINTR)
            ;
        if (ended.fd >= 0)
            close(ended.fd);
        failed_words(&p, &si, why, sizeof(why));
    }
    if (p.output >= 0)
        close(p.output);
    if (rc)
        return err_set(err, BP_FAIL, "cannot run %s to load it: %s; set plugins.runner", runner, strerror(rc));
    return si.si_code == CLD_EXITED && si.si_status == 0 ? BP_OK : err_set(err, BP_INVALID, "%s", why);
}

void probe_cancel(struct generation *g)
{
    if (g->probe->pid > 0)
        kill(g->probe->pid, SIGTERM);
    loop_timer_after(g->probe->limit, g->probe->pid > 0 ? PATIENCE_MS : 0);
}
