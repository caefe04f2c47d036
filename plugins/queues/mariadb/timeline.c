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

int32_t job_event(struct store *s, const struct job *j, int64_t at_ms, int what, const char *who, const char *detail)
{
    struct sql *q = &s->batch.events;
    sql_comma(q);
    sql_add(q, "(%l,%l,%i,%s,%s)", j->row.id, at_ms, what, text_clean(&s->mem, who ? who : "queue", WHO_MAX),
            text_clean(&s->mem, detail, DETAIL_MAX));
    return batch_spill(s);
}

static int32_t read_line(struct store *s, const struct reply *r, struct bp_job_event *e)
{
    int what = (int)column_int(r, 3);
    memset(e, 0, sizeof *e);
    e->size = sizeof *e;
    e->seq = column_int(r, 0);
    e->job_id = column_int(r, 1);
    e->at_ms = column_int(r, 2);
    e->what = what > 0 && what <= EVENT_MAX ? WORDS[what] : "other";
    e->who = mem_text(&s->mem, r->row[4], strlen(r->row[4]));
    e->detail = r->row[5] ? mem_text(&s->mem, r->row[5], strlen(r->row[5])) : NULL;
    return e->who && (e->detail || !r->row[5]) ? BP_OK : store_nomem(s);
}

int32_t timeline_read(struct store *s, int64_t job_id, int64_t after_seq, uint32_t limit, struct bp_job_event **events,
                      uint32_t *n)
{
    struct reply r;
    *n = 0;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT seq, job_id, at_ms, what, who, detail FROM job_events WHERE seq > %l", after_seq);
    if (job_id)
        sql_add(&s->q, " AND job_id = %l", job_id);
    sql_add(&s->q, " ORDER BY seq LIMIT %l", (int64_t)limit);
    int32_t rc = query_one(s, &s->q, &r);
    size_t rows = rc ? 0 : (size_t)mysql_num_rows(r.result);
    *events = mem_alloc(&s->mem, rows * sizeof **events + 1);
    if (!rc && !*events)
        rc = store_nomem(s);
    while (!rc && reply_next(&r))
        rc = read_line(s, &r, &(*events)[(*n)++]);
    reply_done(&r);
    return rc;
}

void timeline_words(struct sql *q)
{
    sql_add(q, "INSERT IGNORE INTO job_event_words (id, word) VALUES ");
    for (int i = 1; i <= EVENT_MAX; i++)
        sql_add(q, i > 1 ? ",(%i,%s)" : "(%i,%s)", i, WORDS[i]);
}
