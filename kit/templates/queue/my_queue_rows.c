/* Rows as the host gets them: copies with all their texts in one block, which it frees in one go. */
#include "my_queue.h"

struct shape {
    size_t bytes; /* of the row the host knows; ours begins with it */
    size_t n;
    size_t texts[16]; /* where its texts are */
};

#define J(member) offsetof(struct bp_job_row, member)
const struct shape job_shape = {sizeof(struct bp_job_row),
                                15,
                                {J(tenant), J(workflow), J(effect), J(params), J(inputs), J(output), J(output_key),
                                 J(worker), J(lease_token), J(error), J(progress_text), J(checkpoint_key),
                                 J(idempotency_key), J(provider_job_id), J(unique_key)}};
#define E(member) offsetof(struct bp_job_event, member)
const struct shape event_shape = {sizeof(struct bp_job_event), 3, {E(what), E(who), E(detail)}};
#define W(member) offsetof(struct bp_worker_row, member)
const struct shape worker_shape = {sizeof(struct bp_worker_row),
                                   11,
                                   {W(worker_id), W(display_name), W(token_hash), W(workflows), W(fleet), W(stage),
                                    W(capabilities), W(capacity_type), W(instance_type), W(source), W(last_ip)}};

static char *text_at(const void *row, size_t offset)
{
    char *text;
    memcpy(&text, (const char *)row + offset, sizeof text);
    return text;
}

void texts_free(void *row, const struct shape *shape)
{
    for (size_t i = 0; i < shape->n; i++)
        free(text_at(row, shape->texts[i]));
}

static size_t bytes_of(const struct part *p)
{
    size_t bytes = p->rows->n * p->shape->bytes;
    for (size_t r = 0; r < p->rows->n; r++)
        for (size_t i = 0; i < p->shape->n; i++) {
            const char *text = text_at(p->rows->at[r], p->shape->texts[i]);
            bytes += text ? strlen(text) + 1 : 0;
        }
    return (bytes + 15) & ~(size_t)15; /* so that the next part begins aligned */
}

static char *copy_row(char *to, const void *row, const struct shape *shape, char *room)
{
    memcpy(to, row, shape->bytes);
    for (size_t i = 0; i < shape->n; i++) {
        const char *text = text_at(row, shape->texts[i]);
        if (!text)
            continue;
        size_t n = strlen(text) + 1;
        memcpy(room, text, n);
        memcpy(to + shape->texts[i], &room, sizeof room);
        room += n;
    }
    return room;
}

void pack(struct my_queue_plugin *q, struct part *parts, size_t n, void **memory)
{
    size_t bytes = 0;
    for (size_t p = 0; p < n; p++)
        bytes += bytes_of(&parts[p]);
    char *at = bytes && !q->no_memory ? q->host->alloc(bytes) : NULL;
    q->no_memory |= bytes && !at;
    *memory = at;
    for (size_t p = 0; at && p < n; p++) {
        size_t rows = parts[p].rows->n, each = parts[p].shape->bytes;
        char *room = at + rows * each;
        parts[p].out = at;
        for (size_t r = 0; r < rows; r++)
            room = copy_row(at + r * each, parts[p].rows->at[r], parts[p].shape, room);
        at += bytes_of(&parts[p]);
    }
}
