/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A workflow for tests: copies its first input to the output in `steps` steps of `step_ms`, keeps a checkpoint after
 * each when told to, and at step `at_step` misbehaves as `misbehave` says (only on attempt `only_attempt`, only in
 * process `only_pid`, 0: in each). With `report` the output is a JSON text about the process instead: its environment,
 * its sockets, its open files.
 */
#include <bp/job.h>

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

struct wish {
    int64_t steps, step_ms, at_step, only_attempt, only_pid;
    int checkpoint, report;
    char misbehave[16];
};

static int32_t fail(struct bp_err *err, int32_t rc, const char *text)
{
    err->rc = rc;
    snprintf(err->text, sizeof(err->text), "%s", text);
    return rc;
}

static int64_t whole(struct json_object *o, const char *key, int64_t fallback)
{
    struct json_object *v;
    return json_object_object_get_ex(o, key, &v) ? json_object_get_int64(v) : fallback;
}

static void read_params(const char *text, struct wish *w)
{
    struct json_object *o = json_tokener_parse(text), *v;
    w->steps = whole(o, "steps", 1);
    w->step_ms = whole(o, "step_ms", 0);
    w->at_step = whole(o, "at_step", 0);
    w->only_attempt = whole(o, "only_attempt", 0);
    w->only_pid = whole(o, "only_pid", 0);
    w->checkpoint = json_object_object_get_ex(o, "checkpoint", &v) && json_object_get_boolean(v);
    w->report = json_object_object_get_ex(o, "report", &v) && json_object_get_boolean(v);
    snprintf(w->misbehave, sizeof(w->misbehave), "%s",
             json_object_object_get_ex(o, "misbehave", &v) ? json_object_get_string(v) : "none");
    json_object_put(o);
#ifdef TEST_COPY_MOOD /* a version that always misbehaves */
    snprintf(w->misbehave, sizeof(w->misbehave), "%s", TEST_COPY_MOOD);
#endif
#ifdef TEST_COPY_SLOW_MS
    w->step_ms += TEST_COPY_SLOW_MS;
#endif
}

static void sleep_ms(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
}

/* 0 when a socket of this family can be made, else the errno. */
static int socket_errno(int family)
{
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static struct json_object *open_files(void)
{
    struct json_object *list = json_object_new_array();
    DIR *d = opendir("/proc/self/fd");
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(d))
            json_object_array_add(list, json_object_new_int(atoi(e->d_name)));
    if (d)
        closedir(d);
    return list;
}

/* Name to the first bytes of each file there, and whether it may be written. */
static struct json_object *assets(const char *dir)
{
    struct json_object *o = json_object_new_object();
    DIR *d = *dir ? opendir(dir) : NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[4096], text[64] = "";
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        FILE *f = e->d_name[0] != '.' ? fopen(path, "rb") : NULL;
        if (!f)
            continue;
        text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
        fclose(f);
        f = fopen(path, "r+b");
        json_object_object_add(o, e->d_name, json_object_new_string(f ? "it may be written" : text));
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
    return o;
}

static int32_t write_report(const struct bp_job *job, int64_t resumed, struct bp_err *err)
{
    struct rlimit core;
    struct json_object *o = json_object_new_object(), *env = json_object_new_array();
    getrlimit(RLIMIT_CORE, &core);
    for (char **e = environ; *e; e++)
        json_object_array_add(env, json_object_new_string(*e));
    json_object_object_add(o, "env", env);
    json_object_object_add(o, "files", open_files());
    json_object_object_add(o, "inet", json_object_new_int(socket_errno(AF_INET)));
    json_object_object_add(o, "inet6", json_object_new_int(socket_errno(AF_INET6)));
    json_object_object_add(o, "netlink", json_object_new_int(socket_errno(AF_NETLINK)));
    json_object_object_add(o, "unix", json_object_new_int(socket_errno(AF_UNIX)));
    json_object_object_add(o, "no_new_privs", json_object_new_int(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)));
    json_object_object_add(o, "core", json_object_new_int64((int64_t)core.rlim_max));
    json_object_object_add(o, "group", json_object_new_int(getpgrp() == getpid()));
    json_object_object_add(o, "pid", json_object_new_int(getpid()));
    json_object_object_add(o, "resumed", json_object_new_int64(resumed));
    json_object_object_add(o, "attempt", json_object_new_int(job->attempt));
    json_object_object_add(o, "id", json_object_new_int64(job->id));
    json_object_object_add(o, "deadline_ms", json_object_new_int64(job->deadline_ms));
    json_object_object_add(o, "params", json_tokener_parse(job->params));
    json_object_object_add(o, "slug", json_object_new_string(job->slug));
    json_object_object_add(o, "settings", json_tokener_parse(job->settings));
    json_object_object_add(o, "settings_dir", json_object_new_string(job->settings_dir));
    json_object_object_add(o, "assets_dir", json_object_new_string(job->assets_dir));
    json_object_object_add(o, "assets", assets(job->assets_dir));
    json_object_object_add(o, "inputs", json_object_new_int((int)job->n_inputs));
    if (job->n_inputs > 0) {
        json_object_object_add(o, "mime", json_object_new_string(job->inputs[0].mime));
        json_object_object_add(o, "name", json_object_new_string(job->inputs[0].name));
    }
    int bad = json_object_to_file(job->output_path, o);
    json_object_put(o);
    return bad ? fail(err, BP_IO, "write the report") : BP_OK;
}

#ifdef TEST_COPY_LATE_S /* a version that takes its time to be loaded */
__attribute__((constructor)) static void be_late(void)
{
    sleep(TEST_COPY_LATE_S);
}
#endif

/* A replacement writes this behind its copy, so that one can tell which code ran. */
#ifndef TEST_COPY_SIGNATURE
#define TEST_COPY_SIGNATURE ""
#endif

/* A candidate that copies the second input makes whatever else a test wants of the same job. */
#ifndef TEST_COPY_INPUT
#define TEST_COPY_INPUT 0
#endif

static int32_t copy(const struct bp_job *job, struct bp_err *err)
{
    char part[65536];
    if (job->n_inputs <= TEST_COPY_INPUT)
        return fail(err, BP_BADINPUT, "there is no input to copy");
    FILE *in = fopen(job->inputs[TEST_COPY_INPUT].path, "rb"), *out = fopen(job->output_path, "wb");
    int bad = !in || !out;
    for (size_t n; !bad && (n = fread(part, 1, sizeof(part), in)) > 0;)
        bad = fwrite(part, 1, n, out) != n;
    if (out && fputs(TEST_COPY_SIGNATURE, out) < 0)
        bad = 1;
    if (in)
        fclose(in);
    if (out && fclose(out) != 0)
        bad = 1;
    return bad ? fail(err, BP_IO, "copy the input to the output") : BP_OK;
}

/* As a kernel does that reaches outside its memory, and nobody looks at what it said. */
static void break_gpu(void)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    void (*spoil)(int result) = driver ? (void (*)(int))(uintptr_t)dlsym(driver, "fakecuda_break") : NULL;
    if (spoil)
        spoil(700);
}

static int32_t misbehave(const struct bp_job *job, const struct wish *w, struct bp_err *err)
{
    if (!strcmp(w->misbehave, "crash"))
        raise(SIGKILL);
    if (!strcmp(w->misbehave, "exit"))
        _exit(7);
    while (!strcmp(w->misbehave, "hang"))
        sleep_ms(1000);
    for (int i = 0; !strcmp(w->misbehave, "flood") && i < 20000; i++)
        job->log(job->ctx, BP_LOG_INFO, "a line of the flood");
    for (int i = 0; !strcmp(w->misbehave, "repeat") && i < 25; i++) {
        job->progress(job->ctx, 0.5, "nothing new");
        sleep_ms(100);
    }
    if (!strcmp(w->misbehave, "break_gpu"))
        break_gpu();
    if (!strcmp(w->misbehave, "bad_input"))
        return fail(err, BP_BADINPUT, "the photo is not a photo");
    if (!strcmp(w->misbehave, "invalid"))
        return fail(err, BP_INVALID, "the params make no sense");
    if (!strcmp(w->misbehave, "fail"))
        return fail(err, BP_IO, "the device had a bad day");
    return BP_OK;
}

/* The step an earlier attempt had reached, 0 when it left nothing. */
static int64_t resume(const struct bp_job *job)
{
    const void *bytes;
    uint64_t n;
    char text[32] = "";
    if (job->checkpoint_load(job->ctx, &bytes, &n) != BP_OK || n >= sizeof(text))
        return 0;
    memcpy(text, bytes, n);
    return atoll(text);
}

static int32_t keep(const struct bp_job *job, int64_t step, struct bp_err *err)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%lld", (long long)step);
    return job->checkpoint_save(job->ctx, text, (uint64_t)n, err);
}

static int32_t one_step(const struct bp_job *job, const struct wish *w, int64_t step, struct bp_err *err)
{
    char words[64];
    snprintf(words, sizeof(words), "step %lld of %lld", (long long)step, (long long)w->steps);
    if (step == w->at_step && (w->only_attempt == 0 || w->only_attempt == job->attempt) &&
        (w->only_pid == 0 || w->only_pid == getpid())) {
        int32_t rc = misbehave(job, w, err);
        if (rc < 0)
            return rc;
    }
    sleep_ms(w->step_ms);
    if (w->checkpoint && keep(job, step + 1, err) < 0)
        return err->rc;
    if (job->progress(job->ctx, (double)(step + 1) / (double)w->steps, words) == BP_STOPPED)
        return fail(err, BP_STOPPED, "stopped as asked");
    return BP_OK;
}

static int32_t run(void *state, const struct bp_job *job, struct bp_err *err)
{
    (void)state;
    struct wish w;
    read_params(job->params, &w);
    int64_t first = resume(job);
    for (int64_t step = first; step < w.steps; step++) {
        int32_t rc = one_step(job, &w, step, err);
        if (rc < 0)
            return rc;
    }
    if (!strcmp(w.misbehave, "no_output"))
        return BP_OK;
    return w.report ? write_report(job, first, err) : copy(job, err);
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
    (void)err;
    host->log(self, BP_LOG_DEBUG, "test-copy starts");
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
    .name = "test-copy",
    .start = start,
    .stop = stop,
    .facet = facet,
};
