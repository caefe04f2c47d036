/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_client.h - HTTP requests to others, any number at once, on the loop: a heartbeat never waits for a transfer.
 *
 * Each request ends exactly once: by its callback, or silently by http_client_cancel(). All [loop].
 */
#ifndef CLIENT_HTTP_CLIENT_H
#define CLIENT_HTTP_CLIENT_H

#include "loop/loop.h"

struct http_client;
struct http_client_call;

/* How a request ended. Borrowed for the callback. */
struct http_client_answer {
    int status;            /* of HTTP; 0: there was no answer, and err says why */
    const char *body;      /* NUL-terminated; "" when it went to a file */
    size_t bytes;          /* of body */
    int64_t transferred;   /* bytes to or from the file */
    int64_t part;          /* bytes of a download that failed and are kept in to_file, 0: it was removed */
    const char *tag;       /* the answer's strong ETag, "" when it has none */
    int64_t retry_after_s; /* from the header Retry-After, 0: none */
    struct bp_err err; /* set when status is 0; BP_INVALID: the answer is larger than max_bytes; BP_NOSPACE, BP_IO */
};
typedef void (*http_client_done)(const struct http_client_answer *a, void *arg);

struct http_client_request {
    const char *method; /* "GET" (follows redirects), "POST", "PUT" (do not) */
    const char *url;
    const char *const *headers; /* "Name: value" */
    uint32_t n_headers;
    const char *body;       /* of a POST; copied */
    const char *from_file;  /* body of a PUT */
    const char *to_file;    /* the answer's body goes there when its status is 200; removed when the request fails */
    int keep_part;          /* but not when the connection breaks, the server cannot now or it is cancelled */
    int64_t resume_at;      /* > 0: to_file has so many bytes. What follows them is asked for; a server that gives all
                             * (200, not 206) begins the file anew */
    const char *resume_tag; /* the tag of those bytes; with another one the server gives all. NULL or "": not known */
    /* What just went to to_file, and where in it: at 0 it began anew. Or NULL. Must not cancel. */
    void (*written)(const void *bytes, size_t n, int64_t at, void *arg);
    int64_t max_bytes;  /* of the answer, or of the whole file */
    int64_t timeout_ms; /* in all; 0: as long as bytes move (60 s without one ends it) */
    http_client_done done;
    void *arg;
};

/* base_url and ca_file: servers whose URL begins with base_url are checked against ca_file ("": the system's
 * authorities). Both are copied. NULL with err. */
struct http_client *http_client_new(struct loop *l, const char *base_url, const char *ca_file, struct bp_err *err);
/* Cancels what runs. */
void http_client_free(struct http_client *c);
/* Never calls back before it returned. NULL with err: nothing was sent. Everything in r is copied. */
struct http_client_call *http_client_send(struct http_client *c, const struct http_client_request *r,
                                          struct bp_err *err);
/* Ends a request without its callback; *call is set to NULL. NULL is fine. */
void http_client_cancel(struct http_client_call **call);

#endif
