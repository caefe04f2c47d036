/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - one call to AWS: sign, send, retry, parse; the same for every service.
 *
 * A call names its operation by the table operations.def, so that the table says all that an IAM policy must allow.
 * Calls block; any thread; connections are kept and reused (one curl handle a thread at a time). Credentials
 * are taken, and the request signed, anew for every attempt.
 */
#ifndef AWS_CLIENT_H
#define AWS_CLIENT_H

#include "services.h"
#include "xml.h"
#include <bp/plugin.h>

struct aws;
struct client;
struct form;
struct json_object;
struct aws_creds;

#define AWS_OP(id, service, action, iam, who, repeat) AWS_OP_##id,
enum aws_op {
#include "operations.def"
    AWS_N_OPS
};
#undef AWS_OP

/* What went wrong, in one shape whatever the protocol. */
struct aws_error {
    int http_status; /* 0: no answer */
    char code[96];   /* "Throttling", "NoSuchKey", "" when the answer named none (HTML page, truncated body) */
    char message[256];
    char request_id[96];
    int retryable; /* 1: the same call may work later */
    int throttled; /* 1: we are too fast */
    int expired;   /* 1: credentials are over */
    int denied;    /* 1: the identity may not do that */
};

struct reply {
    int status;
    struct xml *xml; /* root element (query: of <OpResponse>), NULL when the protocol is JSON or the body empty */
    struct json_object *json; /* or NULL */
    char *body;               /* as received, NUL-terminated; bounded by client settings */
    size_t n_body;
    char etag[136], content_type[128], request_id[96], version_id[128];
    char bucket_region[40];                            /* of S3: where the bucket is; "" when the answer does not say */
    char checksum_crc32c[16], checksum_type[16];       /* of S3 (x-amz-checksum-...): "" when the answer has none */
    int64_t content_length, last_modified_ms, date_ms; /* -1: not said */
    int unsure;                                        /* 1: no whole answer came, but the call may have arrived */
    struct aws_error error;                            /* of the last attempt; code "" and status 2xx: none */
};
void reply_free(struct reply *r); /* its members; zeroed after */
/* The same for an answer that holds a secret: nothing of it stays in memory. */
void reply_wipe(struct reply *r);

struct client *client_open(struct aws *aws, struct bp_err *err);
void client_close(struct client *c);

/*
 * Each returns 0 (then reply is filled) or BP_DENIED, BP_NOTFOUND, BP_CONFLICT, BP_LATER (throttled or no answer,
 * retries used up), BP_INVALID, BP_FAIL; reply->error holds AWS's own words and err one sentence with the operation,
 * `what` (the resource, for people: "group asg-prod-upscale"), the IAM action when denied, and the remedy. reply_free()
 * in every case.
 */
int client_query(struct client *c, enum aws_op op, const struct form *f, const char *what, struct reply *r,
                 struct bp_err *err);
/* The same by other credentials than the plugin's own, which have no part in it; NULL: not signed at all. For the
 * sources of credentials. */
int client_query_as(struct client *c, enum aws_op op, const struct form *f, const char *what,
                    const struct aws_creds *who, struct reply *r, struct bp_err *err);
/* `in` borrowed; NULL is {}. */
int client_json(struct client *c, enum aws_op op, struct json_object *in, const char *what, struct reply *r,
                struct bp_err *err);

/* One S3 request; strings borrowed. */
struct s3_request {
    const char *method, *bucket, *key; /* key NULL: the bucket itself; unescaped */
    const char *query;                 /* canonical text "list-type=2&prefix=a%2Fb", or NULL */
    const char *const *headers;        /* "Name: value", signed; NULL-terminated or NULL */
    const void *body;                  /* of n bytes, or NULL */
    size_t n;
    int fd; /* body when > 0: n bytes from offset, streamed */
    int64_t offset;
    int to_fd;         /* > 0: a 2xx answer's body is streamed there, at its file position */
    int64_t max_bytes; /* of the answer; 0: the client's own limit */
};
/* A bucket that is in another region than plugin.aws.region is asked there from then on. */
int client_s3(struct client *c, enum aws_op op, const struct s3_request *q, const char *what, struct reply *r,
              struct bp_err *err);
/* A presigned URL (bp_host.free); `headers` to pin, as above. ttl_s is cut to the life of the credentials, *ttl_out
 * (may be NULL) says to what. At least 20,000/s on one core: no allocation but the result. */
int client_presign(struct client *c, const struct s3_request *q, int32_t ttl_s, char **url, int32_t *ttl_out,
                   struct bp_err *err);

/* Calls of this thread end by then (ms from now), repetitions included; 0: as the settings say. */
void client_hurry(int32_t ms);
/* What to do about a call that failed so, in words; "" when nobody knows. */
void client_remedy(const struct client *c, enum aws_op op, const struct reply *r, int rc, char *out, size_t n);
/* The IAM actions that an operation needs, ' ' between; "" for none. */
const char *aws_op_permission(enum aws_op op);

/* Calls of an operation since the start, retries included. */
uint64_t client_calls(const struct client *c, enum aws_op op);
const char *aws_op_name(enum aws_op op); /* "autoscaling:DescribeAutoScalingGroups" as in messages */

#endif
