/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/warden.h"

#include "log/err.h"
#include "runner/disk.h"
#include "runner/guard.h"
#include "runner/tree.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS     250
#define END_MS      5000
#define FILES_MAX   100000
#define THREADS_MAX 8192
#define MIB         (1024.0 * 1024.0)

struct warden {
    const struct sandbox_rules *rules;
    struct guard guard;
    pid_t child;
    int verdict_fd, line_fd, signal_fd;
    int64_t disk_max; /* of what the directories hold, 0: any */
    int status, over; /* the child's, once it is over */
    long peak_kib;
    char words[400]; /* the verdict */
};

static struct guard_told *page; /* in memory of warden and child */
static int child_line = -1;

/* ---- what went wrong, in words ---- */

static void say(struct warden *w, const char *fmt, ...) BP_PRINTF(2, 3);
static void say(struct warden *w, const char *fmt, ...)
{
    va_list ap;
    if (w->words[0])
        return; /* the first reason counts */
    va_start(ap, fmt);
    vsnprintf(w->words, sizeof(w->words), fmt, ap);
    va_end(ap);
}

static void describe_end(struct warden *w)
{
    char memory[160] = "";
    int64_t limit = w->rules->memory_bytes;
    if (limit > 0 && (double)w->peak_kib * 1024 > 0.8 * (double)limit)
        snprintf(memory, sizeof(memory),
                 ", with %.0f MiB of the %.0f MiB of memory it may use: worker.runnerMemoryBytes",
                 (double)w->peak_kib / 1024, (double)limit / MIB);
    int sig = WIFSIGNALED(w->status) ? WTERMSIG(w->status) : 0;
    if (sig == SIGKILL)
        say(w, "was killed from outside (signal 9)%s; when the kernel did it, for want of memory, its log says so",
            memory);
    else if (sig)
        say(w, "crashed: signal %d (%s)%s", sig, strsignal(sig), memory);
    else
        say(w, "exited with status %d in the middle of its work: code of a plugin returns, it does not end the process",
            WEXITSTATUS(w->status));
}

/* ---- limits ---- */

static void look_at_memory(struct warden *w)
{
    struct tree_usage u;
    tree_measure(getpid(), &u);
    if (w->rules->memory_bytes > 0 && u.memory_bytes > w->rules->memory_bytes)
        say(w, "used %.0f MiB of memory, more than the %.0f MiB it may (worker.runnerMemoryBytes)",
            (double)u.memory_bytes / MIB, (double)w->rules->memory_bytes / MIB);
    if (u.threads > THREADS_MAX)
        say(w, "ran %lld threads at once, more than %d", (long long)u.threads, THREADS_MAX);
    if (w->disk_max <= 0)
        return;
    struct disk_usage d;
    disk_measure(w->rules->write, FILES_MAX, &d);
    if (d.files > FILES_MAX)
        say(w, "made more than %d files", FILES_MAX);
    if (d.bytes + u.unlinked_bytes > w->disk_max)
        say(w,
            "filled its temporary directory with %.0f MiB, more than the %.0f MiB it may (worker.runnerDiskBytes, "
            "and nine tenths of what was free)",
            (double)(d.bytes + u.unlinked_bytes) / MIB, (double)w->disk_max / MIB);
}

/* What is free now is there for others too: a job never gets all of it. */
static int64_t disk_limit(const struct sandbox_rules *rules)
{
    struct disk_usage d;
    if (!rules->write || !*rules->write)
        return 0;
    disk_measure(rules->write, FILES_MAX, &d);
    int64_t room = disk_free(*rules->write) / 10 * 9;
    return d.bytes + (rules->disk_bytes > 0 && rules->disk_bytes < room ? rules->disk_bytes : room);
}

/* ---- what comes in ---- */

static void take_listener(struct warden *w)
{
    char byte, room[CMSG_SPACE(sizeof(int))];
    struct iovec v = {.iov_base = &byte, .iov_len = 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    if (recvmsg(w->line_fd, &m, MSG_CMSG_CLOEXEC) == 1) {
        const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        if (c && c->cmsg_type == SCM_RIGHTS)
            memcpy(&w->guard.listener, CMSG_DATA(c), sizeof(int));
    }
    close(w->line_fd);
    w->line_fd = -1;
}

static void take_children(struct warden *w)
{
    struct signalfd_siginfo ignored;
    struct rusage used;
    int status;
    pid_t pid;
    if (read(w->signal_fd, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
        return;
    while ((pid = wait4(-1, &status, WNOHANG, &used)) > 0) {
        if (pid != w->child)
            continue;
        w->over = 1;
        w->status = status;
        w->peak_kib = used.ru_maxrss;
    }
}

static void serve_calls(struct warden *w)
{
    if (guard_serve(&w->guard) < 0) {
        close(w->guard.listener);
        w->guard.listener = -1;
    }
}

/* Until the child is over, a limit is passed, or nobody listens any more. */
static void watch(struct warden *w)
{
    int64_t look = tree_now_ms() + LOOK_MS;
    while (!w->over && !w->words[0]) {
        struct pollfd p[4] = {{.fd = w->signal_fd, .events = POLLIN},
                              {.fd = w->verdict_fd},
                              {.fd = w->line_fd, .events = POLLIN},
                              {.fd = w->guard.listener, .events = POLLIN}};
        int64_t rest = look - tree_now_ms();
        poll(p, 4, rest > 0 ? (int)rest : 0);
        if (p[1].revents)
            return;
        if (p[3].revents)
            serve_calls(w);
        if (p[2].revents)
            take_listener(w);
        if (p[0].revents)
            take_children(w);
        if (tree_now_ms() < look)
            continue;
        look_at_memory(w);
        look = tree_now_ms() + LOOK_MS;
    }
}

static int run(struct warden *w)
{
    w->disk_max = disk_limit(w->rules);
    watch(w);
    if (w->guard.listener >= 0)
        close(w->guard.listener); /* whoever waits for an answer gets an error */
    if (w->over && (!WIFEXITED(w->status) || WEXITSTATUS(w->status) != 0))
        describe_end(w);
    tree_end(END_MS);
    size_t n = strlen(w->words);
    if (w->verdict_fd >= 0 && n > 0 && write(w->verdict_fd, w->words, n) < 0)
        return 1; /* nobody listens */
    if (w->over && WIFSIGNALED(w->status)) {
        signal(WTERMSIG(w->status), SIG_DFL); /* as whoever has no verdict sees it */
        raise(WTERMSIG(w->status));
    }
    return w->over && WIFEXITED(w->status) ? WEXITSTATUS(w->status) : 1;
}

/* ---- the division ---- */

static void be_child(pid_t warden, const sigset_t *mask, int verdict_fd, int line)
{
    sigprocmask(SIG_SETMASK, mask, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != warden)
        _exit(1); /* it was gone before that */
    setpgid(0, 0);
    sandbox_first_to_go();
    if (verdict_fd >= 0)
        close(verdict_fd);
    child_line = line;
}

int warden_run(const struct sandbox_rules *rules, int verdict_fd, int talk_fd)
{
    static struct warden w;
    int line[2];
    sigset_t children, before;
    pid_t self = getpid();
    w = (struct warden){.rules = rules, .verdict_fd = verdict_fd};
    page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, &before);
    w.signal_fd = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    if (page == MAP_FAILED || w.signal_fd < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line) < 0 || (w.child = fork()) < 0) {
        fprintf(stderr, "bp-runner: divide the runner: %s\n", strerror(errno));
        return 1;
    }
    if (w.child == 0) {
        close(w.signal_fd);
        close(line[0]);
        be_child(self, &before, verdict_fd, line[1]);
        return -1;
    }
    close(line[1]);
    close(talk_fd);
    w.line_fd = line[0];
    w.guard = (struct guard){.listener = -1, .rules = rules, .root = self, .estimate = 1, .told = page};
    return run(&w);
}

int warden_give(int listener, struct bp_err *err)
{
    char byte = 0, room[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec v = {.iov_base = &byte, .iov_len = 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    int rc = BP_OK;
    if (listener >= 0) {
        m.msg_control = room;
        m.msg_controllen = sizeof(room);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &listener, sizeof(int));
        if (sendmsg(child_line, &m, 0) != 1)
            rc = err_set(err, BP_FAIL, "hand the sandbox's questions to the warden: %s", strerror(errno));
        close(listener);
    }
    close(child_line);
    child_line = -1;
    return rc;
}

const char *warden_refusals(void)
{
    static char words[256];
    static int64_t births;
    words[0] = '\0';
    if (!page)
        return words;
    if (page->births != births)
        snprintf(words, sizeof(words), " (it may not start more processes at once: worker.runnerProcesses)");
    else if (page->connect_to[0])
        snprintf(words, sizeof(words), " (its sandbox refused to connect to %.120s)", page->connect_to);
    births = page->births;
    page->connect_to[0] = '\0';
    return words;
}
