/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upload.c - PUT of /objects/...: the body goes to a file piece by piece, with one piece in memory at a time.
 *
 * evhttp 2.1 would hold a whole body in memory before anybody sees it; so the gate hands the connection over before
 * evhttp saw the request, and gets it back afterwards. The signature is checked before a byte of the body is taken.
 */
#include "http/door.h"
#include "http/object_file.h"
#include "log/err.h"
#include "log/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PIECE (256 * 1024)

struct upload {
    TAILQ_ENTRY(upload) next;
    struct http *http; /* NULL: the door is gone */
    struct conn *conn; /* NULL: the client is gone */
    struct object_file *file;
    char *mime; /* Content-Type, or NULL */
    int64_t length, taken, total_deadline_ms;
    int busy; /* a request to the service is under way */
    int opened, committing, answered, closes, expects_continue;
};

static void step(struct upload *u);

static const struct route *put_route(void)
{
    for (size_t i = 0; i < n_routes; i++)
        if (routes[i].method == METHOD_PUT)
            return &routes[i];
    return NULL;
}

static void upload_free(struct upload *u)
{
    if (u->conn)
        u->conn->upload = NULL;
    if (u->http) {
        TAILQ_REMOVE(&u->http->uploads, u, next);
        u->http->n_uploads--;
    }
    object_file_put(u->file);
    free(u->mime);
    free(u);
}

/* Gives up: an opened file is removed, the client (if any) was or is told by others. Waits for the request under way.
 */
static void abandon(struct upload *u)
{
    if (u->busy)
        return;
    if (u->opened && !u->committing)
        object_file_discard(u->file);
    upload_free(u);
}

void upload_client_gone(struct upload *u)
{
    u->conn = NULL;
    abandon(u);
}

void upload_end_all(struct http *h)
{
    struct upload *u;

    while ((u = TAILQ_FIRST(&h->uploads)) != NULL) {
        TAILQ_REMOVE(&h->uploads, u, next);
        u->http = NULL;
    }
}

static void refuse(struct upload *u, int status, const char *message)
{
    struct conn *c = u->conn;

    if (c) {
        c->upload = NULL;
        u->conn = NULL;
        door_count(c->http, put_route(), status);
        conn_refuse(c, status, message);
    }
    abandon(u);
}

static void refuse_err(struct upload *u, const struct bp_err *err)
{
    int status = answer_status(err->rc, NULL);

    refuse(u, status, err->text[0] ? err->text : status_phrase(status));
}

/* ---- the end ---- */

static void sent(struct upload *u)
{
    struct conn *c = u->conn;

    upload_free(u);
    if (c->http->draining)
        conn_close(c);
    else
        conn_give_back(c);
}

static void answer(struct upload *u)
{
    struct text body = {0};

    u->answered = 1;
    text_puts(&body, "{\"success\":true,\"data\":{\"key\":");
    text_json(&body, u->file->info.key);
    text_printf(&body, ",\"size\":%lld},\"message\":\"Stored\"}", (long long)u->length);
    door_count(u->http, put_route(), 200);
    conn_write_answer(u->conn, 200, u->closes ? "Connection: close\r\n" : "", text_str(&body));
    text_free(&body);
}

static void committed(const struct bp_err *err, void *arg)
{
    struct upload *u = arg;

    u->busy = 0;
    if (!u->conn)
        abandon(u);
    else if (err->rc)
        refuse_err(u, err);
    else
        answer(u);
}

static void commit(struct upload *u)
{
    struct bp_err err = {0};

    u->committing = 1;
    u->conn->deadline_ms = INT64_MAX;
    if (object_file_commit(u->file, u->mime, committed, u, &err)) {
        u->committing = 0;
        refuse_err(u, &err);
        return;
    }
    u->busy = 1;
}

/* ---- the body ---- */

static void written(const struct bp_err *err, void *arg)
{
    struct upload *u = arg;

    u->busy = 0;
    if (!u->conn)
        abandon(u);
    else if (err->rc)
        refuse_err(u, err);
    else
        step(u);
}

static void write_piece(struct upload *u, size_t n)
{
    struct bp_err err = {0};
    void *bytes = malloc(n);

    assert(bytes);
    evbuffer_remove(bufferevent_get_input(u->conn->bev), bytes, n);
    u->taken += (int64_t)n;
    u->conn->deadline_ms = INT64_MAX;
    if (object_file_write(u->file, bytes, n, written, u, &err)) {
        refuse_err(u, &err);
        return;
    }
    u->busy = 1;
}

/* Waits for more, for as long as a silent connection may live and not slower than 1 kB/s over all. */
static void await(struct upload *u)
{
    int64_t deadline = mono_ms() + u->http->limits.timeout_ms;

    u->conn->deadline_ms = deadline < u->total_deadline_ms ? deadline : u->total_deadline_ms;
}

/* Does what can be done now. The input's high watermark holds the client back while the service writes. */
static void step(struct upload *u)
{
    size_t n = evbuffer_get_length(bufferevent_get_input(u->conn->bev));
    int64_t left = u->length - u->taken;

    if (u->busy || !u->opened || u->answered)
        return;
    if ((int64_t)n > left)
        n = (size_t)left;
    if (left == 0)
        commit(u);
    else if (n >= PIECE / 4 || (int64_t)n == left)
        write_piece(u, n);
    else
        await(u);
}

static void opened(const struct bp_err *err, void *arg)
{
    struct upload *u = arg;

    u->busy = 0;
    u->opened = err->rc == 0;
    if (!u->conn) {
        abandon(u);
        return;
    }
    if (err->rc) {
        refuse_err(u, err);
        return;
    }
    if (u->file->max_bytes > 0 && u->length > u->file->max_bytes) {
        refuse(u, 413, "The body is larger than this URL allows.");
        return;
    }
    if (u->expects_continue)
        bufferevent_write(u->conn->bev, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    step(u);
}

/* ---- the socket ---- */

static void on_read(struct bufferevent *bev, void *arg)
{
    struct upload *u = arg;
    struct loop *l = u->http->app->loop;
    int64_t entered = loop_enter(l);

    (void)bev;
    step(u);
    loop_leave(l, "http.upload", entered);
}

static void on_written(struct bufferevent *bev, void *arg)
{
    struct upload *u = arg;

    if (u->answered && evbuffer_get_length(bufferevent_get_output(bev)) == 0) {
        if (u->closes) {
            struct conn *c = u->conn;
            upload_free(u);
            conn_close(c);
        } else {
            sent(u);
        }
    }
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct upload *u = arg;

    (void)bev;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
        conn_close(u->conn); /* tells the upload */
}

static struct upload *upload_new(struct conn *c, const struct head *head)
{
    struct upload *u = calloc(1, sizeof(*u));

    assert(u);
    u->http = c->http;
    u->conn = c;
    u->length = head->content_length;
    u->total_deadline_ms = mono_ms() + c->http->limits.timeout_ms + u->length;
    u->closes = head->closes;
    u->expects_continue = head->expects_continue && head->minor;
    u->mime = head->content_type_len ? strndup(head->content_type, head->content_type_len) : NULL;
    u->file = object_file_new(c->http->app->bus, "PUT", head->target, head->target_len);
    TAILQ_INSERT_TAIL(&c->http->uploads, u, next);
    c->http->n_uploads++;
    c->upload = u;
    return u;
}

void upload_begin(struct conn *c, const struct head *head, size_t head_bytes)
{
    struct conn_taker taker = {on_read, on_written, on_event, NULL};
    struct bp_err err = {0};
    struct upload *u;

    if (head->content_length < 0) {
        conn_refuse(c, 411, "Give the Content-Length of the object.");
        return;
    }
    if (head->content_length > c->http->limits.max_upload) {
        conn_refuse(c, 413, "The body is larger than http.maxUploadBytes.");
        return;
    }
    u = upload_new(c, head);
    taker.arg = u;
    conn_take(c, head_bytes, &taker);
    bufferevent_setwatermark(c->bev, EV_READ, 0, PIECE);
    c->deadline_ms = INT64_MAX;
    if (object_file_open(u->file, opened, u, &err)) {
        refuse_err(u, &err);
        return;
    }
    u->busy = 1;
}
