/* SPDX-License-Identifier: Apache-2.0 */
/* logs_priv.h - the logs' inside, for logs.c and log_send.c. */
#ifndef AWS_LOGS_PRIV_H
#define AWS_LOGS_PRIV_H

#include "aws.h"
#include "log_batch.h"
#include "log_spool.h"

#include <pthread.h>

struct background;

/* Lines that CloudWatch will never have, since the start; those of the spool are its own. */
struct log_losses {
    uint64_t late;     /* outside the times that CloudWatch takes */
    uint64_t rejected; /* it took the others of the call */
    uint64_t refused;
};

struct logs {
    struct aws *aws;
    struct log_spool *spool; /* NULL: it could not be opened, lines go out while they are put */
    int64_t retention_days;  /* of groups made here; 0: for ever */
    pthread_mutex_t mutex;   /* of the members down to the next blank line */
    struct log_losses lost;
    uint64_t sent;   /* lines */
    char error[252]; /* why CloudWatch did not take the last ones; "": it did */

    /* The sender's. */
    struct background *sender;
    struct log_record *batch; /* LOG_BATCH_EVENTS */
    uint32_t limit;           /* events of the next call; fewer after one was refused */
    int64_t rest_ms;          /* > 0: CloudWatch did not take the last ones */
    uint64_t told;            /* losses that were told */
    int64_t told_ms;
};

/* log_send.c */
/* Sends the first of n records that go into one call of at most `most`; *sent says how many were dealt with: all
 * of those on BP_OK. BP_INVALID: CloudWatch read them and refuses them. Else: not now. Any thread. */
int logs_send(struct logs *g, const struct log_record *r, uint32_t n, uint32_t most, uint32_t *sent,
              struct bp_err *err);
/* One call at most, from the spool; as a step of background.h. */
int64_t logs_send_step(void *logs);

#endif
