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

#include "response.h"

struct connection {
    struct client *cl;
    int fd; /* -1: not connected */
    char *out;
    size_t out_n, out_sent, out_cap;
    struct response in;
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

int client_open(struct client *cl, const char *url, char *why, size_t cap)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char host[256], *port;
    if (strncmp(url, "http://", 7) != 0) {
        snprintf(why, cap, "%s: only http:// is served; name the daemon's own address, behind TLS and balancers", url);
        return -1;
    }
    snprintf(host, sizeof host, "%s", url + 7);
    host[strcspn(host, "/")] = 0;
    snprintf(cl->host, sizeof cl->host, "%s", host);
    port = strrchr(host, ':');
    if (port && !strchr(port, ']'))
        *port++ = 0;
    else
        port = NULL;
    size_t n = strlen(host);
    char *name = host[0] == '[' && n > 1 ? host + 1 : host;
    if (name != host && host[n - 1] == ']')
        host[n - 1] = 0;
    int rc = getaddrinfo(name, port ? port : "80", &hints, &found);
    if (rc != 0) {
        snprintf(why, cap, "%s: %s", url, gai_strerror(rc));
        return -1;
    }
    memcpy(&cl->address, found->ai_addr, found->ai_addrlen);
    cl->address_len = found->ai_addrlen;
    freeaddrinfo(found);
    cl->epoll = epoll_create1(EPOLL_CLOEXEC);
    return cl->epoll < 0 ? -1 : 0;
}

void client_close(struct client *cl)
{
    close(cl->epoll);
}

/* ---- one connection ---- */

struct connection *connection_new(struct client *cl)
{
    struct connection *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    c->cl = cl;
    c->fd = -1;
    return c;
}

static void disconnect(struct connection *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    response_clear(&c->in);
}

static void watch(struct connection *c, uint32_t events, int op)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    epoll_ctl(c->cl->epoll, op, c->fd, &e);
}

static int connect_now(struct connection *c)
{
    int one = 1;
    c->fd = socket(c->cl->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->cl->connects++;
    if (connect(c->fd, (struct sockaddr *)&c->cl->address, c->cl->address_len) < 0 && errno != EINPROGRESS) {
        disconnect(c);
        return -1;
    }
    watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
    return 0;
}

/* Hands the answer over; the callback may send the next request at once. */
static void finish(struct connection *c, int status)
{
    struct answer a = {.status = status, .sent_us = c->sent_us, .received_us = now_us()};
    answer_fn fn = c->fn;
    char *body = NULL;
    c->fn = NULL;
    a.retry_after_s = c->in.retry_after_s;
    a.body = "";
    if (status) {
        body = response_take(&c->in, &a.n);
        a.body = body;
        if (c->in.closes)
            disconnect(c);
    } else {
        c->cl->broken++;
        disconnect(c);
    }
    response_clear(&c->in);
    if (fn)
        fn(c, &a, c->arg);
    free(body);
}

static void flush(struct connection *c)
{
    while (c->out_sent < c->out_n) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_n - c->out_sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
            return;
        if (n < 0) {
            finish(c, 0);
            return;
        }
        c->out_sent += (size_t)n;
    }
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
}

void connection_send(struct connection *c, const char *method, const char *path, const char *header, const char *body,
                     answer_fn fn, void *arg)
{
    size_t n = strlen(body), need = n + strlen(path) + (header ? strlen(header) : 0) + sizeof c->cl->host + 256;
    if (need > c->out_cap) {
        c->out = realloc(c->out, need);
        if (!c->out)
            abort();
        c->out_cap = need;
    }
    int head =
        snprintf(c->out, c->out_cap,
                 "%s %s HTTP/1.1\r\nHost: %s\r\n%s%sContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                 method, path, c->cl->host, header ? header : "", header ? "\r\n" : "", n, body);
    c->out_n = (size_t)head;
    c->out_sent = 0;
    c->fn = fn;
    c->arg = arg;
    c->sent_us = now_us();
    if (c->fd >= 0) {
        ssize_t sent = send(c->fd, c->out, c->out_n, MSG_NOSIGNAL);
        c->out_sent = sent > 0 ? (size_t)sent : 0;
        if (c->out_sent < c->out_n)
            watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    } else if (connect_now(c) < 0) {
        c->fd = -1;
    }
}

static void receive(struct connection *c)
{
    for (;;) {
        size_t room;
        char *to = response_room(&c->in, &room);
        ssize_t n = recv(c->fd, to, room, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            finish(c, 0);
            return;
        }
        int status = response_feed(&c->in, (size_t)n);
        if (status != 0) {
            finish(c, status > 0 ? status : 0);
            return;
        }
        if ((size_t)n < room)
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
        if (c->fd >= 0 && events[i].events & EPOLLOUT)
            flush(c);
        if (c->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
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
    response_free(&c->in);
    free(c->out);
    free(c);
}

/* ---- asking and waiting ---- */

struct asked {
    int status, retry_after_s;
    char *out;
    size_t cap;
    bool done;
};

static void asked_done(struct connection *c, const struct answer *a, void *arg)
{
    struct asked *q = arg;
    (void)c;
    q->status = a->status;
    q->retry_after_s = a->retry_after_s;
    snprintf(q->out, q->cap, "%s", a->body);
    q->done = true;
}

int connection_ask(struct connection *c, const char *path, const char *header, const char *body, char *out, size_t cap,
                   int *retry_after_s)
{
    struct asked q = {.out = out, .cap = cap};
    connection_send(c, "POST", path, header, body, asked_done, &q);
    for (uint64_t end = now_us() + 30000000; !q.done && c->fd >= 0 && now_us() < end;)
        client_run(c->cl, 100000);
    if (!q.done) {
        c->fn = NULL;
        disconnect(c);
    }
    if (retry_after_s)
        *retry_after_s = q.retry_after_s;
    return q.status;
}

/* ---- JSON ---- */

static const char *behind(const char *from, const char *key)
{
    char pattern[64];
    snprintf(pattern, sizeof pattern, "\"%s\"", key);
    const char *p = strstr(from, pattern);
    if (!p)
        return NULL;
    p += strlen(pattern);
    while (*p == ' ' || *p == ':')
        p++;
    return p;
}

int64_t json_pick_int(const char *from, const char *key, int64_t fallback)
{
    const char *p = behind(from, key);
    char *end;
    if (!p)
        return fallback;
    long long v = strtoll(p, &end, 10);
    return end == p ? fallback : v;
}

bool json_pick_text(const char *from, const char *key, char *out, size_t cap)
{
    const char *p = behind(from, key);
    if (!p || *p != '"')
        return false;
    size_t n = strcspn(++p, "\"");
    if (n >= cap)
        return false;
    memcpy(out, p, n);
    out[n] = 0;
    return true;
}
