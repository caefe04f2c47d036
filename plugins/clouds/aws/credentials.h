/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credentials.h - who we are: the keys of the environment, else the instance's role; a set that ends is renewed by the
 * first call within ten minutes of that.
 *
 * The source is chosen once: when it fails, the error says so and no other one is used. Any thread.
 */
#ifndef AWS_CREDENTIALS_H
#define AWS_CREDENTIALS_H

#include <bp/plugin.h>

struct aws;
struct credentials;

/* One set, copied out; the secret and the token are never logged. */
struct aws_creds {
    char key_id[132];
    char secret[132];
    char token[4096];   /* "": long-lived keys */
    int64_t expires_ms; /* 0: never */
    char source[96];    /* "environment", "instance role bpd-controller" */
    uint64_t serial;    /* grows with every new set */
};

/* Chooses the source by the environment, without network: where there is none, creds_get() says so. NULL without
 * memory. */
struct credentials *creds_open(struct aws *aws, struct bp_err *err);
void creds_close(struct credentials *c);
/* The present set; the first call, and one after expiry, waits for the source. BP_DENIED with the source and the
 * remedy. */
int creds_get(struct credentials *c, struct aws_creds *out, struct bp_err *err);
/* AWS says that `used` has expired or is not known: fetches a new set once (one flight, however many ask). 0: a newer
 * set is there; else the old one stays and err says why. */
int creds_refresh(struct credentials *c, const struct aws_creds *used, struct bp_err *err);
/* Name of the source chosen, for messages; static. */
const char *creds_source(const struct credentials *c);

#endif
