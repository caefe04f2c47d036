/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign.h - AWS Signature Version 4 over OpenSSL: headers and presigned queries; pure but for a cache of signing keys.
 * Rules: "Signature Version 4 signing process", AWS General Reference. Any thread.
 */
#ifndef AWS_SIGN_H
#define AWS_SIGN_H

#include <bp/plugin.h>
#include <stddef.h>
#include <stdint.h>

#define SIGN_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

struct sign_header {
    const char *name, *value;
};

struct sign_request {
    const char *method;
    const char *path;                  /* as on the wire, at least "/" */
    const char *query;                 /* as on the wire without '?', or "" */
    const struct sign_header *headers; /* all that are to be signed, Host included */
    size_t n_headers;
    const char *payload_hash;            /* hex SHA-256 of the body as sent, or SIGN_UNSIGNED_PAYLOAD */
    const char *key_id, *secret, *token; /* token "" or NULL: none */
    const char *region, *service;
    int64_t now_ms;
    int s3;            /* 1: path as it is, encoded once; 0: normalised and encoded again */
    int32_t expires_s; /* presign only: 1..604800 */
    int no_normalize;  /* official suite: keep dot segments (services that say so) */
    int token_after;   /* 1: the token is added after signing */
};

struct sign_keys; /* signing keys by (key id, day, region, service) */
struct sign_keys *sign_keys_new(void);
void sign_keys_free(struct sign_keys *k);

/* Value of the Authorization header in out, X-Amz-Date in date[17]. keys may be NULL. BP_INVALID, BP_NOSPACE. */
int sign_headers(struct sign_keys *keys, const struct sign_request *q, char *out, size_t size, char date[17],
                 struct bp_err *err);
/* The whole query with X-Amz-Signature last. */
int sign_query(struct sign_keys *keys, const struct sign_request *q, char *out, size_t size, struct bp_err *err);
/* For the vectors of the official suite. */
int sign_canonical(const struct sign_request *q, int presign, char *out, size_t size, struct bp_err *err);

void sign_sha256_hex(const void *data, size_t n, char out[65]);
/* Percent-encodes bytes but A-Za-z0-9-_.~ (and '/' when keep_slash); returns the length, or a negative BP_ code. */
int sign_encode(const char *text, size_t n, int keep_slash, char *out, size_t size);

#endif
