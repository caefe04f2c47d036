/* SPDX-License-Identifier: Apache-2.0 */
/* logs_checks.c - whether CloudWatch takes the log lines, and what waits on disk. */
#include "checks.h"
#include "logs_priv.h"

#include <stdio.h>

/* What was sent last says more than another request would. */
void logs_checks(struct aws *a, struct checks *k)
{
    struct logs *g = a->logs;
    struct log_spool_losses s = {0};
    check_begin(k, "logs", AWS_OP_LOGS_PUT_LOG_EVENTS, "log lines of this process");
    if (!g->spool) {
        check_warn(k, "make the state directory writable and restart bpd",
                   "lines cannot wait on disk while CloudWatch is away");
        return;
    }
    long long waiting = (long long)log_spool_bytes(g->spool);
    log_spool_losses(g->spool, &s);
    pthread_mutex_lock(&g->mutex);
    unsigned long long sent = g->sent, lost = g->lost.late + g->lost.rejected + g->lost.refused + s.dropped + s.damaged;
    char error[sizeof g->error];
    snprintf(error, sizeof error, "%s", g->error);
    pthread_mutex_unlock(&g->mutex);
    if (error[0])
        check_fail(k, "mend what is said here; the lines wait on disk meanwhile", "%lld bytes wait: %s", waiting,
                   error);
    else if (lost)
        check_warn(k, "see bpd's log for when and why", "%llu lines were sent, %llu are lost since the start", sent,
                   lost);
    else if (sent)
        check_ok(k, "%llu lines were sent since the start", sent);
    else
        check_ok(k, "no line was sent yet");
}
