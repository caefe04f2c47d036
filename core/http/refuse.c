/* SPDX-License-Identifier: Apache-2.0 */
/* refuse.c - answers written without evhttp: to what must not reach it, and to uploads. */
#include "http/door.h"

#include <sys/socket.h>

#define LINGER_MS 2000

static void drop_input(struct bufferevent *bev, void *arg)
{
    (void)arg;
    evbuffer_drain(bufferevent_get_input(bev), (size_t)-1);
}

static void on_written(struct bufferevent *bev, void *arg)
{
    struct conn *c = arg;

    (void)c;
    shutdown(bufferevent_getfd(bev), SHUT_WR);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
        conn_close(arg);
}

/* Sends nothing more, reads and forgets what comes for a moment, closes: so that the answer is not lost to a reset. */
static void conn_linger(struct conn *c)
{
    struct conn_taker t = {drop_input, on_written, on_event, c};

    conn_take(c, (size_t)-1, &t);
    c->deadline_ms = mono_ms() + LINGER_MS;
}

void conn_write_answer(struct conn *c, int status, const char *headers, const char *body)
{
    struct http *h = c->http;

    h->out.n = 0;
    text_printf(&h->out, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: application/json\r\n", status,
                status_phrase(status), h->date);
    text_printf(&h->out, "Content-Length: %zu\r\n%s\r\n%s", strlen(body), headers, body);
    bufferevent_write(c->bev, h->out.bytes, h->out.n);
}

void conn_refuse(struct conn *c, int status, const char *message)
{
    struct text body = {0};

    text_puts(&body, "{\"success\":false,\"message\":");
    text_json(&body, message);
    text_puts(&body, "}");
    conn_linger(c);
    conn_write_answer(c, status, status == 503 ? "Retry-After: 1\r\nConnection: close\r\n" : "Connection: close\r\n",
                      text_str(&body));
    text_free(&body);
    c->http->refused++;
}
