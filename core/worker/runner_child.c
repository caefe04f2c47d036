/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/runner_child.h"

#include "log/err.h"
#include "log/json.h"
#include "log/log.h"
#include "runner/frame.h"
#include "spawn/runner_spawn.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define POLITE_MS     2000
#define LOG_LINES_A_S 50
#define EXIT_WAIT_MS  1000 /* from the end of the conversation to the end of the process */
#define KILL_WAIT_MS  8000 /* from being told to end everything to the end of its warden */

enum child_state { CHILD_OPENING = 1, CHILD_READY, CHILD_BUSY, CHILD_ENDED };

struct runner_child {
    struct loop *loop;
    struct runner_process proc;
    struct bufferevent *talk; /* NULL once the conversation is over */
    struct frame_buffer in;
    struct loop_fd *exit_watch; /* of proc.pidfd */
    struct loop_fd *text_watch; /* of proc.text_fd: what it prints */
    struct loop_timer *timer;   /* kills what does not end */
    enum child_state state;
    struct runner_events on; /* zeroed once freed by the owner */
    void *arg;
    char name[128];
    char why[512]; /* set when its end was decided by what it said */
    int fault;
    int freed, pins;
    int64_t log_second_ms; /* of the lines counted in log_lines */
    int log_lines;
    struct runner_child *next; /* in `freed_children` */
};

/* Freed by their owners, waiting for the end of the process. */
static struct runner_child *freed_children;

static void child_destroy(struct runner_child *r)
{
    for (struct runner_child **p = &freed_children; *p; p = &(*p)->next) {
        if (*p == r) {
            *p = r->next;
            break;
        }
    }
    if (r->talk)
        bufferevent_free(r->talk);
    loop_fd_free(r->exit_watch);
    loop_fd_free(r->text_watch);
    loop_timer_free(r->timer);
    runner_process_close(&r->proc);
    frame_buffer_clear(&r->in);
    free(r);
}

/* Its warden ends all there is of it as soon as nobody listens to its verdict; a warden that does not is killed. */
static void kill_all(struct runner_child *r)
{
    if (r->proc.verdict_fd < 0 && r->proc.pid > 0)
        kill(-r->proc.pid, SIGKILL);
    if (r->proc.verdict_fd >= 0)
        close(r->proc.verdict_fd);
    r->proc.verdict_fd = -1;
    if (r->timer)
        loop_timer_after(r->timer, KILL_WAIT_MS);
}

/* ---- how it ended ---- */

static void describe_exit(struct runner_child *r, int status, char *out, size_t n)
{
    char verdict[512];
    ssize_t got = r->proc.verdict_fd >= 0 ? read(r->proc.verdict_fd, verdict, sizeof(verdict)) : 0;
    if (r->why[0])
        snprintf(out, n, "%s", r->why);
    else if (got > 0)
        snprintf(out, n, "the runner of %s %.*s", r->name, (int)got, verdict);
    else if (WIFSIGNALED(status))
        snprintf(out, n, "the runner of %s crashed: signal %d (%s)", r->name, WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(out, n, "the runner of %s exited with status %d in the middle of its work", r->name,
                 WEXITSTATUS(status));
}

static void tell_gone(struct runner_child *r, const char *why, int fault)
{
    void (*gone)(const char *, int, void *) = r->on.gone;
    if (r->state == CHILD_ENDED || r->freed)
        return;
    r->state = CHILD_ENDED;
    gone(why, fault, r->arg);
}

/* The owner's calls may free r: it stays until its last pin is gone and its process is reaped. */
static void unpin(struct runner_child *r)
{
    if (--r->pins == 0 && r->freed && r->proc.pid == 0)
        child_destroy(r);
}

static void take_frames(struct runner_child *r);

/* Its last words may still be in the socket when the process is gone. */
static void read_rest(struct runner_child *r)
{
    char part[4096];
    struct bp_err err;
    ssize_t n;
    while (r->talk && (n = recv(bufferevent_getfd(r->talk), part, sizeof(part), MSG_DONTWAIT)) > 0) {
        if (frame_buffer_add(&r->in, part, (size_t)n, &err) < 0)
            return;
        take_frames(r);
    }
}

static void on_exit_of_child(int fd, short what, void *arg)
{
    struct runner_child *r = arg;
    int status = 0;
    char why[600];
    (void)fd, (void)what;
    if (waitpid(r->proc.pid, &status, WNOHANG) == 0)
        return;
    r->proc.pid = 0;
    loop_fd_free(r->exit_watch);
    r->exit_watch = NULL;
    r->pins++;
    read_rest(r);
    describe_exit(r, status, why, sizeof(why));
    tell_gone(r, why, r->why[0] ? r->fault : 1);
    unpin(r);
}

/* The conversation is over; the process must follow. The first reason counts. */
static void give_up(struct runner_child *r, int fault, const char *why)
{
    if (!r->why[0]) {
        snprintf(r->why, sizeof(r->why), "%s", why);
        r->fault = fault;
    }
    kill_all(r);
}

static void on_overdue(void *arg)
{
    struct runner_child *r = arg;
    char why[256];
    if (r->talk || r->freed || r->proc.verdict_fd < 0) {
        kill_all(r);
        return;
    }
    snprintf(why, sizeof(why), "the runner of %s closed its connection to the worker and went on: it was ended",
             r->name);
    give_up(r, 1, why);
}

/* ---- what it says ---- */

static void say_ready(struct runner_child *r, struct json_object *f)
{
    if (r->state != CHILD_OPENING) {
        give_up(r, 1, "the runner said twice that it is ready");
        return;
    }
    r->state = CHILD_READY;
    const char *note = json_str(f, "note", "");
    if (*note)
        log_info(LOG_RUNNER, "%s: %s", r->name, note);
    r->on.ready(json_str(f, "device", ""), json_str(f, "device_name", ""), json_str(f, "open", ""), r->arg);
}

static void say_progress(struct runner_child *r, struct json_object *f)
{
    double fraction = json_num(f, "fraction", 0);
    if (r->state == CHILD_BUSY && fraction >= 0 && fraction <= 1)
        r->on.progress(fraction, json_str(f, "text", ""), r->arg);
}

static void say_checkpoint(struct runner_child *r, struct json_object *f)
{
    (void)f;
    if (r->state == CHILD_BUSY)
        r->on.checkpoint(r->arg);
}

static int may_log(struct runner_child *r)
{
    int64_t now = mono_ms();
    if (now - r->log_second_ms >= 1000) {
        if (r->log_lines > LOG_LINES_A_S)
            log_warn(LOG_RUNNER, "%s: %d lines were dropped", r->name, r->log_lines - LOG_LINES_A_S);
        r->log_second_ms = now;
        r->log_lines = 0;
    }
    return ++r->log_lines <= LOG_LINES_A_S;
}

static void say_log(struct runner_child *r, struct json_object *f)
{
    int64_t level = json_int(f, "level", BP_LOG_INFO);
    if (level < BP_LOG_ERROR || level > BP_LOG_DEBUG)
        level = BP_LOG_INFO;
    if (log_get_level(LOG_RUNNER) >= level && may_log(r))
        log_write(LOG_RUNNER, (int)level, "%s: %s", r->name, json_str(f, "text", ""));
}

static void say_result(struct runner_child *r, struct json_object *f)
{
    if (r->state != CHILD_BUSY) {
        give_up(r, 1, "the runner gave a result that nobody asked for");
        return;
    }
    int64_t rc = json_int(f, "rc", BP_FAIL);
    r->state = CHILD_READY;
    r->on.result(rc > 0 || rc < -99 ? BP_FAIL : (int)rc, json_str(f, "text", ""), json_truth(f, "spent", 0), r->arg);
}

static void say_error(struct runner_child *r, struct json_object *f)
{
    int device = !strcmp(json_str(f, "stage", ""), "device");
    char why[512];
    snprintf(why, sizeof(why), "the runner of %s could not open the %s: %.200s", r->name, device ? "device" : "plugin",
             json_str(f, "text", "no reason was given"));
    give_up(r, !device, why);
}

static const struct {
    const char *type;
    void (*say)(struct runner_child *r, struct json_object *f);
} frames[] = {
    {"progress", say_progress}, {"log", say_log},       {"checkpoint", say_checkpoint},
    {"ready", say_ready},       {"result", say_result}, {"error", say_error},
};

static void take_frame(struct runner_child *r, struct json_object *f)
{
    const char *type = json_str(f, "type", "");
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        if (!strcmp(type, frames[i].type)) {
            frames[i].say(r, f);
            return;
        }
    }
    give_up(r, 1, "the runner sent a frame that makes no sense");
}

static void give_up_frame(struct runner_child *r, const struct bp_err *err)
{
    char why[512];
    snprintf(why, sizeof(why), "the runner of %s wrote what is no word to its worker: %.200s", r->name, err->text);
    give_up(r, 1, why);
}

static void take_frames(struct runner_child *r)
{
    struct bp_err err;
    while (!r->why[0] && !r->freed) {
        struct json_object *frame = NULL;
        if (frame_buffer_take(&r->in, &frame, &err) < 0)
            give_up_frame(r, &err);
        if (!frame)
            return;
        take_frame(r, frame);
        json_object_put(frame);
    }
}

static void on_bytes(struct bufferevent *talk, void *arg)
{
    struct runner_child *r = arg;
    struct loop *l = r->loop;
    struct evbuffer *from = bufferevent_get_input(talk);
    struct bp_err err;
    int64_t entered = loop_enter(l);
    size_t n = evbuffer_get_length(from);
    r->pins++;
    if (frame_buffer_add(&r->in, evbuffer_pullup(from, -1), n, &err) < 0)
        give_up(r, 0, err.text);
    evbuffer_drain(from, n);
    take_frames(r);
    unpin(r);
    loop_leave(l, "worker.runner", entered);
}

static void on_talk_end(struct bufferevent *talk, short what, void *arg)
{
    struct runner_child *r = arg;
    (void)talk, (void)what;
    /* It closed its end: the process is ending, or it must. */
    bufferevent_free(r->talk);
    r->talk = NULL;
    loop_timer_after(r->timer, EXIT_WAIT_MS);
}

/* What it prints, for its lines in our log. */
static void on_text(int fd, short what, void *arg)
{
    struct runner_child *r = arg;
    char part[2048];
    (void)what;
    ssize_t n = read(fd, part, sizeof(part) - 1);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        loop_fd_free(r->text_watch);
        r->text_watch = NULL;
        return;
    }
    part[n] = '\0';
    char *save = NULL;
    for (char *line = strtok_r(part, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (may_log(r))
            log_info(LOG_RUNNER, "%s prints: %s", r->name, line);
    }
}

/* ---- its life ---- */

static int tell(struct runner_child *r, struct json_object *frame, struct bp_err *err)
{
    unsigned char *bytes;
    size_t n;
    if (!r->talk)
        return err_set(err, BP_STOPPED, "the runner of %s is gone", r->name);
    int rc = frame_encode(frame, &bytes, &n, err);
    if (rc == BP_OK && bufferevent_write(r->talk, bytes, n) < 0)
        rc = err_set(err, BP_NOMEM, "no memory to talk to the runner");
    free(bytes);
    return rc;
}

static int tell_open(struct runner_child *r, const struct runner_child_spec *s, struct bp_err *err)
{
    struct json_object *f = json_object_new_object();
    json_put_str(f, "type", "open");
    json_put_str(f, "plugin", s->file);
    json_put_str(f, "name", s->name);
    json_put_str(f, "device", s->device);
    json_put_str(f, "state_dir", s->rules.write[0]);
    json_put_raw(f, "config", s->config);
    if (s->kernels) {
        json_put_str(f, "kernels", s->kernels);
        json_put_int(f, "kernels_bytes", s->kernels_bytes);
    }
    int rc = tell(r, f, err);
    json_object_put(f);
    return rc;
}

static int watch(struct runner_child *r, struct bp_err *err)
{
    r->talk = bufferevent_socket_new(loop_base(r->loop), r->proc.talk_fd, BEV_OPT_CLOSE_ON_FREE);
    if (r->talk)
        r->proc.talk_fd = -1; /* the bufferevent's now */
    r->exit_watch = loop_fd_new(r->loop, "worker.runner_exit", r->proc.pidfd, EV_READ, on_exit_of_child, r);
    r->text_watch = loop_fd_new(r->loop, "worker.runner_text", r->proc.text_fd, EV_READ, on_text, r);
    r->timer = loop_timer_new(r->loop, "worker.runner_overdue", on_overdue, r);
    if (!r->talk || !r->exit_watch || !r->text_watch || !r->timer)
        return err_set(err, BP_NOMEM, "no memory to watch a runner");
    bufferevent_setcb(r->talk, on_bytes, NULL, on_talk_end, r);
    bufferevent_enable(r->talk, EV_READ | EV_WRITE);
    return BP_OK;
}

/* [blocks] For the end of the worker: kills it, and waits for that. */
static void end_now(struct runner_child *r)
{
    struct timespec rest = {.tv_nsec = 2000000};
    int64_t until = mono_ms() + KILL_WAIT_MS;
    kill_all(r);
    while (r->proc.pid > 0 && waitpid(r->proc.pid, NULL, WNOHANG) == 0) {
        if (mono_ms() > until)
            kill(-r->proc.pid, SIGKILL);
        nanosleep(&rest, NULL);
    }
    r->proc.pid = 0;
}

struct runner_child *runner_child_start(const struct runner_child_spec *s, struct bp_err *err)
{
    struct runner_child *r = calloc(1, sizeof(*r));
    if (!r) {
        err_set(err, BP_NOMEM, "no memory for a runner");
        return NULL;
    }
    r->loop = s->loop;
    r->state = CHILD_OPENING;
    r->on = s->on;
    r->arg = s->arg;
    snprintf(r->name, sizeof(r->name), "%s", s->name);
    runner_process_init(&r->proc);
    int rc = runner_process_start(&r->proc, s->runner, &s->rules, err);
    if (rc == BP_OK)
        rc = watch(r, err);
    if (rc == BP_OK)
        rc = tell_open(r, s, err);
    if (rc == BP_OK) {
        log_debug(LOG_WORKER, "runner %d of %s started", (int)r->proc.pid, r->name);
        return r;
    }
    end_now(r);
    child_destroy(r);
    return NULL;
}

int runner_child_run(struct runner_child *r, struct json_object *job, struct bp_err *err)
{
    assert(r->state == CHILD_READY);
    json_put_str(job, "type", "job");
    int rc = tell(r, job, err);
    if (rc == BP_OK)
        r->state = CHILD_BUSY;
    return rc;
}

void runner_child_stop_job(struct runner_child *r)
{
    struct bp_err ignored;
    struct json_object *f = json_object_new_object();
    json_put_str(f, "type", "stop");
    tell(r, f, &ignored);
    json_object_put(f);
}

int runner_child_is_ready(const struct runner_child *r)
{
    return r->state == CHILD_READY && r->talk && !r->why[0];
}

int runner_child_is_opening(const struct runner_child *r)
{
    return r->state == CHILD_OPENING && r->talk && !r->why[0];
}

void runner_child_free(struct runner_child *r, int politely)
{
    if (!r)
        return;
    assert(!r->freed);
    r->freed = 1;
    memset(&r->on, 0, sizeof(r->on));
    r->next = freed_children;
    freed_children = r;
    if (r->talk)
        bufferevent_free(r->talk); /* an idle runner ends when its worker closes the conversation */
    r->talk = NULL;
    if (r->proc.pid == 0) {
        r->pins++;
        unpin(r);
    } else if (politely && r->state == CHILD_READY) {
        loop_timer_after(r->timer, POLITE_MS);
    } else {
        kill_all(r);
    }
}

void runner_child_reap_all(void)
{
    while (freed_children) {
        struct runner_child *r = freed_children;
        end_now(r);
        child_destroy(r);
    }
}
