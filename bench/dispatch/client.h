/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - a minimal HTTP/1.1 client: many keep-alive connections on one epoll, one request at a time on each.
 *
 * Plain http only, answers with Content-Length or chunked bodies. It is small so that the load it makes is the
 * daemon's and not its own.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct answer {
    int status;        /* 0: the connection broke before an answer came */
    int retry_after_s; /* 0: not said */
    const char *body;  /* NUL-terminated, borrowed for the callback */
    size_t n;
    uint64_t sent_us, received_us; /* monotonic */
};

struct connection;
typedef void (*answer_fn)(struct connection *c, const struct answer *a, void *arg);

struct client {
    int epoll;
    struct sockaddr_storage address;
    socklen_t address_len;
    char host[256]; /* for the Host header */
    uint64_t connects, broken;
};

uint64_t now_us(void);
/* Resolves http://HOST[:PORT]. 0, or -1 with a sentence in `why` (cap bytes). */
int client_open(struct client *cl, const char *url, char *why, size_t cap);
void client_close(struct client *cl);
/* Serves events for at most timeout_us. */
void client_run(struct client *cl, uint64_t timeout_us);

struct connection *connection_new(struct client *cl);
/* header: a whole header line without its end, or NULL. The answer comes through fn, in a later client_run(). */
void connection_send(struct connection *c, const char *method, const char *path, const char *header, const char *body,
                     answer_fn fn, void *arg);
bool connection_busy(const struct connection *c);
/* Closes it; a request in flight is forgotten. Not from its own callback. */
void connection_free(struct connection *c);
/* Sends and waits for the answer's status; its body is copied to out (cap bytes). For setting up. */
int connection_ask(struct connection *c, const char *path, const char *header, const char *body, char *out, size_t cap,
                   int *retry_after_s);

/* ---- picking values out of a JSON answer without parsing all of it ---- */

/* The number behind the first "key": at or after `from`; fallback when there is none. */
int64_t json_pick_int(const char *from, const char *key, int64_t fallback);
/* The text behind it, copied; false when there is none or it is too long. No escapes are resolved. */
bool json_pick_text(const char *from, const char *key, char *out, size_t cap);

#endif
