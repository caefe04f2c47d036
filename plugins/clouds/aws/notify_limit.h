/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify_limit.h - which message may go out now: none whose key went out lately, and no more than a bucket of tokens
 * allows, which fills evenly. Pure: times are given. The owner's lock guards it.
 */
#ifndef AWS_NOTIFY_LIMIT_H
#define AWS_NOTIFY_LIMIT_H

#include <stdint.h>

#define NOTIFY_KEYS     256 /* remembered; beyond that the one that went out first is forgotten */
#define NOTIFY_KEY_SIZE 128

struct notify_limit {
    int64_t dedup_ms;
    double per_minute, tokens; /* tokens: at filled_ms */
    int64_t filled_ms;
    struct notify_key {
        char key[NOTIFY_KEY_SIZE];
        int64_t at_ms; /* 0: none */
        int unsure;    /* it is not known whether it arrived */
    } keys[NOTIFY_KEYS];
};

/* A full bucket of per_minute messages. */
void notify_limit_init(struct notify_limit *l, int64_t per_minute, int64_t dedup_ms);
/* 1: a message of this key is known to have gone out within dedup_ms. "" is no key. */
int notify_limit_is_repeat(const struct notify_limit *l, const char *key, int64_t now_ms);
/* 1: one of this key went out within dedup_ms, nobody knows how far. */
int notify_limit_is_unsure(const struct notify_limit *l, const char *key, int64_t now_ms);
/* Takes a token; 0: there is none. */
int notify_limit_take(struct notify_limit *l, int64_t now_ms);
/* A message of this key went out; unsure: it may have. */
void notify_limit_went(struct notify_limit *l, const char *key, int64_t now_ms, int unsure);

#endif
