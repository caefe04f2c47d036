/* SPDX-License-Identifier: Apache-2.0 */
#include "spawn/runner_spawn.h"

#include "log/err.h"
#include "log/json.h"

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
    *p = (struct runner_process){.pid = 0, .pidfd = -1, .talk_fd = -1, .text_fd = -1, .verdict_fd = -1};
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
    shut(&p->verdict_fd);
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

/* A file of ours may itself be 3 or 4, and dup2 onto itself would keep its close-on-exec flag: posix_spawn clears that.
 */
static int set_files(posix_spawn_file_actions_t *f, int talk, int verdict, int text)
{
    int rc = posix_spawn_file_actions_addopen(f, 0, "/dev/null", O_RDONLY, 0);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(f, text, 1);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(f, text, 2);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(f, talk, 3);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(f, verdict, 4);
    return rc ? rc : posix_spawn_file_actions_addclosefrom_np(f, 5);
}

/* ---- the rules, as options ---- */

#define ARGS_MAX 256

struct args {
    char *argv[ARGS_MAX + 1];
    int n;
    char numbers[4][32];
};

static void add(struct args *a, const char *arg)
{
    if (a->n < ARGS_MAX)
        a->argv[a->n++] = (char *)(uintptr_t)arg;
}

static void add_paths(struct args *a, const char *option, const char *const *paths)
{
    for (; paths && *paths; paths++) {
        add(a, option);
        add(a, *paths);
    }
}

static void add_sandbox(struct args *a, struct json_object *sandbox)
{
    struct json_object *reads = json_member(sandbox, "read");
    if (!strcmp(json_str(sandbox, "network", "none"), "loopback"))
        add(a, "--loopback");
    if (json_truth(sandbox, "exec", 0))
        add(a, "--exec");
    for (size_t i = 0; reads && i < json_object_array_length(reads); i++) {
        add(a, "--read");
        add(a, json_object_get_string(json_object_array_get_idx(reads, i)));
    }
}

static void args_make(struct args *a, const char *runner, const struct runner_rules *r)
{
    const struct {
        const char *option;
        int64_t value;
    } numbers[] = {{"--file-bytes", r->file_bytes},
                   {"--memory-bytes", r->memory_bytes},
                   {"--disk-bytes", r->disk_bytes},
                   {"--processes", r->processes}};
    *a = (struct args){.n = 0};
    add(a, runner);
    add(a, "--serve");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        snprintf(a->numbers[i], sizeof(a->numbers[i]), "%lld", (long long)numbers[i].value);
        add(a, numbers[i].option);
        add(a, a->numbers[i]);
    }
    add_sandbox(a, r->sandbox);
    add_paths(a, "--write", r->write);
    add_paths(a, "--read", r->read);
}

/* ---- the process ---- */

/* theirs: its ends of talk, verdict and text. */
static int spawn(pid_t *pid, char *const *argv, char **env, const int theirs[3])
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    int rc = set_attributes(&attributes);
    rc = rc ? rc : set_files(&files, theirs[0], theirs[1], theirs[2]);
    rc = rc ? rc : posix_spawn(pid, argv[0], &files, &attributes, argv, env);
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

/* Files above those that the child's are put on, so that none is overwritten before it is put in its place. */
static int lift(int fd)
{
    int higher = fd >= 0 && fd < 8 ? fcntl(fd, F_DUPFD_CLOEXEC, 8) : fd;
    if (higher != fd)
        close(fd);
    return higher;
}

/* ours and theirs: talk, verdict, text. */
static int open_files(int ours[3], int theirs[3])
{
    int pair[2];
    for (int i = 0; i < 3; i++)
        ours[i] = theirs[i] = -1;
    for (int i = 0; i < 3; i++) {
        if ((i == 0 ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) : pipe2(pair, O_CLOEXEC)) < 0)
            return -1;
        ours[i] = pair[0];
        theirs[i] = lift(pair[1]);
        fcntl(ours[i], F_SETFL, O_NONBLOCK);
        if (theirs[i] < 0)
            return -1;
    }
    return 0;
}

int runner_process_start(struct runner_process *p, const char *runner, const struct runner_rules *rules,
                         struct bp_err *err)
{
    int ours[3], theirs[3], why;
    struct args args;
    char **env = runner_environment(environ, rules->write[0]);
    int rc = BP_OK;
    args_make(&args, runner, rules);
    if (open_files(ours, theirs) < 0 || !env)
        rc = err_set(err, BP_FAIL, "open a connection to a runner: %s", strerror(errno));
    else if ((why = spawn(&p->pid, args.argv, env, theirs)) != 0)
        rc = err_set(err, BP_FAIL, "start %s: %s", runner, strerror(why));
    free(env);
    for (int i = 0; i < 3; i++)
        shut(&theirs[i]);
    p->talk_fd = ours[0];
    p->verdict_fd = ours[1];
    p->text_fd = ours[2];
    if (rc == BP_OK)
        rc = open_pidfd(p, err);
    else
        p->pid = 0;
    if (rc < 0)
        runner_process_close(p);
    return rc;
}
