/* SPDX-License-Identifier: Apache-2.0 */
/* webhooks.h - ends of jobs to be told: written in the transaction of the end, removed when told or given up. */
#ifndef MARIADB_WEBHOOKS_H
#define MARIADB_WEBHOOKS_H

#include "job.h"

/* The job ended: notes a delivery when its tenant wants to know. */
void webhook_note(struct store *s, const struct job *j, int64_t now_ms);

#endif
