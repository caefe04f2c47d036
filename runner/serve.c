/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/serve.h"

#include "device/device.h"
#include "log/err.h"
#include "log/json.h"
#include "log/utf8.h"
#include "runner/warden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_WAIT_MS 30000
#define TEXT_BYTES   4000

/* The session of this process: a plugin's log function is not told which one it speaks to. */
static struct session *own;

struct json_object *session_frame(const char *type)
{
    struct json_object *f = json_object_new_object();
    json_put_str(f, "type", type);
    return f;
}

int session_send(struct session *s, struct json_object *frame, struct bp_err *err)
{
    pthread_mutex_lock(&s->lock);
    int rc = frame_send(s->fd, frame, err);
    pthread_mutex_unlock(&s->lock);
    json_object_put(frame);
    return rc;
}

void session_put_text(struct json_object *frame, const char *key, const char *text)
{
    char clean[TEXT_BYTES];
    size_t n = strnlen(text, sizeof(clean) - 1), out = 0;
    for (size_t i = 0; i < n;) {
        size_t len = utf8_sequence(text + i, n - i);
        if (len == 0)
            clean[out++] = '?';
        for (size_t k = 0; k < len; k++)
            clean[out++] = text[i + k];
        i += len ? len : 1;
    }
    clean[out] = '\0';
    json_put_str(frame, key, clean);
}

static void plugin_log(int32_t level, const char *text)
{
    struct bp_err ignored;
    struct json_object *f = session_frame("log");
    json_put_int(f, "level", level);
    session_put_text(f, "text", text);
    session_send(own, f, &ignored);
}

/* What the kernel cannot enforce is told to the worker, and is no reason not to go on. */
static int tolerate(struct session *s, int rc, struct bp_err *err)
{
    if (rc != BP_UNSUPPORTED)
        return rc;
    size_t n = strlen(s->open_text);
    snprintf(s->open_text + n, sizeof(s->open_text) - n, "%s%s", n > 0 ? "; " : "", err->text);
    memset(err, 0, sizeof(*err));
    return BP_OK;
}

/* Without the directory kernels are compiled, which only takes longer. */
static void keep_kernels(struct session *s, struct json_object *frame)
{
    struct bp_err err = {0};
    const char *dir = json_str(frame, "kernels", "");
    if (*dir && device_cache_modules(s->device, dir, json_int(frame, "kernels_bytes", 0), &err) < 0)
        plugin_log(BP_LOG_WARN, err.text);
}

/*
 * A GPU is opened before files are taken away: its driver may look anywhere, and start a program to make device files.
 * The CPU after, for its threads run the plugin's kernels. "auto": the GPU if it opens, else the CPU, and note says
 * why.
 */
static int open_within(struct session *s, const char *which, struct bp_err *note, struct bp_err *err)
{
    int rc = strcmp(which, "cpu") == 0 ? BP_UNSUPPORTED
                                       : device_open(strcmp(which, "auto") ? which : "cuda", &s->device, err);
    if (rc < 0 && strcmp(which, "auto") != 0 && strcmp(which, "cpu") != 0)
        return rc;
    *note = *err;
    memset(err, 0, sizeof(*err));
    rc = tolerate(s, sandbox_files(s->rules, err), err);
    return rc < 0 || s->device ? rc : device_open("cpu", &s->device, err);
}

static int open_device(struct session *s, struct json_object *frame, struct bp_err *note, struct bp_err *err)
{
    int listener = -1;
    int rc = open_within(s, json_str(frame, "device", "auto"), note, err);
    if (rc < 0)
        return rc;
    memset(err, 0, sizeof(*err));
    keep_kernels(s, frame);
    rc = tolerate(s, sandbox_calls(s->rules, s->device->kind == BP_DEVICE_CPU, &listener, err), err);
    return rc == BP_OK ? warden_give(listener, err) : rc;
}

static int open_plugin(struct session *s, struct json_object *frame, struct bp_err *err)
{
    struct bp_self *self = &s->plugin.self;
    snprintf(self->state_dir, sizeof(self->state_dir), "%s", json_str(frame, "state_dir", ""));
    self->log = plugin_log;
    struct json_object *config = json_member(frame, "config");
    self->config = strdup(config ? json_text(config) : "{}");
    int rc = plugin_load(&s->plugin, json_str(frame, "plugin", ""), json_str(frame, "name", ""), err);
    if (rc == BP_OK)
        rc = plugin_start(&s->plugin, err);
    if (rc == BP_OK)
        rc = s->plugin.job->open(s->plugin.inst, s->device, &s->state, err);
    s->opened = rc == BP_OK;
    return rc;
}

static int tell_ready(struct session *s, const char *note, struct bp_err *err)
{
    struct json_object *f = session_frame("ready");
    json_put_str(f, "device", s->device->kind == BP_DEVICE_CUDA ? "cuda" : "cpu");
    session_put_text(f, "device_name", s->device->name);
    session_put_text(f, "note", note);
    session_put_text(f, "open", s->open_text);
    return session_send(s, f, err);
}

static int tell_error(struct session *s, const char *stage, const struct bp_err *why)
{
    struct bp_err ignored;
    struct json_object *f = session_frame("error");
    json_put_str(f, "stage", stage);
    json_put_int(f, "rc", why->rc);
    session_put_text(f, "text", why->text);
    session_send(s, f, &ignored);
    return why->rc ? why->rc : BP_FAIL;
}

/* The first frame says what to open. cuInit happens in device_open, before the first dlopen of a plugin. */
static int open_all(struct session *s)
{
    struct bp_err err = {0}, note = {0};
    struct json_object *frame = NULL;
    int rc = frame_receive(s->fd, &s->in, OPEN_WAIT_MS, &frame, &err);
    if (rc < 0 || !frame || strcmp(json_str(frame, "type", ""), "open") != 0) {
        json_object_put(frame);
        return rc == BP_STOPPED ? rc : BP_INVALID;
    }
    const char *stage = "device";
    rc = open_device(s, frame, &note, &err);
    if (rc == BP_OK) {
        stage = "plugin";
        rc = open_plugin(s, frame, &err);
    }
    json_object_put(frame);
    if (rc < 0) {
        err.rc = rc;
        return tell_error(s, stage, &err);
    }
    return tell_ready(s, note.text, &err);
}

static int serve_frame(struct session *s, struct json_object *frame, struct bp_err *err)
{
    const char *type = json_str(frame, "type", "");
    if (!strcmp(type, "job"))
        return job_run(s, frame, err);
    if (!strcmp(type, "stop"))
        return BP_OK; /* the job it was meant for has just ended */
    return err_set(err, BP_INVALID, "a runner knows no frame \"%.32s\"", type);
}

static int serve_jobs(struct session *s)
{
    struct bp_err err = {0};
    int rc = BP_OK;
    while (rc == BP_OK) {
        struct json_object *frame = NULL;
        rc = frame_receive(s->fd, &s->in, -1, &frame, &err);
        if (frame)
            rc = serve_frame(s, frame, &err);
        json_object_put(frame);
    }
    if (rc == BP_STOPPED)
        return BP_OK;
    fprintf(stderr, "bp-runner: %s\n", err.text);
    return rc;
}

int serve(int fd, const struct sandbox_rules *rules)
{
    static struct session s;
    s.fd = fd;
    s.rules = rules;
    pthread_mutex_init(&s.lock, NULL);
    own = &s;
    int rc = open_all(&s);
    if (rc == BP_OK)
        rc = serve_jobs(&s);
    if (s.opened)
        s.plugin.job->close(s.state);
    plugin_stop(&s.plugin);
    if (s.device)
        device_close(&s.device);
    free(s.plugin.self.config);
    frame_buffer_clear(&s.in);
    return rc == BP_OK || rc == BP_STOPPED ? 0 : 1;
}
