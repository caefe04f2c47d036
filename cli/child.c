/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"

#include "log/err.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Its output goes to an anonymous file, so that a talkative child never blocks. */
static int spawn(pid_t *pid, const struct child_spec *spec, int input, int output)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, input, 0);
    posix_spawn_file_actions_adddup2(&files, output, 1);
    posix_spawn_file_actions_adddup2(&files, output, 2);
    posix_spawnattr_init(&how);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    int rc = posix_spawnp(pid, spec->argv[0], &files, &how, spec->argv, spec->env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    return rc;
}

static void wait_for(pid_t pid, int limit_ms, struct child_end *end)
{
    struct pollfd p = {.fd = pidfd_open(pid, 0), .events = POLLIN};
    end->timed_out = p.fd < 0 || poll(&p, 1, limit_ms) == 0;
    kill(-pid, SIGKILL); /* and whatever it may have started */
    while (waitpid(pid, &end->status, 0) < 0 && errno == EINTR)
        ;
    if (p.fd >= 0)
        close(p.fd);
}

static int open_input(const char *text)
{
    size_t n = text ? strlen(text) : 0;
    int fd = text ? memfd_create("bpctl-input", MFD_CLOEXEC) : open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || !text || (write(fd, text, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0))
        return fd;
    close(fd);
    return -1;
}

int child_run(const struct child_spec *spec, char *out, size_t n, struct child_end *end, struct bp_err *err)
{
    pid_t pid = 0;
    int output = memfd_create("bpctl-child", MFD_CLOEXEC), input = open_input(spec->input);
    int why = output < 0 || input < 0 ? errno : spawn(&pid, spec, input, output);
    out[0] = '\0';
    if (!why) {
        wait_for(pid, spec->limit_ms, end);
        off_t size = lseek(output, 0, SEEK_END), from = size > (off_t)n - 1 ? size - (off_t)n + 1 : 0;
        ssize_t got = pread(output, out, n - 1, from);
        out[got > 0 ? got : 0] = '\0';
    }
    if (output >= 0)
        close(output);
    if (input >= 0)
        close(input);
    return why ? err_set(err, BP_FAIL, "cannot run %s: %s", spec->argv[0], strerror(why)) : BP_OK;
}

void child_words(int status, char *out, size_t n)
{
    if (WIFSIGNALED(status))
        snprintf(out, n, "crashed: signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(out, n, "ended with exit status %d", WEXITSTATUS(status));
}
