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
#define FEED_EVENTS 1000
#define FEED_UNSENT ((size_t)256 * 1024) /* beyond it, events wait in their feed, which loses the oldest */

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
    bufferevent_free(c->bev);
    free(c);
}

/* Frees the connection when nothing is left to answer. */
static int ended(struct admin_conn *c)
{
    if (!c->closing || c->call || c->feed || evbuffer_get_length(bufferevent_get_output(c->bev)))
        return 0;
    conn_free(c);
    return 1;
}

void conn_write(struct admin_conn *c, const char *text, size_t n)
{
    struct evbuffer *out = bufferevent_get_output(c->bev);
    if (evbuffer_get_length(out) + n <= OUT_LIMIT) {
        evbuffer_add(out, text, n);
        return;
    }
    if (c->feed)
        bus_feed_free(c->feed);
    c->feed = NULL;
    log_warn(LOG_ADMIN, "an answer of %zu bytes is too large; its connection ends", n);
    c->closing = 1; /* who waits for the answer must not wait for ever: the end of the connection tells it */
    bufferevent_disable(c->bev, EV_READ);
    bufferevent_trigger(c->bev, EV_WRITE, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

/* Handles the next waiting line. */
static void conn_next(struct admin_conn *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    while (!c->call && !c->feed) {
        size_t n;
        char *line = evbuffer_readln(in, &n, EVBUFFER_EOL_CRLF);
        if (!line && c->closing && (n = evbuffer_get_length(in)) > 0) { /* a last line without its end */
            line = calloc(1, n + 1);
            if (line)
                evbuffer_remove(in, line, n);
        }
        if (!line)
            break;
        rpc_line(c, line, n);
        free(line);
    }
    if (evbuffer_get_length(in) > ADMIN_LINE_MAX) {
        static const char too_long[] = "error: a request is one line of at most 1048576 bytes\n";
        conn_write(c, too_long, sizeof too_long - 1);
        evbuffer_drain(in, evbuffer_get_length(in));
        c->closing = 1;
        bufferevent_disable(c->bev, EV_READ);
    }
}

static void on_read(struct bufferevent *bev, void *arg)
{
    (void)bev;
    int64_t t = loop_enter(((struct admin_conn *)arg)->admin->app->loop);
    struct loop *l = ((struct admin_conn *)arg)->admin->app->loop;
    conn_next(arg);
    loop_leave(l, "admin.request", t);
}

static void on_written(struct bufferevent *bev, void *arg)
{
    struct admin_conn *c = arg;
    (void)bev;
    if (!ended(c) && c->feed)
        feed_pump(c); /* what waited */
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
    conn_next(c);
    ended(c);
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

void conn_accept(struct admin *a, evutil_socket_t fd)
{
    struct admin_conn *c = calloc(1, sizeof *c);
    if (c)
        c->admin = a;
    if (!c || check_peer(c, fd) < 0) {
        free(c);
        close(fd);
        return;
    }
    evutil_make_socket_nonblocking(fd);
    c->bev = bufferevent_socket_new(loop_base(a->app->loop), fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (!c->bev) {
        free(c);
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
    while (evbuffer_get_length(bufferevent_get_output(c->bev)) < FEED_UNSENT && (e = bus_feed_next(c->feed))) {
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
