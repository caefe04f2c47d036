/* Memory of the queue, and transactions over it. */
#include "my_queue.h"

struct saved {
    void *row;
    size_t bytes;
    char copy[];
};

/* The four lists in the order of my_queue.before. */
static struct list *list_of(struct my_queue_plugin *q, int i)
{
    struct list *const lists[] = {&q->jobs, &q->workers, &q->events, &q->notes};
    return lists[i];
}

static void row_free(int i, void *row)
{
    if (i == 0) {
        texts_free(row, &job_shape);
        free(((struct job *)row)->request_hash);
    } else if (i == 1) {
        texts_free(row, &worker_shape);
    } else if (i == 2) {
        texts_free(row, &event_shape);
    }
    free(row);
}

static int32_t list_push(struct my_queue_plugin *q, struct list *list, void *row)
{
    if (list->n == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        void **at = realloc(list->at, room * sizeof *at);
        if (!at) {
            q->no_memory = 1;
            return 0;
        }
        list->at = at;
        list->room = room;
    }
    list->at[list->n++] = row;
    return 1;
}

void *list_add(struct my_queue_plugin *q, struct list *list, size_t bytes)
{
    void *row = calloc(1, bytes);
    q->no_memory |= !row;
    if (row && list_push(q, list, row))
        return row;
    free(row);
    return NULL;
}

void touch(struct my_queue_plugin *q, void *row, size_t bytes)
{
    struct saved *s = list_add(q, &q->undo, sizeof *s + bytes);
    if (!s)
        return;
    s->row = row;
    s->bytes = bytes;
    memcpy(s->copy, row, bytes);
}

void text_set(struct my_queue_plugin *q, const char **text, const char *value)
{
    char *copy = value ? strdup(value) : NULL;
    q->no_memory |= value && !copy;
    if (copy && !list_push(q, &q->fresh, copy)) {
        free(copy);
        copy = NULL;
    }
    if (q->no_memory || (*text && !list_push(q, &q->old, (char *)(uintptr_t)*text)))
        return;
    *text = copy;
}

void batch_begin(struct my_queue_plugin *q)
{
    for (int i = 0; i < 4; i++)
        q->before[i] = list_of(q, i)->n;
    q->no_memory = q->any_gone = 0;
}

static void put_back(struct my_queue_plugin *q)
{
    while (q->undo.n) {
        struct saved *s = q->undo.at[--q->undo.n];
        memcpy(s->row, s->copy, s->bytes);
        free(s);
    }
    for (int i = 0; i < 4; i++)
        for (struct list *l = list_of(q, i); l->n > q->before[i];)
            free(l->at[--l->n]); /* its texts are among the fresh ones */
}

static int32_t is_gone(const struct my_queue_plugin *q, int i, const void *row)
{
    if (i == 0)
        return ((const struct job *)row)->gone;
    if (i == 1)
        return ((const struct worker *)row)->gone;
    return i == 2 && !job_find(q, ((const struct bp_job_event *)row)->job_id, NULL);
}

/* Events go before the jobs they are of, which they are looked up by. */
static void remove_gone(struct my_queue_plugin *q)
{
    for (int i = 2; i >= 0; i--) {
        struct list *l = list_of(q, i);
        size_t kept = 0;
        for (size_t k = 0; k < l->n; k++) {
            if (is_gone(q, i, l->at[k]))
                row_free(i, l->at[k]);
            else
                l->at[kept++] = l->at[k];
        }
        l->n = kept;
    }
}

/* Notes older than an hour are of no window that is asked for; those of audits wait for their prune. */
static void forget_notes(struct my_queue_plugin *q)
{
    int64_t last = q->notes.n ? ((struct note *)q->notes.at[q->notes.n - 1])->at_ms : 0;
    size_t kept = 0;
    if (!q->notes.n || last - ((struct note *)q->notes.at[0])->at_ms < 2 * 3600000)
        return;
    for (size_t i = 0; i < q->notes.n; i++) {
        struct note *n = q->notes.at[i];
        if (n->kind == NOTE_AUDIT || last - n->at_ms < 3600000)
            q->notes.at[kept++] = n;
        else
            free(n);
    }
    q->notes.n = kept;
}

static void free_all(struct list *l)
{
    while (l->n)
        free(l->at[--l->n]);
}

void batch_end(struct my_queue_plugin *q, int32_t ok)
{
    if (!ok)
        put_back(q);
    free_all(&q->undo);
    free_all(ok ? &q->old : &q->fresh);
    q->old.n = q->fresh.n = 0;
    if (ok && q->any_gone)
        remove_gone(q);
    forget_notes(q);
}

void queue_free(struct my_queue_plugin *q)
{
    struct list *const helpers[] = {&q->undo, &q->old, &q->fresh};
    for (int i = 0; i < 4; i++) {
        struct list *l = list_of(q, i);
        while (l->n)
            row_free(i, l->at[--l->n]);
        free(l->at);
    }
    for (int i = 0; i < 3; i++)
        free(helpers[i]->at);
}
