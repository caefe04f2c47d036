/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUSH_NS 2000000000
#define END_NS  5000000000 /* what the kernel holds in a call may take that long */

/* ---- in the command's process, before it becomes the command ---- */

static void limit(int what, int64_t value)
{
    struct rlimit now;
    if (value <= 0 || getrlimit((__rlimit_resource_t)what, &now) < 0)
        return;
    rlim_t most = (rlim_t)value < now.rlim_max ? (rlim_t)value : now.rlim_max;
    setrlimit((__rlimit_resource_t)what, &(struct rlimit){most, most});
}

/* A runner ignores signals that its commands must obey. */
static void signals_default(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int files_place(const struct keeper *k)
{
    int in = open(k->spec->stdin_path ? k->spec->stdin_path : "/dev/null", O_RDONLY);
    if (in < 0 || dup2(in, 0) < 0 || dup2(k->out_fd, 1) < 0 || dup2(k->err_fd, 2) < 0)
        return -1;
    return 0;
}

/* Only the file by which a failure is told stays open, and that closes when the command begins. */
static void files_close(int keep)
{
    if (keep > 3)
        close_range(3, (unsigned)keep - 1, 0);
    close_range((unsigned)keep + 1, ~0U, 0);
}

static void become(const struct keeper *k, int failed_fd) __attribute__((noreturn));
static void become(const struct keeper *k, int failed_fd)
{
    const struct child_spec *s = k->spec;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* should the keeper itself be killed */
    signals_default();
    limit(RLIMIT_AS, s->memory_bytes);
    limit(RLIMIT_CPU, s->cpu_s);
    if (files_place(k) == 0 && chdir(s->dir) == 0) {
        files_close(failed_fd);
        execve(s->program, s->argv, s->envp);
    }
    int why = errno;
    ssize_t n = write(failed_fd, &why, sizeof why);
    (void)n;
    _exit(127);
}

/* ---- in the keeper ---- */

static void report(const struct keeper *k, enum child_end end, int value)
{
    struct child_report r = {end, value};
    ssize_t n = write(k->report_fd, &r, sizeof r);
    (void)n;
}

/* Kills the children there are, of which those are too whose own parent has ended. No number is another process's: who
 * has died keeps it until this one takes note. */
static void kill_children(void)
{
    char text[4096];
    static const char path[] = "/proc/thread-self/children";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    for (char *p = text, *end; *p; p = end + strspn(end, " ")) {
        long pid = strtol(p, &end, 10);
        if (end == p || *end != ' ') /* the list was cut there */
            break;
        kill((pid_t)pid, SIGKILL);
    }
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Until there is no process below this one. At first without any rest: what goes on forking, each in a session of its
 * own, is faster than anybody who sleeps. */
static void end_all(pid_t group)
{
    const struct timespec rest = {0, 5000000};
    int64_t began = now_ns(), took = 0;
    kill(-group, SIGKILL);
    for (; took < END_NS; took = now_ns() - began) {
        pid_t gone;
        kill_children();
        do
            gone = waitpid(-1, NULL, WNOHANG);
        while (gone > 0);
        if (gone < 0 && errno == ECHILD)
            return;
        if (took > RUSH_NS)
            nanosleep(&rest, NULL);
    }
}

/* One order. 0: go on, -1: there is nobody any more to work for. */
static int obey(const struct keeper *k, pid_t command)
{
    char what;
    ssize_t n = read(k->control_fd, &what, 1);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -1;
    if (n == 0)
        return -1;
    kill(-command, what == KEEPER_TERM ? SIGTERM : SIGKILL);
    if (what == KEEPER_KILL)
        kill(command, SIGKILL); /* it may have left its group */
    return 0;
}

/* How the command ended; -1: still running. */
static int reap(const struct keeper *k, pid_t command)
{
    siginfo_t si;
    memset(&si, 0, sizeof si);
    if (waitid(P_PID, (id_t)command, &si, WEXITED | WNOHANG) < 0 || si.si_pid == 0)
        return -1;
    report(k, si.si_code == CLD_EXITED ? CHILD_EXITED : CHILD_SIGNALLED, si.si_status);
    return 0;
}

static void hold(const struct keeper *k, pid_t command)
{
    int pidfd = (int)syscall(SYS_pidfd_open, command, 0);
    struct pollfd fds[] = {{.fd = k->control_fd, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
    for (;;) {
        /* Without a pidfd it is looked at every 20 ms. */
        if (poll(fds, 2, pidfd < 0 ? 20 : -1) < 0 && errno != EINTR)
            return;
        if ((pidfd < 0 || fds[1].revents) && reap(k, command) == 0)
            return;
        if (fds[0].revents && obey(k, command) < 0)
            return;
    }
}

/* Waits for the command to begin; its errno when it could not. */
static int begun(int failed_fd)
{
    int why = 0;
    ssize_t n;
    do
        n = read(failed_fd, &why, sizeof why);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof why ? why : 0;
}

static void files_own(const struct keeper *k, int failed_fd)
{
    int top = k->control_fd;
    top = k->report_fd > top ? k->report_fd : top;
    top = failed_fd > top ? failed_fd : top;
    for (int fd = 0; fd < top; fd++) {
        if (fd != k->control_fd && fd != k->report_fd && fd != failed_fd)
            close(fd);
    }
    close_range((unsigned)top + 1, ~0U, 0);
}

void keeper_run(const struct keeper *k)
{
    int failed[2];
    setsid(); /* a signal to the runner's group is not for this one: it ends by control_fd */
    prctl(PR_SET_NAME, "bp-keeper", 0, 0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    signals_default();
    signal(SIGPIPE, SIG_IGN);
    if (pipe2(failed, O_CLOEXEC) < 0) {
        report(k, CHILD_NOT_STARTED, errno);
        _exit(1);
    }
    pid_t command = fork();
    if (command == 0)
        become(k, failed[1]);
    int why = command < 0 ? errno : 0;
    close(failed[1]);
    files_own(k, failed[0]);
    if (command > 0) {
        setpgid(command, command);
        why = begun(failed[0]);
    }
    close(failed[0]);
    if (why)
        report(k, CHILD_NOT_STARTED, why);
    else
        hold(k, command);
    if (command > 0)
        end_all(command);
    _exit(0);
}
