/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - a minimal client: many lasting connections on one epoll, one request at a time on each.
 *
 * It knows no protocol: a request is bytes, and a reader says when its answer is whole and what it means. It is small
 * so that the load it makes is the server's and not its own.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "stream.h"

#define ITEMS_MAX 1000 /* jobs of one request */

enum verdict {
    VERDICT_GOOD = 1,
    VERDICT_EMPTY,  /* there is no job */
    VERDICT_LATER,  /* refused for now; the same once more is right */
    VERDICT_BAD,    /* not what was asked for */
    VERDICT_BROKEN, /* the connection ended before an answer came */
};

/* One job of an answer. */
struct item {
    int64_t id;
    char lease[72];
    enum verdict verdict;
};

struct answer {
    enum verdict verdict;
    int status;        /* of protocols that have one */
    int retry_after_s; /* 0: not said */
    bool closes;       /* the server closes the connection behind it */
    uint64_t refused;  /* of the jobs of a batch */
    const char *text;  /* for people and for setting up; NUL-terminated, borrowed for the callback */
    struct item items[ITEMS_MAX];
    int n_items;
    bool has_next; /* of a completion: the job that was taken with it */
    struct item next;
    uint64_t sent_us, received_us; /* monotonic */
};

enum request_kind { REQUEST_SUBMIT = 1, REQUEST_LEASE, REQUEST_SLEEP, REQUEST_COMPLETE, REQUEST_ASK };

/* What was asked, as its reader needs to know it. */
struct request {
    enum request_kind kind;
    int n;         /* jobs in it; of a lease, at most */
    int64_t first; /* submit: the number of its first job, where we number them */
};

/* Reads the answer at the start of n bytes. Its length once it is whole; 0: more to come; -1: it is no answer.
 * bytes[n] is a NUL; the bytes may be changed once the answer is whole. */
typedef long (*read_fn)(const struct request *q, char *bytes, size_t n, struct answer *a);

struct connection;
typedef void (*answer_fn)(struct connection *c, const struct answer *a, void *arg);

struct client {
    int epoll;
    struct sockaddr_storage address;
    socklen_t address_len;
    char host[256]; /* HOST[:PORT] as given */
    char name[256]; /* the host alone */
    SSL_CTX *tls;   /* NULL: plain */
    uint64_t connects, broken;
    struct answer answer; /* the one at hand */
};

/* Where a client connects to. */
struct target {
    const char *url, *scheme, *port, *authorities;
    bool insecure;
};

uint64_t now_us(void);
/* Resolves SCHEME://HOST[:PORT], for scheme http also https://. 0, or -1 with a sentence in `why` (cap bytes). */
int client_open(struct client *cl, const struct target *t, char *why, size_t cap);
/* Can it be reached? 0, or -1 with a sentence in `why`. Waits 5 s at most. */
int client_probe(const struct client *cl, const char *url, char *why, size_t cap);
void client_close(struct client *cl);
/* Serves events for at most timeout_us. */
void client_run(struct client *cl, uint64_t timeout_us);

struct connection *connection_new(struct client *cl, read_fn read);
/* What is sent first on each new connection, without an answer. */
struct buffer *connection_hello(struct connection *c);
/* Where the next request is put, empty. */
struct buffer *connection_out(struct connection *c);
/* Sends it. The answer comes through fn, in a later client_run(). */
void connection_send(struct connection *c, struct request q, answer_fn fn, void *arg);
bool connection_busy(const struct connection *c);
/* Closes it; a request in flight is forgotten. Not from its own callback. */
void connection_free(struct connection *c);
/* Sends and waits; false: no answer came. The answer's text is copied to out (cap bytes). For setting up. */
bool connection_ask(struct connection *c, struct answer *head, char *out, size_t cap);

#endif
