/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_door.c - what a client may send to the HTTP door, evhttp and all: requests one behind the other, bodies, and the
 * end. The first byte says how the others are cut into pieces. The statuses answered are the same whether the bytes
 * come at once or in pieces, every answer is a whole one, and nothing of the connection is left when it is over. The
 * engines are the doubles of tests/unit/http.
 */
#include "http/door.h"
#include "http/rig.h"
#include "log/log.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TURNS    10000 /* of the loop, until a connection is over */
#define QUIET    8     /* turns without an answer after which none is coming */
#define STATUSES 64

static struct rig rig;
struct rig *rig_now = &rig;

static void set_up(void)
{
    struct bp_err err = {0};
    const char *sets[] = {"http.listen=127.0.0.1:0", "http.registerPerMinute=0", "http.maxBodyBytes=1024",
                          "http.maxHeaderBytes=2048"};
    struct config_sources src = {.sets = sets, .n_sets = sizeof sets / sizeof *sets};

    log_set_level(LOG_SUB_NONE, BP_LOG_ERROR);
    rig.app.loop = loop_new();
    rig.app.bus = bus_new(rig.app.loop);
    rig.app.config = config_load(&src, &err);
    if (!rig.app.config)
        abort();
    snprintf(rig.app.fleet_secret, sizeof rig.app.fleet_secret, "%s", FLEET_SECRET);
    snprintf(rig.app.local_token, sizeof rig.app.local_token, "%s", TENANT_TOKEN);
    rig.app.ready = 1;
    atomic_store(&rig.job_status, BP_JOB_COMPLETED);
    rig.http = http_new(&rig.app, &err);
    if (!rig.http)
        abort();
    rig.port = (uint16_t)atoi(strrchr(rig.app.url, ':') + 1);
}

/* From one address there are not ports enough: each is kept for a minute after its connection. */
static int dial(void)
{
    static uint32_t dialled;
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (dialled++ / 8192 % 200 << 8))};
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(rig.port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0 || bind(fd, (const struct sockaddr *)(const void *)&from, sizeof from) ||
        connect(fd, (const struct sockaddr *)(const void *)&a, sizeof a) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))
        abort();
    return fd;
}

static void turn(void)
{
    event_base_loop(loop_base(rig.app.loop), EVLOOP_NONBLOCK);
}

/* ---- what comes back ---- */

struct answers {
    char *bytes;
    size_t n, cap;
    int over; /* the other side closed */
    int n_statuses, statuses[STATUSES];
};

static void take(int fd, struct answers *a)
{
    for (;;) {
        if (a->cap - a->n < 65536) {
            a->cap = 2 * a->cap + 131072;
            a->bytes = realloc(a->bytes, a->cap);
            assert(a->bytes);
        }
        ssize_t n = recv(fd, a->bytes + a->n, 65536, MSG_DONTWAIT);
        if (n <= 0) {
            a->over = n == 0 || (errno != EAGAIN && errno != EINTR);
            return;
        }
        a->n += (size_t)n;
    }
}

static void send_all(int fd, const uint8_t *data, size_t n, struct answers *a)
{
    while (n > 0 && !a->over) {
        ssize_t sent = send(fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0)
            data += sent, n -= (size_t)sent;
        else if (errno != EAGAIN && errno != EINTR)
            return; /* it has closed */
        turn();
        take(fd, a);
    }
}

/* Sends it in pieces of `piece` bytes, ends its side, and serves until nothing is left of the connection. */
static void converse(const uint8_t *data, size_t n, size_t piece, struct answers *a)
{
    int fd = dial(), turns = 0;

    turn();
    for (size_t at = 0; at < n; at += piece)
        send_all(fd, data + at, n - at < piece ? n - at : piece, a);
    for (size_t before = 0, quiet = 0; quiet < QUIET; quiet++) { /* who left earlier need not get an answer */
        turn();
        take(fd, a);
        if (a->n != before)
            before = a->n, quiet = 0;
    }
    shutdown(fd, SHUT_WR);
    for (; (rig.http->n_conns || !a->over) && turns < TURNS; turns++) {
        turn();
        doubles_release(&rig, NULL);
        take(fd, a);
    }
    close(fd);
    assert(turns < TURNS);
    turn();
    assert(rig.http->n_conns == 0 && rig.http->n_calls == 0 && rig.http->n_uploads == 0);
    assert(TAILQ_EMPTY(&rig.http->calls) && TAILQ_EMPTY(&rig.http->streams) && TAILQ_EMPTY(&rig.http->uploads));
}

static void read_statuses(struct answers *a)
{
    for (size_t i = 0; i + 12 <= a->n && a->n_statuses < STATUSES; i++) {
        int status = memcmp(a->bytes + i, "HTTP/1.", 7) == 0 && a->bytes[i + 8] == ' ' ? atoi(a->bytes + i + 9) : 0;
        if (status > 100) /* whether 100 is said depends on what has come */
            a->statuses[a->n_statuses++] = status;
    }
    assert(a->n == 0 || (a->n > 12 && memcmp(a->bytes, "HTTP/1.", 7) == 0));
}

/* ---- what was asked ---- */

/* How many requests there are, read by the lengths alone; STATUSES when pieces make it unclear. */
static int requests_in(const char *p, size_t n)
{
    int requests = 0;

    for (;;) {
        size_t from = 0, end;
        const char *why = "";
        struct head h;
        while (n > 0 && (*p == '\r' || *p == '\n'))
            p++, n--;
        end = head_end(p, n, &from);
        if (n == 0)
            return requests;
        requests++;
        if (end == 0 || head_parse(p, end, &h, &why) || h.content_length > (int64_t)(n - end))
            return requests;
        if (h.chunked)
            return STATUSES;
        end += h.content_length > 0 ? (size_t)h.content_length : 0;
        p += end;
        n -= end;
    }
}

static void tell(const char *how, const struct answers *a)
{
    fprintf(stderr, "---- %s:", how);
    for (int i = 0; i < a->n_statuses; i++)
        fprintf(stderr, " %d", a->statuses[i]);
    fprintf(stderr, "\n%.*s\n", (int)a->n, a->bytes ? a->bytes : "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct answers whole = {0}, pieces = {0};

    if (!rig.http)
        set_up();
    if (size < 2 || size > 8192)
        return 0;
    size_t piece = data[0] % 128 + 1;
    piece = size / piece > 256 ? size / 256 + 1 : piece;
    converse(data + 1, size - 1, size, &whole);
    converse(data + 1, size - 1, piece, &pieces);
    read_statuses(&whole);
    read_statuses(&pieces);
    if (whole.n_statuses != pieces.n_statuses || memcmp(whole.statuses, pieces.statuses, sizeof whole.statuses) != 0 ||
        whole.n_statuses > requests_in((const char *)data + 1, size - 1)) {
        fprintf(stderr, "%d requests, in pieces of %zu:\n%.*s\n", requests_in((const char *)data + 1, size - 1), piece,
                (int)size - 1, (const char *)data + 1);
        tell("at once", &whole);
        tell("in pieces", &pieces);
        abort();
    }
    free(whole.bytes);
    free(pieces.bytes);
    return 0;
}
