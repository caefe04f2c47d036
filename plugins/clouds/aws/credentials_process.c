/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credentials_process.c - what a program of the operator's prints. It is run without a shell, in a session of its own,
 * with no file of ours open; its output is bounded, its time too, and then the whole session is killed. What it says on
 * its standard error may hold secrets and goes nowhere.
 */
#include "credentials_priv.h"

#include "err.h"
#include "wipe.h"
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMAND_MAX 4096
#define WORDS_MAX   64
#define OUTPUT_MAX  65536

extern char **environ;

struct process {
    struct source base;
    char profile[64], command[COMMAND_MAX];
    int timeout_ms;
};

/* ---- words ---- */

/* One word from *in on, written over the line itself; *in moves behind it. 0: a quote is open. */
static int take_word(char **in, char **word)
{
    char *from = *in, *to = *in, quote = 0;
    *word = to;
    for (; *from && (quote || !strchr(" \t\r\n", *from)); from++) {
        if (quote ? *from == quote : *from == '"' || *from == '\'')
            quote = quote ? 0 : *from;
        else if (*from == '\\' && quote != '\'' && from[1])
            *to++ = *++from;
        else
            *to++ = *from;
    }
    int more = *from != 0;
    *to = '\0';
    *in = from + more;
    return !quote;
}

int process_words(char *line, char **words, int most)
{
    int n = 0;
    for (char *in = line; *(in += strspn(in, " \t\r\n"));)
        if (n == most || !take_word(&in, &words[n++]))
            return -1;
    return n ? n : -1;
}

/* ---- the child ---- */

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int spawn_attributes(posix_spawnattr_t *at)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int rc = posix_spawnattr_init(at);
    if (rc)
        return rc;
    posix_spawnattr_setsigmask(at, &none);
    posix_spawnattr_setsigdefault(at, &all);
    return posix_spawnattr_setflags(at, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

/* Nothing of ours but the pipe to write to. */
static int spawn_files(posix_spawn_file_actions_t *fa, int out)
{
    int rc = posix_spawn_file_actions_init(fa);
    if (rc)
        return rc;
    rc = posix_spawn_file_actions_adddup2(fa, out, STDOUT_FILENO);
    rc = rc ? rc : posix_spawn_file_actions_addopen(fa, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    rc = rc ? rc : posix_spawn_file_actions_addopen(fa, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    return rc ? rc : posix_spawn_file_actions_addclosefrom_np(fa, STDERR_FILENO + 1);
}

/* 0 or errno. */
static int spawn(char **words, int out, pid_t *pid)
{
    posix_spawnattr_t at;
    posix_spawn_file_actions_t fa;
    int rc = spawn_attributes(&at);
    if (rc)
        return rc;
    rc = spawn_files(&fa, out);
    if (!rc)
        rc = posix_spawnp(pid, words[0], &fa, &at, words, environ);
    posix_spawn_file_actions_destroy(&fa);
    posix_spawnattr_destroy(&at);
    return rc;
}

/* All that the child prints until it ends that or the time is over: its length, -1 time, -2 too much. */
static ssize_t collect(int fd, char *out, size_t size, int64_t until_ms)
{
    size_t n = 0;
    for (;;) {
        int64_t left = until_ms - mono_ms();
        struct pollfd p = {fd, POLLIN, 0};
        int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return -1;
        ssize_t k = read(fd, out + n, size - n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            out[n] = '\0';
            return (ssize_t)n;
        }
        if ((n += (size_t)k) == size)
            return -2;
    }
}

/* How it ended, when it does within the time, else -1. Its session is killed before it is buried: until then nobody
 * else has its number. */
static int reap(pid_t pid, int64_t until_ms)
{
    int status = 0;
    siginfo_t ended = {0};
    const struct timespec rest = {0, 5000000};
    while (waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid != pid &&
           mono_ms() < until_ms)
        nanosleep(&rest, NULL);
    kill(-pid, SIGKILL);
    waitpid(pid, &status, 0);
    return ended.si_pid == pid ? status : -1;
}

static int judge(const struct process *x, ssize_t n, int status, struct bp_err *err)
{
    const char *who = x->profile;
    if (n == -2)
        return err_set(err, BP_DENIED, "credential_process of profile %.60s prints more than %d bytes", who,
                       OUTPUT_MAX);
    if (n < 0 || status < 0)
        return err_set(err, BP_LATER, "credential_process of profile %.60s did not end within %d s and was killed", who,
                       x->timeout_ms / 1000);
    if (WIFSIGNALED(status))
        return err_set(err, BP_DENIED, "credential_process of profile %.60s was ended by signal %d", who,
                       WTERMSIG(status));
    if (WEXITSTATUS(status) == 127)
        return err_set(err, BP_DENIED, "credential_process of profile %.60s could not be run (status 127)", who);
    if (WEXITSTATUS(status))
        return err_set(err, BP_DENIED,
                       "credential_process of profile %.60s ended with status %d; run it by hand as the user of bpd",
                       who, WEXITSTATUS(status));
    return 0;
}

static int run(const struct process *x, char *out, struct bp_err *err)
{
    char line[COMMAND_MAX];
    char *words[WORDS_MAX + 1];
    int ends[2];
    pid_t pid = 0;
    snprintf(line, sizeof line, "%s", x->command);
    int n_words = process_words(line, words, WORDS_MAX);
    if (n_words < 0)
        return err_set(err, BP_DENIED, "credential_process of profile %.60s is no command of at most %d words",
                       x->profile, WORDS_MAX);
    words[n_words] = NULL;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(err, BP_LATER, "credential_process of profile %.60s: no pipe: %s", x->profile, strerror(errno));
    int64_t until_ms = mono_ms() + x->timeout_ms;
    int why = spawn(words, ends[1], &pid);
    close(ends[1]);
    ssize_t n = why ? 0 : collect(ends[0], out, OUTPUT_MAX, until_ms);
    close(ends[0]);
    if (why)
        return err_set(err, BP_DENIED, "credential_process of profile %.60s: %.100s cannot be run: %s", x->profile,
                       words[0], strerror(why));
    return judge(x, n, reap(pid, n < 0 ? 0 : until_ms), err);
}

/* ---- its answer ---- */

static int version_of(const char *text)
{
    struct json_object *o = json_tokener_parse(text);
    struct json_object *v = NULL;
    if (json_object_is_type(o, json_type_object))
        json_object_object_get_ex(o, "Version", &v);
    int version = json_object_is_type(v, json_type_int) ? json_object_get_int(v) : 0;
    json_wipe(o);
    json_object_put(o);
    return version;
}

static int fetch(struct source *s, struct aws_creds *out, struct bp_err *err)
{
    const struct process *x = (const struct process *)s;
    struct bp_err why = {0};
    char *text = malloc(OUTPUT_MAX + 1);
    if (!text)
        return err_set(err, BP_NOMEM, "no memory to run credential_process of profile %.60s", x->profile);
    int rc = run(x, text, err);
    if (rc == 0 && version_of(text) != 1)
        rc = err_set(err, BP_DENIED, "credential_process of profile %.60s prints no JSON object with \"Version\": 1",
                     x->profile);
    else if (rc == 0 && creds_from_json(text, "SessionToken", out, &why) < 0)
        rc = err_set(err, BP_DENIED, "credential_process of profile %.60s: %.120s", x->profile, why.text);
    explicit_bzero(text, OUTPUT_MAX + 1);
    free(text);
    return rc;
}

static void close_source(struct source *s)
{
    free(s);
}

struct source *process_source(struct aws *a, const char *profile, const char *command, struct bp_err *err)
{
    struct process *x = source_new(a, sizeof *x, err);
    if (!x)
        return NULL;
    x->base.fetch = fetch;
    x->base.close = close_source;
    x->base.remedy = "run its credential_process by hand as the user of bpd: it must print a set and end with status 0";
    x->timeout_ms = (int)settings_int(&a->settings, "credentialProcessSeconds", 30) * 1000;
    snprintf(x->base.name, sizeof x->base.name, "credential_process of profile %.60s", profile);
    snprintf(x->profile, sizeof x->profile, "%.63s", profile);
    if (creds_copy(x->command, sizeof x->command, command))
        return &x->base;
    free(x);
    err_set(err, BP_DENIED, "credential_process of profile %.60s is longer than %d bytes", profile, COMMAND_MAX - 1);
    return NULL;
}
