/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beanstalkd's text protocol (protocol.txt of beanstalkd 1.12): lines that end with CRLF, a body behind RESERVED.
 * The server gives a job its id.
 */
#include <stdio.h>
#include <string.h>

#include "dispatch/bench.h"
#include "peers.h"

#define LINE_MAX_BYTES 224 /* of a command or an answer, by the protocol */
#define TTR_S          900 /* a lease, as long as bpd's */

static void submit(struct run *r, int64_t first, struct buffer *out)
{
    (void)first;
    buffer_print(out, "put 0 0 %d %zu\r\n%s\r\n", TTR_S, strlen(r->opt.params), r->opt.params);
}

static void lease(const struct worker *w, struct buffer *out)
{
    (void)w;
    buffer_print(out, "reserve-with-timeout 2\r\n");
}

static void complete(const struct worker *w, const struct item *items, int n, struct buffer *out)
{
    (void)w;
    (void)n;
    buffer_print(out, "delete %lld\r\n", (long long)items[0].id);
}

static void take(struct answer *a, long long id)
{
    a->items[a->n_items++] = (struct item){.id = id, .verdict = VERDICT_GOOD};
    a->verdict = VERDICT_GOOD;
}

/* The whole line is known: what it means. Bytes behind it that belong to the answer, or -1. */
static long line_read(const struct request *q, const char *line, struct answer *a)
{
    unsigned long long id, bytes;
    char end;
    a->text = line;
    a->verdict = VERDICT_BAD;
    if (q->kind == REQUEST_SUBMIT && sscanf(line, "INSERTED %llu%c", &id, &end) == 1) {
        take(a, (long long)id);
    } else if (q->kind == REQUEST_LEASE && sscanf(line, "RESERVED %llu %llu%c", &id, &bytes, &end) == 2) {
        take(a, (long long)id);
        return bytes < 1 << 30 ? (long)bytes + 2 : -1;
    } else if (q->kind == REQUEST_LEASE && strcmp(line, "TIMED_OUT") == 0) {
        a->verdict = VERDICT_EMPTY;
    } else if (q->kind == REQUEST_COMPLETE && strcmp(line, "DELETED") == 0) {
        take(a, 0);
    } else if (strcmp(line, "DRAINING") == 0 || strcmp(line, "OUT_OF_MEMORY") == 0) {
        a->verdict = VERDICT_LATER;
    }
    return 0;
}

static long read_answer(const struct request *q, char *bytes, size_t n, struct answer *a)
{
    char *end = memchr(bytes, '\n', n), line[LINE_MAX_BYTES];
    size_t length = end ? (size_t)(end - bytes) + 1 : n;
    if (length > sizeof line || (end && (length < 2 || end[-1] != '\r')))
        return -1;
    if (!end)
        return 0;
    memcpy(line, bytes, length - 2);
    line[length - 2] = 0;
    a->n_items = 0;
    long more = line_read(q, line, a);
    if (more < 0 || n < length + (size_t)more)
        return more < 0 ? -1 : 0;
    if (more > 0 && memcmp(bytes + length + more - 2, "\r\n", 2) != 0)
        return -1;
    end[-1] = 0;
    a->text = bytes;
    return (long)length + more;
}

const struct peer PEER_BEANSTALKD = {
    .name = "beanstalkd",
    .scheme = "beanstalk",
    .port = "11300",
    .submit = submit,
    .lease = lease,
    .complete = complete,
    .read = read_answer,
};
