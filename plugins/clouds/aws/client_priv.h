/* SPDX-License-Identifier: Apache-2.0 */
/* client_priv.h - the client's inside, for the client*.c files. */
#ifndef AWS_CLIENT_PRIV_H
#define AWS_CLIENT_PRIV_H

#include "aws.h"
#include "client.h"
#include "credentials.h"
#include "http.h"
#include "retry.h"
#include "sign.h"

#include <stdatomic.h>

#define CALL_HEADERS_MAX 16

struct client {
    struct aws *aws;
    const struct op_info *ops; /* aws_ops; tests put rows of their own */
    struct sign_keys *keys;
    char endpoint[AWS_N_SERVICES][256]; /* "": why[] says why not */
    int overridden[AWS_N_SERVICES];
    int fips, dualstack;
    char why[AWS_N_SERVICES][200];
    atomic_llong skew_ms[AWS_N_SERVICES]; /* the service's clock less ours */
    atomic_ullong calls[AWS_N_OPS];
    int attempts_max;
    int64_t rest_ms;
    size_t min_compress;
    struct retry retry;
    atomic_int bucket_sought; /* before the first URL was signed */
    pthread_mutex_t mutex;    /* guards elsewhere */
    struct {
        char bucket[64], region[40], endpoint[256];
    } elsewhere; /* a bucket of another region; "": none was met */
};

struct op_info {
    enum aws_service service;
    const char *action, *iam;
    int safe; /* may be repeated when it is not known whether it arrived */
};
extern const struct op_info aws_ops[AWS_N_OPS];

/* One call, ready to be signed as often as it takes. */
struct call {
    enum aws_op op;
    const struct op_info *info;
    const char *method, *url, *path, *query, *host; /* url: the whole */
    const char *headers[CALL_HEADERS_MAX + 1];      /* "Name: value" */
    const void *body;
    size_t n;
    int fd;
    int64_t offset;
    int to_fd;
    int64_t max_bytes;
    const char *what;
    const char *region;          /* NULL: of the settings */
    const struct aws_creds *who; /* NULL: the plugin's own */
    int is_unsigned;
};

/* client_send.c: until it works, cannot, or enough was tried. */
int client_send(struct client *c, const struct call *call, struct reply *r, struct bp_err *err);

/* client_endpoints.c: fills endpoint, overridden and why. */
void client_find_endpoints(struct client *c);

/* client_region.c: the endpoint and the region of a bucket, copied out. */
void client_bucket_place(struct client *c, const char *bucket, char endpoint[256], char region[40]);
/* An answer said where the bucket is. 1: that is news, and the call may be sent anew. */
int client_bucket_learn(struct client *c, const char *bucket, const char *asked_region, const struct reply *r);

/* client_error.c */
/* What an answer says went wrong, into r->error. r->xml or r->json are parsed already where they can be. */
void client_error_read(struct reply *r, const struct http_response *h);
/* The return code for r->error. */
int client_error_rc(const struct reply *r);
/* The answer says that our clock is not theirs (2), or may come from that (1): the Date header decides; else 0. */
int client_error_is_skew(const struct reply *r);
/* One sentence for a call that got no answer; rc and the reason are in err already. Returns rc. */
int client_error_tell_lost(const struct call *call, int rc, struct bp_err *err);
/* One sentence: operation, resource, what AWS says, the IAM action when denied, the remedy. Returns rc. */
int client_error_tell(const struct client *c, const struct call *call, const struct reply *r, int rc,
                      struct bp_err *err);

#endif
