/* SPDX-License-Identifier: Apache-2.0 */
/* pack.h - rows for the host: everything an operation returns lies in one block of its memory. */
#ifndef QUEUE_PACK_H
#define QUEUE_PACK_H

#include <bp/queue.h>

/* Rows that are parts of larger structs: `stride` bytes from one to the next. */
struct pack_list {
    const struct bp_job_row *first; /* may be NULL when there is none */
    size_t stride;
    uint32_t n;
};

/* Copies rows and their texts into one block of host memory: *out, owned by *memory; both NULL for no rows. BP_OK or
 * BP_NOMEM. */
int32_t pack_rows(const struct bp_host *host, const struct pack_list *l, struct bp_job_row **out, void **memory);
/* Bytes that the texts of a row take, and the copying itself, which returns the end of the texts; used where rows share
 * a block with other things. */
size_t job_text_bytes(const struct bp_job_row *r);
char *job_copy(struct bp_job_row *to, const struct bp_job_row *from, char *text);
/* The same for lines of a timeline. */
size_t event_text_bytes(const struct bp_job_event *e);
char *event_copy(struct bp_job_event *to, const struct bp_job_event *from, char *text);

#endif
