/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include <bp/workflow.h>
#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS   100 /* at most so long until a stop is heard of */
#define PART      65536
#define DRAIN_MAX 64 /* parts read after the command's end: another process may go on writing */

static int64_t clock_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Before the worker's own limit, which is hard: the command shall have its grace, and its last words be heard. */
static void set_limits(struct watch *w)
{
    int64_t now = clock_ms(CLOCK_MONOTONIC);
    int64_t left = w->job->deadline_ms > 0 ? w->job->deadline_ms - clock_ms(CLOCK_REALTIME) : 0;
    int64_t margin = w->settings->grace_ms + 1000 < left / 4 ? w->settings->grace_ms + 1000 : left / 4;
    w->grace_ms = w->settings->grace_ms;
    w->limit_ms = w->settings->timeout_ms;
    if (left > 0 && (w->limit_ms == 0 || left - margin < w->limit_ms)) {
        w->limit_ms = left - margin;
        w->grace_ms = w->grace_ms < margin / 2 ? w->grace_ms : margin / 2;
    }
    w->deadline_ms = w->limit_ms > 0 ? now + w->limit_ms : 0;
}

static void end_command(struct watch *w, enum stop why)
{
    if (w->stop)
        return;
    w->stop = why;
    w->kill_at_ms = clock_ms(CLOCK_MONOTONIC) + (why == STOP_ASKED ? w->settings->grace_ms : w->grace_ms);
    child_term(&w->child);
}

static void look_around(struct watch *w)
{
    struct bp_err err = {0};
    int64_t now = clock_ms(CLOCK_MONOTONIC);
    const char *text = w->lines.text[0] ? w->lines.text : "running";
    if (w->job->progress(w->job->ctx, w->lines.fraction, text) == BP_STOPPED)
        end_command(w, STOP_ASKED);
    if (w->deadline_ms && now >= w->deadline_ms)
        end_command(w, STOP_TOO_LONG);
    if (w->kill_at_ms && now >= w->kill_at_ms) {
        child_kill(&w->child);
        w->kill_at_ms = 0;
    }
    if (w->lines.checkpoint && place_save(w->place, w->job, &err) < 0)
        bp_job_log(w->job, BP_LOG_WARN, "%s", err.text);
    w->lines.checkpoint = 0;
}

/* One part. 0: nothing more now. */
static int read_part(struct watch *w, int *fd, struct stream *s)
{
    char part[PART];
    ssize_t n = *fd >= 0 ? read(*fd, part, sizeof part) : -1;
    if (n > 0)
        lines_feed(&w->lines, s, part, (size_t)n);
    if (n == 0 || (n < 0 && *fd >= 0 && errno != EAGAIN && errno != EINTR)) {
        close(*fd);
        *fd = -1;
    }
    return n > 0;
}

static void drain(struct watch *w)
{
    for (int i = 0; i < DRAIN_MAX && read_part(w, &w->child.out_fd, &w->lines.out); i++)
        ;
    for (int i = 0; i < DRAIN_MAX && read_part(w, &w->child.err_fd, &w->lines.err); i++)
        ;
    lines_end(&w->lines, &w->lines.out);
    lines_end(&w->lines, &w->lines.err);
}

void watch_run(struct watch *w, struct child_report *end)
{
    int64_t looked = 0;
    set_limits(w);
    for (int ended = 0; !ended;) {
        struct pollfd fds[] = {{.fd = w->child.report_fd, .events = POLLIN},
                               {.fd = w->child.out_fd, .events = POLLIN},
                               {.fd = w->child.err_fd, .events = POLLIN}};
        poll(fds, sizeof fds / sizeof fds[0], LOOK_MS);
        if (fds[1].revents)
            read_part(w, &w->child.out_fd, &w->lines.out);
        if (fds[2].revents)
            read_part(w, &w->child.err_fd, &w->lines.err);
        int64_t now = clock_ms(CLOCK_MONOTONIC);
        if (now - looked >= LOOK_MS) {
            looked = now;
            look_around(w);
        }
        ended = fds[0].revents && child_ended(&w->child, end);
    }
    drain(w);
    child_close(&w->child);
    if (w->stop != STOP_ASKED)
        w->job->progress(w->job->ctx, w->lines.fraction, w->lines.text);
}
