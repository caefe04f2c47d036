/* SPDX-License-Identifier: Apache-2.0 */
#include "timeline.h"

#include <stdio.h>
#include <string.h>

static const char *const WORDS[EVENT_MAX + 1] = {
    [EVENT_SUBMITTED] = "submitted",   [EVENT_LEASED] = "leased",           [EVENT_PROGRESS] = "progress",
    [EVENT_CHECKPOINT] = "checkpoint", [EVENT_REQUEUED] = "requeued",       [EVENT_EXPIRED] = "expired",
    [EVENT_RETRY] = "retry",           [EVENT_COMPLETED] = "completed",     [EVENT_FAILED] = "failed",
    [EVENT_CANCELLED] = "cancelled",   [EVENT_CANCEL] = "cancel requested", [EVENT_DUE] = "due",
    [EVENT_WEBHOOK] = "webhook",
};

const char *who_worker(struct store *s, const char *worker_id)
{
    size_t room = strlen(worker_id) + sizeof "worker:";
    char *who = mem_alloc(&s->mem, room);
    if (!who)
        return "worker";
    snprintf(who, room, "worker:%s", worker_id);
    return who;
}

static int32_t append(struct store *s, int64_t job_id, int64_t previous, int64_t at_ms, int what, const char *who,
                      const char *detail)
{
    return statement_run(s, ST_EVENT_INSERT, "lllliss", s->next_seq++, job_id, previous, at_ms, what,
                         who ? who : "queue", detail);
}

int32_t job_event(struct store *s, struct job *j, int64_t at_ms, int what, const char *who, const char *detail)
{
    int64_t seq = s->next_seq;
    int32_t rc = append(s, j->row.id, j->last_event, at_ms, what, who, detail);
    if (rc == BP_OK)
        j->last_event = seq;
    return rc;
}

int32_t job_event_first(struct store *s, int64_t job_id, int64_t at_ms, const char *who, const char *detail)
{
    return append(s, job_id, 0, at_ms, EVENT_SUBMITTED, who, detail);
}

static int32_t read_line(struct store *s, sqlite3_stmt *q, struct bp_job_event *e)
{
    const unsigned char *detail = sqlite3_column_text(q, 6);
    int what = sqlite3_column_int(q, 4);
    memset(e, 0, sizeof *e);
    e->size = sizeof *e;
    e->seq = sqlite3_column_int64(q, 0);
    e->job_id = sqlite3_column_int64(q, 1);
    e->at_ms = sqlite3_column_int64(q, 3);
    e->what = what > 0 && what <= EVENT_MAX ? WORDS[what] : "other";
    e->who = mem_text(&s->mem, sqlite3_column_text(q, 5), (size_t)sqlite3_column_bytes(q, 5));
    e->detail = detail ? mem_text(&s->mem, detail, (size_t)sqlite3_column_bytes(q, 6)) : NULL;
    if (!e->who || (detail && !e->detail))
        return store_fail(s, BP_NOMEM, "out of memory while reading a timeline");
    return BP_OK;
}

/* Counts the lines after after_seq and says which is the newest of the oldest `limit` of them. */
static int32_t measure(struct store *s, int64_t *newest, int64_t after_seq, uint32_t limit, uint32_t *n)
{
    int64_t last = *newest;
    *n = 0;
    for (int64_t seq = *newest; seq > after_seq;) {
        sqlite3_stmt *q = statement_query(s, ST_EVENT_PREVIOUS, "l", seq);
        int32_t rc = statement_next(s, q);
        int64_t previous = rc > 0 ? sqlite3_column_int64(q, 0) : 0;
        statement_done(q);
        if (rc < 0)
            return rc;
        if (rc == 0)
            break;
        ++*n;
        seq = previous;
    }
    for (uint32_t skip = *n > limit ? *n - limit : 0; skip > 0; skip--) {
        sqlite3_stmt *q = statement_query(s, ST_EVENT_PREVIOUS, "l", last);
        int32_t rc = statement_next(s, q);
        last = rc > 0 ? sqlite3_column_int64(q, 0) : 0;
        statement_done(q);
        if (rc < 0)
            return rc;
    }
    *n = *n < limit ? *n : limit;
    *newest = last;
    return BP_OK;
}

int32_t timeline_read(struct store *s, int64_t newest, int64_t after_seq, uint32_t limit, struct bp_job_event **events,
                      uint32_t *n)
{
    int32_t rc = measure(s, &newest, after_seq, limit, n);
    if (rc)
        return rc;
    *events = mem_alloc(&s->mem, *n * sizeof **events + 1);
    if (!*events)
        return store_fail(s, BP_NOMEM, "out of memory while reading a timeline");
    int64_t seq = newest;
    for (uint32_t i = *n; i-- > 0;) {
        sqlite3_stmt *q = statement_query(s, ST_EVENT_LOAD, "l", seq);
        rc = statement_next(s, q);
        seq = rc > 0 ? sqlite3_column_int64(q, 2) : 0;
        rc = rc > 0 ? read_line(s, q, &(*events)[i]) : rc;
        statement_done(q);
        if (rc)
            return rc;
    }
    return BP_OK;
}

int32_t timeline_read_all(struct store *s, int64_t after_seq, uint32_t limit, struct bp_job_event **events, uint32_t *n)
{
    *n = 0;
    *events = mem_alloc(&s->mem, limit * sizeof **events + 1);
    if (!*events)
        return store_fail(s, BP_NOMEM, "out of memory while reading a timeline");
    sqlite3_stmt *q = statement_query(s, ST_EVENTS_AFTER, "ll", after_seq, (int64_t)limit);
    int32_t rc;
    while ((rc = statement_next(s, q)) > 0) {
        rc = read_line(s, q, &(*events)[*n]);
        if (rc)
            break;
        ++*n;
    }
    statement_done(q);
    return rc;
}

int32_t timeline_delete(struct store *s, int64_t newest)
{
    for (int64_t seq = newest; seq > 0;) {
        sqlite3_stmt *q = statement_query(s, ST_EVENT_PREVIOUS, "l", seq);
        int32_t rc = statement_next(s, q);
        int64_t previous = rc > 0 ? sqlite3_column_int64(q, 0) : 0;
        statement_done(q);
        rc = rc < 0 ? rc : statement_run(s, ST_EVENT_DELETE, "l", seq);
        if (rc)
            return rc;
        seq = previous;
    }
    return BP_OK;
}

int32_t timeline_words(struct store *s)
{
    int64_t have;
    int32_t rc = statement_int(s, ST_EVENT_WORD_COUNT, &have, 0);
    for (int i = 1; !rc && have != EVENT_MAX && i <= EVENT_MAX; i++)
        rc = statement_run(s, ST_EVENT_WORD_PUT, "is", i, WORDS[i]);
    return rc;
}
