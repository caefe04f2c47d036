/* SPDX-License-Identifier: Apache-2.0 */
#include "ws.h"

#include "clock.h"
#include "ws_frame.h"

#include <bp/workflow.h>
#include <curl/curl.h>
#include <errno.h>
#include <openssl/rand.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD_MAX 8192
#define PART     65536
#define SEND_MS  2000
#ifndef PING_AFTER_MS       /* a test has less patience */
#define PING_AFTER_MS 20000 /* of silence; as long again without an answer, and the peer is gone */
#endif

struct ws {
    CURL *curl; /* connected, of which only the bytes are used */
    struct ws_reader reader;
    char in[PART + 1]; /* received and not yet read; room for an end */
    size_t n_in, at;
    int64_t heard_ms, pinged_ms; /* monotonic; pinged_ms is 0 while no answer is owed */
};

/* ---- bytes ---- */

/* Waits until the socket can be read (or written). 0: not within timeout_ms. */
static int wait_for(struct ws *w, short what, int64_t timeout_ms)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    curl_easy_getinfo(w->curl, CURLINFO_ACTIVESOCKET, &fd);
    struct pollfd p = {.fd = fd, .events = what};
    if (fd == CURL_SOCKET_BAD)
        return 1; /* the read will say what is wrong */
    int n = poll(&p, 1, (int)(timeout_ms > 0 ? timeout_ms : 0));
    return n > 0 || (n < 0 && errno != EINTR);
}

static int32_t send_all(struct ws *w, const void *bytes, size_t n, struct bp_err *err)
{
    int64_t end = clock_ms() + SEND_MS;
    for (size_t done = 0; done < n;) {
        size_t k = 0;
        CURLcode code = curl_easy_send(w->curl, (const char *)bytes + done, n - done, &k);
        done += k;
        if (code == CURLE_AGAIN && clock_ms() < end)
            wait_for(w, POLLOUT, end - clock_ms());
        else if (code != CURLE_OK)
            return bp_error(err, BP_FAIL, "the WebSocket of ComfyUI takes nothing: %s", curl_easy_strerror(code));
    }
    return BP_OK;
}

static int32_t send_control(struct ws *w, enum ws_kind kind, const char *bytes, size_t n, struct bp_err *err)
{
    uint8_t frame[WS_CONTROL_MAX + 6], mask[4];
    if (RAND_bytes(mask, sizeof mask) != 1)
        return bp_error(err, BP_FAIL, "no random bytes for a WebSocket frame");
    return send_all(w, frame, ws_write_control(kind, mask, bytes, n, frame), err);
}

/* Receives what is there, waiting for it until `end`. *n_in stays where nothing came. */
static int32_t receive(struct ws *w, int64_t end, struct bp_err *err)
{
    for (;;) {
        size_t k = 0;
        CURLcode code = curl_easy_recv(w->curl, w->in + w->n_in, PART - w->n_in, &k);
        if (code == CURLE_OK && k > 0) {
            w->n_in += k;
            w->heard_ms = clock_ms();
            w->pinged_ms = 0;
            return BP_OK;
        }
        if (code == CURLE_OK)
            return bp_error(err, BP_FAIL, "ComfyUI closed the WebSocket");
        if (code != CURLE_AGAIN)
            return bp_error(err, BP_FAIL, "the WebSocket of ComfyUI broke: %s", curl_easy_strerror(code));
        if (clock_ms() >= end)
            return BP_OK;
        wait_for(w, POLLIN, end - clock_ms());
    }
}

/* ---- opening ---- */

static char *url_part(CURLU *u, CURLUPart what)
{
    char *text = NULL;
    return curl_url_get(u, what, &text, 0) == CURLUE_OK ? text : NULL;
}

/* The handshake's request. Returns its size, 0 when it does not fit or the URL makes no sense. */
static size_t request(const char *url, const char *client_id, const char *key, char *out, size_t n)
{
    CURLU *u = curl_url();
    size_t k = 0;
    if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK) {
        char *host = url_part(u, CURLUPART_HOST), *port = url_part(u, CURLUPART_PORT),
             *path = url_part(u, CURLUPART_PATH);
        if (host && path)
            k = (size_t)snprintf(out, n,
                                 "GET %s%sws?clientId=%s HTTP/1.1\r\nHost: %s%s%s\r\nUpgrade: websocket\r\nConnection: "
                                 "Upgrade\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n",
                                 path, path[strlen(path) - 1] == '/' ? "" : "/", client_id, host, port ? ":" : "",
                                 port ? port : "", key);
        curl_free(host);
        curl_free(port);
        curl_free(path);
    }
    curl_url_cleanup(u);
    return k < n ? k : 0;
}

/* Reads the answer's head; what came behind it stays in w->in. */
static int32_t read_answer(struct ws *w, const char *key, int64_t end, struct bp_err *err)
{
    for (;;) {
        w->in[w->n_in] = '\0';
        char *empty = strstr(w->in, "\r\n\r\n");
        if (empty) {
            *empty = '\0';
            w->at = (size_t)(empty - w->in) + 4;
            return ws_accepted(w->in, key, err);
        }
        if (w->n_in >= HEAD_MAX)
            return bp_error(err, BP_INVALID, "ComfyUI answers a WebSocket's handshake with too much");
        if (clock_ms() >= end)
            return bp_error(err, BP_TIMEOUT, "ComfyUI does not answer a WebSocket's handshake in time");
        int32_t rc = receive(w, end, err);
        if (rc < 0)
            return rc;
    }
}

static int32_t connect_to(struct ws *w, const char *url, int32_t timeout_ms, struct bp_err *err)
{
    char why[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(w->curl, CURLOPT_URL, url);
    curl_easy_setopt(w->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(w->curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(w->curl, CURLOPT_SSL_ENABLE_ALPN, 0L);
    curl_easy_setopt(w->curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(w->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(w->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(w->curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(w->curl, CURLOPT_ERRORBUFFER, why);
    CURLcode code = curl_easy_perform(w->curl);
    curl_easy_setopt(w->curl, CURLOPT_ERRORBUFFER, NULL);
    if (code == CURLE_OK)
        return BP_OK;
    return bp_error(err, BP_LATER, "no WebSocket to ComfyUI: %.120s", why[0] ? why : curl_easy_strerror(code));
}

struct ws *ws_open(const char *url, const char *client_id, int32_t timeout_ms, struct bp_err *err)
{
    uint8_t random[16];
    char key[WS_KEY_CHARS + 1], text[2048];
    int64_t end = clock_ms() + timeout_ms;
    struct ws *w = calloc(1, sizeof *w);
    if (w)
        w->curl = curl_easy_init();
    if (!w || !w->curl || RAND_bytes(random, sizeof random) != 1) {
        bp_error(err, BP_NOMEM, "no memory for a WebSocket");
        ws_close(w);
        return NULL;
    }
    ws_key(random, key);
    size_t n = request(url, client_id, key, text, sizeof text);
    int32_t rc = n ? connect_to(w, url, timeout_ms, err) : bp_error(err, BP_INVALID, "no WebSocket at such a URL");
    if (rc == BP_OK)
        rc = send_all(w, text, n, err);
    if (rc == BP_OK)
        rc = read_answer(w, key, end, err);
    if (rc == BP_OK)
        return w;
    curl_easy_cleanup(w->curl);
    w->curl = NULL;
    ws_close(w);
    return NULL;
}

/* ---- messages ---- */

/* Answers what must be answered; *text is set where the event is a message. */
static int32_t take_event(struct ws *w, const struct ws_event *e, const char **text, size_t *n, struct bp_err *err)
{
    if (e->kind == WS_PING)
        return send_control(w, WS_PONG, e->bytes, e->n, err);
    if (e->kind == WS_CLOSE)
        return bp_error(err, BP_FAIL, "ComfyUI closed the WebSocket (code %u)", e->code);
    if (e->kind == WS_TEXT) {
        *text = e->bytes;
        *n = e->n;
    }
    return BP_OK;
}

/* Reads messages out of what was received, until one is whole or all is read. */
static int32_t read_in(struct ws *w, const char **text, size_t *n, struct bp_err *err)
{
    while (w->at < w->n_in && !*text) {
        struct ws_event e;
        size_t used;
        int32_t rc = ws_read(&w->reader, w->in + w->at, w->n_in - w->at, &used, &e, err);
        w->at += used;
        if (rc == BP_OK)
            rc = take_event(w, &e, text, n, err);
        if (rc < 0)
            return rc;
    }
    if (w->at == w->n_in)
        w->at = w->n_in = 0;
    return BP_OK;
}

static int32_t keep_alive(struct ws *w, struct bp_err *err)
{
    int64_t now = clock_ms();
    if (w->pinged_ms && now - w->pinged_ms >= PING_AFTER_MS)
        return bp_error(err, BP_TIMEOUT, "the WebSocket of ComfyUI answers no ping");
    if (w->pinged_ms || now - w->heard_ms < PING_AFTER_MS)
        return BP_OK;
    w->pinged_ms = now;
    return send_control(w, WS_PING, "", 0, err);
}

int32_t ws_next(struct ws *w, int32_t timeout_ms, const char **text, size_t *n, struct bp_err *err)
{
    int64_t end = clock_ms() + timeout_ms;
    *text = NULL;
    *n = 0;
    int32_t rc = read_in(w, text, n, err);
    while (rc == BP_OK && !*text) {
        size_t before = w->n_in;
        rc = keep_alive(w, err);
        if (rc == BP_OK)
            rc = receive(w, end, err);
        if (rc < 0 || w->n_in == before)
            return rc;
        rc = read_in(w, text, n, err);
        if (clock_ms() >= end)
            break; /* however much comes that is no text */
    }
    return rc;
}

void ws_close(struct ws *w)
{
    if (!w)
        return;
    if (w->curl) {
        struct bp_err ignored;
        send_control(w, WS_CLOSE, "\x03\xe8", 2, &ignored); /* 1000: all is well */
        curl_easy_cleanup(w->curl);
    }
    ws_reader_free(&w->reader);
    free(w);
}
