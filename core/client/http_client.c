/* SPDX-License-Identifier: Apache-2.0 */
#include "client/http_client.h"

#include "log/err.h"
#include "log/log.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 10000L
#define STALL_S            60L
#define REDIRECTS_MAX      3L

struct http_client {
    struct loop *loop;
    CURLM *multi;
    struct event *timer;
    struct http_client_call *calls;
    char base_url[1024], ca_file[4096];
    int *gone; /* set to 1 by http_client_free() for the reap() that is running */
};

struct http_client_call {
    struct http_client *client;
    struct http_client_call *next, *prev;
    CURL *easy;
    struct curl_slist *headers;
    char *to_file;
    int fd; /* of the file that is read or written, -1: none */
    char *text;
    size_t text_bytes;
    int64_t max_bytes, got;
    int64_t at;         /* where in the file the next bytes go */
    int64_t range_from; /* what the answer says of it, -1: nothing */
    int resumes, keep_part;
    char tag[256];
    int head_ended;
    struct bp_err err; /* why this side gave up, rc 0: it did not */
    char why[CURL_ERROR_SIZE];
    void (*written)(const void *bytes, size_t n, int64_t at, void *arg);
    http_client_done done;
    void *arg;
};

static void reap(struct http_client *c);

/* ---- libcurl's sockets and timer on the loop ---- */

static void on_socket(int fd, short what, void *arg)
{
    struct http_client *c = arg;
    struct loop *l = c->loop;
    int64_t entered = loop_enter(l);
    int running;
    int mask = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    curl_multi_socket_action(c->multi, fd, mask, &running);
    reap(c);
    loop_leave(l, "client.http", entered);
}

static void on_timeout(int fd, short what, void *arg)
{
    struct http_client *c = arg;
    struct loop *l = c->loop;
    int64_t entered = loop_enter(l);
    int running;
    (void)fd, (void)what;
    curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    reap(c);
    loop_leave(l, "client.http", entered);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct http_client *c = arg;
    struct event *ev = socket_arg;
    (void)easy;
    if (ev)
        event_free(ev);
    ev = NULL;
    if (what != CURL_POLL_REMOVE) {
        short mask = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0) | EV_PERSIST);
        ev = event_new(loop_base(c->loop), fd, mask, on_socket, c);
        if (!ev || event_add(ev, NULL) < 0)
            log_error(LOG_HTTP, "cannot watch a connection: no memory");
    }
    curl_multi_assign(c->multi, fd, ev);
    return 0;
}

static int want_timer(CURLM *multi, long ms, void *arg)
{
    struct http_client *c = arg;
    (void)multi;
    if (ms < 0) {
        event_del(c->timer);
        return 0;
    }
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    return event_add(c->timer, &tv);
}

/* ---- the bytes of one call ---- */

static size_t refuse(struct http_client_call *call, int rc, const char *what)
{
    err_set(&call->err, rc, "%s", what);
    return 0;
}

static size_t take_text(struct http_client_call *call, const char *bytes, size_t n)
{
    char *grown = realloc(call->text, call->text_bytes + n + 1);
    if (!grown)
        return refuse(call, BP_NOMEM, "no memory for the answer");
    memcpy(grown + call->text_bytes, bytes, n);
    call->text = grown;
    call->text_bytes += n;
    grown[call->text_bytes] = '\0';
    return n;
}

static size_t take_file(struct http_client_call *call, const char *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = write(call->fd, bytes + done, n - done);
        if (k < 0 && errno != EINTR)
            return refuse(call, errno == ENOSPC || errno == EDQUOT ? BP_NOSPACE : BP_IO, strerror(errno));
        done += k > 0 ? (size_t)k : 0;
    }
    if (call->written)
        call->written(bytes, n, call->at, call->arg);
    call->at += (int64_t)n;
    return n;
}

static int status_of(const struct http_client_call *call)
{
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static int goes_to_file(const struct http_client_call *call, int status)
{
    return call->to_file && (status == 200 || (status == 206 && call->resumes));
}

static size_t on_body(char *bytes, size_t one, size_t n, void *arg)
{
    struct http_client_call *call = arg;
    (void)one;
    int filed = goes_to_file(call, status_of(call));
    call->got += (int64_t)n;
    if ((filed ? call->at + (int64_t)n : call->got) > call->max_bytes) {
        err_set(&call->err, BP_INVALID, "the answer is larger than %lld bytes", (long long)call->max_bytes);
        return 0;
    }
    if (filed)
        return take_file(call, bytes, n);
    if (call->to_file && call->text_bytes + n > 65536)
        return n; /* the page that explains an error; its beginning is enough */
    return take_text(call, bytes, n);
}

/* The value of the header `name` of this line to out, without blanks around it, or nothing. name ends with ':'. */
static int read_header(const char *line, size_t n, const char *name, char *out, size_t room)
{
    size_t skip = strlen(name);
    if (n < skip || strncasecmp(line, name, skip) != 0)
        return 0;
    while (skip < n && (line[skip] == ' ' || line[skip] == '\t'))
        skip++;
    while (n > skip && strchr(" \t\r\n", line[n - 1]))
        n--;
    if (n - skip >= room) /* half a value is none */
        return 0;
    memcpy(out, line + skip, n - skip);
    out[n - skip] = '\0';
    return 1;
}

static void take_header(struct http_client_call *call, const char *line, size_t n)
{
    char value[256];
    long long from;
    if (read_header(line, n, "ETag:", value, sizeof(value)) && value[0] == '"')
        snprintf(call->tag, sizeof(call->tag), "%s", value);
    else if (read_header(line, n, "Content-Range:", value, sizeof(value)) && sscanf(value, "bytes %lld-", &from) == 1)
        call->range_from = from;
}

/* The body follows: does it belong where the file ends? */
static int place_body(struct http_client_call *call)
{
    int status = status_of(call);
    if (!call->resumes || !goes_to_file(call, status))
        return BP_OK;
    if (status == 206 && call->range_from != call->at)
        return err_set(&call->err, BP_IO, "asked for what follows byte %lld, the server answers with what follows %lld",
                       (long long)call->at, (long long)call->range_from);
    if (status == 200 && (ftruncate(call->fd, 0) < 0 || lseek(call->fd, 0, SEEK_SET) < 0))
        return err_set(&call->err, BP_IO, "begin %s anew: %s", call->to_file, strerror(errno));
    call->at = status == 200 ? 0 : call->at;
    return BP_OK;
}

/* libcurl takes a head that was cut off for a whole one with nothing behind it: the empty line that ends it is awaited.
 */
static size_t on_head(char *bytes, size_t one, size_t n, void *arg)
{
    struct http_client_call *call = arg;
    (void)one;
    if (n >= 5 && !memcmp(bytes, "HTTP/", 5)) {
        call->head_ended = 0; /* of another answer: a redirect's is followed by the next */
        call->tag[0] = '\0';
        call->range_from = -1;
    } else if (n > 0 && (bytes[0] == '\r' || bytes[0] == '\n')) {
        call->head_ended = 1;
        return place_body(call) < 0 ? 0 : n;
    } else {
        take_header(call, bytes, n);
    }
    return n;
}

static size_t give_file(char *into, size_t one, size_t n, void *arg)
{
    struct http_client_call *call = arg;
    ssize_t k;
    do
        k = read(call->fd, into, one * n);
    while (k < 0 && errno == EINTR);
    if (k < 0) {
        err_set(&call->err, BP_IO, "read the file to send: %s", strerror(errno));
        return CURL_READFUNC_ABORT;
    }
    return (size_t)k;
}

/* A connection that must be sent again: the file from its beginning. */
static int seek_file(void *arg, curl_off_t offset, int origin)
{
    struct http_client_call *call = arg;
    return lseek(call->fd, offset, origin) < 0 ? CURL_SEEKFUNC_FAIL : CURL_SEEKFUNC_OK;
}

/* ---- the end of a call ---- */

static void call_free(struct http_client_call *call)
{
    struct http_client *c = call->client;
    if (call->next)
        call->next->prev = call->prev;
    if (call->prev)
        call->prev->next = call->next;
    else if (c->calls == call)
        c->calls = call->next;
    if (call->easy) {
        curl_multi_remove_handle(c->multi, call->easy);
        curl_easy_cleanup(call->easy);
    }
    curl_slist_free_all(call->headers);
    if (call->fd >= 0)
        close(call->fd);
    free(call->to_file);
    free(call->text);
    free(call);
}

static void read_outcome(struct http_client_call *call, CURLcode code, struct http_client_answer *a)
{
    long status = 0;
    curl_off_t retry = 0, up = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &retry);
    curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &up);
    a->retry_after_s = (int64_t)retry;
    a->transferred = call->to_file ? call->got : (int64_t)up;
    /* A server may answer an upload before it has read all of it, and then close: the answer counts. */
    if ((code == CURLE_OK && call->head_ended) || (code == CURLE_SEND_ERROR && status >= 400)) {
        a->status = (int)status;
        return;
    }
    a->err = call->err;
    if (code == CURLE_OK)
        err_set(&a->err, BP_IO, "the connection ended within the answer's head");
    if (a->err.rc == 0)
        err_set(&a->err, code == CURLE_OPERATION_TIMEDOUT ? BP_TIMEOUT : BP_IO, "%s",
                call->why[0] ? call->why : curl_easy_strerror(code));
}

/* Is what came of a download that failed worth to be kept? Not when the object is gone or another one, nor when this
 * side gave up. */
static int is_resumable(const struct http_client_call *call, const struct http_client_answer *a)
{
    int broke = a->status == 0 && (a->err.rc == BP_IO || a->err.rc == BP_TIMEOUT);
    int later = a->status == 401 || a->status == 403 || a->status == 408 || a->status == 429 || a->status >= 500;
    return call->keep_part && call->at > 0 && (broke || later);
}

static void finish_file(struct http_client_call *call, struct http_client_answer *a)
{
    int fd = call->fd, whole = goes_to_file(call, a->status);
    call->fd = -1;
    if (fd >= 0 && close(fd) < 0 && whole) {
        whole = a->status = 0;
        err_set(&a->err, errno == ENOSPC ? BP_NOSPACE : BP_IO, "write %s: %s", call->to_file, strerror(errno));
    }
    a->part = !whole && is_resumable(call, a) ? call->at : 0;
    if (!whole && a->part == 0)
        unlink(call->to_file);
}

static void finish(struct http_client_call *call, CURLcode code)
{
    struct http_client_answer a = {0};
    char tag[sizeof(call->tag)];
    read_outcome(call, code, &a);
    if (call->to_file)
        finish_file(call, &a);
    memcpy(tag, call->tag, sizeof(tag));
    a.tag = tag;
    /* The callback may free the client with all its calls: this one is out of the list by then. */
    http_client_done done = call->done;
    void *arg = call->arg;
    char *text = call->text;
    call->text = NULL;
    a.body = text ? text : "";
    a.bytes = call->text_bytes;
    call_free(call);
    done(&a, arg);
    free(text);
}

/* Ends what libcurl has finished. A callback may free the client: nothing of it is touched after one that did. */
static void reap(struct http_client *c)
{
    int left;
    int gone = 0;
    int *told = c->gone;
    // cppcheck-suppress autoVariables ; put back below, before this frame ends
    c->gone = &gone;
    for (CURLMsg *m; !gone && (m = curl_multi_info_read(c->multi, &left));) {
        struct http_client_call *call;
        CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        finish(call, code);
    }
    if (!gone)
        c->gone = told;
    else if (told)
        *told = 1;
}

/* ---- the beginning of a call ---- */

/* The file is what it was when its download broke off, and the next bytes go behind it. */
static int resume_file(struct http_client_call *call, const struct http_client_request *r, struct bp_err *err)
{
    char range[32];
    if (lseek(call->fd, 0, SEEK_END) != r->resume_at)
        return err_set(err, BP_IO, "%s has not the %lld bytes that came before", r->to_file, (long long)r->resume_at);
    call->resumes = 1;
    call->at = r->resume_at;
    snprintf(range, sizeof(range), "%lld-", (long long)r->resume_at);
    return curl_easy_setopt(call->easy, CURLOPT_RANGE, range) == CURLE_OK
               ? BP_OK
               : err_set(err, BP_NOMEM, "no memory for a request");
}

static int open_to_file(struct http_client_call *call, const struct http_client_request *r, struct bp_err *err)
{
    int flags = O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (r->resume_at > 0 ? 0 : O_CREAT | O_TRUNC);
    call->fd = open(r->to_file, flags, 0600);
    if (call->fd < 0)
        return err_set(err, BP_IO, "open %s: %s", r->to_file, strerror(errno));
    call->to_file = strdup(r->to_file);
    if (!call->to_file)
        return err_set(err, BP_NOMEM, "no memory for a request");
    return r->resume_at > 0 ? resume_file(call, r, err) : BP_OK;
}

static int open_file(struct http_client_call *call, const struct http_client_request *r, struct bp_err *err)
{
    struct stat st;
    const char *path = r->from_file;
    if (!path)
        return r->to_file ? open_to_file(call, r, err) : BP_OK;
    call->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* a pipe there must not block us */
    if (call->fd < 0)
        return err_set(err, BP_IO, "open %s: %s", path, strerror(errno));
    if (fstat(call->fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(err, BP_IO, "%s is no file", path);
    curl_easy_setopt(call->easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(call->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size);
    curl_easy_setopt(call->easy, CURLOPT_READFUNCTION, give_file);
    curl_easy_setopt(call->easy, CURLOPT_READDATA, call);
    curl_easy_setopt(call->easy, CURLOPT_SEEKFUNCTION, seek_file);
    curl_easy_setopt(call->easy, CURLOPT_SEEKDATA, call);
    return BP_OK;
}

static int add_headers(struct http_client_call *call, const struct http_client_request *r)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* a second of waiting otherwise, when unanswered */
    for (uint32_t i = 0; list && i < r->n_headers; i++) {
        struct curl_slist *longer = curl_slist_append(list, r->headers[i]);
        if (!longer)
            curl_slist_free_all(list);
        list = longer;
    }
    if (list && r->resume_at > 0 && r->resume_tag && r->resume_tag[0]) {
        char condition[sizeof(call->tag) + 16];
        snprintf(condition, sizeof(condition), "If-Range: %s", r->resume_tag);
        struct curl_slist *longer = curl_slist_append(list, condition);
        if (!longer)
            curl_slist_free_all(list);
        list = longer;
    }
    call->headers = list;
    return list ? BP_OK : BP_NOMEM;
}

static void set_method(CURL *e, const struct http_client_request *r)
{
    if (!strcmp(r->method, "POST")) {
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(r->body ? strlen(r->body) : 0));
        curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, r->body ? r->body : "");
    } else if (!strcmp(r->method, "GET")) {
        curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
        curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 1L);
        curl_easy_setopt(e, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    }
}

static void set_options(struct http_client_call *call, const struct http_client_request *r)
{
    struct http_client *c = call->client;
    CURL *e = call->easy;
    curl_easy_setopt(e, CURLOPT_URL, r->url);
    curl_easy_setopt(e, CURLOPT_PRIVATE, call);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "bpd/" BP_VERSION);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, call->headers);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, call->why);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    if (r->timeout_ms > 0) {
        curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
    } else {
        curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, STALL_S);
    }
    if (c->ca_file[0] && !strncmp(r->url, c->base_url, strlen(c->base_url)))
        curl_easy_setopt(e, CURLOPT_CAINFO, c->ca_file);
    set_method(e, r);
}

struct http_client_call *http_client_send(struct http_client *c, const struct http_client_request *r,
                                          struct bp_err *err)
{
    ASSERT_LOOP(c->loop);
    struct http_client_call *call = calloc(1, sizeof(*call));
    if (!call) {
        err_set(err, BP_NOMEM, "no memory for a request");
        return NULL;
    }
    *call = (struct http_client_call){.client = c,
                                      .fd = -1,
                                      .max_bytes = r->max_bytes,
                                      .range_from = -1,
                                      .keep_part = r->keep_part,
                                      .written = r->written,
                                      .done = r->done,
                                      .arg = r->arg,
                                      .next = c->calls};
    if (c->calls)
        c->calls->prev = call;
    c->calls = call;
    call->easy = curl_easy_init();
    if (!call->easy || add_headers(call, r) < 0) {
        err_set(err, BP_NOMEM, "no memory for a request");
    } else if (open_file(call, r, err) == BP_OK) {
        set_options(call, r);
        CURLMcode code = curl_multi_add_handle(c->multi, call->easy);
        if (code == CURLM_OK)
            return call;
        err_set(err, BP_FAIL, "begin a request: %s", curl_multi_strerror(code));
    }
    call_free(call);
    return NULL;
}

void http_client_cancel(struct http_client_call **call)
{
    struct http_client_call *gone = *call;
    *call = NULL;
    if (!gone)
        return;
    ASSERT_LOOP(gone->client->loop);
    if (gone->to_file && !(gone->keep_part && gone->at > 0))
        unlink(gone->to_file);
    call_free(gone);
}

struct http_client *http_client_new(struct loop *l, const char *base_url, const char *ca_file, struct bp_err *err)
{
    static int global;
    if (!global++)
        curl_global_init(CURL_GLOBAL_DEFAULT);
    struct http_client *c = calloc(1, sizeof(*c));
    if (c)
        c->multi = curl_multi_init();
    if (c && c->multi)
        c->timer = evtimer_new(loop_base(l), on_timeout, c);
    if (!c || !c->timer) {
        err_set(err, BP_NOMEM, "no memory for the HTTP client");
        http_client_free(c);
        return NULL;
    }
    c->loop = l;
    snprintf(c->base_url, sizeof(c->base_url), "%s", base_url);
    snprintf(c->ca_file, sizeof(c->ca_file), "%s", ca_file);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, 16L);
    return c;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    if (c->gone)
        *c->gone = 1;
    for (struct http_client_call *call = c->calls, *next; call; call = next) {
        next = call->next;
        call_free(call);
    }
    if (c->multi)
        curl_multi_cleanup(c->multi);
    if (c->timer)
        event_free(c->timer);
    free(c);
}
