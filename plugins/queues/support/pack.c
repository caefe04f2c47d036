/* SPDX-License-Identifier: Apache-2.0 */
#include "pack.h"

#include <stddef.h>
#include <string.h>

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

static const struct bp_job_row *row_at(const struct pack_list *l, uint32_t i)
{
    return (const struct bp_job_row *)((const char *)l->first + i * l->stride);
}

int32_t pack_rows(const struct bp_host *host, const struct pack_list *l, struct bp_job_row **out, void **memory)
{
    *out = NULL;
    *memory = NULL;
    if (l->n == 0)
        return BP_OK;
    size_t bytes = l->n * sizeof **out;
    for (uint32_t i = 0; i < l->n; i++)
        bytes += job_text_bytes(row_at(l, i));
    struct bp_job_row *rows = host->alloc(bytes);
    if (!rows)
        return BP_NOMEM;
    char *text = (char *)(rows + l->n);
    for (uint32_t i = 0; i < l->n; i++)
        text = job_copy(&rows[i], row_at(l, i), text);
    *out = rows;
    *memory = rows;
    return BP_OK;
}

size_t event_text_bytes(const struct bp_job_event *e)
{
    return strlen(e->what) + strlen(e->who) + 2 + (e->detail ? strlen(e->detail) + 1 : 0);
}

static char *text_copy(const char **to, const char *from, char *text)
{
    *to = from ? text : NULL;
    if (!from)
        return text;
    size_t n = strlen(from) + 1;
    memcpy(text, from, n);
    return text + n;
}

char *event_copy(struct bp_job_event *to, const struct bp_job_event *from, char *text)
{
    *to = *from;
    text = text_copy(&to->what, from->what, text);
    text = text_copy(&to->who, from->who, text);
    return text_copy(&to->detail, from->detail, text);
}
