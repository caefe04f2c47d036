/* SPDX-License-Identifier: Apache-2.0 */
/* bpd's HTTP: jobs by POST /api/jobs, workers by the worker protocol (docs/protocol.md). */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "http.h"

static void post(struct run *r, const char *path, const char *header, struct buffer *out)
{
    http_post(out, r->client.host, path, header, &r->body);
    r->body.n = 0;
}

static void submit(struct run *r, int64_t first, struct buffer *out)
{
    const struct options *o = &r->opt;
    (void)first;
    if (o->submit_batch > 1)
        buffer_print(&r->body, "{\"jobs\":[");
    for (int i = 0; i < o->submit_batch; i++)
        buffer_print(&r->body, "%s{\"workflow\":\"%s\",\"params\":%s}", i ? "," : "", o->workflow, o->params);
    if (o->submit_batch > 1)
        buffer_print(&r->body, "]}");
    post(r, "/api/jobs", r->tenant_header, out);
}

static void lease(const struct worker *w, struct buffer *out)
{
    const struct options *o = &w->run->opt;
    struct buffer *body = &w->run->body;
    buffer_print(body, "{\"worker_id\":\"%s\",\"max_concurrency\":%d", w->id, o->batch);
    if (o->poll_ms == 0)
        buffer_print(body, ",\"wait_seconds\":%d", w->idle_poller ? 60 : 2);
    if (o->batch > 1)
        buffer_print(body, ",\"max_jobs\":%d", o->batch);
    buffer_print(body, "}");
    post(w->run, "/api/worker/poll", w->header, out);
}

static void complete(const struct worker *w, const struct item *items, int n, struct buffer *out)
{
    struct buffer *body = &w->run->body;
    bool batch = w->run->opt.complete_batch > 1, next = w->run->opt.take_next && !w->run->stopping;
    if (batch)
        buffer_print(body, "{\"results\":[");
    for (int i = 0; i < n; i++)
        buffer_print(
            body,
            "%s{\"dispatch_id\":%lld,\"lease_token\":\"%s\",\"worker_id\":\"%s\",\"provider_job_id\":\"bench\","
            "\"output\":{\"size\":0,\"mime_type\":\"application/octet-stream\"}%s",
            i ? "," : "", (long long)items[i].id, items[i].lease, w->id, next ? "" : "}");
    if (next)
        buffer_print(body, ",\"poll\":{\"worker_id\":\"%s\",\"max_concurrency\":1}}", w->id);
    if (batch)
        buffer_print(body, "]}");
    post(w->run, "/api/worker/complete", w->header, out);
}

/* ---- answers ---- */

/* The ids of the jobs taken: of the one, or of each of a batch. */
static void submitted(const struct request *q, struct answer *a)
{
    for (const char *p = a->text; a->n_items < q->n && (p = strstr(p, "\"id\":")); p++)
        a->items[a->n_items++] = (struct item){.id = json_pick_int(p, "id", 0), .verdict = VERDICT_GOOD};
    if (q->n > 1)
        a->refused = (uint64_t)json_pick_int(a->text, "refused", 0);
    else if (a->n_items == 0)
        a->verdict = VERDICT_BAD;
}

static bool read_lease(const char *text, struct item *item)
{
    *item = (struct item){.id = json_pick_int(text, "dispatch_id", 0), .verdict = VERDICT_GOOD};
    return item->id && json_pick_text(text, "lease_token", item->lease, sizeof item->lease);
}

static void leased(const struct request *q, struct answer *a)
{
    /* With max_jobs the answer holds the first job twice, as "job" and in "jobs". */
    const char *jobs = q->n > 1 ? strstr(a->text, "\"jobs\"") : NULL;
    for (const char *p = jobs ? jobs : a->text; a->n_items < q->n && (p = strstr(p, "\"dispatch_id\"")); p++) {
        a->n_items += read_lease(p, &a->items[a->n_items]);
        if (!jobs)
            break;
    }
    if (a->n_items == 0)
        a->verdict = VERDICT_EMPTY;
}

static enum verdict outcome(const char *text)
{
    char word[32];
    if (!json_pick_text(text, "outcome", word, sizeof word))
        return VERDICT_BAD;
    return strcmp(word, "completed") == 0 ? VERDICT_GOOD : strcmp(word, "later") == 0 ? VERDICT_LATER : VERDICT_BAD;
}

/* Each result of a batch, in the order sent. A single result has no list: its answer is about the one. */
static void completed(const struct request *q, struct answer *a)
{
    const char *p = strstr(a->text, "\"outcome\":");
    for (; a->n_items < q->n && p; p = strstr(p + 1, "\"outcome\":"))
        a->items[a->n_items++].verdict = outcome(p);
    if (a->n_items == 0 && q->n == 1)
        a->items[a->n_items++].verdict = VERDICT_GOOD;
    const char *poll = strstr(a->text, "\"poll\"");
    a->has_next = poll && read_lease(poll, &a->next);
    if (a->n_items != q->n)
        a->verdict = VERDICT_BAD;
}

static enum verdict verdict_of(int status)
{
    if (status == 200 || status == 201)
        return VERDICT_GOOD;
    return status == 503 || status == 429 ? VERDICT_LATER : VERDICT_BAD;
}

static long read_answer(const struct request *q, char *bytes, size_t n, struct answer *a)
{
    struct http h;
    long length = http_read(bytes, n, &h);
    if (length <= 0)
        return length;
    a->status = h.status;
    a->retry_after_s = h.retry_after_s;
    a->closes = h.closes;
    a->text = h.body;
    a->verdict = verdict_of(h.status);
    if (a->verdict != VERDICT_GOOD)
        return length;
    if (q->kind == REQUEST_SUBMIT)
        submitted(q, a);
    else if (q->kind == REQUEST_LEASE)
        leased(q, a);
    else if (q->kind == REQUEST_COMPLETE)
        completed(q, a);
    return length;
}

const struct peer PEER_BPD = {
    .name = "bpd",
    .scheme = "http",
    .port = "80",
    .secrets = true,
    .batches = true,
    .takes_next = true,
    .join = workers_register,
    .leave = workers_deregister,
    .submit = submit,
    .lease = lease,
    .complete = complete,
    .read = read_answer,
};
