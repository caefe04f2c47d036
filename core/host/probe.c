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

#define CHILD_MAX 64 /* workflows of one plugin that one child is asked about */

/* A generation that is to be proved. */
struct probe {
    struct generation *generation;
    struct probe *next;      /* of those that wait, or of its child's */
    struct child *child;     /* NULL: it waits */
    struct loop_timer *over; /* bpd stops: it waited in vain */
    /* What came of it, taken up in a turn of its own: */
    char *why; /* NULL: it is good */
    int settled, later;
};

/* A process that proves one plugin or, of a template, several workflows: what is said of each goes to `said`, "begin
 * N", then "good N" or "bad N why", N from 0. So whoever ends it by a crash is known, and the others go to the next
 * child. */
struct child {
    struct host *host;
    struct probe *list;
    pid_t pid;
    int pidfd, output, said; /* anonymous files, so that a talkative child never blocks */
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

static int is_defined(const struct probe *p)
{
    return p->generation->manifest->definition != NULL;
}

/* The manifests of workflows that files define, to be read by the child; -1: there are none, or no memory. */
static int workflows_file(const struct child *c)
{
    struct json_object *list = c->list && is_defined(c->list) ? json_object_new_array() : NULL;
    for (const struct probe *p = list ? c->list : NULL; p; p = p->next)
        json_object_array_add(list, json_object_get(p->generation->manifest->json));
    const char *text = list ? json_text(list) : NULL;
    size_t n = text ? strlen(text) : 0;
    int fd = text ? memfd_create("bp-workflows", MFD_CLOEXEC) : -1;
    if (fd >= 0 && (write(fd, text, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) < 0)) {
        close(fd);
        fd = -1;
    }
    json_object_put(list);
    return fd;
}

static int child_spawn(struct child *c, const char *runner, const char *file)
{
    char *env[PASSED + 1];
    char probe[] = "--probe", workflows[] = "--workflows";
    int text = workflows_file(c);
    char *argv[] = {(char *)(uintptr_t)runner, probe, (char *)(uintptr_t)file, text >= 0 ? workflows : NULL, NULL};
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
    posix_spawn_file_actions_adddup2(&fa, c->output, 1);
    posix_spawn_file_actions_adddup2(&fa, c->output, 2);
    if (text >= 0)
        posix_spawn_file_actions_adddup2(&fa, c->said, 3);
    posix_spawnattr_init(&at);
    posix_spawnattr_setsigmask(&at, &none);
    posix_spawnattr_setsigdefault(&at, &all);
    posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int rc = posix_spawn(&c->pid, runner, &fa, &at, argv, env);
    posix_spawn_file_actions_destroy(&fa);
    posix_spawnattr_destroy(&at);
    if (text >= 0)
        close(text);
    return rc;
}

static void child_free(struct child *c)
{
    loop_fd_free(c->exit);
    loop_timer_free(c->limit);
    if (c->pidfd >= 0)
        close(c->pidfd);
    if (c->output >= 0)
        close(c->output);
    if (c->said >= 0)
        close(c->said);
    free(c);
}

static void probe_free(struct probe *p)
{
    p->generation->probe = NULL;
    loop_timer_free(p->over);
    free(p->why);
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

static void failed_words(const struct child *c, const siginfo_t *si, char *why, size_t size)
{
    char line[PROBE_TEXT];
    last_line(c->output, line, sizeof(line));
    if (c->killed)
        snprintf(why, size, "bp-runner --probe did not load it within plugins.startTimeoutSeconds");
    else if (si->si_code != CLD_EXITED)
        snprintf(why, size, "bp-runner --probe crashed when it loaded it (signal %d, %s)", si->si_status,
                 strsignal(si->si_status));
    else
        snprintf(why, size, "%s", line[0] ? line : "bp-runner --probe cannot load it, but does not say why");
}

/* ---- what came of a child ---- */

static void next_begin(struct host *h);

/* The generation comes up, or is refused, now or (later) until it is tried again; the probe is gone. */
static void take_up(void *arg)
{
    struct probe *p = arg;
    struct generation *g = p->generation;
    const struct source *s = p->later ? source_find(g->host, g->file) : NULL;
    char *why = p->why;
    p->why = NULL;
    probe_free(p);
    if (why) {
        (s && source_is_patient(s) ? generation_refuse_for_now : generation_refuse)(g, why);
    } else {
        generation_move(g, LOADED, NULL);
        generation_ready(g);
    }
    free(why);
}

/* One child answers for many workflows: each gets a turn of the loop. why: NULL: it is good. */
static void settle(struct probe *p, const char *why, int later)
{
    p->settled = 1;
    p->later = later;
    p->why = why ? strdup(why) : NULL;
    assert(!why || p->why);
    loop_post(p->generation->host->loop, "host.probe.take_up", take_up, p);
}

/* The child's list, taken from it. */
static struct probe *take_list(struct child *c)
{
    struct probe *list = c->list;
    for (struct probe *p = list; p; p = p->next)
        p->child = NULL;
    c->list = NULL;
    return list;
}

/* The next line of what was said; "" at the end. */
static char *next_line(char **at)
{
    char *line = *at, *nl = strchr(line, '\n');
    *at = nl ? nl + 1 : line + strlen(line);
    if (nl)
        *nl = '\0';
    return nl ? line : *at; /* half a line is none */
}

static char *read_said(const struct child *c)
{
    off_t n = c->said >= 0 ? lseek(c->said, 0, SEEK_END) : 0;
    char *text = calloc(1, (size_t)(n > 0 ? n : 0) + 1);
    assert(text);
    if (n > 0 && pread(c->said, text, (size_t)n, 0) != n)
        text[0] = '\0';
    return text;
}

/*
 * Those of which it was said are settled in order; *began: was the next one begun? The first of which nothing was said.
 */
static struct probe *settle_said(struct probe *list, char *said, int *began, int *settled)
{
    char word[8];
    int number = 0, n = 0, from;
    for (char *line; *(line = next_line(&said)) && list;) {
        from = 0;
        if (sscanf(line, "%7s %d %n", word, &number, &from) < 2 || number != n)
            continue;
        *began = strcmp(word, "begin") == 0;
        if (strcmp(word, "good") != 0 && strcmp(word, "bad") != 0)
            continue;
        struct probe *p = list;
        list = p->next;
        n++;
        ++*settled;
        settle(p, word[0] == 'b' ? (from > 0 && line[from] ? line + from : "it is wrong") : NULL, 0);
    }
    return list;
}

/* To the front of those that wait, in order. */
static void put_back(struct host *h, struct probe *list)
{
    struct probe *last = list;
    while (last && last->next)
        last = last->next;
    if (last) {
        last->next = h->probes_waiting;
        h->probes_waiting = list;
    }
}

/* Who ended the child? The one it was at; or all, when it did not come so far. After a long time it may have been at
 * one of many that are not slow by themselves. */
static void settle_rest(struct child *c, struct probe *list, const siginfo_t *si, int began, int settled)
{
    char why[PROBE_TEXT + 64];
    int at_fault = began && !(c->killed && settled), all = !began && !settled;
    failed_words(c, si, why, sizeof(why));
    while (list && (all || at_fault || c->host->stopping)) {
        struct probe *p = list;
        list = p->next;
        at_fault = 0;
        settle(p, c->host->stopping ? "bpd is stopping" : why, c->killed); /* the machine may be slow, not the file */
    }
    put_back(c->host, list);
}

static void exited(int fd, short what, void *arg)
{
    struct child *c = arg;
    struct host *h = c->host;
    siginfo_t si;
    int began = 0, settled = 0;
    (void)fd, (void)what;
    memset(&si, 0, sizeof(si));
    if (waitid(P_PIDFD, (id_t)c->pidfd, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0)
        return;
    int good = si.si_code == CLD_EXITED && si.si_status == 0, defined = is_defined(c->list);
    struct probe *list = take_list(c);
    char *said = read_said(c);
    h->probes--;
    if (!defined && good) {
        settle(list, NULL, 0);
        list = NULL;
    }
    list = settle_said(list, said, &began, &settled);
    if (list)
        settle_rest(c, list, &si, began, settled);
    free(said);
    child_free(c);
    next_begin(h);
}

static void too_slow(void *arg)
{
    struct child *c = arg;
    kill(c->pid, c->killed ? SIGKILL : SIGTERM); /* told so, it takes its child and its directory with it */
    c->killed = 1;
    loop_timer_after(c->limit, PATIENCE_MS);
}

/* ---- the beginning of one ---- */

/* On error it is gone, and its list is the caller's again. */
static int begin(struct child *c, struct bp_err *err)
{
    struct host *h = c->host;
    c->output = memfd_create("bp-probe", MFD_CLOEXEC);
    c->said = is_defined(c->list) ? memfd_create("bp-probe-said", MFD_CLOEXEC) : -1;
    int rc = c->output < 0 || (is_defined(c->list) && c->said < 0)
                 ? errno
                 : child_spawn(c, h->runner, c->list->generation->copy);
    if (!rc)
        c->pidfd = pidfd_open(c->pid, 0);
    if (!rc && c->pidfd < 0) {
        rc = errno;
        kill(c->pid, SIGKILL);
        waitpid(c->pid, NULL, 0);
    }
    if (rc)
        return err_set(err, BP_FAIL, "cannot run %s to load it: %s; set plugins.runner", h->runner, strerror(rc));
    fcntl(c->pidfd, F_SETFD, FD_CLOEXEC);
    c->limit = loop_timer_new(h->loop, "host.probe.limit", too_slow, c);
    c->exit = loop_fd_new(h->loop, "host.probe", c->pidfd, EV_READ, exited, c);
    loop_timer_after(c->limit, config_int(h->config, CONFIG_PLUGINS_START_TIMEOUT_S) * 1000);
    h->probes++;
    return BP_OK;
}

static const char *beside(const struct probe *p)
{
    return json_str(p->generation->manifest->json, "settingsDir", "");
}

/* May one child answer for both? Workflows of the same code, which may read the same folder. */
static int go_together(const struct probe *a, const struct probe *b)
{
    return is_defined(a) && is_defined(b) && strcmp(a->generation->copy, b->generation->copy) == 0 &&
           strcmp(beside(a), beside(b)) == 0;
}

/* Takes from those that wait the first, and those that go with it. */
static struct child *gather(struct host *h)
{
    struct child *c = calloc(1, sizeof(*c));
    assert(c);
    c->host = h;
    c->pidfd = c->output = c->said = -1;
    struct probe **last = &c->list;
    int n = 0;
    for (struct probe **at = &h->probes_waiting; *at && n < CHILD_MAX;) {
        struct probe *p = *at;
        if (n > 0 && !go_together(c->list, p)) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        p->next = NULL;
        p->child = c;
        *last = p;
        last = &p->next;
        n++;
    }
    return c;
}

static void next_begin(struct host *h)
{
    while (h->probes_waiting && h->probes < PROBES_AT_ONCE && !h->stopping) {
        struct bp_err err = {0};
        struct child *c = gather(h);
        if (begin(c, &err) == BP_OK)
            continue;
        struct probe *list = take_list(c);
        child_free(c);
        while (list) {
            struct probe *p = list;
            list = p->next;
            settle(p, err.text, 1);
        }
    }
}

static void begin_all(void *arg)
{
    struct host *h = arg;
    h->probes_posted = 0;
    next_begin(h);
}

/* It will not be asked: bpd stops. */
static void waited_in_vain(void *arg)
{
    struct probe *p = arg;
    for (struct probe **at = &p->generation->host->probes_waiting; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    settle(p, "bpd is stopping", 0);
}

void probe_start(struct generation *g)
{
    struct host *h = g->host;
    struct probe *p = calloc(1, sizeof(*p)), **last = &h->probes_waiting;
    assert(p);
    p->generation = g;
    p->over = loop_timer_new(h->loop, "host.probe.over", waited_in_vain, p);
    g->probe = p;
    while (*last)
        last = &(*last)->next;
    *last = p;
    if (!h->probes_posted) /* the files of a directory come one after another: they go together */
        loop_post(h->loop, "host.probe.begin", begin_all, h);
    h->probes_posted = 1;
}

int probe_wait(const char *runner, const char *file, int64_t limit_ms, struct bp_err *err)
{
    char why[PROBE_TEXT + 64];
    siginfo_t si = {0};
    struct child p = {.pidfd = -1, .said = -1, .output = memfd_create("bp-probe", MFD_CLOEXEC)};
    int rc = p.output < 0 ? errno : child_spawn(&p, runner, file);
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
    struct child *c = g->probe->child;
    if (g->probe->settled)
        return; /* it is turned away in a moment */
    if (!c) {
        loop_timer_after(g->probe->over, 0);
        return;
    }
    if (!c->killed)
        kill(c->pid, SIGTERM);
    c->killed = 1;
    loop_timer_after(c->limit, PATIENCE_MS);
}
