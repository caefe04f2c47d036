/* SPDX-License-Identifier: Apache-2.0 */
/* worker_routes.c - the worker endpoints: each hands its body to dispatch, which knows the contract. */
#include "http/door.h"
#include "log/json.h"

static struct worker_call of(struct call *c)
{
    return (struct worker_call){.worker = c->worker, .body = c->body, .ip = call_ip(c)};
}

/* A poll may wait for long, among thousands: what it asked is not needed any more (dispatch keeps nothing of the body
 * once it returned, evhttp looks for Connection alone). */
static void let_go(struct call *c)
{
    json_object_put(c->body);
    c->body = NULL;
    if (c->req && !call_header(c, "Connection"))
        evhttp_clear_headers(evhttp_request_get_input_headers(c->req));
}

#define WORKER_ROUTE(name)                                                                                             \
    void route_worker_##name(struct call *c)                                                                           \
    {                                                                                                                  \
        struct worker_call w = of(c);                                                                                  \
        dispatch_worker_##name(c->http->app->dispatch, &w, answer_reply, c);                                           \
    }

WORKER_ROUTE(register)
WORKER_ROUTE(heartbeat)
WORKER_ROUTE(progress)
WORKER_ROUTE(requeue)
WORKER_ROUTE(deregister)
WORKER_ROUTE(assets)

/* Who ended a lease and left: the end stands, the lease that was to be taken with it goes back. */
static void left(struct call *c)
{
    if (c->http)
        dispatch_poll_abandon(c->http->app->dispatch, c);
}

#define ENDING_ROUTE(name)                                                                                             \
    void route_worker_##name(struct call *c)                                                                           \
    {                                                                                                                  \
        struct worker_call w = of(c);                                                                                  \
        if (json_member(c->body, "poll")) {                                                                            \
            c->gone = left;                                                                                            \
            call_watch_close(c);                                                                                       \
        }                                                                                                              \
        dispatch_worker_##name(c->http->app->dispatch, &w, answer_reply, c);                                           \
    }

ENDING_ROUTE(complete)
ENDING_ROUTE(fail)

static void abandon(struct call *c)
{
    left(c);
    call_drop(c);
}

void route_worker_poll(struct call *c)
{
    struct worker_call w = of(c);
    int waits = json_member(c->body, "wait_seconds") != NULL;

    c->gone = abandon; /* a lease for a worker that left goes back at once */
    call_watch_close(c);
    dispatch_worker_poll(c->http->app->dispatch, &w, answer_reply, c);
    if (waits) /* an answer never comes before the call returned */
        let_go(c);
}
