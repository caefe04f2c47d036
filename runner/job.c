/* SPDX-License-Identifier: Apache-2.0 */
/* job.c - one job: what the worker sent becomes a struct bp_job, what run() says becomes frames. */
#include "log/err.h"
#include "log/json.h"
#include "runner/serve.h"
#include "runner/warden.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define INPUTS_MAX     32
#define CHECKPOINT_MAX (64ULL * 1024 * 1024)
#define PROGRESS_MS    100 /* at most ten a second go to the worker */
#define LISTEN_MS      5   /* at most so often the socket is looked at */

/* What a job's context functions work on. */
struct run {
    struct session *session;
    struct bp_job job;
    struct bp_job_input inputs[INPUTS_MAX];
    const char *checkpoint_in, *checkpoint_out; /* paths; "" when there is none */
    void *loaded;                               /* bytes of checkpoint_in, once asked for */
    uint64_t loaded_bytes;
    int64_t listened_ms, told_ms; /* monotonic; when progress() last looked at the socket, last sent a frame */
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Takes in what the worker sent meanwhile: the only thing it may say now is "stop". Called with the lock. */
static void listen_for_stop(struct session *s)
{
    struct bp_err ignored;
    struct json_object *frame;
    int rc;
    do {
        frame = NULL;
        rc = frame_receive(s->fd, &s->in, 0, &frame, &ignored);
        if (rc < 0 || (frame && !strcmp(json_str(frame, "type", ""), "stop")))
            s->stopping = 1; /* told to, or nobody is there any more to work for */
        json_object_put(frame);
    } while (rc == BP_OK && frame);
}

static void tell_progress(struct run *r, double fraction, const char *text)
{
    struct bp_err ignored;
    struct json_object *f = session_frame("progress");
    json_put_num(f, "fraction", fmin(fmax(isnan(fraction) ? 0 : fraction, 0), 1));
    session_put_text(f, "text", text ? text : "");
    frame_send(r->session->fd, f, &ignored);
    json_object_put(f);
}

static int32_t job_progress(void *ctx, double fraction, const char *text)
{
    struct run *r = ctx;
    struct session *s = r->session;
    int64_t now = now_ms();
    pthread_mutex_lock(&s->lock);
    if (!s->stopping && now - r->listened_ms >= LISTEN_MS) {
        r->listened_ms = now;
        listen_for_stop(s);
    }
    if (now - r->told_ms >= PROGRESS_MS) {
        r->told_ms = now;
        tell_progress(r, fraction, text);
    }
    int stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return stopping ? BP_STOPPED : BP_OK;
}

static int write_all(int fd, const void *bytes, uint64_t n)
{
    for (uint64_t done = 0; done < n;) {
        ssize_t k = write(fd, (const char *)bytes + done, n - done);
        if (k < 0 && errno != EINTR)
            return -1;
        done += k > 0 ? (uint64_t)k : 0;
    }
    return 0;
}

/* The new checkpoint replaces the old one by a rename: the worker, reading either, reads a whole one. */
static int store(const char *path, const void *bytes, uint64_t n, struct bp_err *err)
{
    char part[4096];
    snprintf(part, sizeof(part), "%s.part", path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int bad = fd < 0 || write_all(fd, bytes, n) < 0;
    int why = errno;
    if (fd >= 0 && close(fd) < 0 && !bad) {
        bad = 1;
        why = errno;
    }
    if (!bad && rename(part, path) < 0) {
        bad = 1;
        why = errno;
    }
    if (!bad)
        return BP_OK;
    unlink(part);
    return err_set(err, why == ENOSPC ? BP_NOSPACE : BP_IO, "write the checkpoint: %s", strerror(why));
}

static int32_t job_checkpoint_save(void *ctx, const void *bytes, uint64_t n, struct bp_err *err)
{
    struct run *r = ctx;
    if (!*r->checkpoint_out)
        return err_set(err, BP_UNSUPPORTED, "this job has no place for a checkpoint");
    if (n > CHECKPOINT_MAX)
        return err_set(err, BP_INVALID, "a checkpoint of %llu bytes; at most %llu are kept", (unsigned long long)n,
                       CHECKPOINT_MAX);
    int rc = store(r->checkpoint_out, bytes, n, err);
    if (rc < 0)
        return rc;
    struct json_object *f = session_frame("checkpoint");
    json_put_int(f, "bytes", (int64_t)n);
    return session_send(r->session, f, err);
}

/* Reads a whole file of at most CHECKPOINT_MAX bytes; NULL when it cannot be read. free() it. */
static void *file_read(const char *path, uint64_t *n)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    char *bytes = NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size <= CHECKPOINT_MAX)
        bytes = malloc((size_t)st.st_size + 1);
    *n = bytes ? (uint64_t)st.st_size : 0;
    for (uint64_t got = 0; bytes && got < *n;) {
        ssize_t k = read(fd, bytes + got, *n - got);
        if (k > 0) {
            got += (uint64_t)k;
        } else if (k == 0 || errno != EINTR) {
            free(bytes);
            bytes = NULL;
        }
    }
    close(fd);
    return bytes;
}

static int32_t job_checkpoint_load(void *ctx, const void **bytes, uint64_t *n)
{
    struct run *r = ctx;
    if (!r->loaded && *r->checkpoint_in)
        r->loaded = file_read(r->checkpoint_in, &r->loaded_bytes);
    if (!r->loaded)
        return BP_NOTFOUND;
    *bytes = r->loaded;
    *n = r->loaded_bytes;
    return BP_OK;
}

static void job_log(void *ctx, int32_t level, const char *text)
{
    struct run *r = ctx;
    r->session->plugin.self.log(level, text ? text : "");
}

static int read_inputs(struct run *r, struct json_object *frame, struct bp_err *err)
{
    struct json_object *list = json_member(frame, "inputs");
    size_t n = list && json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    if (n > INPUTS_MAX)
        return err_set(err, BP_INVALID, "a job with %zu inputs; at most %d are allowed", n, INPUTS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct json_object *in = json_object_array_get_idx(list, i);
        r->inputs[i].path = json_str(in, "path", "");
        r->inputs[i].mime = json_str(in, "mime", "");
        r->inputs[i].name = json_str(in, "name", "");
    }
    r->job.n_inputs = (uint32_t)n;
    r->job.inputs = r->inputs;
    return BP_OK;
}

static int read_job(struct run *r, struct json_object *frame, struct bp_err *err)
{
    struct json_object *params = json_member(frame, "params"), *settings = json_member(frame, "settings");
    r->job.size = sizeof(r->job);
    r->job.id = json_int(frame, "id", 0);
    r->job.attempt = (int32_t)json_int(frame, "attempt", 1);
    r->job.deadline_ms = json_int(frame, "deadline_ms", 0);
    r->job.params = params ? json_text(params) : "{}";
    r->job.output_path = json_str(frame, "output", "");
    r->job.temp_dir = json_str(frame, "temp_dir", "");
    r->job.ctx = r;
    r->job.progress = job_progress;
    r->job.checkpoint_save = job_checkpoint_save;
    r->job.checkpoint_load = job_checkpoint_load;
    r->job.log = job_log;
    r->job.slug = json_str(frame, "slug", "");
    r->job.settings = settings ? json_text(settings) : "{}";
    r->job.settings_dir = json_str(frame, "settings_dir", "");
    r->job.assets_dir = json_str(frame, "assets_dir", "");
    r->checkpoint_in = json_str(frame, "checkpoint_in", "");
    r->checkpoint_out = json_str(frame, "checkpoint_out", "");
    if (!*r->job.output_path || !*r->job.temp_dir)
        return err_set(err, BP_INVALID, "a job frame without output or temp_dir");
    return read_inputs(r, frame, err);
}

/* An error may come from what the sandbox refused. */
static void put_outcome(struct json_object *f, int32_t result, const struct bp_err *outcome)
{
    char text[sizeof(outcome->text) + 256];
    snprintf(text, sizeof(text), "%s%s", outcome->text, warden_refusals());
    session_put_text(f, "text", result == BP_OK ? "" : text);
}

/* An error that a kernel left behind spoils all that comes after it in this process, so this job is asked for it and
 * not the next. Then what it says of its success counts for nothing. */
static int32_t look_at_device(const struct session *s, struct json_object *f, int32_t result, struct bp_err *outcome)
{
    struct bp_err sick = {0};
    if (s->device->sync(s->device, &sick) == BP_OK)
        return result;
    json_put_bool(f, "spent", 1);
    if (result != BP_OK)
        return result;
    return err_set(outcome, BP_IO, "the job broke its device, so its output cannot be trusted: %.180s", sick.text);
}

int job_run(struct session *s, struct json_object *frame, struct bp_err *err)
{
    struct run r = {.session = s, .told_ms = -PROGRESS_MS};
    struct bp_err outcome = {0};
    int rc = read_job(&r, frame, err);
    if (rc < 0)
        return rc;
    s->stopping = 0;
    int64_t began = now_ms();
    int32_t result = s->plugin.job->run(s->state, &r.job, &outcome);
    free(r.loaded);
    outcome.text[sizeof(outcome.text) - 1] = '\0';
    struct json_object *f = session_frame("result");
    result = look_at_device(s, f, result, &outcome);
    json_put_int(f, "rc", result > 0 ? BP_FAIL : result);
    put_outcome(f, result, &outcome);
    json_put_int(f, "run_ms", now_ms() - began);
    return session_send(s, f, err);
}
