/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROOM 16384

struct connection {
    struct client *cl;
    struct stream stream;
    struct buffer hello, out, in;
    size_t out_sent;
    uint32_t events;
    struct request request;
    read_fn read;
    answer_fn fn; /* NULL: idle */
    void *arg;
    uint64_t sent_us;
};

uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Splits the URL into cl->host and cl->name; the port, or NULL when none is named. */
static const char *split(struct client *cl, const char *after_scheme)
{
    char *port;
    snprintf(cl->host, sizeof cl->host, "%s", after_scheme);
    cl->host[strcspn(cl->host, "/")] = 0;
    snprintf(cl->name, sizeof cl->name, "%s", cl->host + (cl->host[0] == '['));
    port = strrchr(cl->name, ':');
    if (port && !strchr(port, ']'))
        *port++ = 0;
    else
        port = NULL;
    if (cl->host[0] == '[')
        cl->name[strcspn(cl->name, "]")] = 0;
    return port;
}

/* What is behind SCHEME:// of a URL; NULL: another scheme. */
static const char *behind_scheme(const char *url, const char *scheme)
{
    size_t n = strlen(scheme);
    return strncmp(url, scheme, n) == 0 && strncmp(url + n, "://", 3) == 0 ? url + n + 3 : NULL;
}

int client_open(struct client *cl, const struct target *t, char *why, size_t cap)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    const char *rest = behind_scheme(t->url, t->scheme);
    bool secure = !rest && strcmp(t->scheme, "http") == 0 && (rest = behind_scheme(t->url, "https")) != NULL;
    if (!rest) {
        snprintf(why, cap, "'%s' is no address for this; it must look like %s://HOST:PORT", t->url, t->scheme);
        return -1;
    }
    if (secure && !(cl->tls = stream_tls(t->authorities, t->insecure, why, cap)))
        return -1;
    const char *port = split(cl, rest);
    int rc = getaddrinfo(cl->name, port ? port : secure ? "443" : t->port, &hints, &found);
    if (rc != 0) {
        snprintf(why, cap, "cannot resolve %s: %s", t->url, gai_strerror(rc));
        return -1;
    }
    memcpy(&cl->address, found->ai_addr, found->ai_addrlen);
    cl->address_len = found->ai_addrlen;
    freeaddrinfo(found);
    cl->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (cl->epoll < 0)
        snprintf(why, cap, "cannot make an epoll: %s", strerror(errno));
    return cl->epoll < 0 ? -1 : 0;
}

int client_probe(const struct client *cl, const char *url, char *why, size_t cap)
{
    int fd = socket(cl->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;
    struct timeval limit = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    rc = connect(fd, (const struct sockaddr *)&cl->address, cl->address_len);
    if (rc < 0)
        snprintf(why, cap, "cannot connect to %s: %s; is the server running there?", url,
                 errno == EINPROGRESS ? "no answer within 5 s" : strerror(errno));
    close(fd);
    return rc;
}

void client_close(struct client *cl)
{
    SSL_CTX_free(cl->tls);
    close(cl->epoll);
}

/* ---- one connection ---- */

struct connection *connection_new(struct client *cl, read_fn read)
{
    struct connection *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    c->cl = cl;
    c->read = read;
    c->stream.fd = -1;
    return c;
}

struct buffer *connection_hello(struct connection *c)
{
    return &c->hello;
}

struct buffer *connection_out(struct connection *c)
{
    c->out.n = 0;
    return &c->out;
}

static void disconnect(struct connection *c)
{
    stream_close(&c->stream);
    c->in.n = 0;
    c->events = 0;
}

static void watch(struct connection *c)
{
    struct epoll_event e = {.events = EPOLLIN | (c->stream.wants_write ? EPOLLOUT : 0U), .data.ptr = c};
    if (e.events == c->events)
        return;
    epoll_ctl(c->cl->epoll, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->stream.fd, &e);
    c->events = e.events;
}

static int connect_now(struct connection *c)
{
    int one = 1;
    c->stream.fd = socket(c->cl->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->stream.fd < 0)
        return -1;
    setsockopt(c->stream.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->cl->connects++;
    if ((connect(c->stream.fd, (struct sockaddr *)&c->cl->address, c->cl->address_len) < 0 && errno != EINPROGRESS) ||
        stream_start(&c->stream, c->cl->tls, c->cl->name) < 0) {
        disconnect(c);
        return -1;
    }
    if (c->hello.n) {
        buffer_room(&c->out, c->hello.n);
        memmove(c->out.bytes + c->hello.n, c->out.bytes, c->out.n);
        memcpy(c->out.bytes, c->hello.bytes, c->hello.n);
        c->out.n += c->hello.n;
    }
    return 0;
}

/* Hands the answer over; the callback may send the next request at once. */
static void finish(struct connection *c, bool whole)
{
    struct answer *a = &c->cl->answer;
    answer_fn fn = c->fn;
    a->sent_us = c->sent_us;
    a->received_us = now_us();
    if (!whole) {
        c->cl->broken++;
        a->verdict = VERDICT_BROKEN;
        a->status = a->n_items = a->retry_after_s = 0;
        a->text = stream_trouble();
    }
    if (!whole || a->closes)
        disconnect(c);
    c->fn = NULL;
    /* The text may be the connection's own bytes: they are safe until the next answer is received. */
    c->in.n = 0;
    if (fn)
        fn(c, a, c->arg);
}

/* Sends what is left of the request; false: the connection broke. */
static bool flush(struct connection *c)
{
    while (c->out_sent < c->out.n) {
        ssize_t n = stream_send(&c->stream, c->out.bytes + c->out_sent, c->out.n - c->out_sent);
        if (n < 0)
            return false;
        if (n == 0)
            break;
        c->out_sent += (size_t)n;
    }
    watch(c);
    return true;
}

void connection_send(struct connection *c, struct request q, answer_fn fn, void *arg)
{
    c->out_sent = 0;
    c->request = q;
    c->fn = fn;
    c->arg = arg;
    c->sent_us = now_us();
    c->in.n = 0;
    if (c->stream.fd < 0) {
        if (connect_now(c) == 0)
            watch(c);
        return;
    }
    if (!flush(c)) { /* told by client_run(): no callback runs within a send */
        c->stream.wants_write = true;
        watch(c);
    }
}

static void receive(struct connection *c)
{
    struct answer *a = &c->cl->answer;
    for (;;) {
        char *to = buffer_room(&c->in, ROOM);
        size_t room = c->in.cap - c->in.n - 1;
        ssize_t n = stream_receive(&c->stream, to, room);
        if (n == 0)
            return;
        if (n < 0) {
            finish(c, false);
            return;
        }
        c->in.n += (size_t)n;
        c->in.bytes[c->in.n] = 0;
        a->n_items = a->retry_after_s = a->status = 0;
        a->refused = 0;
        a->closes = false;
        a->text = "";
        long length = c->fn ? c->read(&c->request, c->in.bytes, c->in.n, a) : -1;
        if (length != 0) {
            finish(c, length > 0);
            return;
        }
        if (!c->stream.ssl && (size_t)n < room)
            return;
    }
}

void client_run(struct client *cl, uint64_t timeout_us)
{
    struct epoll_event events[256];
    struct timespec t = {.tv_sec = (time_t)(timeout_us / 1000000), .tv_nsec = (long)(timeout_us % 1000000) * 1000};
    int n = epoll_pwait2(cl->epoll, events, 256, &t, NULL);
    for (int i = 0; i < n; i++) {
        struct connection *c = events[i].data.ptr;
        if (c->stream.fd >= 0 && c->out_sent < c->out.n && !flush(c))
            finish(c, false);
        else if (c->stream.fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            receive(c);
    }
}

bool connection_busy(const struct connection *c)
{
    return c->fn != NULL;
}

void connection_free(struct connection *c)
{
    if (!c)
        return;
    disconnect(c);
    buffer_free(&c->hello);
    buffer_free(&c->out);
    buffer_free(&c->in);
    free(c);
}

/* ---- asking and waiting ---- */

struct asked {
    struct answer *head;
    char *out;
    size_t cap;
    bool done;
};

static void asked_done(struct connection *c, const struct answer *a, void *arg)
{
    struct asked *q = arg;
    (void)c;
    q->head->verdict = a->verdict;
    q->head->status = a->status;
    q->head->retry_after_s = a->retry_after_s;
    snprintf(q->out, q->cap, "%s", a->text);
    q->done = true;
}

bool connection_ask(struct connection *c, struct answer *head, char *out, size_t cap)
{
    struct asked q = {.head = head, .out = out, .cap = cap};
    out[0] = 0;
    connection_send(c, (struct request){.kind = REQUEST_ASK}, asked_done, &q);
    for (uint64_t end = now_us() + 30000000; !q.done && c->stream.fd >= 0 && now_us() < end;)
        client_run(c->cl, 100000);
    if (!q.done) {
        c->fn = NULL;
        disconnect(c);
    }
    return q.done && head->verdict != VERDICT_BROKEN;
}
