/* SPDX-License-Identifier: Apache-2.0 */
/* http.c - the door as a whole: listening, limits, TLS, draining, and the tick that keeps its times. */
#include "http/http.h"
#include "http/door.h"
#include "log/err.h"
#include "log/log.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SWEEP_MS     500
#define BACKLOG      1024
#define BODY_SLACK   65536
#define BUSY_TRIES   20
#define BUSY_REST_MS 50

static void read_limits(struct http *h, const struct config *c)
{
    h->limits = (struct limits){
        .max_body = config_int(c, CONFIG_HTTP_MAX_BODY),
        .max_upload = config_int(c, CONFIG_HTTP_MAX_UPLOAD),
        .max_head = (size_t)config_int(c, CONFIG_HTTP_MAX_HEADER),
        .max_connections = (uint32_t)config_int(c, CONFIG_HTTP_MAX_CONNECTIONS),
        .timeout_ms = config_int(c, CONFIG_HTTP_TIMEOUT_S) * 1000,
        .register_per_minute = (uint32_t)config_int(c, CONFIG_HTTP_REGISTER_PER_MINUTE),
    };
    /* The gate refuses with these; evhttp's own come after, for bodies without a length. */
    evhttp_set_max_headers_size(h->ev, (ev_ssize_t)h->limits.max_head);
    evhttp_set_max_body_size(h->ev, (ev_ssize_t)(h->limits.max_body + BODY_SLACK));
}

static void set_date(struct http *h)
{
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(h->date, sizeof(h->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static void sweep(void *arg)
{
    struct http *h = arg;
    int64_t now = mono_ms();

    set_date(h);
    conn_sweep(h, now);
    stream_sweep(h, now);
    if (h->paused_until_ms && now >= h->paused_until_ms && !h->draining) {
        h->paused_until_ms = 0;
        evconnlistener_enable(h->listener);
    }
}

/* ---- listening ---- */

/* "127.0.0.1:8080", "[::1]:8080", "localhost:8080", ":8080" (every address). */
static int split_listen(const char *text, char *host, size_t cap, const char **port, struct bp_err *err)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;

    if (!colon || colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1) || n >= cap)
        return err_set(err, BP_INVALID, "http.listen \"%s\" is no address:port; give 127.0.0.1:8080, say", text);
    if (n > 1 && text[0] == '[' && text[n - 1] == ']')
        text++, n -= 2;
    memcpy(host, text, n);
    host[n] = '\0';
    *port = colon + 1;
    return 0;
}

int http_config_check(const struct config *c, struct bp_err *err)
{
    char host[256];
    const char *port, *url = config_str(c, CONFIG_HTTP_URL);

    if (*url && strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return err_set(err, BP_INVALID, "http.url is \"%s\": it must begin with http:// or https://", url);
    return split_listen(config_str(c, CONFIG_HTTP_LISTEN), host, sizeof(host), &port, err);
}

static void on_accept_error(struct evconnlistener *l, void *arg)
{
    struct http *h = arg;

    log_warn(LOG_HTTP,
             "cannot accept connections: %s; resting for a second, raise the limit on open files if this stays",
             strerror(errno));
    evconnlistener_disable(l); /* else the loop would spin on it */
    h->paused_until_ms = mono_ms() + 1000;
}

/* The address may be busy for a moment: a child that the last bpd was about to start when it was killed has its
 * listener until it runs its own program. */
static struct evconnlistener *bind_soon(struct http *h, const struct addrinfo *ai)
{
    unsigned flags = LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC;
    struct evconnlistener *l = NULL;

    for (int i = 0; !l && (i == 0 || (errno == EADDRINUSE && i < BUSY_TRIES)); i++) {
        if (i > 0)
            nanosleep(&(struct timespec){.tv_nsec = BUSY_REST_MS * 1000000L}, NULL);
        l = evconnlistener_new_bind(loop_base(h->app->loop), NULL, NULL, flags, BACKLOG, ai->ai_addr,
                                    (int)ai->ai_addrlen);
    }
    return l;
}

static int bind_listener(struct http *h, const struct addrinfo *ai, const char *text, struct bp_err *err)
{
    h->listener = bind_soon(h, ai);
    if (!h->listener)
        return err_set(err, errno == EADDRINUSE ? BP_CONFLICT : BP_INVALID, "listen on %s: %s; change http.listen%s",
                       text, strerror(errno), errno == EADDRINUSE ? " or stop what uses it" : "");
    evconnlistener_set_error_cb(h->listener, on_accept_error);
    if (!evhttp_bind_listener(h->ev, h->listener)) {
        evconnlistener_free(h->listener);
        return err_set(err, BP_NOMEM, "listen on %s: no memory", text);
    }
    return 0;
}

static int start_listening(struct http *h, const struct config *c, struct bp_err *err)
{
    const char *text = config_str(c, CONFIG_HTTP_LISTEN), *port = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *ai = NULL;
    char host[256];
    int rc = split_listen(text, host, sizeof(host), &port, err), gai;

    if (rc)
        return rc;
    gai = getaddrinfo(host[0] ? host : NULL, port, &hints, &ai);
    if (gai)
        return err_set(err, BP_INVALID, "http.listen \"%s\": %s", text, gai_strerror(gai));
    rc = bind_listener(h, ai, text, err);
    freeaddrinfo(ai);
    return rc;
}

static void bound_address(struct http *h, char *host, size_t cap, unsigned *port)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof(sa);
    char ip[INET6_ADDRSTRLEN] = "127.0.0.1";

    memset(&sa, 0, sizeof(sa));
    getsockname(evconnlistener_get_fd(h->listener), (struct sockaddr *)&sa, &n);
    if (sa.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&sa;
        *port = ntohs(v6->sin6_port);
        if (!IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr)) {
            inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip));
            snprintf(host, cap, "[%s]", ip);
            return;
        }
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&sa;
        *port = ntohs(v4->sin_port);
        if (v4->sin_addr.s_addr != htonl(INADDR_ANY))
            inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip));
    }
    snprintf(host, cap, "%s", ip);
}

/* <state.dir>/http.port tells scripts where a door on port 0 is. */
static void write_port(const struct http *h, unsigned port)
{
    char path[4200], text[16];
    int fd, n = snprintf(text, sizeof(text), "%u\n", port);

    if (h->app->state_dir[0] == '\0')
        return;
    snprintf(path, sizeof(path), "%s/http.port", h->app->state_dir);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, (size_t)n) != n)
        log_warn(LOG_HTTP, "cannot write %s: %m", path);
    if (fd >= 0)
        close(fd);
}

static void set_url(struct http *h, const struct config *c)
{
    const char *url = config_str(c, CONFIG_HTTP_URL), *host;
    char ip[128];
    unsigned port = 0;

    bound_address(h, ip, sizeof(ip), &port);
    write_port(h, port);
    if (*url)
        snprintf(h->app->url, sizeof(h->app->url), "%.*s", (int)(strlen(url) - (url[strlen(url) - 1] == '/')), url);
    else
        snprintf(h->app->url, sizeof(h->app->url), "%s://%s:%u", h->tls ? "https" : "http", ip, port);
    host = *url ? strstr(url, "://") : NULL;
    host = host ? host + 3 : "";
    snprintf(h->own_host, sizeof(h->own_host), "%.*s", (int)strcspn(host, "/"), host);
}

/* ---- life ---- */

static void raise_file_limit(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static struct http *door_new(struct app *app)
{
    struct http *h = calloc(1, sizeof(*h));

    assert(h);
    h->magic = HTTP_MAGIC;
    h->app = app;
    TAILQ_INIT(&h->conns);
    TAILQ_INIT(&h->fresh);
    TAILQ_INIT(&h->calls);
    TAILQ_INIT(&h->streams);
    TAILQ_INIT(&h->uploads);
    h->ev = evhttp_new(loop_base(app->loop));
    h->adopt = event_new(loop_base(app->loop), -1, 0, conn_adopt_all, h);
    h->sweep = loop_timer_new(app->loop, "http.sweep", sweep, h);
    h->rate = rate_new();
    h->chunk = evbuffer_new();
    h->counts = calloc(n_routes + 1, sizeof(*h->counts));
    assert(h->ev && h->adopt && h->sweep && h->rate && h->chunk && h->counts);
    evhttp_set_allowed_methods(h->ev, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
                                          EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
    evhttp_set_default_content_type(h->ev, NULL);
    evhttp_set_gencb(h->ev, call_begin, h);
    evhttp_set_bevcb(h->ev, conn_bufferevent, h);
    return h;
}

struct http *http_new(struct app *app, struct bp_err *err)
{
    const struct config *c = app->config;
    struct http *h;

    ASSERT_LOOP(app->loop);
    raise_file_limit();
    signal(SIGPIPE, SIG_IGN); /* a client that left is an error code, not a death */
    h = door_new(app);
    h->is_local = strcmp(config_str(c, CONFIG_STAGE), "local") == 0;
    read_limits(h, c);
    h->tenants = tenants_new(c, app->local_token, err);
    if (!h->tenants || tls_load(c, &h->tls, err) || start_listening(h, c, err)) {
        http_free(h);
        return NULL;
    }
    set_url(h, c);
    set_date(h);
    loop_timer_every(h->sweep, SWEEP_MS);
    log_info(LOG_HTTP, "serving %s", app->url);
    return h;
}

int http_reconfigure(struct http *h, const struct config *c, struct bp_err *err)
{
    struct tenants *tenants;
    SSL_CTX *tls = NULL;

    assert(h->magic == HTTP_MAGIC);
    ASSERT_LOOP(h->app->loop);
    tenants = tenants_new(c, h->app->local_token, err);
    if (!tenants)
        return err->rc;
    if (tls_load(c, &tls, err)) {
        tenants_free(tenants);
        return err->rc;
    }
    tenants_free(h->tenants);
    SSL_CTX_free(h->tls); /* connections hold their own reference */
    h->tenants = tenants;
    h->tls = tls;
    read_limits(h, c);
    set_url(h, c);
    return 0;
}

/* Connections between two requests have nothing to wait for. */
static void close_idle(struct http *h)
{
    struct conn *c, *next;

    for (c = TAILQ_FIRST(&h->conns); c; c = next) {
        next = TAILQ_NEXT(c, next);
        if (c->phase == CONN_HEAD && !c->heard && !c->stash)
            conn_close(c);
    }
}

void http_drain(struct http *h)
{
    assert(h->magic == HTTP_MAGIC);
    h->draining = 1;
    evconnlistener_disable(h->listener);
    stream_end_all(h);
    close_idle(h);
}

uint32_t http_in_flight(const struct http *h)
{
    assert(h->magic == HTTP_MAGIC);
    return h->n_calls + h->n_uploads;
}

/* Answers may still come for these: they only free their call. */
static void orphan_calls(struct http *h)
{
    struct call *c;

    while ((c = TAILQ_FIRST(&h->calls)) != NULL) {
        TAILQ_REMOVE(&h->calls, c, next);
        c->http = NULL;
    }
}

void http_free(struct http *h)
{
    if (!h)
        return;
    assert(h->magic == HTTP_MAGIC);
    h->draining = 1;
    loop_timer_free(h->sweep);
    conn_adopt_all(-1, 0, h);
    event_free(h->adopt);
    upload_end_all(h);
    evhttp_free(h->ev);
    stream_orphan_all(h);
    orphan_calls(h);
    SSL_CTX_free(h->tls);
    tenants_free(h->tenants);
    rate_free(h->rate);
    evbuffer_free(h->chunk);
    text_free(&h->out);
    free(h->counts);
    free(h->by_fd);
    h->magic = 0;
    free(h);
}
