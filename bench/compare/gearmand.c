/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gearmand's binary protocol (PROTOCOL of gearmand 1.1): a magic word, a type, a length, arguments divided by NULs.
 * Jobs are background jobs, the only ones it keeps in its queue on disk; they carry our number. A job that a worker has
 * completed is not confirmed: an echo sent behind it comes back when it was dealt with.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/bench.h"
#include "peers.h"

enum {
    CAN_DO = 1,
    PRE_SLEEP = 4,
    NOOP = 6,
    JOB_CREATED = 8,
    GRAB_JOB = 9,
    NO_JOB = 10,
    JOB_ASSIGN = 11,
    WORK_COMPLETE = 13,
    ECHO_REQ = 16,
    ECHO_RES = 17,
    SUBMIT_JOB_BG = 18,
    ERROR = 19,
};

#define HEAD     12
#define BODY_MAX 65536
static const char FUNCTION[] = "bench";
static const char DONE[] = "done";

static void packet(struct buffer *out, uint32_t type, const void *body, size_t n)
{
    uint32_t head[2] = {htonl(type), htonl((uint32_t)n)};
    buffer_add(out, "\0REQ", 4);
    buffer_add(out, head, sizeof head);
    buffer_add(out, body, n);
}

static void hello(const struct worker *w, struct buffer *out)
{
    (void)w;
    packet(out, CAN_DO, FUNCTION, sizeof FUNCTION - 1);
}

/* function NUL unique NUL payload; no unique id: each job is one of its own */
static void submit(struct run *r, int64_t first, struct buffer *out)
{
    r->body.n = 0;
    buffer_add(&r->body, FUNCTION, sizeof FUNCTION);
    buffer_print(&r->body, "%lld", (long long)first);
    buffer_add(&r->body, "", 1);
    buffer_print(&r->body, "%lld %s", (long long)first, r->opt.params);
    packet(out, SUBMIT_JOB_BG, r->body.bytes, r->body.n);
    r->body.n = 0;
}

static void lease(const struct worker *w, struct buffer *out)
{
    (void)w;
    packet(out, GRAB_JOB, "", 0);
}

static void sleep_until_called(const struct worker *w, struct buffer *out)
{
    (void)w;
    packet(out, PRE_SLEEP, "", 0);
}

static void complete(const struct worker *w, const struct item *items, int n, struct buffer *out)
{
    (void)w;
    (void)n;
    packet(out, WORK_COMPLETE, items[0].lease, strlen(items[0].lease) + 1); /* handle NUL, and no result */
    packet(out, ECHO_REQ, DONE, sizeof DONE - 1);
}

/* ---- answers ---- */

/* handle NUL function NUL payload */
static enum verdict assigned(const char *body, size_t n, struct item *item)
{
    const char *function = memchr(body, 0, n);
    const char *payload = function ? memchr(function + 1, 0, n - (size_t)(function + 1 - body)) : NULL;
    if (!payload || (size_t)(function - body) >= sizeof item->lease)
        return VERDICT_BAD;
    memcpy(item->lease, body, (size_t)(function - body) + 1);
    char number[24];
    size_t left = n - (size_t)(payload + 1 - body), most = sizeof number - 1;
    snprintf(number, sizeof number, "%.*s", (int)(left < most ? left : most), payload + 1);
    item->id = strtoll(number, NULL, 10);
    return item->id > 0 ? VERDICT_GOOD : VERDICT_BAD;
}

static enum verdict verdict_of(const struct request *q, uint32_t type, const char *body, size_t n, struct item *item)
{
    if (q->kind == REQUEST_SUBMIT && type == JOB_CREATED) {
        item->id = q->first;
        return VERDICT_GOOD;
    }
    if (q->kind == REQUEST_LEASE && type == JOB_ASSIGN)
        return assigned(body, n, item);
    if (q->kind == REQUEST_LEASE && type == NO_JOB)
        return VERDICT_EMPTY;
    if (q->kind == REQUEST_SLEEP && type == NOOP)
        return VERDICT_GOOD;
    if (q->kind == REQUEST_COMPLETE && type == ECHO_RES)
        return VERDICT_GOOD;
    return VERDICT_BAD;
}

/* The type of the packet at the start of n bytes, with its body's length; 0: more to come; -1: it is none. */
static int packet_read(const char *bytes, size_t n, size_t *length)
{
    uint32_t words[2];
    if (memcmp(bytes, "\0RES", n < 4 ? n : 4) != 0)
        return -1;
    if (n < HEAD)
        return 0;
    memcpy(words, bytes + 4, sizeof words);
    *length = ntohl(words[1]);
    uint32_t type = ntohl(words[0]);
    if (*length > BODY_MAX || type == 0 || type > 42)
        return -1;
    return n < HEAD + *length ? 0 : (int)type;
}

static long read_answer(const struct request *q, char *bytes, size_t n, struct answer *a)
{
    size_t at = 0, length = 0;
    for (;;) {
        int type = packet_read(bytes + at, n - at, &length);
        if (type <= 0)
            return type;
        const char *body = bytes + at + HEAD;
        at += HEAD + length;
        if (type == NOOP && q->kind != REQUEST_SLEEP)
            continue; /* it woke a worker that was awake */
        struct item item = {.verdict = VERDICT_GOOD};
        a->verdict = verdict_of(q, (uint32_t)type, body, length, &item);
        a->n_items = a->verdict == VERDICT_GOOD && q->kind != REQUEST_SLEEP;
        a->items[0] = item;
        a->text = a->verdict == VERDICT_BAD && type == ERROR ? body : "a packet that was not expected";
        return (long)at;
    }
}

const struct peer PEER_GEARMAND = {
    .name = "gearmand",
    .scheme = "gearman",
    .port = "4730",
    .hello = hello,
    .submit = submit,
    .lease = lease,
    .sleep = sleep_until_called,
    .complete = complete,
    .read = read_answer,
};
