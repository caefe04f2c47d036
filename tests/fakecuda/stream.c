/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams and events. With FAKECUDA_ASYNC=late a stream does nothing before somebody waits for it, and then no more
 * than is waited for: the worst a real driver may do to a program that forgot to wait. Without it all is done at once.
 */
#include "fake.h"

#include <stdlib.h>
#include <string.h>

enum op_kind { OP_COPY = 1, OP_LAUNCH, OP_RECORD, OP_WAIT };

struct fake_event {
    struct fake_stream *stream; /* of the last record */
    uint64_t recorded, reached;
};

struct op {
    enum op_kind kind;
    struct op *next;
    void *to;
    const void *from;
    size_t n;
    char name[128];
    struct bp_grid grid;
    struct fake_event *event;
    uint64_t record;
    _Alignas(16) unsigned char args[BP_ARGS_MAX];
};

struct fake_stream {
    struct fake_stream *next;
    struct op *first, **last;
};

static struct fake_stream *streams;

EXPORT CUresult cuStreamCreate(CUstream *stream, unsigned int flags);
EXPORT CUresult cuStreamDestroy_v2(CUstream stream);
EXPORT CUresult cuStreamSynchronize(CUstream stream);
EXPORT CUresult cuCtxSynchronize(void);
EXPORT CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags);
EXPORT CUresult cuEventCreate(CUevent *event, unsigned int flags);
EXPORT CUresult cuEventDestroy_v2(CUevent event);
EXPORT CUresult cuEventRecord(CUevent event, CUstream stream);
EXPORT CUresult cuEventSynchronize(CUevent event);

static int is_late(void)
{
    const char *mode = getenv("FAKECUDA_ASYNC");
    return mode && strcmp(mode, "late") == 0;
}

static void run_first(struct fake_stream *s);

static void reach(struct fake_event *e, uint64_t record)
{
    while (e->reached < record && e->stream && e->stream->first)
        run_first(e->stream);
}

static void run_op(const struct op *op)
{
    if (op->kind == OP_COPY)
        memcpy(op->to, op->from, op->n);
    else if (op->kind == OP_LAUNCH)
        fake_run_kernel(op->name, op->grid, op->args);
    else if (op->kind == OP_RECORD)
        op->event->reached = op->record;
    else
        reach(op->event, op->record);
}

static void run_first(struct fake_stream *s)
{
    struct op *op = s->first;
    s->first = op->next;
    if (!s->first)
        s->last = &s->first;
    run_op(op);
    free(op);
}

static void drain(struct fake_stream *s)
{
    while (s->first)
        run_first(s);
}

void fake_drain(void)
{
    for (struct fake_stream *s = streams; s; s = s->next)
        drain(s);
}

static struct op *add(CUstream stream, enum op_kind kind)
{
    struct fake_stream *s = (struct fake_stream *)(void *)stream;
    struct op *op = calloc(1, sizeof *op);
    if (!op)
        abort();
    op->kind = kind;
    *s->last = op;
    s->last = &op->next;
    return op;
}

static CUresult begin(CUstream stream)
{
    if (!is_late())
        drain((struct fake_stream *)(void *)stream);
    return CUDA_SUCCESS;
}

CUresult fake_copy(CUstream stream, void *to, const void *from, size_t n)
{
    if (!stream) {
        fake_drain();
        memcpy(to, from, n);
        return CUDA_SUCCESS;
    }
    struct op *op = add(stream, OP_COPY);
    op->to = to;
    op->from = from;
    op->n = n;
    return begin(stream);
}

CUresult fake_launch(CUstream stream, const char *name, struct bp_grid grid, const void *args)
{
    if (!stream) {
        fake_drain();
        fake_run_kernel(name, grid, args);
        return CUDA_SUCCESS;
    }
    struct op *op = add(stream, OP_LAUNCH);
    uint32_t n = fake_args_bytes(name);
    strncpy(op->name, name, sizeof op->name - 1);
    op->grid = grid;
    memcpy(op->args, args, n < sizeof op->args ? n : sizeof op->args);
    return begin(stream);
}

CUresult cuStreamCreate(CUstream *stream, unsigned int flags)
{
    fake_record("cuStreamCreate %u", flags);
    CUresult r = fake_answer("cuStreamCreate", fake_need_context());
    if (r != CUDA_SUCCESS)
        return r;
    struct fake_stream *s = calloc(1, sizeof *s);
    if (!s)
        return (CUresult)OUT_OF_MEMORY;
    s->last = &s->first;
    s->next = streams;
    streams = s;
    fake_live(1);
    *stream = (CUstream)(void *)s;
    return CUDA_SUCCESS;
}

CUresult cuStreamDestroy_v2(CUstream stream)
{
    struct fake_stream *s = (struct fake_stream *)(void *)stream;
    fake_record("cuStreamDestroy");
    drain(s);
    for (struct fake_stream **p = &streams; *p; p = &(*p)->next) {
        if (*p == s) {
            *p = s->next;
            break;
        }
    }
    free(s);
    fake_live(-1);
    return fake_answer("cuStreamDestroy_v2", 0);
}

CUresult cuStreamSynchronize(CUstream stream)
{
    fake_record("cuStreamSynchronize %s", stream ? "stream" : "default");
    if (stream) /* of the default stream nothing waits here: its own work is done at once, and no more is promised */
        drain((struct fake_stream *)(void *)stream);
    return fake_answer("cuStreamSynchronize", fake_need_context());
}

CUresult cuCtxSynchronize(void)
{
    fake_record("cuCtxSynchronize");
    fake_drain();
    return fake_answer("cuCtxSynchronize", fake_need_context());
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags)
{
    struct fake_event *e = (struct fake_event *)(void *)event;
    fake_record("cuStreamWaitEvent %u", flags);
    CUresult r = fake_answer("cuStreamWaitEvent", fake_need_context());
    if (r != CUDA_SUCCESS || e->recorded == e->reached)
        return r;
    struct op *op = add(stream, OP_WAIT);
    op->event = e;
    op->record = e->recorded;
    return begin(stream);
}

CUresult cuEventCreate(CUevent *event, unsigned int flags)
{
    fake_record("cuEventCreate %u", flags);
    CUresult r = fake_answer("cuEventCreate", fake_need_context());
    if (r != CUDA_SUCCESS)
        return r;
    struct fake_event *e = calloc(1, sizeof *e);
    if (!e)
        return (CUresult)OUT_OF_MEMORY;
    fake_live(1);
    *event = (CUevent)(void *)e;
    return CUDA_SUCCESS;
}

/* The driver lets an event go once nothing needs it any more. */
CUresult cuEventDestroy_v2(CUevent event)
{
    fake_record("cuEventDestroy");
    fake_drain();
    free(event);
    fake_live(-1);
    return fake_answer("cuEventDestroy_v2", 0);
}

CUresult cuEventRecord(CUevent event, CUstream stream)
{
    struct fake_event *e = (struct fake_event *)(void *)event;
    fake_record("cuEventRecord");
    CUresult r = fake_answer("cuEventRecord", fake_need_context());
    if (r != CUDA_SUCCESS)
        return r;
    struct op *op = add(stream, OP_RECORD);
    e->stream = (struct fake_stream *)(void *)stream;
    op->event = e;
    op->record = ++e->recorded;
    return begin(stream);
}

CUresult cuEventSynchronize(CUevent event)
{
    struct fake_event *e = (struct fake_event *)(void *)event;
    fake_record("cuEventSynchronize");
    reach(e, e->recorded);
    return fake_answer("cuEventSynchronize", fake_need_context());
}
