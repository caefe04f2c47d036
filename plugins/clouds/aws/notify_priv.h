/* SPDX-License-Identifier: Apache-2.0 */
/* notify_priv.h - the notifications' inside, for the notify*.c files. */
#ifndef AWS_NOTIFY_PRIV_H
#define AWS_NOTIFY_PRIV_H

#include "aws.h"
#include "notify_limit.h"

#include <pthread.h>

#define SUMMARY_SIZE 8192

struct background;

/* Messages that were too many, for the summary. */
struct held {
    uint32_t n;
    int64_t since_ms;
    char subjects[SUMMARY_SIZE]; /* a line each; those that fit */
};

struct notify {
    struct aws *aws;
    const char *topic, *wrong; /* wrong: why nothing can be sent there, or NULL */
    char why[252];
    int fifo;
    int64_t summary_ms;
    pthread_mutex_t mutex; /* one message at a time; guards what follows */
    struct notify_limit limit;
    struct held held;
    struct background *summary;
};

#endif
