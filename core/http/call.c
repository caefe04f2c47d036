/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - the life of one request: from evhttp's callback to the handler, and its end when the client leaves first. */
#include "http/door.h"
#include "log/json.h"
#include "log/log.h"

#include <assert.h>
#include <event2/http_struct.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static enum method method_of(enum evhttp_cmd_type type)
{
    switch (type) {
    case EVHTTP_REQ_GET:
        return METHOD_GET;
    case EVHTTP_REQ_HEAD:
        return METHOD_HEAD;
    case EVHTTP_REQ_POST:
        return METHOD_POST;
    case EVHTTP_REQ_PUT:
        return METHOD_PUT;
    case EVHTTP_REQ_DELETE:
        return METHOD_DELETE;
    case EVHTTP_REQ_OPTIONS:
        return METHOD_OPTIONS;
    case EVHTTP_REQ_PATCH:
        return METHOD_PATCH;
    default:
        return METHOD_NONE;
    }
}

static void write_allow(unsigned allow, char *out, size_t cap)
{
    static const struct {
        enum method method;
        const char *name;
    } all[] = {{METHOD_GET, "GET"},       {METHOD_HEAD, "HEAD"}, {METHOD_POST, "POST"},
               {METHOD_DELETE, "DELETE"}, {METHOD_PUT, "PUT"},   {METHOD_OPTIONS, "OPTIONS"}};
    size_t n = 0;

    if (allow & 1U << METHOD_GET)
        allow |= 1U << METHOD_HEAD;
    allow |= 1U << METHOD_OPTIONS;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (allow & 1U << all[i].method)
            n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? ", " : "", all[i].name);
}

/* No route took it: 404, 405, or what OPTIONS asks. */
static void answer_unrouted(struct call *c, enum method m, unsigned allow)
{
    char text[64];

    if (allow == 0) {
        answer_error(c, 404, "No such page.", NULL);
        return;
    }
    write_allow(allow, text, sizeof(text));
    call_add_header(c, "Allow", text);
    if (m == METHOD_OPTIONS)
        answer_bytes(c, 204, NULL, NULL, 0);
    else
        answer_error(c, 405, "This method is not allowed here; see the Allow header.", NULL);
}

static struct call *call_new(struct http *h, struct evhttp_request *req)
{
    struct call *c = calloc(1, sizeof(*c));

    assert(c);
    c->http = h;
    c->req = req;
    c->conn = conn_of(h, req);
    assert(c->conn && !c->conn->call);
    c->conn->call = c;
    c->conn->deadline_ms = INT64_MAX; /* the engines have their own */
    TAILQ_INSERT_TAIL(&h->calls, c, next);
    h->n_calls++;
    evhttp_request_set_on_complete_cb(req, conn_complete, c->conn);
    conn_read_on(c->conn);
    return c;
}

void call_begin(struct evhttp_request *req, void *arg)
{
    struct http *h = arg;
    int64_t entered = loop_enter(h->app->loop);
    struct call *c = call_new(h, req);
    const char *path = call_path(c);
    enum method m = method_of(evhttp_request_get_command(req));
    unsigned allow = 0;

    h->in_evhttp = 1;
    c->is_head = m == METHOD_HEAD;
    c->route = route_find(m == METHOD_HEAD ? METHOD_GET : m, path, strcspn(path, "?"), &c->id, &allow);
    if (c->route)
        call_admit(c);
    else
        answer_unrouted(c, m, allow);
    h->in_evhttp = 0;
    loop_leave(h->app->loop, "http.request", entered);
}

/* Takes the call off its connection and the door, and frees it. */
static void call_free(struct call *c)
{
    if (c->conn)
        c->conn->call = NULL;
    if (c->http) {
        TAILQ_REMOVE(&c->http->calls, c, next);
        c->http->n_calls--;
    }
    worker_auth_free(c->worker);
    json_object_put(c->body);
    free(c->tenant);
    free(c);
}

void call_end(struct call *c)
{
    call_free(c);
}

void call_drop(struct call *c)
{
    assert(!c->conn);
    if (c->req)
        evhttp_request_free(c->req);
    call_free(c);
}

void call_client_gone(struct call *c)
{
    c->conn = NULL;
    /* When the client closed, evhttp let go of the request and it is ours to free; when we close, evhttp frees it. */
    if (evhttp_request_get_connection(c->req))
        c->req = NULL;
    if (c->gone)
        c->gone(c);
}

const char *call_header(struct call *c, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(c->req), name);
}

const char *call_path(struct call *c)
{
    return evhttp_request_get_uri(c->req);
}

const char *call_query(struct call *c)
{
    const char *mark = strchr(call_path(c), '?');

    return mark ? mark + 1 : "";
}

const char *call_ip(struct call *c)
{
    const char *ip = "";

    if (c->conn)
        conn_peer(c->conn, &ip);
    return ip;
}

void call_add_header(struct call *c, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(c->req), name, value);
}

void call_watch_close(struct call *c)
{
    const struct conn_taker *t = &c->http->evhttp;

    if (!c->conn)
        return;
    /* Without a read callback: evhttp ends the process when it is asked to read while it owes an answer. */
    bufferevent_setcb(c->conn->bev, NULL, t->written, t->event, c->conn->ev);
    bufferevent_enable(c->conn->bev, EV_READ);
}

int call_query_number(struct call *c, const char *key, int64_t min, int64_t max, int64_t *out)
{
    char text[32], message[128], *end;
    long long v;

    if (query_get(call_query(c), key, text, sizeof(text)) < 0)
        return 0;
    v = strtoll(text, &end, 10);
    if (*text == '\0' || *end != '\0' || v < min || v > max) {
        snprintf(message, sizeof(message), "The %s must be a whole number from %lld to %lld.", key, (long long)min,
                 (long long)max);
        answer_field(c, key, message);
        return -1;
    }
    *out = v;
    return 0;
}
