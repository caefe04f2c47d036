/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - requests to one ComfyUI: one connection, every answer bounded, every call with a time limit, no redirect
 * followed, no proxy asked. While a call waits it asks every now and then whether to go on.
 */
#ifndef COMFYUI_HTTP_H
#define COMFYUI_HTTP_H

#include <bp/plugin.h>

struct http;
struct json_object;

struct http_settings {
    const char *url; /* without a slash at its end; borrowed until http_close() */
    int32_t request_s, transfer_s;
    int (*stop)(void *arg); /* not 0: give the call up */
    void *arg;
};

struct answer {
    long status;
    char *body; /* NUL-terminated; NULL when empty */
    size_t n;
    int64_t length;           /* what the answer says its body has; -1: it does not say */
    struct json_object *json; /* the body, NULL: it is none */
};

/* NULL: no memory. */
struct http *http_open(const struct http_settings *s);
void http_close(struct http *h);
/* From now on small calls may take so long only. */
void http_hurry(struct http *h, int32_t request_s);

/*
 * Each gives BP_OK with an answer of any status (answer_free()), or: BP_LATER when ComfyUI cannot be reached,
 * BP_TIMEOUT, BP_STOPPED when told to, BP_TOOLARGE for an answer over its bound, BP_FAIL for the rest. The path begins
 * with a slash; what is variable in it is escaped. err says what was asked of whom and why that failed.
 */
int32_t http_get(struct http *h, const char *path, struct answer *a, struct bp_err *err);
int32_t http_head(struct http *h, const char *path, struct answer *a, struct bp_err *err);
int32_t http_post(struct http *h, const char *path, struct json_object *body, struct answer *a, struct bp_err *err);
/* As the form of POST /upload/image: into the input folder under this name, in place of one that is there. */
int32_t http_upload(struct http *h, const char *file, const char *name, struct answer *a, struct bp_err *err);
/* The body of a 200 goes to fd, at most `most` bytes of it (else BP_TOOLARGE); a->n says how many. BP_IO, BP_NOSPACE:
 * writing failed. */
int32_t http_download(struct http *h, const char *path, int fd, int64_t most, struct answer *a, struct bp_err *err);

void answer_free(struct answer *a);
/* Text escaped for a URL; free with http_free(). */
char *http_escape(struct http *h, const char *text);
void http_free(char *text);

#endif
