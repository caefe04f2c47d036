/* SPDX-License-Identifier: Apache-2.0 */
#include "admin_priv.h"

#include "log/json.h"
#include "log/log.h"
#include <event2/buffer.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_LIMIT   ((size_t)16 * 1024 * 1024) /* a reader this far behind is cut off */
#define UNSENT      ((size_t)256 * 1024) /* beyond it, lines wait, and events in their feed, which loses the oldest */
#define TURN_US     1000                 /* of lines at a time: then the others of the loop have their turn */
#define FEED_EVENTS 1000

static void feed_pump(void *arg);

void conn_free(struct admin_conn *c)
{
    struct admin_conn **at = &c->admin->conns;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    c->admin->n_conns--;
    if (c->call)
        c->call->conn = NULL; /* the call ends by itself and answers nobody */
    if (c->feed)
        bus_feed_free(c->feed);
    loop_timer_free(c->turn);
    bufferevent_free(c->bev);
    free(c);
}

static size_t unsent(const struct admin_conn *c)
{
    return evbuffer_get_length(bufferevent_get_output(c->bev));
}

/* Nothing more is read: what has come in is forgotten, and the connection ends with its last answer. */
static void cut_off(struct admin_conn *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    evbuffer_drain(in, evbuffer_get_length(in));
    c->closing = 1;
    bufferevent_disable(c->bev, EV_READ);
}

void conn_write(struct admin_conn *c, const char *text, size_t n)
{
    if (unsent(c) + n <= OUT_LIMIT) {
        evbuffer_add(bufferevent_get_output(c->bev), text, n);
        return;
    }
    if (c->feed)
        bus_feed_free(c->feed);
    c->feed = NULL;
    log_warn(LOG_ADMIN, "an answer of %zu bytes is too large; its connection ends", n);
    cut_off(c); /* who waits for the answer must not wait for ever: the end of the connection tells it */
    conn_resume(c);
}

/* The next line, or what is left behind the last one when no more can come; NULL: none yet. *n: its length. */
static char *take_line(struct admin_conn *c, size_t *n)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    char *line = evbuffer_readln(in, n, EVBUFFER_EOL_CRLF);
    if (line || !c->closing || (*n = evbuffer_get_length(in)) == 0)
        return line;
    line = calloc(1, *n + 1);
    if (line)
        evbuffer_remove(in, line, *n);
    else
        evbuffer_drain(in, *n);
    return line;
}

/* Handles lines until none is left, one has to wait for its answer, the reader is behind, or the turn is over. */
static void take_lines(struct admin_conn *c)
{
    int64_t end = mono_us() + TURN_US;
    while (!c->call && !c->feed && unsent(c) < UNSENT) {
        size_t n;
        char *line = take_line(c, &n);
        if (!line && evbuffer_get_length(bufferevent_get_input(c->bev)) > ADMIN_LINE_MAX) {
            static const char too_long[] = "error: a request is one line of at most 1048576 bytes\n";
            conn_write(c, too_long, sizeof too_long - 1);
            cut_off(c);
        }
        if (!line)
            return;
        rpc_line(c, line, n);
        free(line);
        if (mono_us() >= end) {
            conn_resume(c);
            return;
        }
    }
}

/* One turn of a connection, which frees it when nothing is left to read, to answer or to send. */
static void take_turn(void *arg)
{
    struct admin_conn *c = arg;
    c->due = 0;
    take_lines(c);
    if (c->closing && !c->call && !c->feed && !unsent(c) && !evbuffer_get_length(bufferevent_get_input(c->bev)))
        conn_free(c);
}

void conn_resume(struct admin_conn *c)
{
    if (!c->due) /* armed again, it would be put off, for ever by one that sends faster than the loop turns */
        loop_timer_after(c->turn, 0);
    c->due = 1;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    (void)bev;
    conn_resume(arg);
}

static void on_written(struct bufferevent *bev, void *arg)
{
    struct admin_conn *c = arg;
    (void)bev;
    if (c->feed)
        feed_pump(c); /* what waited */
    conn_resume(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    struct admin_conn *c = arg;
    if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
        return;
    if ((what & BEV_EVENT_ERROR) || c->feed) {
        conn_free(c);
        return;
    }
    c->closing = 1; /* half closed: `echo status | socat` still reads */
    conn_resume(c);
}

/* Is the peer in the group that may read? */
static int in_group(uid_t uid, gid_t gid, const char *name)
{
    struct group *g = name[0] ? getgrnam(name) : NULL;
    struct passwd *pw = g ? getpwuid(uid) : NULL;
    if (!g)
        return 0;
    if (gid == g->gr_gid)
        return 1;
    for (char **m = g->gr_mem; pw && *m; m++)
        if (strcmp(*m, pw->pw_name) == 0)
            return 1;
    return 0;
}

/* Root and the daemon's own user may do everything, the group may read, others nothing. 0 or -1. */
static int check_peer(struct admin_conn *c, int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return -1;
    c->uid = peer.uid;
    c->may_write = peer.uid == 0 || peer.uid == geteuid();
    if (c->may_write || in_group(peer.uid, peer.gid, config_str(c->admin->app->config, CONFIG_ADMIN_GROUP)))
        return 0;
    log_warn(LOG_ADMIN, "refused uid %u: not root, not the daemon's user, not in admin.group", (unsigned)peer.uid);
    return -1;
}

static struct admin_conn *conn_new(struct admin *a, evutil_socket_t fd)
{
    struct admin_conn *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->admin = a;
    c->turn = loop_timer_new(a->app->loop, "admin.request", take_turn, c);
    if (c->turn && check_peer(c, fd) == 0)
        c->bev = bufferevent_socket_new(loop_base(a->app->loop), fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (c->bev)
        return c;
    loop_timer_free(c->turn);
    free(c);
    return NULL;
}

void conn_accept(struct admin *a, evutil_socket_t fd)
{
    evutil_make_socket_nonblocking(fd);
    struct admin_conn *c = conn_new(a, fd);
    if (!c) {
        close(fd);
        return;
    }
    c->next = a->conns;
    a->conns = c;
    a->n_conns++;
    bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
    bufferevent_setwatermark(c->bev, EV_READ, 0, ADMIN_LINE_MAX + 2);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

/* ---- events as they happen ---- */

/* {"method":"event","params":{...}} for programs, {"method":"text","params":"..."} for bpctl, the bare line for hands.
 * line is free()d; NULL: no memory for it. */
static void write_news(struct admin_conn *c, const char *method, char *line)
{
    if (line && c->feed_form == FEED_PLAIN) {
        conn_write(c, line, strlen(line));
    } else if (line) {
        struct json_object *o = json_object_new_object();
        json_put_str(o, "jsonrpc", "2.0");
        json_put_str(o, "method", c->feed_form == FEED_JSON ? method : "text");
        if (c->feed_form == FEED_JSON)
            json_put_raw(o, "params", line);
        else
            json_put_str(o, "params", line);
        conn_write(c, json_text(o), strlen(json_text(o)));
        json_object_put(o);
    }
    conn_write(c, "\n", line ? 1 : 0);
    free(line);
}

static void tell_lost(struct admin_conn *c, uint64_t n)
{
    char *line = NULL;
    int rc = c->feed_form == FEED_JSON
                 ? asprintf(&line, "{\"lost\":%llu}", (unsigned long long)n)
                 : asprintf(&line, "(%llu events are missing here: this reader is slower than they come)",
                            (unsigned long long)n);
    write_news(c, "lost", rc < 0 ? NULL : line);
}

/* Sends what waits in the feed, as long as the reader takes it. */
static void feed_pump(void *arg)
{
    struct admin_conn *c = arg;
    struct event_msg *e;
    while (c->feed && unsent(c) < UNSENT && (e = bus_feed_next(c->feed))) {
        uint64_t lost = bus_feed_lost(c->feed);
        if (lost)
            tell_lost(c, lost);
        write_news(c, "event", c->feed_form == FEED_JSON ? event_json(e) : event_text(e));
        event_unref(e);
    }
}

void conn_follow(struct admin_conn *c, const char *pattern, enum feed_form form)
{
    c->feed_form = form;
    c->feed = bus_feed_new(c->admin->app->bus, pattern, FEED_EVENTS, feed_pump, c);
}
