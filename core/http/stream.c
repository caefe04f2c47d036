/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.c - server-sent events: one job for its tenant, everything for the operator's page.
 *
 * A job's stream begins with the whole job ("event: job"), tells each event of it as it happens, and ends with the
 * whole job again and "event: end" once it is finished. What a slow reader cannot take is dropped, oldest first; while
 * nothing happens the job is looked at now and then, so that a stream ends even when the event of its end was lost, or
 * is another controller's.
 */
#include "http/door.h"
#include "log/json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FEED_EVENTS  256
#define BACKLOG      (64 * 1024) /* with more unsent, events stay in the feed */
#define HEARTBEAT_MS 15000
#define LOOK_MS      1000 /* with other controllers: what happens to the job there is no event here */

struct stream {
    TAILQ_ENTRY(stream) next;
    struct http *http; /* NULL: the door is gone */
    struct call *call; /* NULL: the client is gone */
    struct feed *feed;
    int64_t job; /* 0: everything */
    char *tenant;
    int64_t after_seq, sent_ms, looked_ms;
    char told[80]; /* where the job stood when it was last sent whole */
    int started, asking, finished, looking;
};

static void pump(void *arg);

static void stream_free(struct stream *s)
{
    if (s->http)
        TAILQ_REMOVE(&s->http->streams, s, next);
    if (s->feed)
        bus_feed_free(s->feed);
    free(s->tenant);
    free(s);
}

/* The client left. */
static void stream_gone(struct call *c)
{
    struct stream *s = c->state;

    call_drop(c);
    s->call = NULL;
    if (!s->asking)
        stream_free(s);
}

static void send_text(struct stream *s, struct text *t)
{
    if (t->n == 0)
        return;
    evbuffer_add(s->http->chunk, t->bytes, t->n);
    evhttp_send_reply_chunk(s->call->req, s->http->chunk);
    s->sent_ms = mono_ms();
}

static void start_answer(struct stream *s)
{
    struct call *c = s->call;

    s->started = 1;
    call_add_header(c, "Date", c->http->date);
    call_add_header(c, "Content-Type", "text/event-stream");
    call_add_header(c, "Cache-Control", "no-store");
    call_add_header(c, "X-Accel-Buffering", "no");
    c->answered = 1;
    door_count(c->http, c->route, 200);
    evhttp_send_reply_start(c->req, 200, status_phrase(200));
}

/* Sends the end of the answer; the connection lives on for other requests. */
static void end_answer(struct stream *s)
{
    struct evhttp_request *req = s->call->req;

    if (s->http->draining)
        call_add_header(s->call, "Connection", "close");
    call_end(s->call);
    s->call = NULL;
    stream_free(s);
    evhttp_send_reply_end(req);
}

static void put_event(struct text *t, const char *name, int64_t seq, const char *data)
{
    if (seq > 0)
        text_printf(t, "id: %lld\n", (long long)seq);
    text_printf(t, "event: %s\ndata: ", name);
    text_puts(t, data);
    text_puts(t, "\n\n");
}

/* ---- one job ---- */

static int is_over(const char *status)
{
    return strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0 || strcmp(status, "cancelled") == 0;
}

static void refuse(struct stream *s, const struct dispatch_answer *a)
{
    struct call *c = s->call;

    c->gone = NULL;
    s->call = NULL;
    stream_free(s);
    answer_engine(c, a, 200);
}

/* Where it stands, when that is not what was told last. */
static int has_moved(struct stream *s, struct json_object *job)
{
    char now[sizeof(s->told)];

    snprintf(now, sizeof(now), "%s %lld %.4f", json_str(job, "status", ""), (long long)json_int(job, "attempts", 0),
             json_num(job, "progress", 0));
    if (strcmp(now, s->told) == 0)
        return 0;
    snprintf(s->told, sizeof(s->told), "%s", now);
    return 1;
}

/* The whole job has come: at the start, at the end, and when it moved elsewhere. */
static void on_job(const struct dispatch_answer *a, void *arg)
{
    struct stream *s = arg;
    struct text t = {0};
    int over, moved, looked = s->looking;

    s->asking = s->looking = 0;
    if (!s->call || !s->http) {
        stream_free(s);
        return;
    }
    if (a->rc != BP_OK && !s->started) {
        refuse(s, a);
        return;
    }
    if (!s->started)
        start_answer(s);
    if (a->rc == BP_OK)
        over = is_over(json_str(a->data, "status", ""));
    else
        over = !looked || a->rc == BP_NOTFOUND;
    moved = a->rc == BP_OK && has_moved(s, a->data);
    if (looked && !over && !moved) {
        if (mono_ms() - s->sent_ms >= HEARTBEAT_MS)
            text_puts(&t, ": alive\n\n");
    } else if (a->rc == BP_OK) {
        put_event(&t, "job", 0, json_text(a->data));
    }
    if (over)
        put_event(&t, "end", 0, "{}");
    send_text(s, &t);
    text_free(&t);
    s->finished = 0;
    if (over || s->http->draining)
        end_answer(s);
    else
        pump(s);
}

static void ask_job(struct stream *s)
{
    s->asking = 1;
    dispatch_job_get(s->http->app->dispatch, s->tenant, s->job, 1, on_job, s);
}

static int ends_job(enum event_id id)
{
    return id == EVENT_JOB_COMPLETED || id == EVENT_JOB_FAILED || id == EVENT_JOB_CANCELLED;
}

static int is_for(const struct stream *s, const struct event_msg *e)
{
    return e->seq > s->after_seq && (s->job == 0 || (json_int(event_fields(e), "job", 0) == s->job &&
                                                     strcmp(json_str(event_fields(e), "tenant", ""), s->tenant) == 0));
}

static void tell(struct stream *s, const struct event_msg *e, struct text *t)
{
    char *json;

    if (!is_for(s, e))
        return;
    json = event_json(e);
    put_event(t, event_info(e->id)->name, e->seq, json);
    free(json);
    s->after_seq = e->seq;
    if (s->job && ends_job(e->id))
        s->finished = 1;
}

static size_t unsent(const struct stream *s)
{
    return evbuffer_get_length(bufferevent_get_output(s->call->conn->bev));
}

/* For who reads slower than events come; not what a job's stream must know, whose end is asked of the queue. */
static void tell_lost(struct stream *s, struct text *t)
{
    uint64_t lost = bus_feed_lost(s->feed);
    char data[48];
    if (lost == 0 || s->job)
        return;
    snprintf(data, sizeof data, "{\"lost\":%llu}", (unsigned long long)lost);
    put_event(t, "lost", 0, data);
}

/* Sends what waits in the feed, as long as the client takes it. */
static void pump(void *arg)
{
    struct stream *s = arg;
    struct event_msg *e;
    struct text t = {0};
    int64_t entered;

    if (!s->call || !s->started || s->asking || !s->http)
        return;
    entered = loop_enter(s->http->app->loop);
    while (!s->finished && unsent(s) + t.n < BACKLOG && (e = bus_feed_next(s->feed)) != NULL) {
        tell_lost(s, &t);
        tell(s, e, &t);
        event_unref(e);
    }
    send_text(s, &t);
    text_free(&t);
    if (s->finished)
        ask_job(s);
    loop_leave(s->http->app->loop, "http.stream", entered);
}

/* Events the client missed while it was away, as far as they are remembered. */
static void tell_recent(const struct event_msg *e, void *arg)
{
    struct stream *s = arg;
    struct text t = {0};

    tell(s, e, &t);
    send_text(s, &t);
    text_free(&t);
}

static struct stream *stream_new(struct call *c, const char *pattern)
{
    struct stream *s = calloc(1, sizeof(*s));
    const char *last = call_header(c, "Last-Event-ID");

    assert(s);
    s->http = c->http;
    s->call = c;
    s->job = c->id;
    s->tenant = c->tenant ? strdup(c->tenant) : NULL;
    assert(s->tenant || !c->tenant);
    s->after_seq = last ? strtoll(last, NULL, 10) : 0;
    s->sent_ms = mono_ms();
    s->feed = bus_feed_new(c->http->app->bus, pattern, FEED_EVENTS, pump, s);
    assert(s->feed);
    TAILQ_INSERT_TAIL(&c->http->streams, s, next);
    c->gone = stream_gone;
    c->state = s;
    call_watch_close(c);
    return s;
}

void tenant_events(struct call *c)
{
    struct stream *s;

    if (c->is_head) {
        answer_bytes(c, 200, "text/event-stream", NULL, 0);
        return;
    }
    s = stream_new(c, "job.*");
    s->after_seq = 0; /* the whole job comes first and tells what was missed */
    ask_job(s);
}

void operator_events(struct call *c)
{
    struct stream *s;
    char recent[8] = "";
    uint32_t max = call_header(c, "Last-Event-ID") ? FEED_EVENTS : 0;

    if (c->is_head) {
        answer_bytes(c, 200, "text/event-stream", NULL, 0);
        return;
    }
    if (max == 0 && query_get(call_query(c), "recent", recent, sizeof(recent)) > 0)
        max = (uint32_t)strtoul(recent, NULL, 10);
    s = stream_new(c, "*");
    start_answer(s);
    if (max)
        bus_recent(c->http->app->bus, "*", max < FEED_EVENTS ? max : FEED_EVENTS, tell_recent, s);
    if (c->http->draining)
        end_answer(s);
    else
        pump(s);
}

/* A comment now and then shows both sides that the other is there. */
static void beat(struct stream *s, int64_t now_ms)
{
    struct text t = {0};

    int64_t since = s->sent_ms > s->looked_ms ? s->sent_ms : s->looked_ms;
    int64_t every = s->job && dispatch_others(s->http->app->dispatch) ? LOOK_MS : HEARTBEAT_MS;

    if (now_ms - since < every || unsent(s) > 0)
        return;
    if (s->job) {
        s->looking = 1;
        s->looked_ms = now_ms;
        ask_job(s);
        return;
    }
    text_puts(&t, ": alive\n\n");
    send_text(s, &t);
    text_free(&t);
}

void stream_sweep(struct http *h, int64_t now_ms)
{
    struct stream *s, *next;

    for (s = TAILQ_FIRST(&h->streams); s; s = next) {
        next = TAILQ_NEXT(s, next);
        if (!s->call || !s->started || s->asking)
            continue;
        beat(s, now_ms);
        pump(s); /* what did not fit before */
    }
}

void stream_end_all(struct http *h)
{
    struct stream *s, *next;

    for (s = TAILQ_FIRST(&h->streams); s; s = next) {
        next = TAILQ_NEXT(s, next);
        if (s->call && s->started && !s->asking)
            end_answer(s);
    }
}

void stream_orphan_all(struct http *h)
{
    struct stream *s;

    while ((s = TAILQ_FIRST(&h->streams)) != NULL) { /* each waits for a job's answer, which frees it */
        TAILQ_REMOVE(&h->streams, s, next);
        s->http = NULL;
        bus_feed_free(s->feed);
        s->feed = NULL;
    }
}
