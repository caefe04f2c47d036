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
#define WHO          "external"

/* What such a row has and no other. */
struct foreign {
    const char *key, *mime;
};

static int32_t foreign_read(struct store *s, int64_t id, struct foreign *f)
{
    struct reply r;
    *f = (struct foreign){0};
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT input_key, input_mime FROM ai_job_dispatches WHERE id=%l", id);
    int32_t rc = query_one(s, &s->q, &r);
    if (!rc && reply_next(&r)) {
        f->key = r.row[0] ? mem_text(&s->mem, r.row[0], strlen(r.row[0])) : NULL;
        f->mime = r.row[1] ? mem_text(&s->mem, r.row[1], strlen(r.row[1])) : NULL;
        if ((r.row[0] && !f->key) || (r.row[1] && !f->mime))
            rc = store_nomem(s);
    }
    reply_done(&r);
    return rc;
}

/* Is the key an object of this tenant? No part of it may lead elsewhere. */
static bool key_fits(const char *key, const char *tenant)
{
    size_t n = strlen(tenant);
    if (strncmp(key, "tenants/", 8) != 0 || strncmp(key + 8, tenant, n) != 0 || key[8 + n] != '/' || !key[9 + n])
        return false;
    for (const char *part = key; part; part = strchr(part, '/')) {
        part += *part == '/';
        size_t length = strcspn(part, "/");
        if (length == 0 || (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.'))
            return false;
    }
    return true;
}

/* Why the row cannot become a job, "": it can. */
static void judge(const struct job *j, const struct foreign *f, char why[256])
{
    const struct bp_job_row *r = &j->row;
    *why = 0;
    if (!*r->tenant)
        snprintf(why, 256, "inserted with tenant_id %lld, which is not in tenants", (long long)j->tenant_id);
    else if (!*r->workflow)
        snprintf(why, 256, "inserted with workflow_id %lld, which is not in workflows", (long long)j->workflow_id);
    else if (j->effect_id && !r->effect)
        snprintf(why, 256, "inserted with effect_id %lld, which is not in effects", (long long)j->effect_id);
    else if (r->priority < -PRIORITY_MAX || r->priority > PRIORITY_MAX)
        snprintf(why, 256, "inserted with priority %d; it must be from -%d to %d", r->priority, PRIORITY_MAX,
                 PRIORITY_MAX);
    else if (r->max_attempts < 1)
        snprintf(why, 256, "inserted with max_attempts %d; it must be 1 or more", r->max_attempts);
    else if (f->key && !key_fits(f->key, r->tenant))
        snprintf(why, 256, "inserted with input_key '%.80s'; it must be below tenants/%.80s/", f->key, r->tenant);
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

/* The times of a row that was just submitted, in the table too: the flush does not write them. */
static int32_t begin(struct store *s, struct job *j, int64_t now_ms)
{
    struct bp_job_row *r = &j->row;
    j->foreign = false;
    r->created_ms = r->updated_ms = now_ms;
    r->status = r->not_before_ms > now_ms ? BP_JOB_SCHEDULED : BP_JOB_QUEUED;
    j->queued_ms = r->not_before_ms > now_ms ? r->not_before_ms : now_ms;
    j->sort_key = 0;
    j->saved_status = 0;
    sql_clear(&s->q);
    sql_add(&s->q, "UPDATE ai_job_dispatches SET created_ms=%l WHERE id=%l", now_ms, r->id);
    int32_t rc = query_run(s, &s->q);
    rc = rc ? rc : counter_add(s, j->workflow_id, now_ms, COUNT_SUBMITTED);
    rc = rc ? rc : job_event(s, j, now_ms, EVENT_SUBMITTED, WHO, NULL);
    return rc ? rc : content_submit(s, j);
}

int32_t job_adopt(struct store *s, struct job *j, int64_t now_ms)
{
    struct foreign f;
    char why[256];
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
        const char *error = mem_text(&s->mem, why, strlen(why));
        if (!error)
            return store_nomem(s);
        job_to_end(j, now_ms, BP_JOB_FAILED, error);
        counter_arrival(s, j->workflow_id); /* it did count as one, see watch.c */
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
            "SELECT d.id FROM ai_job_dispatches d FORCE INDEX (dispatches_due) WHERE d.status IN (1,2) AND d.due_of %r "
            "(%r) AND d.due_ms=0",
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
