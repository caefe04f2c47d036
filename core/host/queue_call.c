/* SPDX-License-Identifier: Apache-2.0 */
#include "host/queue_call.h"
#include "host/queue_batch.h"
#include "log/err.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 2048

struct chunk {
    struct chunk *next;
    max_align_t bytes[];
};

static const char *const names[] = {
    "queue.other",      "queue.submit",      "queue.lease",      "queue.extend",       "queue.complete",
    "queue.fail",       "queue.requeue",     "queue.cancel",     "queue.retry",        "queue.get",
    "queue.list",       "queue.sweep",       "queue.worker_put", "queue.worker_auth",  "queue.worker_set",
    "queue.worker_del", "queue.worker_list", "queue.events",     "queue.prune",        "queue.stats",
    "queue.lead",       "queue.watch",       "queue.tenant_put", "queue.tenant_list",  "queue.token_put",
    "queue.token_del",  "queue.token_list",  "queue.token_auth", "queue.webhook_take", "queue.webhook_done",
    "queue.place",      "queue.memo_put",    "queue.memo_list"};
#define NAMES ((int32_t)(sizeof(names) / sizeof(names[0])))

struct queue_call *queue_call_new(int32_t kind, int64_t now_ms)
{
    struct queue_call *q = calloc(1, sizeof(*q));
    assert(q);
    q->magic = CALL_MAGIC;
    q->room = INLINE_BYTES;
    q->op.size = sizeof(q->op);
    q->op.kind = kind;
    q->op.now_ms = now_ms;
    return q;
}

struct queue_call *queue_call_of(const struct bp_op *op)
{
    struct queue_call *q = (struct queue_call *)((uintptr_t)op - offsetof(struct queue_call, op));
    assert(q->magic == CALL_MAGIC);
    return q;
}

int queue_op_taken(const struct bp_op *op)
{
    return op && queue_call_of(op)->taken;
}

struct bp_op *queue_call_op(struct queue_call *q)
{
    assert(q->magic == CALL_MAGIC);
    return &q->op;
}

static void *chunk_take(struct queue_call *q, size_t bytes)
{
    size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
    struct chunk *c = calloc(1, sizeof(*c) + size);
    assert(c);
    c->next = q->chunks;
    q->chunks = c;
    q->chunk_at = (char *)c->bytes + bytes;
    q->chunk_room = (uint32_t)(size - bytes);
    return c->bytes;
}

void *queue_call_mem(struct queue_call *q, size_t bytes)
{
    assert(q->magic == CALL_MAGIC);
    size_t n = (bytes + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
    if (n <= q->room) {
        void *p = q->here + (INLINE_BYTES - q->room);
        q->room -= (uint32_t)n;
        return p;
    }
    if (n > q->chunk_room)
        return chunk_take(q, n);
    void *p = q->chunk_at;
    q->chunk_at += n;
    q->chunk_room -= (uint32_t)n;
    return p;
}

const char *queue_call_str(struct queue_call *q, const char *s)
{
    if (!s)
        return NULL;
    size_t n = strlen(s) + 1;
    return memcpy(queue_call_mem(q, n), s, n);
}

void queue_call_on_late(struct queue_call *q, queue_reply late)
{
    assert(q->magic == CALL_MAGIC);
    q->late = late;
}

void queue_call_on_early(struct queue_call *q, queue_reply early)
{
    assert(q->magic == CALL_MAGIC);
    q->early = early;
}

void queue_call_free(struct queue_call *q)
{
    assert(q->magic == CALL_MAGIC);
    while (q->chunks) {
        struct chunk *c = q->chunks;
        q->chunks = c->next;
        free(c);
    }
    q->magic = 0;
    free(q);
}

void queue_call_then(struct queue_call *q, struct queue_call *then, queue_reply fn, void *arg)
{
    assert(q->magic == CALL_MAGIC && then->magic == CALL_MAGIC && !q->then && !then->then); /* two at the most */
    then->reply = fn;
    then->arg = arg;
    q->then = then;
}

/* An op that failed owns nothing, unless it was handed over early; what a successful one returned was allocated by
 * bp_host.alloc, that is, calloc. */
static void args_free(void *args)
{
    struct queue_call *q = args;
    if (q->then)
        args_free(q->then);
    void **memory = bp_op_memory(&q->op);
    if (memory && (q->op.err.rc == BP_OK || q->was_early))
        free(*memory);
    queue_call_free(q);
}

static void replied(void *args, const struct bp_err *err, void *arg)
{
    (void)args; /* on a timeout the actor still writes there; the reply's own members are the loop's */
    struct queue_call *q = arg;
    struct queue_call *then = q->then;
    if (q->reply)
        q->reply(err->rc == BP_TIMEOUT ? NULL : &q->op, err, q->arg);
    if (!then)
        return;
    if (err->rc == BP_TIMEOUT)
        then->reply(NULL, err, then->arg);
    else
        then->reply(&then->op, then->taken ? &then->op.err : err, then->arg);
}

static void foretold(void *args, const struct bp_err *err, void *arg)
{
    struct queue_call *q = arg;
    (void)args;
    q->early(&q->op, err, q->arg);
}

static void ended_late(void *args, const struct bp_err *err, void *arg)
{
    (void)args;
    struct queue_call *q = arg;
    if (q->late)
        q->late(&q->op, err, q->arg);
    if (q->then && q->then->late)
        q->then->late(&q->then->op, &q->then->op.err, q->then->arg);
}

int queue_call_send(struct bus *b, struct queue_call *q, int64_t timeout_ms, queue_reply fn, void *arg,
                    struct bp_err *err)
{
    assert(q->magic == CALL_MAGIC && timeout_ms > 0);
    q->reply = fn;
    q->arg = arg;
    int32_t kind = q->op.kind > 0 && q->op.kind < NAMES ? q->op.kind : 0;
    struct request_spec spec = {
        .service = "queue",
        .name = names[kind],
        .args = q,
        .args_free = args_free,
        .reply = replied,
        .late = ended_late,
        .early = foretold,
        .arg = q,
        .timeout_ms = timeout_ms,
    };
    queue_reply then = q->then ? q->then->reply : NULL;
    void *then_arg = q->then ? q->then->arg : NULL;
    int rc = bus_request(b, &spec, err);
    if (rc != BP_OK && then)
        then(NULL, err, then_arg);
    return rc;
}
