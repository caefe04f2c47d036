/* SPDX-License-Identifier: Apache-2.0 */
/* object.c - GET and HEAD of /objects/...: signed URLs of a provider that keeps its objects in local files. */
#include "http/door.h"
#include "http/object_file.h"
#include "log/err.h"
#include "log/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct object_get {
    struct call *call;
    struct object_file *file;
};

static void add_time(struct call *c, const char *name, int64_t ms)
{
    char text[40];
    time_t t = (time_t)(ms / 1000);
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    call_add_header(c, name, text);
}

/* What a tenant uploaded must never run as a page of this origin. */
static void add_headers(struct call *c, const struct bp_object_info *info)
{
    call_add_header(c, "Accept-Ranges", "bytes");
    call_add_header(c, "Cache-Control", "private, max-age=300");
    call_add_header(c, "Content-Security-Policy", "sandbox; default-src 'none'");
    call_add_header(c, "X-Content-Type-Options", "nosniff");
    if (info->modified_ms > 0)
        add_time(c, "Last-Modified", info->modified_ms);
}

static void answer_unsatisfiable(struct call *c, int64_t size)
{
    char text[48];

    snprintf(text, sizeof(text), "bytes */%lld", (long long)size);
    call_add_header(c, "Content-Range", text);
    answer_error(c, 416, "The range lies outside of the object.", NULL);
}

/* Puts the piece into the answer's body, which closes the descriptor when it is sent. */
static int add_file(struct call *c, struct object_file *f, int64_t first, size_t n)
{
    struct evbuffer *body = evhttp_request_get_output_buffer(c->req);

    if (!c->http->tls) /* goes straight to the socket: sendfile(2) */
        evbuffer_set_flags(body, EVBUFFER_FLAG_DRAINS_TO_FD);
    if (evbuffer_add_file(body, f->fd, first, (ev_off_t)n))
        return -1;
    f->fd = -1;
    return 0;
}

static void answer_file(struct call *c, struct object_file *f)
{
    int64_t size = f->info.bytes, first = 0, last = size - 1;
    int ranged = range_parse(call_header(c, "Range"), size, &first, &last);
    size_t n;
    char text[80];

    if (ranged < 0) {
        answer_unsatisfiable(c, size);
        return;
    }
    n = (size_t)(last - first + 1);
    if (!c->is_head && n > 0 && add_file(c, f, first, n)) {
        answer_error(c, 500, "The object cannot be read.", NULL);
        return;
    }
    add_headers(c, &f->info);
    if (ranged) {
        snprintf(text, sizeof(text), "bytes %lld-%lld/%lld", (long long)first, (long long)last, (long long)size);
        call_add_header(c, "Content-Range", text);
    }
    answer_bytes(c, ranged ? 206 : 200, f->info.mime[0] ? f->info.mime : "application/octet-stream", NULL, n);
}

static void opened(const struct bp_err *err, void *arg)
{
    struct object_get *g = arg;
    struct call *c = g->call;

    if (err->rc)
        answer_err(c, err);
    else if (!c->conn || !c->http)
        answer_error(c, 503, "", NULL); /* only frees the call */
    else
        answer_file(c, g->file);
    object_file_put(g->file);
    free(g);
}

void object_get(struct call *c)
{
    const char *target = call_path(c);
    struct object_get *g = calloc(1, sizeof(*g));
    struct bp_err err = {0};

    assert(g);
    g->call = c;
    g->file = object_file_new(c->http->app->bus, "GET", target, strlen(target));
    if (object_file_open(g->file, opened, g, &err) == 0)
        return;
    answer_err(c, &err);
    object_file_put(g->file);
    free(g);
}
