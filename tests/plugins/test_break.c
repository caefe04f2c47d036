/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_break.c - a workflow that breaks in the way its job says, to show what that costs: params {"mode": "segv"}, and
 * for modes that only try something {"mode": "connect", "to": "...", "port": 80}. What was tried is told as the errno
 * in the output, {"errno": 13}. Mode "work" does its work: it writes its input's size.
 */
#include <bp/job.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef T_NAME
#define T_NAME "test-break"
#endif

#define CHUNK (1024 * 1024)

struct wish {
    const struct bp_job *job;
    struct json_object *params;
};

static const char *text_of(const struct wish *w, const char *key)
{
    struct json_object *v;
    return json_object_object_get_ex(w->params, key, &v) ? json_object_get_string(v) : "";
}

static int number_of(const struct wish *w, const char *key)
{
    struct json_object *v;
    return json_object_object_get_ex(w->params, key, &v) ? json_object_get_int(v) : 0;
}

static void sleep_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
}

static void path_in(const struct wish *w, const char *name, char out[4096])
{
    snprintf(out, 4096, "%s/%s", w->job->temp_dir, name);
}

/* ---- ways to break; none comes back but those that were stopped ---- */

static int do_segv(struct wish *w)
{
    (void)w;
    volatile int *nowhere = NULL;
    return *nowhere; /* NOLINT(clang-analyzer-core.NullDereference): on purpose */
}

static int do_abort(struct wish *w)
{
    (void)w;
    abort();
}

static int do_heap(struct wish *w)
{
    (void)w;
    for (int i = 0; i < 1000; i++) {
        volatile char *block = malloc(24);
        for (int k = -16; k < 64; k++)
            block[k] = 'x';
        free((void *)(uintptr_t)block);
    }
    return 0;
}

static int do_exit(struct wish *w)
{
    (void)w;
    exit(0);
}

static int do_loop(struct wish *w)
{
    volatile uint64_t turns = 0;
    (void)w;
    while (turns < UINT64_MAX)
        turns++;
    return 0;
}

static int do_blocked_loop(struct wish *w)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    for (int i = 1; i < 65; i++)
        signal(i, SIG_IGN);
    return do_loop(w);
}

static int do_leak(struct wish *w)
{
    (void)w;
    for (int64_t i = 0; i < INT64_MAX; i++) {
        char *block = malloc(CHUNK);
        memset(block, 1, CHUNK); /* without a look at what malloc said, as leaking code does */
    }
    return 0;
}

/* Memory that no limit of a process sees. */
static int do_shared_leak(struct wish *w)
{
    char *part = malloc(CHUNK);
    (void)w;
    if (!part)
        return ENOMEM;
    memset(part, 1, CHUNK);
    for (int fd = memfd_create("leak", 0); write(fd, part, CHUNK) > 0;)
        sleep_ms(1);
    pause();
    free(part);
    return 0;
}

static int do_fork_bomb(struct wish *w)
{
    (void)w;
    int why = 0;
    for (int i = 0; i < 200; i++) {
        pid_t pid = fork();
        if (pid < 0) {
            why = errno;
            break;
        }
        if (pid == 0) {
            setsid(); /* out of any group */
            pause();
        }
    }
    return why;
}

/* Children of children, each its own session, and the parent goes on. */
static int do_orphans(struct wish *w)
{
    for (int i = 0; i < 5; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return errno;
        if (pid == 0) {
            setsid();
            if (fork() == 0)
                pause();
            _exit(0);
        }
        waitpid(pid, NULL, 0);
    }
    return number_of(w, "crash") ? do_segv(w) : 0;
}

static void *wait_for_ever(void *arg)
{
    pause();
    return arg;
}

static int do_thread_bomb(struct wish *w)
{
    pthread_t t;
    pthread_attr_t small;
    (void)w;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 16384);
    for (int i = 0; i < 20000; i++) {
        if (pthread_create(&t, &small, wait_for_ever, NULL) != 0)
            break;
    }
    sleep_ms(60000);
    return 0;
}

static int fill(int fd, int64_t bytes)
{
    static char part[CHUNK];
    for (int64_t done = 0; bytes == 0 || done < bytes; done += CHUNK) {
        if (write(fd, part, CHUNK) != CHUNK)
            return errno ? errno : EIO;
    }
    return 0;
}

static int do_fill(struct wish *w)
{
    char path[4096], name[32];
    for (int i = 0;; i++) {
        snprintf(name, sizeof(name), "fill-%d", i);
        path_in(w, name, path);
        int fd = open(path, O_WRONLY | O_CREAT, 0600);
        if (fd < 0)
            return errno;
        fill(fd, 8 * CHUNK);
        close(fd);
        sleep_ms(20);
    }
}

static int do_fill_unlinked(struct wish *w)
{
    char path[4096];
    path_in(w, "secret", path);
    for (int i = 0; i < 512; i++) {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (fd < 0)
            return errno;
        unlink(path);
        fill(fd, 8 * CHUNK);
        sleep_ms(20);
    }
    return 0;
}

static int do_big_file(struct wish *w)
{
    char path[4096];
    path_in(w, "big", path);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    return fd < 0 ? errno : fill(fd, 0);
}

/* A tree deeper than any path is long, locked. */
static int do_deep_dirs(struct wish *w)
{
    if (chdir(w->job->temp_dir) < 0)
        return errno;
    for (int i = 0; i < 500; i++) { /* 6,000 bytes of names */
        if (mkdir("a-directory", 0700) < 0 || chdir("a-directory") < 0)
            return errno;
    }
    close(open("at-the-end", O_WRONLY | O_CREAT, 0600));
    chmod(".", 0);
    return chdir("/") < 0 ? errno : do_segv(w);
}

static int do_close_files(struct wish *w)
{
    for (int fd = 0; fd < 1024; fd++)
        close(fd);
    return do_loop(w);
}

/* The plugin's own bytes on the conversation with the worker. */
static int do_garbage(struct wish *w)
{
    char noise[4096];
    (void)w;
    memset(noise, 0xff, sizeof(noise));
    while (write(3, noise, sizeof(noise)) > 0)
        ;
    pause();
    return 0;
}

static int do_kill_all(struct wish *w)
{
    int why = 0;
    (void)w;
    if (kill(getppid(), SIGKILL) < 0)
        why = errno;
    if (kill(-1, SIGKILL) < 0 && why == 0)
        why = errno;
    return why;
}

/* ---- things it may try, and come back ---- */

static int do_connect(struct wish *w)
{
    const char *to = text_of(w, "to");
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number_of(w, "port"))};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = a4.sin_port};
    int six = inet_pton(AF_INET, to, &a4.sin_addr) != 1;
    if (six && inet_pton(AF_INET6, to, &a6.sin6_addr) != 1)
        return EINVAL;
    int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        return errno;
    int bad = six ? connect(fd, (struct sockaddr *)&a6, sizeof(a6)) : connect(fd, (struct sockaddr *)&a4, sizeof(a4));
    int why = bad ? errno : 0;
    if (!bad && write(fd, "hello", 5) != 5)
        why = EPIPE;
    close(fd);
    return why;
}

static int do_fast_open(struct wish *w)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number_of(w, "port"))};
    inet_pton(AF_INET, text_of(w, "to"), &a.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ssize_t n = fd < 0 ? -1 : sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&a, sizeof(a));
    return n < 0 ? errno : 0;
}

static int do_udp(struct wish *w)
{
    (void)w;
    return socket(AF_INET, SOCK_DGRAM, 0) < 0 ? errno : 0;
}

static int do_listen(struct wish *w)
{
    (void)w;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 || listen(fd, 1) < 0 ? errno : 0;
}

static int do_unix_connect(struct wish *w)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", text_of(w, "to"));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? errno : 0;
}

/* A local socket of its own, as programs of several processes have. */
static int do_unix_own(struct wish *w)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%.90s/own.sock", w->job->temp_dir);
    int door = socket(AF_UNIX, SOCK_STREAM, 0), guest = socket(AF_UNIX, SOCK_STREAM, 0);
    if (door < 0 || guest < 0 || bind(door, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(door, 1) < 0)
        return errno;
    return connect(guest, (struct sockaddr *)&a, sizeof(a)) < 0 || accept(door, NULL, NULL) < 0 ? errno : 0;
}

static int do_read(struct wish *w)
{
    char byte;
    int fd = open(text_of(w, "to"), O_RDONLY);
    return fd < 0 || read(fd, &byte, 1) < 0 ? errno : 0;
}

static int do_write(struct wish *w)
{
    int fd = open(text_of(w, "to"), O_WRONLY | O_CREAT, 0600);
    return fd < 0 ? errno : 0;
}

static int do_exec(struct wish *w)
{
    int status = 0;
    pid_t pid = fork();
    if (pid < 0)
        return errno;
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", text_of(w, "to"), (char *)NULL);
        _exit(errno);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

static int do_signal(struct wish *w)
{
    return kill(number_of(w, "port"), 0) < 0 ? errno : 0;
}

/* The output is not a file of the job but another's. */
static int do_link_output(struct wish *w)
{
    return symlink(text_of(w, "to"), w->job->output_path) < 0 ? errno : 0;
}

static int do_pipe_output(struct wish *w)
{
    return mkfifo(w->job->output_path, 0600) < 0 ? errno : 0;
}

static const struct {
    const char *mode;
    int (*run)(struct wish *w);
    int has_output; /* its own */
} modes[] = {
    {"segv", do_segv, 0},
    {"abort", do_abort, 0},
    {"heap", do_heap, 0},
    {"exit", do_exit, 0},
    {"loop", do_loop, 0},
    {"blocked_loop", do_blocked_loop, 0},
    {"leak", do_leak, 0},
    {"shared_leak", do_shared_leak, 0},
    {"fork_bomb", do_fork_bomb, 0},
    {"orphans", do_orphans, 0},
    {"thread_bomb", do_thread_bomb, 0},
    {"fill", do_fill, 0},
    {"fill_unlinked", do_fill_unlinked, 0},
    {"big_file", do_big_file, 0},
    {"deep_dirs", do_deep_dirs, 0},
    {"close_files", do_close_files, 0},
    {"garbage", do_garbage, 0},
    {"kill_all", do_kill_all, 0},
    {"connect", do_connect, 0},
    {"fast_open", do_fast_open, 0},
    {"udp", do_udp, 0},
    {"listen", do_listen, 0},
    {"unix_connect", do_unix_connect, 0},
    {"unix_own", do_unix_own, 0},
    {"read", do_read, 0},
    {"write", do_write, 0},
    {"exec", do_exec, 0},
    {"signal", do_signal, 0},
    {"link_output", do_link_output, 1},
    {"pipe_output", do_pipe_output, 1},
};

static int32_t fail(struct bp_err *err, int32_t rc, const char *text)
{
    err->rc = rc;
    snprintf(err->text, sizeof(err->text), "%s", text);
    return rc;
}

static int32_t write_output(const struct wish *w, int tried, struct bp_err *err)
{
    FILE *f = fopen(w->job->output_path, "w");
    if (!f || fprintf(f, "{\"errno\":%d}", tried) < 0 || fclose(f) != 0)
        return fail(err, BP_IO, "write the output");
    return BP_OK;
}

static int32_t run(void *state, const struct bp_job *job, struct bp_err *err)
{
    struct wish w = {.job = job, .params = json_tokener_parse(job->params)};
    const char *mode = text_of(&w, "mode");
    int tried = 0, has_output = 0;
    (void)state;
    if (number_of(&w, "only_attempt") > 0 && number_of(&w, "only_attempt") != job->attempt)
        mode = "work";
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(modes[i].mode, mode) == 0) {
            tried = modes[i].run(&w);
            has_output = modes[i].has_output;
        }
    }
    sleep_ms(number_of(&w, "sleep_ms"));
    int32_t rc = BP_OK;
    if (tried && number_of(&w, "fail"))
        rc = fail(err, BP_IO, "it did not work");
    else if (!has_output)
        rc = write_output(&w, tried, err);
    json_object_put(w.params);
    return rc;
}

static int32_t open_job(void *inst, const struct bp_device *dev, void **state, struct bp_err *err)
{
    (void)dev, (void)err;
    *state = inst;
    return BP_OK;
}

static void close_job(void *state)
{
    (void)state;
}

static int32_t start(struct bp_self *self, const struct bp_host *host, void **inst, struct bp_err *err)
{
    (void)self, (void)host, (void)err;
    *inst = NULL;
    return BP_OK;
}

static void stop(void *inst)
{
    (void)inst;
}

static const void *facet(void *inst, const char *id)
{
    static const struct bp_job_facet job = {.size = sizeof(job), .open = open_job, .run = run, .close = close_job};
    (void)inst;
    return strcmp(id, BP_JOB_FACET) == 0 ? &job : NULL;
}

BP_EXPORT const struct bp_plugin bp_plugin_v1;
const struct bp_plugin bp_plugin_v1 = {
    .size = sizeof(bp_plugin_v1),
    .abi = BP_ABI_VERSION,
    .name = T_NAME,
    .start = start,
    .stop = stop,
    .facet = facet,
};
