/* SPDX-License-Identifier: Apache-2.0 */
#include "adopt.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "content.h"
#include "counters.h"
#include "ops.h"
#include "timeline.h"

#define PRIORITY_MAX 1000
#define KEY_BYTES    1024 /* of an object's key, and of a part of it */
#define PART_BYTES   255
#define WHY_BYTES    400
#define MOMENT_MAX   INT64_C(253402300799999) /* the end of the year 9999 */
#define WHO          "external"

/* What such a row has and no other. */
struct foreign {
    const char *key, *mime;
    const char *own; /* the first column with a value that is not for others to give, or NULL */
};

/* The columns that are the queue's own, as long as they have their defaults: of the first 0, of the others NULL. */
static const char *const OWN_NUMBERS[] = {
    "created_ms",  "updated_ms", "due_ms",    "queued_ms",        "leased_ms",        "first_leased_ms", "wait_ms",
    "finished_ms", "attempts",   "requeues",  "cancel_requested", "ended_by",         "worker_id",       "sort_key",
    "share_tag",   "flags",      "waits_for", "progress",         "duration_seconds",
};
static const char *const OWN_TEXTS[] = {
    "lease_token", "output_suffix", "last_error", "progress_text", "checkpoint_key",
};
#define N_NUMBERS (sizeof OWN_NUMBERS / sizeof OWN_NUMBERS[0])
#define N_TEXTS   (sizeof OWN_TEXTS / sizeof OWN_TEXTS[0])

/* Adds an expression: the name of the first of them that has another value. */
static void given_text(struct sql *q)
{
    sql_add(q, "CASE");
    for (size_t i = 0; i < N_NUMBERS; i++)
        sql_add(q, " WHEN %r<>0 THEN '%r'", OWN_NUMBERS[i], OWN_NUMBERS[i]);
    for (size_t i = 0; i < N_TEXTS; i++)
        sql_add(q, " WHEN %r IS NOT NULL THEN '%r'", OWN_TEXTS[i], OWN_TEXTS[i]);
    sql_add(q, " END");
}

/* Adds assignments that give all of them their defaults, each with a comma behind. */
static void empty_text(struct sql *q)
{
    for (size_t i = 0; i < N_NUMBERS; i++)
        sql_add(q, "%r=0,", OWN_NUMBERS[i]);
    for (size_t i = 0; i < N_TEXTS; i++)
        sql_add(q, "%r=NULL,", OWN_TEXTS[i]);
}

static int32_t foreign_read(struct store *s, int64_t id, struct foreign *f)
{
    struct reply r;
    *f = (struct foreign){0};
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT input_key, input_mime, ");
    given_text(&s->q);
    sql_add(&s->q, " FROM ai_job_dispatches WHERE id=%l", id);
    int32_t rc = query_one(s, &s->q, &r);
    if (!rc && reply_next(&r)) {
        f->key = r.row[0] ? mem_text(&s->mem, r.row[0], strlen(r.row[0])) : NULL;
        f->mime = r.row[1] ? mem_text(&s->mem, r.row[1], strlen(r.row[1])) : NULL;
        f->own = r.row[2] ? mem_text(&s->mem, r.row[2], strlen(r.row[2])) : NULL;
        if ((r.row[0] && !f->key) || (r.row[1] && !f->mime) || (r.row[2] && !f->own))
            rc = store_nomem(s);
    }
    reply_done(&r);
    return rc;
}

/* May the part of a key that begins here stand in one, and lead nowhere else? */
static bool part_fits(const char *part, size_t n)
{
    bool dots = (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.');
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)part[i] < ' ' || part[i] == 127 || part[i] == '\\')
            return false;
    return n >= 1 && n <= PART_BYTES && !dots;
}

/* Is the key one that an object of this tenant can have, as a submit would take it? */
static bool key_fits(const char *key, const char *tenant)
{
    size_t n = strlen(tenant);
    if (strncmp(key, "tenants/", 8) != 0 || strncmp(key + 8, tenant, n) != 0 || key[8 + n] != '/' ||
        strlen(key) > KEY_BYTES)
        return false;
    for (const char *part = key; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (!part_fits(part, strcspn(part, "/")))
            return false;
    }
    return true;
}

/* Why the row cannot become a job, "": it can. */
static void judge(const struct job *j, const struct foreign *f, char why[WHY_BYTES])
{
    const struct bp_job_row *r = &j->row;
    *why = 0;
    if (!*r->tenant)
        snprintf(why, WHY_BYTES, "inserted with tenant_id %lld, which is not in tenants", (long long)j->tenant_id);
    else if (!*r->workflow)
        snprintf(why, WHY_BYTES, "inserted with workflow_id %lld, which is not in workflows",
                 (long long)j->workflow_id);
    else if (!r->status)
        snprintf(why, WHY_BYTES, "inserted with a status that is none; leave it out");
    else if (r->status == BP_JOB_LEASED)
        snprintf(why, WHY_BYTES, "inserted with status leased; leave it out");
    else if (f->own)
        snprintf(why, WHY_BYTES, "inserted with a value in %s, which is the queue's own; leave it out", f->own);
    else if (j->effect_id && !r->effect)
        snprintf(why, WHY_BYTES, "inserted with effect_id %lld, which is not in effects", (long long)j->effect_id);
    else if (r->priority < -PRIORITY_MAX || r->priority > PRIORITY_MAX)
        snprintf(why, WHY_BYTES, "inserted with priority %d; it must be from -%d to %d", r->priority, PRIORITY_MAX,
                 PRIORITY_MAX);
    else if (r->max_attempts < 1)
        snprintf(why, WHY_BYTES, "inserted with max_attempts %d; it must be 1 or more", r->max_attempts);
    else if (r->not_before_ms > MOMENT_MAX)
        snprintf(why, WHY_BYTES,
                 "inserted with not_before_ms %lld; it must be milliseconds since 1970, before the year 10000",
                 (long long)r->not_before_ms);
    else if (f->key && !key_fits(f->key, r->tenant))
        snprintf(
            why, WHY_BYTES,
            "inserted with input_key '%.80s'; it must be below tenants/%.80s/, at most %d bytes, parts at most %d, "
            "no control characters or backslashes",
            f->key, r->tenant, KEY_BYTES, PART_BYTES);
}

/* The inputs as a submit would have given them. */
static int32_t inputs_make(struct store *s, struct job *j, const struct foreign *f)
{
    j->row.params = "{}";
    j->row.inputs = "[]";
    j->content = true;
    if (!f->key)
        return BP_OK;
    struct json_object *list = json_object_new_array(), *input = json_object_new_object();
    const char *slash = strrchr(f->key, '/');
    json_object_object_add(input, "key", json_object_new_string(f->key));
    if (f->mime)
        json_object_object_add(input, "mime", json_object_new_string(f->mime));
    json_object_object_add(input, "name", json_object_new_string(slash ? slash + 1 : f->key));
    json_object_array_add(list, input);
    const char *text = json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    j->row.inputs = text ? mem_text(&s->mem, text, strlen(text)) : NULL;
    json_object_put(list);
    return j->row.inputs ? BP_OK : store_nomem(s);
}

static int32_t within(int32_t value, int32_t limit)
{
    return value < -limit ? -limit : value > limit ? limit : value;
}

/* Nothing of what is the queue's own. */
static void empty(struct job *j)
{
    struct bp_job_row *r = &j->row;
    r->attempts = r->requeues = r->cancel_requested = r->waits_for = 0;
    r->leased_ms = r->first_leased_ms = r->finished_ms = r->lease_expires_ms = 0;
    r->progress = j->duration_s = j->share_tag = 0;
    r->worker = r->lease_token = r->output_key = r->error = r->progress_text = r->checkpoint_key = j->suffix = NULL;
    j->worker_no = j->saved_worker = j->wait_ms = 0;
    j->ended_by = j->flags = j->sort_key = 0;
}

/* The times of a row that was just submitted, in the table too: the flush does not write all of it, and cannot write a
 * row whose times are beyond what the columns made of them can have. */
static int32_t begin(struct store *s, struct job *j, int64_t now_ms)
{
    struct bp_job_row *r = &j->row;
    empty(j);
    j->foreign = false;
    r->priority =
        within(r->priority, PRIORITY_MAX); /* -32768 has no negative for queue_order: no write of it succeeds */
    r->not_before_ms = r->not_before_ms > MOMENT_MAX ? 0 : r->not_before_ms;
    r->created_ms = r->updated_ms = now_ms;
    r->status = r->not_before_ms > now_ms ? BP_JOB_SCHEDULED : BP_JOB_QUEUED;
    j->queued_ms = r->not_before_ms > now_ms ? r->not_before_ms : now_ms;
    j->saved_status = 0;
    sql_clear(&s->q);
    sql_add(&s->q, "UPDATE ai_job_dispatches SET ");
    empty_text(&s->q);
    sql_add(&s->q, "status=%i, priority=%i, created_ms=%l WHERE id=%l", r->status, r->priority, now_ms, r->id);
    int32_t rc = query_run(s, &s->q);
    rc = rc ? rc : counter_add(s, j->workflow_id, now_ms, COUNT_SUBMITTED);
    rc = rc ? rc : job_event(s, j, now_ms, EVENT_SUBMITTED, WHO, NULL);
    return rc ? rc : content_submit(s, j);
}

int32_t job_adopt(struct store *s, struct job *j, int64_t now_ms)
{
    struct foreign f;
    char why[WHY_BYTES];
    bool counts = j->row.status == BP_JOB_QUEUED; /* as an arrival, see watch.c */
    if (!j->foreign)
        return BP_OK;
    int32_t rc = foreign_read(s, j->row.id, &f);
    if (rc)
        return rc;
    judge(j, &f, why);
    if (*why)
        f.key = NULL; /* or a retry by hand would hand out what belongs to another */
    rc = inputs_make(s, j, &f);
    rc = rc ? rc : begin(s, j, now_ms);
    if (!rc && *why) {
        const char *clean = text_clean(&s->mem, why, WHY_BYTES); /* a name may have been cut within a character */
        const char *error = mem_text(&s->mem, clean, strlen(clean));
        if (!error)
            return store_nomem(s);
        job_to_end(j, now_ms, BP_JOB_FAILED, error);
        if (counts)
            counter_arrival(s, j->workflow_id);
        rc = counter_add(s, j->workflow_id, now_ms, COUNT_FAILED);
        rc = rc ? rc : job_event(s, j, now_ms, EVENT_FAILED, WHO, error);
    }
    return rc ? rc : job_save(s, j, now_ms);
}

/* Looks at one place in the index for each state and workflow, and between those of the workflows that are known: so
 * this costs nothing however long the queues are, and a row of an unknown workflow is found like any other. No
 * statistics of the server decide how. */
static void foreign_text(struct store *s, bool unknown)
{
    sql_clear(&s->q);
    sql_add(&s->q,
            "SELECT d.id FROM ai_job_dispatches d FORCE INDEX (dispatches_due) WHERE d.status IN (0,1,2) AND "
            "d.due_of %r (%r) AND d.due_ms=0",
            unknown ? "NOT IN" : "IN", s->workflow_list.n ? s->workflow_list.text : "0");
}

int32_t adopt_look(struct store *s, bool *any)
{
    int64_t id = 0;
    int32_t rc = workflow_list(s);
    for (int unknown = 0; !rc && !id && unknown < 2; unknown++) {
        foreign_text(s, unknown);
        sql_add(&s->q, " LIMIT 1");
        rc = query_int(s, &s->q, &id);
    }
    *any = id != 0;
    return rc;
}

int32_t adopt_find(struct store *s, uint32_t limit, int64_t *ids, uint32_t *n)
{
    int32_t rc = workflow_list(s);
    *n = 0;
    for (int unknown = 0; !rc && *n < limit && unknown < 2; unknown++) {
        struct reply r;
        foreign_text(s, unknown);
        pools_only_up(s, &s->q, "d.tenant_id");
        sql_add(&s->q, " LIMIT %l FOR UPDATE SKIP LOCKED", (int64_t)(limit - *n));
        rc = query_one(s, &s->q, &r);
        while (!rc && *n < limit && reply_next(&r))
            ids[(*n)++] = column_int(&r, 0);
        reply_done(&r);
    }
    return rc;
}
