/* SPDX-License-Identifier: Apache-2.0 */
/* Rows for the host: everything an operation returns lies in one block of its memory. */
#include <string.h>

#include "job.h"

/* Where the texts are in a row; the order does not matter. */
static const size_t TEXTS[] = {
    offsetof(struct bp_job_row, tenant),          offsetof(struct bp_job_row, workflow),
    offsetof(struct bp_job_row, effect),          offsetof(struct bp_job_row, params),
    offsetof(struct bp_job_row, inputs),          offsetof(struct bp_job_row, output),
    offsetof(struct bp_job_row, output_key),      offsetof(struct bp_job_row, worker),
    offsetof(struct bp_job_row, lease_token),     offsetof(struct bp_job_row, error),
    offsetof(struct bp_job_row, progress_text),   offsetof(struct bp_job_row, checkpoint_key),
    offsetof(struct bp_job_row, idempotency_key), offsetof(struct bp_job_row, provider_job_id),
    offsetof(struct bp_job_row, unique_key),      offsetof(struct bp_job_row, after),
};
#define N_TEXTS (sizeof TEXTS / sizeof TEXTS[0])

static const char *text_get(const struct bp_job_row *r, size_t offset)
{
    const char *t;
    memcpy(&t, (const char *)r + offset, sizeof t);
    return t;
}

size_t job_text_bytes(const struct bp_job_row *r)
{
    size_t bytes = 0;
    for (size_t i = 0; i < N_TEXTS; i++) {
        const char *t = text_get(r, TEXTS[i]);
        bytes += t ? strlen(t) + 1 : 0;
    }
    return bytes;
}

char *job_copy(struct bp_job_row *to, const struct bp_job_row *from, char *text)
{
    *to = *from;
    for (size_t i = 0; i < N_TEXTS; i++) {
        const char *t = text_get(from, TEXTS[i]);
        if (!t)
            continue;
        size_t n = strlen(t) + 1;
        memcpy(text, t, n);
        memcpy((char *)to + TEXTS[i], &text, sizeof text);
        text += n;
    }
    return text;
}

int32_t jobs_pack(struct store *s, const struct job *jobs, uint32_t n, struct bp_job_row **out, void **memory)
{
    *out = NULL;
    *memory = NULL;
    if (n == 0)
        return BP_OK;
    size_t bytes = n * sizeof **out;
    for (uint32_t i = 0; i < n; i++)
        bytes += job_text_bytes(&jobs[i].row);
    struct bp_job_row *rows = s->host->alloc(bytes);
    if (!rows)
        return store_nomem(s);
    char *text = (char *)(rows + n);
    for (uint32_t i = 0; i < n; i++)
        text = job_copy(&rows[i], &jobs[i].row, text);
    *out = rows;
    *memory = rows;
    return BP_OK;
}
