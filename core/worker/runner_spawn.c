/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/runner_spawn.h"

#include "log/err.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a runner may know of our environment; a name that ends in '_' stands for all that begin so. */
static const char *const passed[] = {
    "PATH",    "LANG",         "LC_ALL",        "TZ",           "LD_LIBRARY_PATH", "CUDA_",
    "NVIDIA_", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS",    "BP_CPU_",
};

static int is_passed(const char *entry)
{
    for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
        size_t n = strlen(passed[i]);
        if (!strncmp(entry, passed[i], n) && (entry[n] == '=' || passed[i][n - 1] == '_'))
            return 1;
    }
    return 0;
}

char **runner_environment(char *const *ours, const char *home)
{
    size_t n = 3, bytes = 2 * (strlen(home) + sizeof("TMPDIR="));
    for (char *const *e = ours; *e; e++) {
        if (is_passed(*e)) {
            n++;
            bytes += strlen(*e) + 1;
        }
    }
    char **env = malloc(n * sizeof(*env) + bytes);
    if (!env)
        return NULL;
    char *at = (char *)(env + n);
    size_t i = 0;
    for (char *const *e = ours; *e; e++) {
        if (is_passed(*e)) {
            env[i++] = at;
            at = stpcpy(at, *e) + 1;
        }
    }
    env[i++] = at;
    at += sprintf(at, "HOME=%s", home) + 1;
    env[i++] = at;
    sprintf(at, "TMPDIR=%s", home);
    env[i] = NULL;
    return env;
}

void runner_process_init(struct runner_process *p)
{
    *p = (struct runner_process){.pid = 0, .pidfd = -1, .talk_fd = -1, .text_fd = -1};
}

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void runner_process_close(struct runner_process *p)
{
    shut(&p->pidfd);
    shut(&p->talk_fd);
    shut(&p->text_fd);
}

/* Default signals, nothing blocked, a process group of its own: so that all of it can be killed. */
static int set_attributes(posix_spawnattr_t *a)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(a, &none);
    posix_spawnattr_setsigdefault(a, &all);
    posix_spawnattr_setpgroup(a, 0);
    return posix_spawnattr_setflags(a, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
}

/* talk may itself be 3 in us, and dup2 onto itself would keep its close-on-exec flag: posix_spawn clears that. */
static int set_files(posix_spawn_file_actions_t *f, int talk, int text)
{
    int rc = posix_spawn_file_actions_addopen(f, 0, "/dev/null", O_RDONLY, 0);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(f, text, 1);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(f, text, 2);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(f, talk, 3);
    return rc ? rc : posix_spawn_file_actions_addclosefrom_np(f, 4);
}

static int spawn(pid_t *pid, const char *runner, char **env, int64_t file_bytes, const int fds[2])
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    char limit[32];
    snprintf(limit, sizeof(limit), "%lld", (long long)file_bytes);
    char *argv[] = {(char *)runner, "--serve", "--file-bytes", limit, NULL};
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    int rc = set_attributes(&attributes);
    rc = rc ? rc : set_files(&files, fds[0], fds[1]);
    rc = rc ? rc : posix_spawn(pid, runner, &files, &attributes, argv, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

static int open_pidfd(struct runner_process *p, struct bp_err *err)
{
    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    if (p->pidfd >= 0)
        return BP_OK;
    int why = errno;
    kill(-p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
    p->pid = 0;
    return err_set(err, BP_FAIL, "watch the runner: %s", strerror(why));
}

int runner_process_start(struct runner_process *p, const char *runner, const char *home, int64_t file_bytes,
                         struct bp_err *err)
{
    int talk[2] = {-1, -1}, text[2] = {-1, -1};
    char **env = runner_environment(environ, home);
    int rc = BP_OK;
    if (!env || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk) < 0 || pipe2(text, O_CLOEXEC) < 0) {
        rc = err_set(err, BP_FAIL, "open a connection to a runner: %s", strerror(errno));
    } else {
        int why = spawn(&p->pid, runner, env, file_bytes, (const int[]){talk[1], text[1]});
        if (why)
            rc = err_set(err, BP_FAIL, "start %s: %s", runner, strerror(why));
    }
    free(env);
    shut(&talk[1]);
    shut(&text[1]);
    p->talk_fd = talk[0];
    p->text_fd = text[0];
    if (rc == BP_OK) {
        fcntl(p->talk_fd, F_SETFL, O_NONBLOCK);
        fcntl(p->text_fd, F_SETFL, O_NONBLOCK);
        rc = open_pidfd(p, err);
    } else {
        p->pid = 0;
    }
    if (rc < 0)
        runner_process_close(p);
    return rc;
}
