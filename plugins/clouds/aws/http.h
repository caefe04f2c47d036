/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - one HTTP exchange over libcurl: connections reused, sizes and times bounded, no redirects followed.
 *
 * Knows nothing of AWS. Used by the client (signed calls) and by the credential sources (IMDS, containers). Any thread:
 * each call takes a handle from a small pool.
 */
#ifndef AWS_HTTP_H
#define AWS_HTTP_H

#include <bp/plugin.h>
#include <stddef.h>
#include <stdint.h>

struct http;

struct http_settings {
    int32_t connect_timeout_ms; /* of name, TCP and TLS */
    int32_t read_timeout_ms;    /* no byte for so long */
    int32_t total_timeout_ms;   /* of a call with a body in memory; streamed ones have none */
    const char *ca_bundle;      /* file, or NULL: the system's (AWS_CA_BUNDLE) */
    int64_t max_body;           /* of an answer held in memory */
};

struct http_request {
    const char *method, *url;
    const char *const *headers; /* "Name: value", NULL-terminated; sent as they are and in addition only Host, Accept
                                   and Content-Length */
    const void *body;
    size_t n;
    int fd; /* > 0: body of n bytes from offset */
    int64_t offset;
    int to_fd;                                                     /* > 0: a 2xx body goes there */
    int64_t max_body;                                              /* 0: of the settings */
    int32_t connect_timeout_ms, read_timeout_ms, total_timeout_ms; /* 0: of the settings */
    int no_proxy; /* 1: link-local addresses are never asked through a proxy */
    int once;     /* 1: a connection of its own, for one kept from before may die with the request half taken, and be
                     tried again unseen */
};

struct http_response {
    int status;
    char *body; /* NUL-terminated, free() by http_response_free */
    size_t n;
    char *headers;                /* all lines of the final answer, "name: value\n" with lower-case names */
    int64_t date_ms;              /* of the Date header, 0: none */
    int64_t sent_ms, received_ms; /* by the caller's clock, for skew */
    int sent;                     /* 1: the request may have reached the server (else a repeat is always safe) */
};

struct http *http_open(const struct http_settings *s, struct bp_err *err);
void http_close(struct http *h);
/* 0 with a status, whatever it is; BP_TIMEOUT, BP_TOOLARGE, BP_IO (file), BP_FAIL with the host and curl's reason. */
int http_do(struct http *h, const struct http_request *q, struct http_response *r, struct bp_err *err);
void http_response_free(struct http_response *r);
/* Value of a header, or NULL; name in lower case; the result is valid until the response is freed, in buf. */
const char *http_header(const struct http_response *r, const char *name, char *buf, size_t size);

#endif
