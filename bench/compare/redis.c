/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Redis stream with one consumer group, in RESP2. Jobs carry our number; what a worker holds is the entry's id.
 * Stream "jobs" and its group "workers" are there already (XGROUP CREATE jobs workers $ MKSTREAM).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/bench.h"
#include "peers.h"

#define TEXTS_MAX 16

/* The texts of an answer, in their order, and its numbers: all that is needed of its nested arrays. */
struct reply {
    struct {
        const char *bytes;
        size_t n;
    } texts[TEXTS_MAX];
    int n_texts, n_numbers;
    int64_t numbers[TEXTS_MAX];
    char error[160];
    bool nothing; /* a null */
};

static void command(struct buffer *out, const char *const *words, int n)
{
    buffer_print(out, "*%d\r\n", n);
    for (int i = 0; i < n; i++)
        buffer_print(out, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
}

static void submit(struct run *r, int64_t first, struct buffer *out)
{
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)first);
    const char *words[] = {"XADD", "jobs", "*", "n", number, "params", r->opt.params};
    command(out, words, 7);
}

static void lease(const struct worker *w, struct buffer *out)
{
    const char *words[] = {"XREADGROUP", "GROUP", "workers", w->id,  "COUNT", "1",
                           "BLOCK",      "2000",  "STREAMS", "jobs", ">"};
    command(out, words, 11);
}

/* Both in one write, so that they share one fsync. */
static void complete(const struct worker *w, const struct item *items, int n, struct buffer *out)
{
    const char *ack[] = {"XACK", "jobs", "workers", items[0].lease}, *del[] = {"XDEL", "jobs", items[0].lease};
    (void)w;
    (void)n;
    command(out, ack, 4);
    command(out, del, 3);
}

/* ---- answers ---- */

static void keep_text(struct reply *r, const char *bytes, size_t n)
{
    if (r->n_texts < TEXTS_MAX) {
        r->texts[r->n_texts].bytes = bytes;
        r->texts[r->n_texts++].n = n;
    }
}

/* A bulk string of n bytes at `at`. */
static long bulk_read(const char *bytes, size_t have, size_t at, long n, struct reply *r)
{
    if (n < 0) {
        r->nothing = true;
        return n == -1 ? (long)at : -1;
    }
    if (have < at + (size_t)n + 2)
        return 0;
    keep_text(r, bytes + at, (size_t)n);
    return memcmp(bytes + at + n, "\r\n", 2) == 0 ? (long)at + n + 2 : -1;
}

/* Reads one value of n bytes; `left` of it are values that an array announced. Its length; 0: more to come; -1: none.
 */
static long value_read(const char *bytes, size_t n, struct reply *r, long *left)
{
    const char *end = memchr(bytes, '\n', n);
    char *digits;
    if (n > 0 && !strchr("+-:$*", bytes[0]))
        return -1;
    if (!end)
        return n > 4096 ? -1 : 0;
    if (end == bytes || end[-1] != '\r')
        return -1;
    size_t line = (size_t)(end - bytes) + 1;
    if (bytes[0] == '+' || bytes[0] == '-') {
        if (bytes[0] == '-')
            snprintf(r->error, sizeof r->error, "%.*s", (int)(line < 150 ? line - 3 : 150), bytes + 1);
        return (long)line;
    }
    long value = strtol(bytes + 1, &digits, 10);
    if (digits == bytes + 1 || digits != end - 1 || value > 1 << 29)
        return -1;
    if (bytes[0] == '$')
        return bulk_read(bytes, n, line, value, r);
    if (bytes[0] == '*') {
        r->nothing |= value < 0;
        *left += value > 0 ? value : 0;
    } else if (r->n_numbers < TEXTS_MAX) {
        r->numbers[r->n_numbers++] = value;
    }
    return (long)line;
}

/* Reads `values` answers, with all that is nested in them. */
static long reply_read(const char *bytes, size_t n, long values, struct reply *r)
{
    size_t at = 0;
    *r = (struct reply){0};
    for (long left = values; left > 0; left--) {
        long length = at < n ? value_read(bytes + at, n - at, r, &left) : 0;
        if (length <= 0)
            return length;
        at += (size_t)length;
    }
    return (long)at;
}

static bool text_copy(const struct reply *r, int i, char *out, size_t cap)
{
    if (i >= r->n_texts || r->texts[i].n >= cap)
        return false;
    memcpy(out, r->texts[i].bytes, r->texts[i].n);
    out[r->texts[i].n] = 0;
    return true;
}

/* [[stream, [[id, ["n", number, ...]]]]]: the texts are stream, id, "n", number. */
static enum verdict leased(const struct reply *r, struct item *item)
{
    char number[24];
    if (r->nothing)
        return VERDICT_EMPTY;
    if (!text_copy(r, 1, item->lease, sizeof item->lease) || !text_copy(r, 3, number, sizeof number))
        return VERDICT_BAD;
    item->id = strtoll(number, NULL, 10);
    return item->id > 0 ? VERDICT_GOOD : VERDICT_BAD;
}

static enum verdict verdict_of(const struct request *q, const struct reply *r, struct item *item)
{
    if (r->error[0])
        return VERDICT_BAD;
    if (q->kind == REQUEST_LEASE)
        return leased(r, item);
    if (q->kind == REQUEST_COMPLETE)
        return r->n_numbers == 2 && r->numbers[0] == 1 && r->numbers[1] == 1 ? VERDICT_GOOD : VERDICT_BAD;
    item->id = q->first;
    return r->n_texts == 1 ? VERDICT_GOOD : VERDICT_BAD;
}

static long read_answer(const struct request *q, char *bytes, size_t n, struct answer *a)
{
    static char error[160];
    struct reply r;
    struct item item = {.verdict = VERDICT_GOOD};
    long length = reply_read(bytes, n, q->kind == REQUEST_COMPLETE ? 2 : 1, &r);
    if (length <= 0)
        return length;
    memcpy(error, r.error, sizeof error);
    a->text = error[0] ? error : bytes;
    a->verdict = verdict_of(q, &r, &item);
    a->n_items = a->verdict == VERDICT_GOOD;
    a->items[0] = item;
    return length;
}

const struct peer PEER_REDIS = {
    .name = "redis",
    .scheme = "redis",
    .port = "6379",
    .submit = submit,
    .lease = lease,
    .complete = complete,
    .read = read_answer,
};
