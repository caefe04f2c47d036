/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_run.c - a workflow at work: bp-runner in its sandbox on the CPU device, as a worker starts it, with a sample
 * and the default params; twice, to see whether the result is the same and whether memory grows.
 */
#include "check.h"

#include "child.h"
#include "dispatch/mime.h"
#include "log/err.h"
#include "runner/frame.h"
#include "schema/schema.h"
#include "spawn/runner_spawn.h"
#include "transfer.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES  (16LL << 30)
#define RUNS        2
#define QUIET_MS    2000 /* a run as long as this should have told its progress */
#define GROWN_BYTES (32LL << 20)

struct runner {
    struct check *c;
    struct runner_process proc;
    struct frame_buffer in;
    int progress;   /* frames of this run */
    char said[400]; /* the last line it logged or printed */
    char output[PATH_MAX];
    int64_t run_ms[RUNS], memory[RUNS], bytes[RUNS];
    unsigned char *content; /* of the first run's output, up to COMPARE bytes */
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- what it says ---- */

/* Reads what it printed; the pipe must not fill up. */
static void hear(struct runner *r)
{
    char part[4096];
    ssize_t n;
    while ((n = read(r->proc.text_fd, part, sizeof part - 1)) > 0) {
        part[n] = '\0';
        char *save = NULL;
        for (char *line = strtok_r(part, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
            snprintf(r->said, sizeof r->said, "%s", line);
    }
}

/* The next frame of one of these types within the time, skipping others; NULL: none came. json_object_put() it. */
static struct json_object *await(struct runner *r, const char *type, const char *or_type, int64_t limit_ms, int *gone)
{
    struct bp_err err = {0};
    int64_t end = now_ms() + limit_ms;
    *gone = 0;
    for (int64_t left = limit_ms; left > 0; left = end - now_ms()) {
        struct json_object *f = NULL;
        hear(r);
        *gone = frame_receive(r->proc.talk_fd, &r->in, left < 100 ? (int)left : 100, &f, &err) < 0;
        if (*gone)
            return NULL;
        const char *is = json_str(f, "type", "");
        if (f && (strcmp(is, type) == 0 || strcmp(is, or_type) == 0))
            return f;
        r->progress += f && strcmp(is, "progress") == 0;
        if (f && strcmp(is, "log") == 0)
            snprintf(r->said, sizeof r->said, "%s", json_str(f, "text", ""));
        json_object_put(f);
    }
    return NULL;
}

/* It went away, or did not answer in time: what became of it, and its end. */
static void lost(struct runner *r, int gone, const char *doing, int64_t limit_ms)
{
    char words[120];
    int status = 0;
    hear(r);
    for (int i = 0; gone && i < 100 && waitpid(r->proc.pid, &status, WNOHANG) == 0; i++)
        usleep(10000);
    if (gone && status == 0 && waitpid(r->proc.pid, &status, WNOHANG) == 0)
        gone = 0;
    else if (gone)
        r->proc.pid = 0;
    child_words(status, words, sizeof words);
    if (gone)
        finding_add(&r->c->found, FINDING_ERROR, "run",
                    "run it under a debugger; a job that does this is tried again, and three quarantine the plugin",
                    "its process %s in %s%s%s", words, doing, r->said[0] ? "; the last it said: " : "", r->said);
    else
        finding_add(&r->c->found, FINDING_ERROR, "run", "look for a loop, or allow more with --timeout SECONDS",
                    "%s did not end within %lld s%s%s", doing, (long long)(limit_ms / 1000),
                    r->said[0] ? "; the last it said: " : "", r->said);
}

/* ---- opening ---- */

static int tell(struct runner *r, struct json_object *frame)
{
    struct bp_err err = {0};
    int rc = frame_send(r->proc.talk_fd, frame, &err);
    json_object_put(frame);
    return rc;
}

static void tell_open(struct runner *r, struct json_object *settings)
{
    struct json_object *f = json_object_new_object();
    json_put_str(f, "type", "open");
    json_put_str(f, "plugin", r->c->file.path);
    json_put_str(f, "name", r->c->file.manifest->name);
    json_put_str(f, "device", "cpu");
    json_put_str(f, "state_dir", r->c->dir);
    json_object_object_add(f, "config", json_object_get(settings));
    json_put_int(f, "memory_bytes", 0);
    tell(r, f);
}

static int open_runner(struct runner *r, struct json_object *settings)
{
    struct bp_err err = {0};
    int gone;
    const char *write[] = {r->c->dir, NULL}, *read[CHECK_SAMPLES + 3] = {r->c->file.path};
    const char *beside = json_str(r->c->file.manifest->json, "settingsDir", "");
    for (uint32_t i = 0; i < r->c->n_samples; i++)
        read[i + 1] = r->c->samples[i];
    if (*beside) /* of a file of workflows.d: what it names, as a worker lets its runner read it */
        read[r->c->n_samples + 1] = beside;
    struct runner_rules rules = {.write = write,
                                 .read = read,
                                 .sandbox = json_member(r->c->file.manifest->json, "sandbox"),
                                 .file_bytes = FILE_BYTES};
    runner_process_init(&r->proc);
    if (runner_process_start(&r->proc, r->c->runner, &rules, &err) < 0) {
        finding_add(&r->c->found, FINDING_ERROR, "run", "name bp-runner with --runner PATH", "%s", err.text);
        return -1;
    }
    tell_open(r, settings);
    struct json_object *f = await(r, "ready", "error", check_start_ms(r->c), &gone);
    int ready = f && strcmp(json_str(f, "type", ""), "ready") == 0;
    if (!f)
        lost(r, gone, "open()", check_start_ms(r->c));
    else if (!ready)
        finding_add(&r->c->found, FINDING_ERROR, "run", "correct what it says", "open() failed: %s",
                    json_str(f, "text", ""));
    json_object_put(f);
    return ready ? 0 : -1;
}

static void close_runner(struct runner *r)
{
    if (r->proc.pid > 0) {
        kill(-r->proc.pid, SIGKILL);
        waitpid(r->proc.pid, NULL, 0);
    }
    runner_process_close(&r->proc);
    frame_buffer_clear(&r->in);
    free(r->content);
}

/* ---- one job ---- */

/* Complete and checked, as a submit's; NULL: told. */
static struct json_object *params_of(struct check *c)
{
    struct json_object *schema = json_member(c->file.manifest->json, "params"), *params = NULL;
    struct json_object *fields = json_object_new_object();
    if (!c->params || json_object_deep_copy(c->params, &params, NULL))
        params = json_object_new_object();
    int wrong = schema ? schema_check(schema, params, "params", fields) : 0;
    json_object_object_foreach(fields, field, messages)
    {
        (void)field;
        finding_add(&c->found, c->params ? FINDING_ERROR : FINDING_WARNING, "run",
                    "give fitting ones with --params JSON", "no dry run: %s",
                    json_object_get_string(json_object_array_get_idx(messages, 0)));
    }
    json_object_put(fields);
    if (!wrong)
        return params;
    json_object_put(params);
    return NULL;
}

static void tell_job(struct runner *r, struct json_object *params, const struct sample *samples, int n, const char *dir)
{
    struct json_object *f = json_object_new_object(), *inputs = json_object_new_array();
    for (int i = 0; i < n; i++) {
        struct json_object *in = json_object_new_object();
        json_put_str(in, "path", samples[i].path);
        json_put_str(in, "mime", samples[i].mime);
        json_put_str(in, "name", samples[i].name);
        json_object_array_add(inputs, in);
    }
    struct json_object *manifest = r->c->file.manifest->json, *settings = json_member(manifest, "settings");
    json_put_str(f, "type", "job");
    json_put_str(f, "slug", r->c->file.manifest->slug);
    json_put_str(f, "settings_dir", json_str(manifest, "settingsDir", ""));
    json_object_object_add(f, "settings", settings ? json_object_get(settings) : json_object_new_object());
    json_put_int(f, "id", 1);
    json_put_int(f, "attempt", 1);
    json_put_int(f, "deadline_ms", (int64_t)time(NULL) * 1000 + r->c->timeout_s * 1000LL);
    json_object_object_add(f, "params", json_object_get(params));
    json_object_object_add(f, "inputs", inputs);
    json_put_str(f, "output", r->output);
    json_put_str(f, "temp_dir", dir);
    json_put_str(f, "checkpoint_out", "");
    tell(r, f);
}

/* The process in which the plugin's code runs: the first child of the one that was started, its warden. */
static pid_t plugin_process(pid_t warden)
{
    char path[64];
    int child = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)warden, (int)warden);
    FILE *f = fopen(path, "re");
    if (f && fscanf(f, "%d", &child) != 1)
        child = 0;
    if (f)
        fclose(f);
    return child > 0 ? child : warden;
}

/* Its peak resident memory, bytes; 0: unknown. */
static int64_t peak_memory(pid_t warden)
{
    char path[64], line[256];
    long long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)plugin_process(warden));
    FILE *f = fopen(path, "re");
    while (f && kib == 0 && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lld kB", &kib) != 1)
            kib = 0;
    if (f)
        fclose(f);
    return kib * 1024;
}

static void bad_result(struct runner *r, int64_t rc, const char *text)
{
    struct check *c = r->c;
    int input = rc == BP_BADINPUT || rc == BP_INVALID;
    if (input && !c->n_samples)
        finding_add(&c->found, FINDING_WARNING, "run", "give a fitting file with --sample FILE",
                    "it refuses the built-in sample: %s", text[0] ? text : "no reason given");
    else
        finding_add(&c->found, FINDING_ERROR, "run",
                    input ? "give an input that it can process, or correct run()" : "correct what it says",
                    "run() failed (%s): %s", err_name((int)rc), text[0] ? text : "no reason given");
    if (!text[0])
        finding_add(&c->found, FINDING_WARNING, "run", "write a sentence into err: bp_error(err, rc, \"...\")",
                    "run() failed and left nobody a reason");
}

/* 0: it returned BP_OK. */
static int run_once(struct runner *r, int which, struct json_object *params, const struct sample *samples, int n,
                    const char *dir)
{
    int gone;
    int64_t limit = r->c->timeout_s * 1000LL, began = now_ms();
    r->progress = 0;
    unlink(r->output);
    tell_job(r, params, samples, n, dir);
    struct json_object *f = await(r, "result", "result", limit, &gone);
    if (!f) {
        lost(r, gone, "run()", limit);
        return -1;
    }
    int64_t rc = json_int(f, "rc", BP_FAIL);
    r->run_ms[which] = json_int(f, "run_ms", now_ms() - began);
    r->memory[which] = peak_memory(r->proc.pid);
    if (rc != BP_OK)
        bad_result(r, rc, json_str(f, "text", ""));
    json_object_put(f);
    return rc == BP_OK ? 0 : -1;
}

/* ---- what came of it ---- */

static void output_type(struct check *c, const char *path)
{
    struct json_object *v = json_member(c->file.manifest->json, "produces");
    const char *is = transfer_mime(path);
    size_t n = v && json_object_is_type(v, json_type_array) ? json_object_array_length(v) : 0;
    int fits = v && json_object_is_type(v, json_type_string) && mime_matches(json_object_get_string(v), is);
    for (size_t i = 0; i < n; i++)
        fits |= mime_matches(json_object_get_string(json_object_array_get_idx(v, i)), is);
    if (!v || fits)
        return;
    if (strcmp(is, "application/octet-stream") == 0) /* of a kind that is not told by its first bytes */
        return;
    finding_add(&c->found, FINDING_ERROR, "run", "correct \"produces\", or write such a file",
                "its output is %s, but \"produces\" says %s", is, json_text(v));
}

static int output_is_there(struct runner *r, int which)
{
    struct stat st;
    if (lstat(r->output, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
        finding_add(&r->c->found, FINDING_ERROR, "run", "write the result to job->output_path before it returns BP_OK",
                    "run() said it was done, but left no output");
        return 0;
    }
    r->bytes[which] = (int64_t)st.st_size;
    return 1;
}

static unsigned char *content_of(const char *path, int64_t bytes)
{
    FILE *f = fopen(path, "rb");
    unsigned char *at = f && bytes <= (256LL << 20) ? malloc((size_t)bytes) : NULL;
    if (at && fread(at, 1, (size_t)bytes, f) != (size_t)bytes) {
        free(at);
        at = NULL;
    }
    if (f)
        fclose(f);
    return at;
}

static void compare(struct runner *r)
{
    unsigned char *second = content_of(r->output, r->bytes[1]);
    int same = r->content && second && r->bytes[0] == r->bytes[1] && !memcmp(r->content, second, (size_t)r->bytes[0]);
    if (r->content && second && !same)
        finding_add(&r->c->found, FINDING_WARNING, "run",
                    "seed what is drawn by chance from the params, if it can be helped",
                    "two runs with the same input gave different files (%lld and %lld bytes)", (long long)r->bytes[0],
                    (long long)r->bytes[1]);
    free(second);
    if (r->memory[0] && r->memory[1] - r->memory[0] > GROWN_BYTES)
        finding_add(&r->c->found, FINDING_WARNING, "run", "free what a run allocated before it returns",
                    "the second run took %lld MiB more than the first: memory may leak",
                    (long long)((r->memory[1] - r->memory[0]) >> 20));
}

static void report(struct runner *r)
{
    struct check *c = r->c;
    c->run = json_object_new_object();
    json_put_int(c->run, "run_ms", r->run_ms[0]);
    json_put_int(c->run, "second_run_ms", r->run_ms[1]);
    json_put_int(c->run, "peak_memory_bytes", r->memory[1]);
    json_put_int(c->run, "output_bytes", r->bytes[0]);
    json_put_str(c->run, "output_type", transfer_mime(r->output));
    finding_add(&c->found, FINDING_OK, "run", NULL,
                "it ran in %lld ms, again in %lld ms; %lld bytes of %s; %.1f MiB of memory", (long long)r->run_ms[0],
                (long long)r->run_ms[1], (long long)r->bytes[0], transfer_mime(r->output),
                (double)r->memory[1] / 1048576);
    int64_t timeout = json_int(c->file.manifest->json, "timeoutSeconds", 3600) * 1000;
    if (r->run_ms[0] > timeout)
        finding_add(&c->found, FINDING_ERROR, "run", "raise \"timeoutSeconds\"",
                    "it ran for %lld ms, and \"timeoutSeconds\" ends it after %lld", (long long)r->run_ms[0],
                    (long long)timeout);
    if (r->run_ms[0] >= QUIET_MS && r->progress == 0)
        finding_add(&c->found, FINDING_WARNING, "run", "call bp_job_progress() a few times a second",
                    "it never told its progress: it cannot be stopped in time, nor watched");
}

static void work(struct runner *r, struct json_object *params)
{
    char dir[PATH_MAX + 8];
    struct sample samples[CHECK_SAMPLES];
    snprintf(dir, sizeof dir, "%s/job", r->c->dir);
    mkdir(dir, 0700);
    int n = check_samples(r->c, dir, samples);
    if (n < 0 || snprintf(r->output, sizeof r->output, "%s/output", dir) >= (int)sizeof r->output)
        return;
    for (int i = 0; i < RUNS; i++) {
        if (run_once(r, i, params, samples, n, dir) < 0 || !output_is_there(r, i))
            return;
        if (i == 0)
            r->content = content_of(r->output, r->bytes[0]);
    }
    output_type(r->c, r->output);
    compare(r);
    report(r);
}

void check_run(struct check *c)
{
    struct runner r = {.c = c};
    struct json_object *params = params_of(c), *settings = check_settings(c);
    if (params && settings && open_runner(&r, settings) == 0)
        work(&r, params);
    if (params && settings)
        close_runner(&r);
    json_object_put(params);
    json_object_put(settings);
}
