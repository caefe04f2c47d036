/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credentials.h - who we are: one source of keys, chosen once, and the set that it gave last.
 *
 * A set that ends is renewed in the background, ten to thirteen minutes early (at half its life when that is shorter),
 * one flight at a time; while that fails the old set stays in use and it is tried again after ever longer rests, each
 * with a warning. When the chosen source fails, the error says so and no other one is used. Any thread.
 */
#ifndef AWS_CREDENTIALS_H
#define AWS_CREDENTIALS_H

#include <bp/plugin.h>

struct aws;
struct credentials;

/* One set, copied out; the secret and the token are never logged. Whoever has a copy zeroes it. */
struct aws_creds {
    char key_id[132];
    char secret[132];
    char token[4096];   /* "": long-lived keys */
    int64_t expires_ms; /* 0: never */
    char source[96];    /* "environment", "instance role bpd-controller" */
    uint64_t serial;    /* grows with every new set */
};

/* Chooses the source by the settings, the environment and the shared files, without network: where there is none, or
 * what was chosen is incomplete, creds_get() says so. NULL without memory. */
struct credentials *creds_open(struct aws *aws, struct bp_err *err);
/* Waits for a flight under way, at most half a minute. */
void creds_close(struct credentials *c);
/* The present set; the first call, one after expiry and one in the last minute before it wait for the source. BP_DENIED
 * with the source and the remedy. */
int creds_get(struct credentials *c, struct aws_creds *out, struct bp_err *err);
/* AWS says that `used` has expired or is not known: fetches a new set once (one flight, however many ask, and seldom).
 * 0: a newer set is there; else the old one stays and err says why. */
int creds_refresh(struct credentials *c, const struct aws_creds *used, struct bp_err *err);
/* The clock of AWS less ours, as the client found it: what ends is measured by theirs. */
void creds_set_skew(struct credentials *c, int64_t skew_ms);
/* Name of the source chosen, for messages; valid until creds_close(). */
const char *creds_source(const struct credentials *c);
/* What to do when it gives nothing, in words; likewise. */
const char *creds_remedy(const struct credentials *c);

#endif
