/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhook_sign.h - signatures as https://www.standardwebhooks.com describes them (HMAC-SHA256, headers webhook-id,
 * webhook-timestamp, webhook-signature). Safe from any thread.
 *
 * A tenant's key is derived from one secret, its name and a version, so that no key is stored anywhere:
 * HMAC-SHA256(secret, "bpd webhook" NUL tenant NUL version in decimal).
 */
#ifndef DISPATCH_WEBHOOK_SIGN_H
#define DISPATCH_WEBHOOK_SIGN_H

#include <stddef.h>
#include <stdint.h>

#define WEBHOOK_KEY_BYTES      32
#define WEBHOOK_KEY_TEXT_SIZE  64  /* "whsec_" and the key in base64, with the NUL */
#define WEBHOOK_SIGNATURE_SIZE 128 /* of at most two signatures */

struct webhook_key {
    unsigned char bytes[WEBHOOK_KEY_BYTES];
};

/* version >= 1. Wipe the key with webhook_key_wipe(). */
void webhook_key_derive(const char *secret, const char *tenant, int32_t version, struct webhook_key *out);
/* The form receivers' libraries take. */
void webhook_key_text(const struct webhook_key *key, char out[WEBHOOK_KEY_TEXT_SIZE]);
void webhook_key_wipe(struct webhook_key *key);

/* What is signed: id "." timestamp "." body. */
struct webhook_message {
    const char *id, *body;
    int64_t timestamp_s;
};
/* Appends "v1,<base64>" to the list in out (separated by a blank). */
void webhook_sign(const struct webhook_message *m, const struct webhook_key *key, char out[WEBHOOK_SIGNATURE_SIZE]);

#endif
