/* SPDX-License-Identifier: Apache-2.0 */
/* page.c - the files of web/, which the build puts into the program. */
#include "http/door.h"

#include <openssl/sha.h>
#include <string.h>

/* One row per file, made by core/http/web.cmake. */
#define PAGE_FILE(n, path, type) extern const unsigned char page_##n[], page_##n##_end[];
#include "page_files.inc"
#undef PAGE_FILE

static const struct file {
    const char *path, *type;
    const unsigned char *bytes, *end;
} files[] = {
#define PAGE_FILE(n, path, type) {path, type, page_##n, page_##n##_end},
#include "page_files.inc"
#undef PAGE_FILE
};

static const struct file *find(const char *path, size_t n)
{
    if (n == 1)
        path = "/index.html", n = strlen(path);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (strlen(files[i].path) == n && memcmp(files[i].path, path, n) == 0)
            return &files[i];
    return NULL;
}

int page_has(const char *path, size_t n)
{
    return find(path, n) != NULL;
}

/* Quoted, from the content. */
static void write_etag(const struct file *f, char *out, size_t cap)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    size_t n = 0;

    SHA256(f->bytes, (size_t)(f->end - f->bytes), digest);
    n += (size_t)snprintf(out, cap, "\"");
    for (size_t i = 0; i < 12; i++)
        n += (size_t)snprintf(out + n, cap - n, "%02x", digest[i]);
    snprintf(out + n, cap - n, "\"");
}

/* Where the page may get and put objects, beside this door: an object store with an origin of its own (its CORS rules
 * must name this page's). "" when objects are served here, or before the first URL was signed. */
static const char *objects_origin(const struct call *c)
{
    const struct app *app = c->http->app;
    const char *origin = dispatch_objects_origin(app->dispatch);
    size_t n = strlen(origin);

    return n && strncmp(app->url, origin, n) == 0 && strspn(app->url + n, "/") == strlen(app->url + n) ? "" : origin;
}

static void add_policy(struct call *c)
{
    const char *origin = objects_origin(c);
    char text[1280];

    snprintf(text, sizeof(text),
             "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data: %s; "
             "media-src 'self' blob: %s; connect-src 'self' %s; base-uri 'none'; form-action 'none'; "
             "frame-ancestors 'none'",
             origin, origin, origin);
    call_add_header(c, "Content-Security-Policy", text);
}

void page_get(struct call *c)
{
    const char *path = call_path(c), *known = call_header(c, "If-None-Match");
    const struct file *f = find(path, strcspn(path, "?"));
    char etag[40];

    write_etag(f, etag, sizeof(etag));
    call_add_header(c, "ETag", etag);
    call_add_header(c, "Cache-Control", "no-cache"); /* asks each time, and mostly hears 304 */
    add_policy(c);
    call_add_header(c, "X-Content-Type-Options", "nosniff");
    call_add_header(c, "Referrer-Policy", "no-referrer");
    if (known && strstr(known, etag))
        answer_bytes(c, 304, NULL, NULL, 0);
    else
        answer_bytes(c, 200, f->type, f->bytes, (size_t)(f->end - f->bytes));
}
