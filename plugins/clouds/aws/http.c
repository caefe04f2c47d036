/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include "clock.h"
#include "err.h"
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define IDLE_MAX    16
#define HEADERS_MAX 131072
#define PIECE       262144L

struct http {
    struct http_settings set;
    char *ca_bundle;
    pthread_mutex_t mutex;
    CURL *idle[IDLE_MAX]; /* each with its connections */
    int n_idle;
};

/* One exchange. */
struct exchange {
    const struct http_request *q;
    struct http_response *r;
    CURL *curl;
    size_t n_headers, room_headers, room_body;
    int64_t max_body, sent_body;
    int rc; /* of what went wrong on our side: BP_TOOLARGE, BP_NOMEM, BP_IO, BP_NOSPACE */
};

static void global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct http *http_open(const struct http_settings *s, struct bp_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct http *h = calloc(1, sizeof *h);
    if (!h) {
        err_set(err, BP_NOMEM, "no memory for the HTTP client");
        return NULL;
    }
    pthread_once(&once, global_init);
    h->set = *s;
    if (s->ca_bundle && s->ca_bundle[0])
        h->set.ca_bundle = h->ca_bundle = strdup(s->ca_bundle);
    else
        h->set.ca_bundle = NULL;
    pthread_mutex_init(&h->mutex, NULL);
    return h;
}

void http_close(struct http *h)
{
    if (!h)
        return;
    while (h->n_idle)
        curl_easy_cleanup(h->idle[--h->n_idle]);
    pthread_mutex_destroy(&h->mutex);
    free(h->ca_bundle);
    free(h);
}

static CURL *take(struct http *h)
{
    CURL *c = NULL;
    pthread_mutex_lock(&h->mutex);
    if (h->n_idle)
        c = h->idle[--h->n_idle];
    pthread_mutex_unlock(&h->mutex);
    if (!c)
        return curl_easy_init();
    curl_easy_reset(c); /* keeps the connections */
    return c;
}

static void give(struct http *h, CURL *c)
{
    pthread_mutex_lock(&h->mutex);
    int kept = h->n_idle < IDLE_MAX;
    if (kept)
        h->idle[h->n_idle++] = c;
    pthread_mutex_unlock(&h->mutex);
    if (!kept)
        curl_easy_cleanup(c);
}

/* ---- bytes ---- */

static int append(char **text, size_t *n, size_t *room, const char *bytes, size_t more)
{
    if (*n + more + 1 > *room) {
        size_t want = *room ? *room : 4096;
        while (want < *n + more + 1)
            want *= 2;
        char *grown = realloc(*text, want);
        if (!grown)
            return BP_NOMEM;
        *text = grown;
        *room = want;
    }
    memcpy(*text + *n, bytes, more);
    *n += more;
    (*text)[*n] = '\0';
    return 0;
}

static size_t to_file(struct exchange *x, const char *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = write(x->q->to_fd, bytes + done, n - done);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0) {
            x->rc = errno == ENOSPC || errno == EDQUOT ? BP_NOSPACE : BP_IO;
            return 0;
        }
        done += (size_t)k;
    }
    return n;
}

static size_t on_body(char *bytes, size_t one, size_t n, void *arg)
{
    struct exchange *x = arg;
    long status = 0;
    (void)one;
    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    if (x->q->to_fd > 0 && status >= 200 && status <= 299)
        return to_file(x, bytes, n);
    if ((int64_t)(x->r->n + n) > x->max_body)
        x->rc = BP_TOOLARGE;
    else
        x->rc = append(&x->r->body, &x->r->n, &x->room_body, bytes, n);
    return x->rc < 0 ? 0 : n;
}

/* Lines of the final answer only: a 100's are forgotten. */
static size_t on_header(char *line, size_t one, size_t n, void *arg)
{
    struct exchange *x = arg;
    (void)one;
    if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        x->n_headers = 0;
        return n;
    }
    size_t k = n;
    char *colon = memchr(line, ':', n);
    while (k && (line[k - 1] == '\r' || line[k - 1] == '\n' || line[k - 1] == ' '))
        k--;
    if (!colon || x->n_headers + k > HEADERS_MAX)
        return n;
    for (char *c = line; c < colon; c++)
        *c = (char)tolower((unsigned char)*c);
    if (append(&x->r->headers, &x->n_headers, &x->room_headers, line, k) < 0 ||
        append(&x->r->headers, &x->n_headers, &x->room_headers, "\n", 1) < 0) {
        x->rc = BP_NOMEM;
        return 0;
    }
    return n;
}

static size_t on_read(char *into, size_t one, size_t n, void *arg)
{
    struct exchange *x = arg;
    int64_t left = (int64_t)x->q->n - x->sent_body;
    size_t want = (int64_t)(one * n) < left ? one * n : (size_t)left;
    ssize_t k;
    do
        k = pread(x->q->fd, into, want, x->q->offset + x->sent_body);
    while (k < 0 && errno == EINTR);
    if (k < 0 || (k == 0 && want)) {
        x->rc = BP_IO;
        return CURL_READFUNC_ABORT;
    }
    x->sent_body += k;
    return (size_t)k;
}

/* A connection that was dead already: the body once more. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct exchange *x = arg;
    if (origin != SEEK_SET || offset < 0 || offset > (curl_off_t)x->q->n)
        return CURL_SEEKFUNC_CANTSEEK;
    x->sent_body = offset;
    return CURL_SEEKFUNC_OK;
}

/* ---- the request ---- */

static void set_body(struct exchange *x, CURL *c)
{
    const struct http_request *q = x->q;
    int posts = strcmp(q->method, "POST") == 0, puts = strcmp(q->method, "PUT") == 0;
    if (q->fd > 0) {
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->n);
        curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(c, CURLOPT_READDATA, x);
        curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(c, CURLOPT_SEEKDATA, x);
        curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, PIECE);
    } else if (posts || puts || q->n) {
        curl_easy_setopt(c, CURLOPT_POST, 1L);
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->n);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body ? q->body : "");
    } else if (strcmp(q->method, "HEAD") == 0) {
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    }
    if (!posts || q->fd > 0)
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
    if (strcmp(q->method, "HEAD") == 0)
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, NULL);
}

static void set_times(const struct http *h, const struct http_request *q, CURL *c)
{
    int connect = q->connect_timeout_ms ? q->connect_timeout_ms : h->set.connect_timeout_ms;
    int idle = q->read_timeout_ms ? q->read_timeout_ms : h->set.read_timeout_ms;
    int total = q->total_timeout_ms ? q->total_timeout_ms : h->set.total_timeout_ms;
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)connect);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)((idle + 999) / 1000));
    if (q->fd <= 0 && q->to_fd <= 0)
        curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)total);
}

static void set_rest(const struct http *h, struct exchange *x, CURL *c, char why[CURL_ERROR_SIZE])
{
    curl_easy_setopt(c, CURLOPT_URL, x->q->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "bpd/" BP_VERSION);
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, PIECE);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    if (x->q->once)
        curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
    if (x->q->no_proxy)
        curl_easy_setopt(c, CURLOPT_PROXY, "");
    else if (strncasecmp(x->q->url, "http:", 5) == 0 && !getenv("http_proxy"))
        curl_easy_setopt(c, CURLOPT_PROXY, getenv("HTTP_PROXY")); /* libcurl itself reads only the small letters */
    if (h->set.ca_bundle)
        curl_easy_setopt(c, CURLOPT_CAINFO, h->set.ca_bundle);
}

/* Nothing of libcurl's own that would not be signed or wished for. */
static struct curl_slist *header_list(const struct http_request *q)
{
    int typed = 0;
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (int i = 0; list && q->headers && q->headers[i]; i++) {
        struct curl_slist *longer = curl_slist_append(list, q->headers[i]);
        typed |= strncasecmp(q->headers[i], "content-type:", 13) == 0;
        if (!longer) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    if (list && !typed)
        curl_slist_append(list, "Content-Type:");
    return list;
}

/* "https://host:port" of a URL, for messages: no path, no query. */
static void host_of(const char *url, char out[160])
{
    const char *at = strstr(url, "://");
    size_t n = at ? (size_t)(at + 3 - url) + strcspn(at + 3, "/?") : strlen(url);
    snprintf(out, 160, "%.*s", (int)(n < 150 ? n : 150), url);
}

/* What to do about it, where that is known. */
static const char *remedy(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "; correct the region or the endpoint, or the name server";
    case CURLE_COULDNT_RESOLVE_PROXY:
        return "; correct HTTPS_PROXY";
    case CURLE_COULDNT_CONNECT:
        return "; is there a route, and does a firewall or proxy let it through?";
    case CURLE_OPERATION_TIMEDOUT:
        return "; is it up, and is nothing in between that swallows what is sent?";
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return "; set caBundle or AWS_CA_BUNDLE to the certificates to trust";
    default:
        return "";
    }
}

static int outcome(struct exchange *x, CURLcode code, const char *why, struct bp_err *err)
{
    char host[160];
    if (code == CURLE_OK && x->rc == 0)
        return 0;
    host_of(x->q->url, host);
    if (x->rc == BP_TOOLARGE)
        return err_set(err, BP_TOOLARGE, "%s: the answer is larger than %lld bytes", host, (long long)x->max_body);
    if (x->rc == BP_NOMEM)
        return err_set(err, BP_NOMEM, "%s: no memory for the answer", host);
    if (x->rc < 0)
        return err_set(err, x->rc, "%s: the file to transfer cannot be read or written: %s", host, strerror(errno));
    int timed_out = code == CURLE_OPERATION_TIMEDOUT;
    return err_set(err, timed_out ? BP_TIMEOUT : BP_FAIL, "%.100s: %.90s%s", host,
                   why[0] ? why : curl_easy_strerror(code), remedy(code));
}

int http_do(struct http *h, const struct http_request *q, struct http_response *r, struct bp_err *err)
{
    char why[CURL_ERROR_SIZE] = "", date[64];
    struct exchange x = {.q = q, .r = r, .max_body = q->max_body ? q->max_body : h->set.max_body};
    long status = 0, request_bytes = 0;
    memset(r, 0, sizeof *r);
    x.curl = take(h);
    struct curl_slist *list = x.curl ? header_list(q) : NULL;
    if (!list) {
        if (x.curl)
            give(h, x.curl);
        return err_set(err, BP_NOMEM, "no memory for a request");
    }
    set_rest(h, &x, x.curl, why);
    set_times(h, q, x.curl);
    set_body(&x, x.curl);
    curl_easy_setopt(x.curl, CURLOPT_HTTPHEADER, list);
    r->sent_ms = wall_ms();
    CURLcode code = curl_easy_perform(x.curl);
    r->received_ms = wall_ms();
    curl_easy_getinfo(x.curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(x.curl, CURLINFO_REQUEST_SIZE, &request_bytes);
    r->status = (int)status;
    r->sent = request_bytes > 0;
    curl_slist_free_all(list);
    curl_easy_setopt(x.curl, CURLOPT_ERRORBUFFER, NULL);
    give(h, x.curl);
    const char *said = http_header(r, "date", date, sizeof date);
    time_t t = said ? curl_getdate(said, NULL) : -1;
    r->date_ms = t > 0 ? (int64_t)t * 1000 : 0;
    return outcome(&x, code, why, err);
}

void http_response_free(struct http_response *r)
{
    free(r->body);
    free(r->headers);
    memset(r, 0, sizeof *r);
}

const char *http_header(const struct http_response *r, const char *name, char *buf, size_t size)
{
    size_t n = strlen(name);
    for (const char *line = r->headers; line && *line;) {
        size_t k = strcspn(line, "\n");
        if (k > n && memcmp(line, name, n) == 0 && line[n] == ':') {
            const char *value = line + n + 1, *end = line + k;
            while (value < end && *value == ' ')
                value++;
            if ((size_t)(end - value) >= size)
                return NULL;
            memcpy(buf, value, (size_t)(end - value));
            buf[end - value] = '\0';
            return buf;
        }
        line += k + (line[k] == '\n');
    }
    return NULL;
}
