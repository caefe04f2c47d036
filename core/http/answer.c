/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - every answer of the door: the envelope, the status of a return code, the headers. */
#include "http/door.h"
#include "log/json.h"
#include "log/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_BYTES (256 * 1024) /* a larger answer buffer is not kept */

static const struct {
    int status;
    const char *phrase;
} phrases[] = {
    {200, "OK"},
    {201, "Created"},
    {204, "No Content"},
    {206, "Partial Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {409, "Conflict"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};
#define N_PHRASES (sizeof(phrases) / sizeof(phrases[0]))
_Static_assert(N_PHRASES < DOOR_CODES, "every status is counted by itself");

static size_t phrase_index(int status)
{
    for (size_t i = 0; i < N_PHRASES; i++)
        if (phrases[i].status == status)
            return i;
    return N_PHRASES;
}

const char *status_phrase(int status)
{
    size_t i = phrase_index(status);

    return i < N_PHRASES ? phrases[i].phrase : "Unknown";
}

int status_counted(size_t index)
{
    return index < N_PHRASES ? phrases[index].status : 0;
}

void door_count(struct http *h, const struct route *r, int status)
{
    h->counts[route_index(r)][phrase_index(status)]++;
}

int answer_status(int rc, const char *message)
{
    switch (rc) {
    case BP_OK:
        return 200;
    case BP_INVALID:
    case BP_BADINPUT:
        return 422;
    case BP_TOOLARGE:
        return 413;
    case BP_NOTFOUND:
    case BP_STALE:
        return 404;
    case BP_CONFLICT:
        return 409;
    case BP_DENIED: /* the field's workers know 401 for both of these */
        return message && (strcmp(message, "Unauthorized.") == 0 || strcmp(message, "Worker not approved.") == 0) ? 401
                                                                                                                  : 403;
    case BP_LATER:
    case BP_STOPPED:
    case BP_NOSPACE:
    case BP_TIMEOUT:
        return 503;
    case BP_UNSUPPORTED: /* by the plugin that serves it */
        return 501;
    default:
        return 500;
    }
}

void answer_bytes(struct call *c, int status, const char *type, const void *bytes, size_t n)
{
    struct evhttp_request *req = c->req;
    struct conn *conn = c->conn;

    assert(!c->answered);
    c->answered = 1;
    if (!c->conn || !c->http) { /* nobody listens any more */
        c->conn = NULL;
        call_drop(c);
        return;
    }
    call_add_header(c, "Date", c->http->date);
    if (type)
        call_add_header(c, "Content-Type", type);
    if (c->is_head && n) {
        char length[24];
        snprintf(length, sizeof(length), "%zu", n);
        call_add_header(c, "Content-Length", length);
    } else if (n && bytes) {
        evbuffer_add(evhttp_request_get_output_buffer(req), bytes, n);
    }
    if (c->http->draining)
        call_add_header(c, "Connection", "close");
    door_count(c->http, c->route, status);
    log_debug(LOG_HTTP, "%s %s %d", call_ip(c), call_path(c), status);
    call_end(c);
    evhttp_send_reply(req, status, status_phrase(status), NULL);
    conn_send_now(conn);
}

static void answer_json(struct call *c, int status, struct text *t)
{
    call_add_header(c, "Cache-Control", "no-store");
    answer_bytes(c, status, "application/json", t->bytes, t->n);
    if (t->cap > KEEP_BYTES)
        text_free(t);
}

/* Where answers are built: the door's one buffer, or nowhere when the door is gone. */
static struct text *start(struct call *c)
{
    if (!c->http || !c->conn) {
        c->answered = 1;
        c->conn = NULL;
        call_drop(c);
        return NULL;
    }
    c->http->out.n = 0;
    return &c->http->out;
}

void answer_ok(struct call *c, int status, struct json_object *data, const char *message)
{
    struct text *t = start(c);

    if (!t)
        return;
    text_add(t, "{\"success\":true,\"data\":", 23);
    text_puts(t, data ? json_text(data) : "null");
    text_add(t, ",\"message\":", 11);
    text_json(t, message);
    text_add(t, "}", 1);
    answer_json(c, status, t);
}

void answer_error(struct call *c, int status, const char *message, struct json_object *fields)
{
    struct text *t = start(c);

    if (!t)
        return;
    text_add(t, "{\"success\":false,\"message\":", 27);
    text_json(t, message);
    if (fields) {
        text_add(t, ",\"data\":", 8);
        text_puts(t, json_text(fields));
    }
    text_add(t, "}", 1);
    answer_json(c, status, t);
}

void answer_field(struct call *c, const char *field, const char *message)
{
    struct json_object *fields = json_object_new_object(), *list = json_object_new_array();

    json_object_array_add(list, json_object_new_string(message));
    json_object_object_add(fields, field, list);
    answer_error(c, 422, "Validation error.", fields);
    json_object_put(fields);
}

static void add_retry_after(struct call *c, int seconds)
{
    char text[16];

    snprintf(text, sizeof(text), "%d", seconds > 0 ? seconds : 1);
    if (c->conn && c->http)
        call_add_header(c, "Retry-After", text);
}

void answer_engine(struct call *c, const struct dispatch_answer *a, int ok_status)
{
    const char *message = a->message && *a->message ? a->message : NULL;
    int status = a->over_limit ? 429 : answer_status(a->rc, message);

    if (a->rc == BP_OK) {
        answer_ok(c, ok_status, a->data, message);
        return;
    }
    if (status == 503 || status == 429)
        add_retry_after(c, a->retry_after_s);
    if (a->rc == BP_STALE && !message)
        message = "Lease not found.";
    if (a->rc == BP_INVALID && !message)
        message = "Validation error.";
    answer_error(c, status, message ? message : status_phrase(status), a->fields);
}

void answer_reply(const struct dispatch_answer *a, void *arg)
{
    struct call *c = arg;
    struct loop *l = c->http ? c->http->app->loop : NULL;
    int64_t entered = l ? loop_enter(l) : 0;

    answer_engine(c, a, 200);
    if (l)
        loop_leave(l, "http.answer", entered);
}

void answer_err(struct call *c, const struct bp_err *err)
{
    int status = answer_status(err->rc, NULL);

    if (status == 503)
        add_retry_after(c, 1);
    answer_error(c, status, err->text[0] ? err->text : status_phrase(status), NULL);
}
