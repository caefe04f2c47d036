/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include "json.h"

#include <bp/workflow.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_MS 5000L
#define BODY_MAX   (64LL << 20) /* of an answer in memory; a queue holds whole graphs */
#define STALL_S    60L          /* a transfer that moves no byte for so long is over */

struct http {
    struct http_settings set;
    CURL *curl;
    char why[CURL_ERROR_SIZE];
};

/* One call. */
struct call {
    struct http *h;
    struct answer *a;
    const char *what; /* "GET /history" for messages */
    size_t room;
    int fd; /* -1: the body stays in memory */
    int64_t most;
    int32_t rc;   /* of what went wrong on our side */
    int os_error; /* of a file that could not be written, of a socket that could not be opened */
};

struct http *http_open(const struct http_settings *s)
{
    struct http *h = calloc(1, sizeof *h);
    if (h)
        h->curl = curl_easy_init();
    if (!h || !h->curl) {
        free(h);
        return NULL;
    }
    h->set = *s;
    return h;
}

void http_close(struct http *h)
{
    if (!h)
        return;
    curl_easy_cleanup(h->curl);
    free(h);
}

void http_hurry(struct http *h, int32_t request_s)
{
    if (h->set.request_s > request_s)
        h->set.request_s = request_s;
}

void answer_free(struct answer *a)
{
    free(a->body);
    json_object_put(a->json);
    memset(a, 0, sizeof *a);
}

char *http_escape(struct http *h, const char *text)
{
    return curl_easy_escape(h->curl, text, 0);
}

void http_free(char *text)
{
    curl_free(text);
}

/* ---- bytes ---- */

static size_t to_file(struct call *c, const char *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = write(c->fd, bytes + done, n - done);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0) {
            c->os_error = errno;
            c->rc = errno == ENOSPC || errno == EDQUOT ? BP_NOSPACE : BP_IO;
            return 0;
        }
        done += (size_t)k;
    }
    c->a->n += n;
    return n;
}

static size_t to_memory(struct call *c, const char *bytes, size_t n)
{
    struct answer *a = c->a;
    if (a->n + n + 1 > c->room) {
        size_t room = (a->n + n + 1) * 2 + 4096;
        char *grown = realloc(a->body, room);
        if (!grown) {
            c->rc = BP_NOMEM;
            return 0;
        }
        a->body = grown;
        c->room = room;
    }
    memcpy(a->body + a->n, bytes, n);
    a->n += n;
    a->body[a->n] = '\0';
    return n;
}

static size_t on_body(char *bytes, size_t one, size_t n, void *arg)
{
    struct call *c = arg;
    long status = 0;
    (void)one;
    curl_easy_getinfo(c->h->curl, CURLINFO_RESPONSE_CODE, &status);
    int file = c->fd >= 0 && status == 200;
    if ((int64_t)(c->a->n + n) > (file ? c->most : (int64_t)BODY_MAX)) {
        c->rc = BP_TOOLARGE;
        return 0;
    }
    return file ? to_file(c, bytes, n) : to_memory(c, bytes, n);
}

/* As libcurl would, but it keeps why not: a sandbox forbids sockets. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct call *c = arg;
    (void)purpose;
    int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
    c->os_error = fd < 0 ? errno : 0;
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t d, curl_off_t e)
{
    struct call *c = arg;
    (void)a, (void)b, (void)d, (void)e;
    if (c->h->set.stop && c->h->set.stop(c->h->set.arg))
        c->rc = BP_STOPPED;
    return c->rc == BP_STOPPED;
}

/* ---- outcomes ---- */

/* ComfyUI is not there: nothing of the call was taken. */
static int unreachable(CURLcode code)
{
    return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST;
}

/* The connection ended before the answer did, as when ComfyUI dies. */
static int cut_off(CURLcode code)
{
    return code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
           code == CURLE_PARTIAL_FILE;
}

static int32_t own_failure(const struct call *c, struct bp_err *err)
{
    const char *url = c->h->set.url;
    if (c->rc == BP_STOPPED)
        return bp_error(err, BP_STOPPED, "stopped as asked");
    if (c->rc == BP_TOOLARGE)
        return bp_error(err, BP_TOOLARGE, "%s of ComfyUI at %.80s gives more than %lld bytes", c->what, url,
                        c->fd >= 0 ? (long long)c->most : BODY_MAX);
    if (c->rc == BP_NOMEM)
        return bp_error(err, BP_NOMEM, "no memory for the answer to %s", c->what);
    return bp_error(err, c->rc, "write the output: %s", strerror(c->os_error));
}

static int32_t outcome(const struct call *c, CURLcode code, struct bp_err *err)
{
    const char *url = c->h->set.url, *why = c->h->why[0] ? c->h->why : curl_easy_strerror(code);
    if (c->rc < 0)
        return own_failure(c, err);
    if (code == CURLE_OK)
        return BP_OK;
    if (unreachable(code) && (c->os_error == EACCES || c->os_error == EPERM))
        return bp_error(err, BP_LATER,
                        "ComfyUI at %.80s is out of reach: the sandbox leaves no network open; set sandbox.network to "
                        "loopback",
                        url);
    if (unreachable(code))
        return bp_error(err, BP_LATER, "ComfyUI at %.80s is down: %.80s; start it, or correct settings.url", url, why);
    if (cut_off(code))
        return bp_error(err, BP_LATER, "ComfyUI at %.80s broke off %s: %.70s; did it end?", url, c->what, why);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return bp_error(err, BP_TIMEOUT, "ComfyUI at %.80s does not answer %s in time: %.70s", url, c->what, why);
    return bp_error(err, BP_FAIL, "%s of ComfyUI at %.80s: %.90s", c->what, url, why);
}

/* ---- calls ---- */

static int32_t no_memory(struct bp_err *err)
{
    return bp_error(err, BP_NOMEM, "no memory for a request");
}

static void set_all(struct call *c, const char *url)
{
    CURL *e = c->h->curl;
    curl_easy_reset(e); /* keeps the connection */
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)c->h->set.request_s * 1000L);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->h->why);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, c);
    curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(e, CURLOPT_XFERINFODATA, c);
}

/* Begins a call to url + path; false: no memory. */
static int begin(struct call *c, const char *path)
{
    size_t n = strlen(c->h->set.url) + strlen(path) + 1;
    char *url = malloc(n);
    memset(c->a, 0, sizeof *c->a);
    c->h->why[0] = '\0';
    if (!url)
        return 0;
    snprintf(url, n, "%s%s", c->h->set.url, path);
    set_all(c, url);
    free(url);
    return 1;
}

static void set_transfer(const struct call *c)
{
    curl_easy_setopt(c->h->curl, CURLOPT_TIMEOUT_MS, (long)c->h->set.transfer_s * 1000L);
    curl_easy_setopt(c->h->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c->h->curl, CURLOPT_LOW_SPEED_TIME, STALL_S);
}

static int32_t perform(struct call *c, struct bp_err *err)
{
    curl_off_t length = -1;
    CURLcode code = curl_easy_perform(c->h->curl);
    curl_easy_getinfo(c->h->curl, CURLINFO_RESPONSE_CODE, &c->a->status);
    curl_easy_getinfo(c->h->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    c->a->length = length;
    int32_t rc = outcome(c, code, err);
    if (rc < 0)
        answer_free(c->a);
    else if (c->a->body)
        c->a->json = json_read(c->a->body, c->a->n);
    return rc;
}

int32_t http_get(struct http *h, const char *path, struct answer *a, struct bp_err *err)
{
    struct call c = {.h = h, .a = a, .what = "GET", .fd = -1};
    return begin(&c, path) ? perform(&c, err) : no_memory(err);
}

int32_t http_head(struct http *h, const char *path, struct answer *a, struct bp_err *err)
{
    struct call c = {.h = h, .a = a, .what = "HEAD", .fd = -1};
    if (!begin(&c, path))
        return no_memory(err);
    curl_easy_setopt(h->curl, CURLOPT_NOBODY, 1L);
    return perform(&c, err);
}

int32_t http_post(struct http *h, const char *path, struct json_object *body, struct answer *a, struct bp_err *err)
{
    size_t n = 0;
    struct call c = {.h = h, .a = a, .what = "POST", .fd = -1};
    const char *text = json_object_to_json_string_length(body, JSON_C_TO_STRING_PLAIN, &n);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    struct curl_slist *all = headers ? curl_slist_append(headers, "Expect:") : NULL;
    int32_t rc;
    if (!text || !all || !begin(&c, path)) {
        rc = no_memory(err);
    } else {
        curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, all);
        curl_easy_setopt(h->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
        curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, text);
        rc = perform(&c, err);
    }
    curl_slist_free_all(headers);
    return rc;
}

static int add_field(curl_mime *form, const char *name, const char *text)
{
    curl_mimepart *part = curl_mime_addpart(form);
    return part && curl_mime_name(part, name) == CURLE_OK &&
           curl_mime_data(part, text, CURL_ZERO_TERMINATED) == CURLE_OK;
}

static int add_file(curl_mime *form, const char *file, const char *name)
{
    curl_mimepart *part = curl_mime_addpart(form);
    return part && curl_mime_name(part, "image") == CURLE_OK && curl_mime_filedata(part, file) == CURLE_OK &&
           curl_mime_filename(part, name) == CURLE_OK && curl_mime_type(part, "application/octet-stream") == CURLE_OK;
}

int32_t http_upload(struct http *h, const char *file, const char *name, struct answer *a, struct bp_err *err)
{
    struct call c = {.h = h, .a = a, .what = "POST /upload/image", .fd = -1};
    if (!begin(&c, "/upload/image"))
        return no_memory(err);
    curl_mime *form = curl_mime_init(h->curl);
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    int32_t rc;
    if (!form || !headers || !add_field(form, "type", "input") || !add_field(form, "overwrite", "true") ||
        !add_file(form, file, name)) {
        rc = bp_error(err, BP_IO, "the file %.100s cannot be sent", name);
    } else {
        set_transfer(&c);
        curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(h->curl, CURLOPT_MIMEPOST, form);
        rc = perform(&c, err);
    }
    curl_easy_setopt(h->curl, CURLOPT_MIMEPOST, NULL);
    curl_mime_free(form);
    curl_slist_free_all(headers);
    return rc;
}

int32_t http_download(struct http *h, const char *path, int fd, int64_t most, struct answer *a, struct bp_err *err)
{
    struct call c = {.h = h, .a = a, .what = "GET /view", .fd = fd, .most = most};
    if (!begin(&c, path))
        return no_memory(err);
    set_transfer(&c);
    return perform(&c, err);
}
