/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include "err.h"
#include "file.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROC_TEXT_MAX 8192

/* ---- what /proc knows ---- */

/* Files of /proc have no size: read as much as there is, NUL-terminated. Returns the length or -1. */
static ssize_t proc_read(pid_t pid, const char *name, char *out, size_t n)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t got = 0;
    ssize_t r = 1;
    while (got < n - 1 && (r = read(fd, out + got, n - 1 - got)) > 0)
        got += (size_t)r;
    close(fd);
    out[got] = 0;
    return r < 0 ? -1 : (ssize_t)got;
}

/* Fields of /proc/<pid>/stat behind the name, which may hold spaces and brackets: session is 6, start time 22. */
static int proc_stat(pid_t pid, pid_t *session, uint64_t *start)
{
    char text[1024];
    int number = 3;
    if (proc_read(pid, "stat", text, sizeof text) <= 0)
        return -1;
    char *p = strrchr(text, ')');
    if (!p)
        return -1;
    char *save = NULL;
    for (char *w = strtok_r(p + 1, " ", &save); w; w = strtok_r(NULL, " ", &save), number++) {
        if (number == 6)
            *session = (pid_t)strtol(w, NULL, 10);
        if (number == 22) {
            *start = strtoull(w, NULL, 10);
            return 0;
        }
    }
    return -1;
}

static void boot_id(char out[40])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, 39);
    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = 0;
    out[strcspn(out, "\n")] = 0;
}

int process_identify(struct process *p, struct bp_err *err)
{
    pid_t session;
    if (proc_stat(p->pid, &session, &p->start) < 0)
        return err_set(err, BP_NOTFOUND, "process %d is gone", (int)p->pid);
    boot_id(p->boot);
    return 0;
}

/* Calls fn with each process number until it returns non-zero, which is returned. */
static pid_t each_process(pid_t (*fn)(pid_t pid, const void *arg), const void *arg)
{
    DIR *d = opendir("/proc");
    pid_t found = 0;
    if (!d)
        return 0;
    for (struct dirent *e; !found && (e = readdir(d));)
        if (isdigit((unsigned char)e->d_name[0]))
            found = fn((pid_t)strtol(e->d_name, NULL, 10), arg);
    closedir(d);
    return found;
}

static pid_t match_argument(pid_t pid, const void *arg)
{
    char text[PROC_TEXT_MAX], path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    if (pid == getpid() || stat(path, &st) < 0 || st.st_uid != geteuid())
        return 0;
    ssize_t n = proc_read(pid, "cmdline", text, sizeof text);
    for (ssize_t i = 0; i < n; i += (ssize_t)strlen(text + i) + 1)
        if (strcmp(text + i, arg) == 0)
            return pid;
    return 0;
}

pid_t process_find(const char *argument)
{
    return each_process(match_argument, argument);
}

/* ---- starting ---- */

static int actions_set(posix_spawn_file_actions_t *a, const struct process_spec *s)
{
    int rc = posix_spawn_file_actions_addopen(a, 0, "/dev/null", O_RDONLY, 0);
    if (!rc)
        rc = posix_spawn_file_actions_addopen(a, 1, s->output, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(a, 1, 2);
    if (!rc)
        rc = posix_spawn_file_actions_addclosefrom_np(a, 3);
    if (!rc)
        rc = posix_spawn_file_actions_addchdir_np(a, s->dir);
    return rc;
}

static int spawn(const struct process_spec *s, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    int rc = actions_set(&actions, s);
    if (!rc && !(rc = posix_spawnattr_init(&attr))) {
        posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        posix_spawnattr_setsigmask(&attr, &none);
        posix_spawnattr_setsigdefault(&attr, &all);
        rc = posix_spawn(pid, s->argv[0], &actions, &attr, s->argv, s->envp);
        posix_spawnattr_destroy(&attr);
    }
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int open_pidfd(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd; /* close-on-exec by itself */
}

int process_start(const struct process_spec *spec, struct process *out, struct bp_err *err)
{
    memset(out, 0, sizeof *out);
    out->fd = -1;
    int number = spawn(spec, &out->pid);
    if (number)
        return err_errno(err, "start", spec->argv[0], number);
    out->fd = open_pidfd(out->pid);
    if (out->fd >= 0 && process_identify(out, err) == 0)
        return 0;
    number = errno;
    kill(-out->pid, SIGKILL);
    kill(out->pid, SIGKILL);
    waitpid(out->pid, NULL, 0);
    process_close(out);
    return err_errno(err, "watch", spec->argv[0], number);
}

int process_adopt(struct process *p, struct bp_err *err)
{
    struct process now = {.pid = p->pid};
    p->fd = p->pid > 0 ? open_pidfd(p->pid) : -1;
    /* Identified after opening: whatever has the number now is what the descriptor means. */
    if (p->fd >= 0 && process_identify(&now, NULL) == 0 && now.start == p->start && strcmp(now.boot, p->boot) == 0)
        return 0;
    process_close(p);
    return err_set(err, BP_NOTFOUND, "process %d is gone", (int)p->pid);
}

void process_close(struct process *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

/* ---- ending ---- */

void process_signal(const struct process *p, int signo)
{
    if (p->fd >= 0)
        syscall(SYS_pidfd_send_signal, p->fd, signo, NULL, 0);
}

static pid_t kill_member(pid_t pid, const void *arg)
{
    pid_t session = 0;
    uint64_t start;
    pid_t leader = *(const pid_t *)arg;
    if (pid != leader && proc_stat(pid, &session, &start) == 0 && session == leader)
        kill(pid, SIGKILL);
    return 0;
}

/* The session's number cannot be given to anybody else while it has members; a leader that started at another time is
 * somebody else with that number, so there are no members. */
static void kill_session(const struct process *p)
{
    pid_t session;
    uint64_t start;
    if (proc_stat(p->pid, &session, &start) < 0 || start == p->start)
        each_process(kill_member, &p->pid);
}

void process_kill(const struct process *p)
{
    process_signal(p, SIGKILL);
    kill_session(p);
}

static int is_over(const struct process *p)
{
    struct pollfd fd = {.fd = p->fd, .events = POLLIN};
    return p->fd < 0 || poll(&fd, 1, 0) > 0;
}

int process_ended(const struct process *p, int *status)
{
    siginfo_t info = {0};
    *status = -1;
    if (!is_over(p))
        return 0;
    kill_session(p); /* before reaping: until then nobody else can get the number */
    if (p->fd >= 0 && waitid(P_PIDFD, (id_t)p->fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == p->pid)
        *status = info.si_code == CLD_EXITED ? W_EXITCODE(info.si_status, 0) : W_EXITCODE(0, info.si_status);
    return 1;
}

void process_words(int status, char *out, size_t n)
{
    if (status == -1)
        snprintf(out, n, "ended");
    else if (WIFSIGNALED(status))
        snprintf(out, n, "killed by signal %d", WTERMSIG(status));
    else
        snprintf(out, n, "exit status %d", WEXITSTATUS(status));
}

/* ---- this process ---- */

static char mark[48];

static void mark_make(void)
{
    struct process self = {.pid = getpid()};
    process_identify(&self, NULL);
    snprintf(mark, sizeof mark, "%d-%" PRIu64, (int)self.pid, self.start);
}

const char *process_mark(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, mark_make);
    return mark;
}
