/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.c - one client connection: the gate before evhttp, the way from request to request, and its deadlines.
 *
 * evhttp 2.1 begins to parse with the first line, answers what it dislikes in HTML, and reads a body before anybody is
 * asked. So its read callback sleeps (a low watermark no input reaches) until the gate, a callback on the input buffer,
 * has seen and accepted a whole head. What the gate does not accept never reaches evhttp.
 */
#include "http/door.h"

#include <assert.h>
#include <event2/bufferevent_ssl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#define GATE_SHUT  ((size_t)SSIZE_MAX)
#define SLACK      4096
#define REFUSE_TOO (64) /* connections over the limit that still hear why */

static void gate(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg);
static void resume(evutil_socket_t fd, short what, void *arg);

static struct evbuffer *input_of(struct conn *c)
{
    return bufferevent_get_input(c->bev);
}

static void shut_gate(struct conn *c)
{
    bufferevent_setwatermark(c->bev, EV_READ, GATE_SHUT, c->http->limits.max_head + SLACK);
    c->phase = CONN_HEAD;
    c->heard = c->wide = 0;
    c->searched = 0;
    c->deadline_ms = mono_ms() + c->http->limits.timeout_ms;
}

struct bufferevent *conn_bufferevent(struct event_base *base, void *arg)
{
    struct http *h = arg;
    struct conn *c = calloc(1, sizeof(*c));
    SSL *ssl = h->tls ? SSL_new(h->tls) : NULL;

    assert(c && (!h->tls || ssl));
    c->http = h;
    c->bev = ssl ? bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE)
                 : bufferevent_socket_new(base, -1, 0);
    assert(c->bev);
    if (ssl) /* clients that just close are common and harm nothing: lengths are always explicit */
        bufferevent_openssl_set_allow_dirty_shutdown(c->bev, 1);
    evbuffer_add_cb(input_of(c), gate, c);
    shut_gate(c);
    TAILQ_INSERT_TAIL(&h->fresh, c, next);
    h->n_conns++;
    event_active(h->adopt, 0, 0);
    return c->bev;
}

/* evhttp is about to free the connection. */
static void conn_gone(struct evhttp_connection *ev, void *arg)
{
    struct conn *c = arg;
    struct http *h = c->http;
    int fd = bufferevent_getfd(c->bev);

    (void)ev;
    evbuffer_remove_cb(input_of(c), gate, c);
    if (fd >= 0 && (size_t)fd < h->n_by_fd && h->by_fd[fd] == c)
        h->by_fd[fd] = NULL;
    TAILQ_REMOVE(&h->conns, c, next);
    h->n_conns--;
    if (c->call)
        call_client_gone(c->call);
    if (c->upload)
        upload_client_gone(c->upload);
    if (c->resume)
        event_free(c->resume);
    if (c->stash)
        evbuffer_free(c->stash);
    if (!h->draining && h->n_conns == h->limits.max_connections + REFUSE_TOO - 1)
        evconnlistener_enable(h->listener);
    free(c);
}

void conn_close(struct conn *c)
{
    evhttp_connection_free(c->ev);
}

static void remember_fd(struct http *h, int fd, struct conn *c)
{
    if ((size_t)fd >= h->n_by_fd) {
        size_t n = ((size_t)fd + 256) & ~(size_t)255;
        struct conn **grown = realloc(h->by_fd, n * sizeof(*grown));
        assert(grown);
        memset(grown + h->n_by_fd, 0, (n - h->n_by_fd) * sizeof(*grown));
        h->by_fd = grown;
        h->n_by_fd = n;
    }
    h->by_fd[fd] = c;
}

/* evhttp makes its connection after the bufferevent; it is the argument of the callbacks it put there. */
static void adopt(struct conn *c)
{
    struct http *h = c->http;
    void *ev = NULL;
    int fd = bufferevent_getfd(c->bev), on = 1;

    bufferevent_getcb(c->bev, &h->evhttp.read, &h->evhttp.written, &h->evhttp.event, &ev);
    assert(ev && fd >= 0);
    c->ev = ev;
    TAILQ_REMOVE(&h->fresh, c, next);
    TAILQ_INSERT_TAIL(&h->conns, c, next);
    evhttp_connection_set_closecb(c->ev, conn_gone, c);
    bufferevent_set_timeouts(c->bev, NULL, NULL); /* conn_sweep does it, without a timer each */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    remember_fd(h, fd, c);
    if (h->n_conns >= h->limits.max_connections + REFUSE_TOO)
        evconnlistener_disable(h->listener);
    if (h->n_conns > h->limits.max_connections)
        conn_refuse(c, 503, "Too many connections.");
}

void conn_adopt_all(evutil_socket_t fd, short what, void *arg)
{
    struct http *h = arg;
    struct conn *c;

    (void)fd;
    (void)what;
    while ((c = TAILQ_FIRST(&h->fresh)) != NULL)
        adopt(c);
}

struct conn *conn_of(struct http *h, struct evhttp_request *req)
{
    struct evhttp_connection *ev = evhttp_request_get_connection(req);
    int fd = ev ? bufferevent_getfd(evhttp_connection_get_bufferevent(ev)) : -1;

    return fd >= 0 && (size_t)fd < h->n_by_fd ? h->by_fd[fd] : NULL;
}

void conn_peer(struct conn *c, const char **ip)
{
    char *address = NULL;
    uint16_t port;

    evhttp_connection_get_peer(c->ev, &address, &port);
    *ip = address ? address : "";
}

/* Lets evhttp read this request; its body, if any, must fit into the input buffer as a whole. */
static void open_gate(struct conn *c, const struct head *head)
{
    const struct limits *l = &c->http->limits;
    size_t room = l->max_head + SLACK;

    if (head->content_length > 0 || head->chunked) {
        room += (size_t)(head->chunked ? l->max_body : head->content_length) + SLACK;
        c->wide = 1;
    }
    c->phase = CONN_EVHTTP;
    c->deadline_ms = mono_ms() + l->timeout_ms;
    bufferevent_setwatermark(c->bev, EV_READ, 0, room);
}

static int decide(struct conn *c, const struct head *head, size_t n)
{
    const char *prefix = "/objects/";

    if (head->method == METHOD_PUT && head->path_len > strlen(prefix) &&
        memcmp(head->target, prefix, strlen(prefix)) == 0) {
        upload_begin(c, head, n);
        return 0;
    }
    if (head->content_length > c->http->limits.max_body) {
        conn_refuse(c, 413, "The body is larger than http.maxBodyBytes.");
        return 0;
    }
    open_gate(c, head);
    return 1;
}

/* RFC 9112 2.2: empty lines before a request line are ignored. */
static void skip_empty_lines(struct evbuffer *in)
{
    unsigned char *p;
    size_t n, i = 0;

    n = evbuffer_get_contiguous_space(in);
    p = evbuffer_pullup(in, n ? (ssize_t)n : 0);
    while (p && i < n && (p[i] == '\r' || p[i] == '\n'))
        i++;
    if (i)
        evbuffer_drain(in, i);
}

/* Looks at what is in the input for a whole head; returns 1 when evhttp may read. */
static int conn_look(struct conn *c)
{
    struct evbuffer *in = input_of(c);
    size_t max = c->http->limits.max_head, n, end;
    const char *p, *why = "";
    struct head head;
    int status;

    if (!c->heard)
        skip_empty_lines(in);
    n = evbuffer_get_length(in);
    if (n == 0)
        return 0;
    if (!c->heard) { /* from now on it must go on: a slow head is an attack */
        c->heard = 1;
        c->deadline_ms = mono_ms() + c->http->limits.timeout_ms;
    }
    if (n > max)
        n = max;
    p = (const char *)evbuffer_pullup(in, (ssize_t)n);
    end = head_end(p, n, &c->searched);
    if (end == 0) {
        if (n == max)
            conn_refuse(c, 431, "The request head is larger than http.maxHeaderBytes.");
        return 0;
    }
    status = head_parse(p, end, &head, &why);
    if (status) {
        conn_refuse(c, status, why);
        return 0;
    }
    return decide(c, &head, end);
}

static void gate(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    struct conn *c = arg;
    int64_t entered;

    (void)input;
    if (info->n_added == 0 || c->phase != CONN_HEAD || c->stash)
        return;
    entered = loop_enter(c->http->app->loop);
    if (!c->ev)
        adopt(c);
    if (c->phase == CONN_HEAD)
        conn_look(c);
    loop_leave(c->http->app->loop, "http.gate", entered);
}

/* Bytes of the next request came with this one: they are kept aside until evhttp is ready for them. */
static void stash_rest(struct conn *c)
{
    if (!c->resume)
        c->resume = event_new(loop_base(c->http->app->loop), -1, 0, resume, c);
    c->stash = evbuffer_new();
    assert(c->resume && c->stash);
    evbuffer_add_buffer(c->stash, input_of(c));
    event_active(c->resume, 0, 0);
}

static void resume(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;

    (void)fd;
    (void)what;
    if (!c->stash)
        return;
    evbuffer_prepend_buffer(input_of(c), c->stash); /* the gate looks away while there is a stash */
    evbuffer_free(c->stash);
    c->stash = NULL;
    if (c->phase == CONN_HEAD && conn_look(c))
        bufferevent_trigger(c->bev, EV_READ, 0);
}

static void next_request(struct conn *c)
{
    shut_gate(c);
    if (evbuffer_get_length(input_of(c)) > 0)
        stash_rest(c);
}

static int is_plain(const struct conn *c)
{
    return bufferevent_openssl_get_ssl(c->bev) == NULL;
}

/* The end of the input is heard of once the answer is there: who half-closes gets it. */
void conn_read_on(struct conn *c)
{
    if (!is_plain(c))
        return;
    bufferevent_setcb(c->bev, NULL, c->http->evhttp.written, NULL, c->ev);
    bufferevent_enable(c->bev, EV_READ);
}

void conn_send_now(struct conn *c)
{
    struct evbuffer *out = bufferevent_get_output(c->bev);

    if (!is_plain(c))
        return;
    if (!c->http->in_evhttp) {
        evbuffer_unfreeze(out, 1);
        evbuffer_write(out, bufferevent_getfd(c->bev)); /* an error comes again when the loop writes */
        evbuffer_freeze(out, 1);
    }
    if (evbuffer_get_length(out) > 0 || c->http->in_evhttp)
        bufferevent_disable(c->bev, EV_READ); /* the end of the input is no reason to drop what is not sent yet */
    else
        bufferevent_trigger(c->bev, EV_WRITE, 0); /* evhttp's turn: the request is over */
}

void conn_complete(struct evhttp_request *req, void *arg)
{
    (void)req;
    next_request(arg);
}

void conn_take(struct conn *c, size_t head_bytes, const struct conn_taker *t)
{
    c->phase = CONN_TAKEN;
    c->deadline_ms = mono_ms() + c->http->limits.timeout_ms;
    bufferevent_setcb(c->bev, t->read, t->written, t->event, t->arg);
    bufferevent_setwatermark(c->bev, EV_READ, 0, c->http->limits.max_head + SLACK);
    evbuffer_drain(input_of(c), head_bytes);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

void conn_give_back(struct conn *c)
{
    const struct conn_taker *t = &c->http->evhttp;

    bufferevent_setcb(c->bev, t->read, t->written, t->event, c->ev);
    bufferevent_disable(c->bev, EV_WRITE);
    bufferevent_enable(c->bev, EV_READ);
    next_request(c);
}

void conn_sweep(struct http *h, int64_t now_ms)
{
    struct conn *c, *next;

    for (c = TAILQ_FIRST(&h->conns); c; c = next) {
        size_t pending = evbuffer_get_length(bufferevent_get_output(c->bev));
        next = TAILQ_NEXT(c, next);
        if (pending == 0 || pending != c->pending)
            c->stuck_ms = now_ms;
        c->pending = pending;
        if (now_ms > c->deadline_ms || now_ms - c->stuck_ms > h->limits.timeout_ms)
            conn_close(c);
    }
}
