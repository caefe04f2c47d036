/* SPDX-License-Identifier: Apache-2.0 */
#include "log_queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct log_queue {
    pthread_mutex_t lock;
    struct bp_log_line ring[LOG_QUEUE_LINES];
    uint32_t first, n;
    size_t bytes;
    uint64_t lost;
};

struct log_queue *log_queue_new(void)
{
    struct log_queue *q = calloc(1, sizeof *q);
    if (q)
        pthread_mutex_init(&q->lock, NULL);
    return q;
}

/* The oldest line, now the caller's. Under the lock; n > 0. */
static struct bp_log_line pop(struct log_queue *q)
{
    struct bp_log_line line = q->ring[q->first];
    q->first = (q->first + 1) % LOG_QUEUE_LINES;
    q->n--;
    q->bytes -= strlen(line.text) + 1;
    return line;
}

void log_queue_free(struct log_queue *q)
{
    if (!q)
        return;
    while (q->n)
        free((char *)pop(q).text);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

void log_queue_add(struct log_queue *q, int64_t at_ms, const char *text, size_t n)
{
    char *copy = strndup(text, n);
    pthread_mutex_lock(&q->lock);
    if (!copy) {
        q->lost++;
    } else {
        size_t bytes = strlen(copy) + 1;
        while (q->n && (q->n == LOG_QUEUE_LINES || q->bytes + bytes > LOG_QUEUE_BYTES)) {
            free((char *)pop(q).text);
            q->lost++;
        }
        q->ring[(q->first + q->n++) % LOG_QUEUE_LINES] = (struct bp_log_line){at_ms, copy};
        q->bytes += bytes;
    }
    pthread_mutex_unlock(&q->lock);
}

uint32_t log_queue_take(struct log_queue *q, struct bp_log_line **lines, uint32_t max, size_t max_bytes)
{
    uint32_t n = 0;
    size_t bytes = 0;
    pthread_mutex_lock(&q->lock);
    max = max < q->n ? max : q->n;
    struct bp_log_line *out = max ? calloc(max, sizeof *out) : NULL;
    while (out && n < max) {
        bytes += strlen(q->ring[q->first].text) + 1;
        if (n && bytes > max_bytes)
            break;
        out[n++] = pop(q);
    }
    pthread_mutex_unlock(&q->lock);
    *lines = out;
    return n;
}

void log_lines_free(struct bp_log_line *lines, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        free((char *)lines[i].text);
    free(lines);
}

uint32_t log_queue_waiting(struct log_queue *q)
{
    pthread_mutex_lock(&q->lock);
    uint32_t n = q->n;
    pthread_mutex_unlock(&q->lock);
    return n;
}

uint64_t log_queue_lost(struct log_queue *q)
{
    pthread_mutex_lock(&q->lock);
    uint64_t lost = q->lost;
    pthread_mutex_unlock(&q->lock);
    return lost;
}
