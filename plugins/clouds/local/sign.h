/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign.h - the right to read or write one object for a while, as a URL.
 *
 * A signature is HMAC-SHA256 over method, expiry, limit, type and key; who can make one has the key file.
 */
#ifndef LOCAL_SIGN_H
#define LOCAL_SIGN_H

#include <bp/plugin.h>

#define SIGN_KEY_BYTES 32
#define SIGN_HEX_SIZE  65
#define SIGN_URL_SIZE  8192

struct sign_key {
    unsigned char bytes[SIGN_KEY_BYTES];
};

/* What a URL allows. */
struct grant {
    char method[8]; /* GET (which covers HEAD) or PUT */
    char key[1025];
    char mime[128];    /* PUT: the type it must have; "" any */
    int64_t max_bytes; /* PUT: limit of the body; 0: the store's */
    int64_t expires_s; /* seconds since the epoch; not valid from then on */
};

/* Reads the key of path (mode 0600), or makes it. */
int sign_key_open(const char *path, struct sign_key *out, struct bp_err *err);
/* Is it one that objects may have? UTF-8, 1..1024 bytes, no empty, "." or ".." segment, no control characters. */
int object_key_valid(const char *object_key);
/* Prints "/objects/<key>?method=...&sig=..." after `base`; BP_INVALID when it is too long. */
int sign_url(const struct sign_key *k, const char *base, const struct grant *g, char out[SIGN_URL_SIZE],
             struct bp_err *err);
/* Takes "/objects/<key>?..." apart and checks the signature, and that it has not expired at now_ms. BP_DENIED. */
int sign_check(const struct sign_key *k, const char *path_query, int64_t now_ms, struct grant *out, struct bp_err *err);

#endif
