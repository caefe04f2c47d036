/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c - waits for a prompt. The WebSocket tells how far it is and when to look; what counts is the history, which
 * is also looked at from time to time while the WebSocket is silent, and often while there is none.
 */
#include "clock.h"
#include "comfy.h"
#include "history.h"
#include "json.h"
#include "ws.h"

#include <bp/workflow.h>
#include <stdio.h>

#define SLICE_MS     200   /* at least so often the job is asked whether to go on */
#define LOOK_MS      1000  /* between looks at the history without a WebSocket */
#define LOOK_RARE_MS 10000 /* with one */
#define LOOK_OVER_MS 50    /* after the message that it is over */
#define RECONNECT_MS 2000
#define HANDSHAKE_MS 3000

struct watch {
    struct comfy *c;
    struct ws *ws;
    int64_t look_ms, connect_ms; /* when to look at the history, when to try the WebSocket again */
    int64_t down_ms;             /* since when ComfyUI does not answer, 0: it does */
    int missed;                  /* looks in a row that found the prompt neither in the history nor in the queue */
};

/* ---- the WebSocket ---- */

static void connect_again(struct watch *w)
{
    struct bp_err why = {0};
    if (w->ws || clock_ms() < w->connect_ms)
        return;
    w->connect_ms = clock_ms() + RECONNECT_MS;
    w->ws = ws_open(w->c->set.url, w->c->client_id, HANDSHAKE_MS, &why);
    if (!w->ws)
        bp_job_log(w->c->job, BP_LOG_DEBUG, "%s", why.text);
}

static void drop(struct watch *w, const struct bp_err *why)
{
    bp_job_log(w->c->job, BP_LOG_INFO, "%s; the history is polled meanwhile", why->text);
    ws_close(w->ws);
    w->ws = NULL;
    w->connect_ms = clock_ms() + RECONNECT_MS;
    w->look_ms = 0;
}

/* Takes a message, waiting for it a slice of time, or, without a WebSocket, lets that pass. */
static void listen(struct watch *w)
{
    struct events *e = &w->c->events;
    struct bp_err why = {0};
    const char *text = NULL;
    size_t n;
    if (!w->ws) {
        clock_sleep_ms(e->over ? LOOK_OVER_MS : SLICE_MS);
        return;
    }
    int over = e->over;
    if (ws_next(w->ws, e->over ? LOOK_OVER_MS : SLICE_MS, &text, &n, &why) < 0)
        drop(w, &why);
    else if (text)
        events_take(e, text, n);
    if (e->over != over)
        w->look_ms = 0;
}

/* ---- the history ---- */

/* ComfyUI does not answer: it may be back soon, without the prompt, or not at all. */
static int32_t is_down(struct watch *w, const struct bp_err *why, struct bp_err *err)
{
    const struct settings *s = &w->c->set;
    if (!w->down_ms) {
        w->down_ms = clock_ms();
        bp_job_log(w->c->job, BP_LOG_WARN, "%s", why->text);
    }
    if (clock_ms() - w->down_ms < (int64_t)s->start_s * 1000)
        return BP_OK;
    return bp_error(err, BP_LATER, "ComfyUI at %.100s went away while it ran the graph, and is not back after %d s",
                    s->url, s->start_s);
}

/* Neither over nor in the queue: twice in a row, since it may have ended between the two looks. */
static int32_t is_missing(struct watch *w, struct bp_err *err)
{
    struct bp_err why = {0};
    int32_t queued = comfy_queued(w->c, &why);
    if (queued < 0)
        return queued == BP_STOPPED ? bp_error(err, queued, "stopped as asked") : is_down(w, &why, err);
    w->down_ms = 0;
    w->missed = queued ? 0 : w->missed + 1;
    int soon = w->missed || w->c->events.over;
    w->look_ms = clock_ms() + (soon ? LOOK_OVER_MS : w->ws ? LOOK_RARE_MS : LOOK_MS);
    if (w->missed < 3)
        return BP_OK;
    return bp_error(err, BP_FAIL, "ComfyUI at %.100s has lost the prompt: it was restarted, or its queue was cleared",
                    w->c->set.url);
}

/* *history is set once the prompt is over. */
static int32_t look(struct watch *w, struct json_object **history, struct bp_err *err)
{
    char path[400];
    struct answer a;
    struct bp_err why = {0};
    char *id = http_escape(w->c->http, w->c->prompt_id);
    snprintf(path, sizeof path, "/history/%s", id ? id : "");
    http_free(id);
    w->look_ms = clock_ms() + LOOK_MS;
    int32_t rc = http_get(w->c->http, path, &a, &why);
    if (rc == BP_STOPPED)
        return bp_error(err, rc, "stopped as asked");
    if (rc < 0)
        return is_down(w, &why, err);
    if (a.status == 200 && history_entry(a.json, w->c->prompt_id)) {
        *history = json_object_get(a.json);
        answer_free(&a);
        return BP_OK;
    }
    int empty = a.status == 200 && json_object_is_type(a.json, json_type_object);
    bp_error(&why, BP_FAIL, "ComfyUI at %.100s answers %ld to /history", w->c->set.url, a.status);
    answer_free(&a);
    if (!empty)
        return is_down(w, &why, err);
    return is_missing(w, err);
}

static int32_t tell(struct comfy *c, struct bp_err *err)
{
    char words[120];
    return comfy_tell(c, 0.05 + 0.9 * events_fraction(&c->events), events_words(&c->events, words, sizeof words), err);
}

static int32_t wait_for_end(struct watch *w, struct json_object **history, struct bp_err *err)
{
    int32_t rc = BP_OK;
    while (rc == BP_OK && !*history) {
        rc = tell(w->c, err);
        if (rc == BP_OK && !w->down_ms)
            connect_again(w);
        if (rc == BP_OK)
            listen(w);
        if (rc == BP_OK && clock_ms() >= w->look_ms)
            rc = look(w, history, err);
    }
    return rc;
}

int32_t comfy_watch(struct comfy *c, struct json_object **history, struct bp_err *err)
{
    struct watch w = {.c = c, .ws = c->ws, .look_ms = clock_ms() + LOOK_MS};
    c->ws = NULL;
    *history = NULL;
    int32_t rc = wait_for_end(&w, history, err);
    ws_close(w.ws);
    return rc;
}
