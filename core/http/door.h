/* SPDX-License-Identifier: Apache-2.0 */
/*
 * door.h - what the files of the HTTP door share: the door itself, its connections and the calls on them. All [loop].
 *
 * A call is one request that evhttp handed over; it is answered exactly once, and freed by that answer. A connection
 * that goes away first takes itself out of its call (conn = NULL); the answer is then dropped.
 */
#ifndef HTTP_DOOR_H
#define HTTP_DOOR_H

#include "app.h"
#include "http/http.h"
#include "http/rate.h"
#include "http/tenants.h"
#include "wire/head.h"
#include "wire/text.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <openssl/ssl.h>
#include <sys/queue.h>

#define HTTP_MAGIC 0x68747470u

struct conn;
struct call;
struct upload;
struct stream;
struct route;

TAILQ_HEAD(conn_list, conn);
TAILQ_HEAD(call_list, call);
TAILQ_HEAD(stream_list, stream);
TAILQ_HEAD(upload_list, upload);

struct limits {
    int64_t max_body, max_upload, timeout_ms;
    size_t max_head;
    uint32_t max_connections, register_per_minute;
};

/* Callbacks of a bufferevent. */
struct conn_taker {
    bufferevent_data_cb read, written;
    bufferevent_event_cb event;
    void *arg;
};

/* Status codes that are counted one by one; others are counted as 0. */
#define DOOR_CODES 32

struct http {
    uint32_t magic;
    struct app *app;
    struct limits limits;
    struct tenants *tenants;
    SSL_CTX *tls; /* NULL: plain */
    struct evhttp *ev;
    struct evconnlistener *listener;
    struct event *adopt;
    struct conn_list conns, fresh; /* fresh: evhttp has not told its own connection yet */
    struct conn_taker evhttp;      /* its callbacks, to be put back */
    struct conn **by_fd;           /* evhttp knows no user pointer: socket -> its connection */
    size_t n_by_fd;
    uint32_t n_conns, n_calls, n_uploads;
    struct call_list calls;
    struct stream_list streams;
    struct upload_list uploads;
    struct loop_timer *sweep;
    struct rate *rate;
    struct text out;        /* answers are built here */
    struct evbuffer *chunk; /* pieces of a stream are built here */
    char date[40];
    char own_host[256];      /* host[:port] of http.url, "" when not set */
    int draining, is_local;  /* is_local: stage local */
    int in_evhttp;           /* a request is being handed to us: its connection must not end meanwhile */
    int64_t paused_until_ms; /* accept failed: the listener rests until then */
    uint64_t (*counts)[DOOR_CODES];
    uint64_t refused; /* requests answered before they reached a route */
};

/* ---- connections (conn.c, refuse.c) ---- */

enum conn_phase {
    CONN_HEAD = 1, /* waits for a whole request head */
    CONN_EVHTTP,   /* evhttp reads the body, or the call is at work, or the answer is on its way */
    CONN_TAKEN,    /* a refusal or an upload has the socket for itself */
};

struct conn {
    TAILQ_ENTRY(conn) next;
    struct http *http;
    struct bufferevent *bev;
    struct evhttp_connection *ev; /* NULL until adopted */
    struct call *call;
    struct upload *upload;
    struct event *resume; /* pipelined requests: continues with stash */
    struct evbuffer *stash;
    int64_t deadline_ms; /* closed when the monotonic clock passes it */
    int64_t stuck_ms;    /* since when `pending` bytes wait to be sent */
    size_t pending, searched;
    uint8_t phase, heard, wide;
};

/* For evhttp_set_bevcb. */
struct bufferevent *conn_bufferevent(struct event_base *base, void *http);
void conn_adopt_all(evutil_socket_t fd, short what, void *http);
struct conn *conn_of(struct http *h, struct evhttp_request *req);
/* Frees it at once; its call or upload is told. */
void conn_close(struct conn *c);
/* evhttp stopped reading for the time of a call and goes on after it; so that the kernel need not be told of either,
 * reading goes on and nobody is told. */
void conn_read_on(struct conn *c);
/* Sends what evhttp has ready at once, not on the loop's next turn. The connection may end with it. */
void conn_send_now(struct conn *c);
/* The request is answered: arms the connection for the next one. on_complete of evhttp. */
void conn_complete(struct evhttp_request *req, void *conn);
/* Closes what is too slow, idle or stuck. */
void conn_sweep(struct http *h, int64_t now_ms);
/* Takes the socket away from evhttp before it saw the request: n bytes of head are dropped. */
void conn_take(struct conn *c, size_t head_bytes, const struct conn_taker *t);
/* Gives it back for the next request; the output must be sent. */
void conn_give_back(struct conn *c);
/* Answers in our own words and closes: for what must not reach evhttp. */
void conn_refuse(struct conn *c, int status, const char *message);
/* Writes a whole JSON answer to the socket. */
void conn_write_answer(struct conn *c, int status, const char *headers, const char *body);
void conn_peer(struct conn *c, const char **ip);

/* ---- calls (call.c, answer.c) ---- */

struct call {
    TAILQ_ENTRY(call) next;
    struct http *http; /* NULL: the door is gone */
    struct conn *conn; /* NULL: the client is gone */
    struct evhttp_request *req;
    const struct route *route;
    struct worker_auth *worker;
    struct json_object *body; /* JSON object, or NULL */
    char *tenant;             /* NULL: not a tenant's call */
    int64_t id;               /* {id} of the path */
    /* When set, called instead of waiting for the answer when the client goes away; frees the call itself if it wants.
     */
    void (*gone)(struct call *c);
    void *state; /* of the handler */
    uint8_t is_head, answered;
};

/* The generic callback of evhttp. */
void call_begin(struct evhttp_request *req, void *http);
/* Handler is done with a call whose client is gone, without an answer. */
void call_drop(struct call *c);
void call_client_gone(struct call *c);
/* The answer was (or is being) sent by other means: forgets the call. */
void call_end(struct call *c);
const char *call_header(struct call *c, const char *name); /* NULL when absent */
const char *call_query(struct call *c);                    /* without '?', "" when none */
/* A whole number of the query in min..max. 0: absent or good (*out set), -1: answered 422. */
int call_query_number(struct call *c, const char *key, int64_t min, int64_t max, int64_t *out);
const char *call_path(struct call *c);
const char *call_ip(struct call *c);
/* Notices while it waits when the client closes (evhttp does not read meanwhile). */
void call_watch_close(struct call *c);
void call_add_header(struct call *c, const char *name, const char *value);

/* {"success":true,"data":...,"message":...}; data borrowed, NULL: null. Frees the call. */
void answer_ok(struct call *c, int status, struct json_object *data, const char *message);
/* {"success":false,"message":...,"data":fields}; fields NULL: no data. Frees the call. */
void answer_error(struct call *c, int status, const char *message, struct json_object *fields);
/* 422 with one field. */
void answer_field(struct call *c, const char *field, const char *message);
/* Whatever an engine answered. ok_status for success. */
void answer_engine(struct call *c, const struct dispatch_answer *a, int ok_status);
/* The same as a callback: arg is the call. */
void answer_reply(const struct dispatch_answer *a, void *call);
/* A bp_err of a service. */
void answer_err(struct call *c, const struct bp_err *err);
/* A body of our own; text may be NULL when is_head. Frees the call. */
void answer_bytes(struct call *c, int status, const char *type, const void *bytes, size_t n);
int answer_status(int rc, const char *message);
const char *status_phrase(int status);

int status_counted(size_t index); /* the status counted at index of http.counts[], 0: all others */

void door_count(struct http *h, const struct route *r, int status);

/* ---- routes (route.c) ---- */

enum route_auth { AUTH_NONE = 1, AUTH_FLEET, AUTH_WORKER, AUTH_TENANT, AUTH_OPERATOR };
typedef void (*route_fn)(struct call *c);

struct route {
    enum method method;
    const char *pattern; /* "{id}" matches a positive number; a trailing "*" the rest */
    enum route_auth auth;
    int takes_body; /* 1: a JSON object is parsed into call.body */
    route_fn handle;
};
extern const struct route routes[];
extern const size_t n_routes;
/* The route, or NULL; *id as matched; *allow: bits (1 << method) of what the path takes, 0 when it is unknown. */
const struct route *route_find(enum method m, const char *path, size_t n, int64_t *id, unsigned *allow);
size_t route_index(const struct route *r); /* n_routes for NULL */

/* Checks who is calling, reads the body, calls the route's handler. */
void call_admit(struct call *c);

/* ---- handlers ---- */

void route_worker_register(struct call *c);
void route_worker_poll(struct call *c);
void route_worker_heartbeat(struct call *c);
void route_worker_progress(struct call *c);
void route_worker_complete(struct call *c);
void route_worker_fail(struct call *c);
void route_worker_requeue(struct call *c);
void route_worker_deregister(struct call *c);
void route_worker_assets(struct call *c);

void tenant_upload(struct call *c);
void tenant_submit(struct call *c);
void tenant_jobs(struct call *c);
void tenant_job(struct call *c);
void tenant_explain(struct call *c);
void tenant_cancel(struct call *c);
void tenant_retry(struct call *c);
void tenant_workflows(struct call *c);
void tenant_effects(struct call *c);

void tenant_events(struct call *c); /* stream.c */
void operator_events(struct call *c);
void stream_sweep(struct http *h, int64_t now_ms);
void stream_end_all(struct http *h);
void stream_orphan_all(struct http *h); /* after every client is gone */

void operator_session(struct call *c);
void operator_state(struct call *c);
void operator_metrics(struct call *c);

void health_up(struct call *c);
void health_alive(struct call *c);
void health_ready(struct call *c);
void metrics_show(struct call *c);

void object_get(struct call *c);
/* The head of a PUT to /objects/... has come (head_bytes long). */
void upload_begin(struct conn *c, const struct head *head, size_t head_bytes);
void upload_client_gone(struct upload *u);
void upload_end_all(struct http *h);

void page_get(struct call *c);
int page_has(const char *path, size_t n);

/* ---- TLS (tls.c) ---- */

/* Context from http.certificate and http.key; *out NULL when none is configured. */
int tls_load(const struct config *c, SSL_CTX **out, struct bp_err *err);

#endif
