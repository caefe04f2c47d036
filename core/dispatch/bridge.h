/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridge.h - the word of new jobs carried between controllers by Redis, faster than each can watch the store.
 *
 * A convenience, never the truth: a word that is lost is found by watching, and one that is wrong costs a lease that
 * finds nothing. While Redis is away the store is watched as without it. All [loop].
 */
#ifndef DISPATCH_BRIDGE_H
#define DISPATCH_BRIDGE_H

#include "dispatch/engine.h"

struct bridge *bridge_new(struct dispatch *d);
void bridge_free(struct bridge *b);
/* 1 while words go out and come in. */
int bridge_is_up(const struct bridge *b);

/* Where a Redis is. */
struct redis_place {
    char host[256], user[128], password[512];
    int port, db; /* db < 0: none chosen */
};
/* Reads redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]. 0 or BP_INVALID; the message never holds the password. */
int redis_place_read(const char *url, struct redis_place *out, struct bp_err *err);

/* A word: who says it, of how many jobs, of which workflow. */
struct word {
    char from[64];
    uint32_t jobs;
    char workflow[128];
};
int word_write(const struct word *w, char *out, size_t size);
/* 1, or 0 when it is none: anybody may publish on a channel. */
int word_read(const char *text, size_t n, struct word *out);

#endif
