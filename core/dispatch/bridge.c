/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/bridge.h"

#include "dispatch/leader.h"
#include "dispatch/poll.h"
#include "dispatch/text.h"
#include "dispatch/watch.h"

#include <assert.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEND_MS     3     /* words are collected so long; what is leased at once needs none */
#define CONNECT_MS  3000  /* to be up */
#define BEAT_MS     5000  /* a word to itself shows that both ways work */
#define SILENT_MS   15000 /* and without one for so long they do not */
#define BACKOFF_MS  250   /* before it connects again; doubles with each failure */
#define BACKOFF_CAP 10000

struct bridge {
    struct dispatch *d;
    struct redis_place place;
    char url[1100], channel[128], state[400];
    struct evdns_base *dns;
    struct evdns_getaddrinfo_request *lookup;
    redisAsyncContext *in, *out; /* one subscribes, one publishes */
    int heard;                   /* subscribed; 2: and the first word to itself has come */
    int64_t heard_ms, backoff_ms;
    struct loop_timer *connect, *limit, *send, *beat;
    struct subscription *jobs;
};

int bridge_is_up(const struct bridge *b)
{
    return b->heard == 2;
}

const char *dispatch_bridge_state(const struct dispatch *d)
{
    return d->bridge->state;
}

/* ---- away ---- */

/* Replies still waited for come back empty, and find that nobody asks any more. */
static void let_go(redisAsyncContext **at)
{
    redisAsyncContext *c = *at;
    *at = NULL;
    if (!c)
        return;
    c->data = NULL;
    redisAsyncFree(c);
}

static void hang_up(struct bridge *b)
{
    let_go(&b->in);
    let_go(&b->out);
    if (b->lookup)
        evdns_getaddrinfo_cancel(b->lookup);
    b->lookup = NULL;
    b->heard = 0;
    loop_timer_cancel(b->limit);
    loop_timer_cancel(b->beat);
    loop_timer_cancel(b->connect);
}

static void go_away(struct bridge *b, const char *why)
{
    int was_up = bridge_is_up(b);
    int64_t wait = b->backoff_ms / 2 + (int64_t)((double)b->backoff_ms / 2 * random_fraction());
    if (was_up || b->backoff_ms == BACKOFF_MS)
        log_warn(LOG_DISPATCH, "Redis at %s:%d is away: %s; the store is watched instead", b->place.host, b->place.port,
                 why);
    snprintf(b->state, sizeof b->state, "away: %.300s; watching the store instead", why);
    hang_up(b);
    b->backoff_ms = b->backoff_ms * 2 < BACKOFF_CAP ? b->backoff_ms * 2 : BACKOFF_CAP;
    loop_timer_after(b->connect, wait);
    watcher_wanted(b->d->watcher);
}

static void no_answer(void *arg)
{
    go_away(arg, "it did not answer in time");
}

/* ---- words that come in ---- */

static void take_word(struct bridge *b, const struct word *w)
{
    struct dispatch *d = b->d;
    if (w->jobs == 0 || !host_workflow(d->host, w->workflow))
        return;
    bus_publish(d->bus, EVENT_QUEUE_ARRIVED, w->workflow, (int64_t)w->jobs);
    poll_arrived(d, lane_get(d, w->workflow), w->jobs);
}

static void heard_itself(struct bridge *b)
{
    b->heard_ms = mono_ms();
    if (bridge_is_up(b))
        return;
    b->heard = 2;
    b->backoff_ms = BACKOFF_MS;
    loop_timer_cancel(b->limit);
    loop_timer_every(b->beat, BEAT_MS);
    snprintf(b->state, sizeof b->state, "connected to %s:%d", b->place.host, b->place.port);
    log_info(LOG_DISPATCH, "Redis at %s:%d carries the word of new jobs", b->place.host, b->place.port);
}

static void say(struct bridge *b, const char *workflow, uint32_t jobs);

static void take_reply(struct bridge *b, const redisReply *r)
{
    struct word w;
    if (r->type == REDIS_REPLY_ERROR) {
        go_away(b, r->str);
        return;
    }
    if (r->type != REDIS_REPLY_ARRAY || r->elements != 3 || r->element[0]->type != REDIS_REPLY_STRING)
        return;
    if (strcmp(r->element[0]->str, "subscribe") == 0) {
        b->heard = 1;
        say(b, "-", 0);
    } else if (r->element[2]->type == REDIS_REPLY_STRING &&
               word_read(r->element[2]->str, (size_t)r->element[2]->len, &w)) {
        if (strcmp(w.from, leader_id(b->d->leader)) == 0)
            heard_itself(b);
        else
            take_word(b, &w);
    }
}

static void came_in(redisAsyncContext *c, void *reply, void *arg)
{
    (void)arg;
    struct bridge *b = c->data;
    if (!b || !reply)
        return;
    int64_t entered = loop_enter(b->d->loop);
    take_reply(b, reply);
    loop_leave(b->d->loop, "dispatch.bridge", entered);
}

/* ---- words that go out ---- */

static void went_out(redisAsyncContext *c, void *reply, void *arg)
{
    (void)arg;
    const redisReply *r = reply;
    if (c->data && r && r->type == REDIS_REPLY_ERROR)
        go_away(c->data, r->str);
}

static void say(struct bridge *b, const char *workflow, uint32_t jobs)
{
    char text[300];
    struct word w = {.jobs = jobs};
    snprintf(w.from, sizeof w.from, "%s", leader_id(b->d->leader));
    snprintf(w.workflow, sizeof w.workflow, "%s", workflow);
    if (b->out && word_write(&w, text, sizeof text))
        redisAsyncCommand(b->out, went_out, NULL, "PUBLISH %s %s", b->channel, text);
}

static void say_lane(struct lane *lane, void *arg)
{
    if (lane->untold > 0)
        say(arg, lane->slug, lane->untold);
    lane->untold = 0;
}

static void send_words(void *arg)
{
    struct bridge *b = arg;
    lanes_each(b->d, say_lane, b);
}

/* What was queued here and leased at once is nobody else's. */
static void on_job(const struct event_msg *e, void *arg)
{
    struct bridge *b = arg;
    int arrived = e->id == EVENT_JOB_SUBMITTED || e->id == EVENT_JOB_DUE || e->id == EVENT_JOB_REQUEUED ||
                  e->id == EVENT_JOB_EXPIRED;
    if (!bridge_is_up(b) || (!arrived && e->id != EVENT_JOB_LEASED))
        return;
    struct lane *lane = lane_get(b->d, json_str(event_fields(e), "workflow", ""));
    if (!arrived) {
        lane->untold -= lane->untold > 0;
        return;
    }
    if (lane->untold++ == 0)
        loop_timer_after(b->send, SEND_MS);
}

static void beat(void *arg)
{
    struct bridge *b = arg;
    if (mono_ms() - b->heard_ms > SILENT_MS)
        go_away(b, "no word came through for 15 s");
    else
        say(b, "-", 0);
}

/* ---- connecting ---- */

/* After a failure to connect, and after an end, hiredis frees the connection itself. */
static void lost(const redisAsyncContext *c, const char *why)
{
    struct bridge *b = c->data;
    char text[200];
    if (!b)
        return;
    snprintf(text, sizeof text, "%s%s%s", why, c->errstr && c->errstr[0] ? ": " : "", c->errstr ? c->errstr : "");
    if (b->in == c)
        b->in = NULL;
    if (b->out == c)
        b->out = NULL;
    go_away(b, text);
}

static void connected(const redisAsyncContext *c, int status)
{
    if (status != REDIS_OK)
        lost(c, "cannot connect");
}

static void disconnected(const redisAsyncContext *c, int status)
{
    (void)status;
    lost(c, "the connection ended");
}

static redisAsyncContext *open_one(struct bridge *b, const char *address)
{
    redisAsyncContext *c = redisAsyncConnect(address, b->place.port);
    if (!c || c->err || redisLibeventAttach(c, loop_base(b->d->loop)) != REDIS_OK) {
        if (c)
            redisAsyncFree(c);
        return NULL;
    }
    c->data = b;
    redisAsyncSetConnectCallback(c, connected);
    redisAsyncSetDisconnectCallback(c, disconnected);
    if (b->place.user[0])
        redisAsyncCommand(c, went_out, NULL, "AUTH %s %s", b->place.user, b->place.password);
    else if (b->place.password[0])
        redisAsyncCommand(c, went_out, NULL, "AUTH %s", b->place.password);
    if (b->place.db >= 0)
        redisAsyncCommand(c, went_out, NULL, "SELECT %d", b->place.db);
    return c;
}

static void open_both(struct bridge *b, const char *address)
{
    b->in = open_one(b, address);
    b->out = b->in ? open_one(b, address) : NULL;
    if (!b->out) {
        go_away(b, "no socket could be opened");
        return;
    }
    redisAsyncCommand(b->in, came_in, NULL, "SUBSCRIBE %s", b->channel);
}

static void resolved(int result, struct evutil_addrinfo *res, void *arg)
{
    struct bridge *b = arg;
    char address[64] = "";
    if (result == EVUTIL_EAI_CANCEL)
        return;
    b->lookup = NULL;
    if (result == 0 && res && res->ai_family == AF_INET)
        evutil_inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)res->ai_addr)->sin_addr, address, sizeof address);
    else if (result == 0 && res && res->ai_family == AF_INET6)
        evutil_inet_ntop(AF_INET6, &((struct sockaddr_in6 *)(void *)res->ai_addr)->sin6_addr, address, sizeof address);
    if (res)
        evutil_freeaddrinfo(res);
    if (address[0])
        open_both(b, address);
    else
        go_away(b, result ? evutil_gai_strerror(result) : "its name has no address");
}

/* hiredis would resolve names and wait: the loop does not. */
static void connect_again(void *arg)
{
    struct bridge *b = arg;
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    unsigned char numeric[16];
    loop_timer_after(b->limit, CONNECT_MS);
    if (evutil_inet_pton(AF_INET, b->place.host, numeric) == 1 ||
        evutil_inet_pton(AF_INET6, b->place.host, numeric) == 1) {
        open_both(b, b->place.host);
        return;
    }
    if (!b->dns)
        b->dns =
            evdns_base_new(loop_base(b->d->loop), EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!b->dns) {
        go_away(b, "names cannot be resolved: see /etc/resolv.conf");
        return;
    }
    b->lookup = evdns_getaddrinfo(b->dns, b->place.host, NULL, &hints, resolved, b); /* NULL: answered already */
}

/* ---- life ---- */

void dispatch_bridge(struct dispatch *d, const char *url)
{
    struct bridge *b = d->bridge;
    struct bp_err err = {0};
    ASSERT_LOOP(d->loop);
    if (strcmp(b->url, url) == 0)
        return;
    hang_up(b);
    bus_unsubscribe(b->jobs);
    b->jobs = NULL;
    b->state[0] = 0;
    snprintf(b->url, sizeof b->url, "%s", url);
    watcher_wanted(d->watcher);
    if (!url[0])
        return;
    if (redis_place_read(url, &b->place, &err) < 0) {
        log_error(LOG_DISPATCH, "%s", err.text);
        snprintf(b->state, sizeof b->state, "off: %.250s", err.text);
        return;
    }
    snprintf(b->channel, sizeof b->channel, "bp:%s:wake", d->set.stage);
    snprintf(b->state, sizeof b->state, "connecting to %s:%d", b->place.host, b->place.port);
    b->backoff_ms = BACKOFF_MS;
    b->jobs = bus_subscribe(d->bus, "job.*", on_job, b);
    connect_again(b);
}

struct bridge *bridge_new(struct dispatch *d)
{
    struct bridge *b = calloc(1, sizeof *b);
    assert(b);
    b->d = d;
    b->connect = loop_timer_new(d->loop, "dispatch.bridge_connect", connect_again, b);
    b->limit = loop_timer_new(d->loop, "dispatch.bridge_limit", no_answer, b);
    b->send = loop_timer_new(d->loop, "dispatch.bridge_send", send_words, b);
    b->beat = loop_timer_new(d->loop, "dispatch.bridge_beat", beat, b);
    return b;
}

void bridge_free(struct bridge *b)
{
    hang_up(b);
    bus_unsubscribe(b->jobs);
    if (b->dns)
        evdns_base_free(b->dns, 0);
    loop_timer_free(b->connect);
    loop_timer_free(b->limit);
    loop_timer_free(b->send);
    loop_timer_free(b->beat);
    explicit_bzero(b, sizeof *b);
    free(b);
}
