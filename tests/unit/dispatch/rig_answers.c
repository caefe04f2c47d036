/* SPDX-License-Identifier: Apache-2.0 */
/* rig_answers.c - the engine's doors as a test opens them, and what comes out. */
#include "dispatch/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void answer_reset(struct answer *a)
{
    json_object_put(a->data);
    json_object_put(a->fields);
    worker_auth_free(a->worker);
    memset(a, 0, sizeof *a);
}

void answer_keep(const struct dispatch_answer *from, void *arg)
{
    struct answer *a = arg;
    assert_int_equal(a->done, 0); /* exactly once */
    a->done = 1;
    a->rc = from->rc;
    a->retry_after_s = from->retry_after_s;
    a->over_limit = from->over_limit;
    snprintf(a->message, sizeof a->message, "%s", from->message ? from->message : "");
    a->data = json_object_get(from->data);
    a->fields = json_object_get(from->fields);
}

static void auth_keep(const struct dispatch_answer *from, struct worker_auth *w, void *arg)
{
    answer_keep(from, arg);
    ((struct answer *)arg)->worker = w;
}

const char *field_message(const struct answer *a, const char *field)
{
    struct json_object *list = json_member(a->fields, field);
    return list ? json_object_get_string(json_object_array_get_idx(list, 0)) : "";
}

void do_submit(struct rig *r, const char *body, struct answer *a)
{
    struct json_object *o = js(body);
    answer_reset(a);
    dispatch_submit(r->d, "acme", "tenant:acme", o, answer_keep, a);
    assert_int_equal(a->done, 0); /* never before the call returned */
    json_object_put(o);
    rig_wait(r, a);
}

int64_t submit_ok(struct rig *r, const char *body)
{
    struct answer a = {0};
    do_submit(r, body, &a);
    if (a.rc != BP_OK)
        fail_msg("submit: %d %s %s", a.rc, a.message, json_text(a.fields));
    int64_t id = json_int(a.data, "id", 0);
    assert_true(id > 0);
    answer_reset(&a);
    return id;
}

void do_get(struct rig *r, int64_t id, struct answer *a)
{
    answer_reset(a);
    dispatch_job_get(r->d, "acme", id, 1, answer_keep, a);
    rig_wait(r, a);
}

const char *status_of(struct rig *r, int64_t id)
{
    static char status[32];
    struct answer a = {0};
    do_get(r, id, &a);
    assert_int_equal(a.rc, BP_OK);
    snprintf(status, sizeof status, "%s", json_str(a.data, "status", ""));
    answer_reset(&a);
    return status;
}

struct worker_auth *worker_with_token(struct rig *r, const char *token)
{
    struct answer a = {0};
    dispatch_authenticate(r->d, token, auth_keep, &a);
    rig_wait(r, &a);
    struct worker_auth *w = a.worker;
    a.worker = NULL;
    answer_reset(&a);
    return w;
}

struct worker_auth *worker_in(struct rig *r, const char *id, const char *fleet)
{
    char body[512];
    struct answer a = {0};
    snprintf(body, sizeof body, "{'worker_id':'%s','fleet_slug':'%s','stage':'local','max_concurrency':4}", id, fleet);
    do_worker(r, dispatch_worker_register, NULL, body, &a);
    if (a.rc != BP_OK)
        fail_msg("register: %d %s %s", a.rc, a.message, json_text(a.fields));
    struct worker_auth *w = worker_with_token(r, json_str(a.data, "token", ""));
    assert_non_null(w);
    answer_reset(&a);
    return w;
}

void begin_worker(struct rig *r, worker_door door, const struct worker_auth *w, const char *body, struct answer *a)
{
    struct json_object *o = body ? js(body) : NULL;
    struct worker_call c = {.worker = w, .body = o, .ip = "127.0.0.1"};
    answer_reset(a);
    door(r->d, &c, answer_keep, a);
    assert_int_equal(a->done, 0); /* never before the call returned */
    json_object_put(o);
}

void do_worker(struct rig *r, worker_door door, const struct worker_auth *w, const char *body, struct answer *a)
{
    begin_worker(r, door, w, body, a);
    rig_wait(r, a);
}

struct json_object *poll_job(struct rig *r, const struct worker_auth *w, struct answer *a)
{
    do_worker(r, dispatch_worker_poll, w, "{'worker_id':'w'}", a);
    assert_int_equal(a->rc, BP_OK);
    struct json_object *job = json_member(a->data, "job");
    if (!job)
        fail_msg("no job: %s", a->message);
    assert_string_equal(a->message, "Job leased");
    return job;
}

const char *lease_body(struct json_object *job, const char *more)
{
    static char body[2048];
    snprintf(body, sizeof body, "{'dispatch_id':%lld,'lease_token':'%s'%s%s}",
             (long long)json_int(job, "dispatch_id", 0), json_str(job, "lease_token", ""), *more ? "," : "", more);
    return body;
}
