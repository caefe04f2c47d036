/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_send.c - records to CloudWatch Logs: groups and streams are made when they turn out to be missing; what is
 * refused is tried again in halves until the one event that is wrong is alone, and dropped. What fails in any other way
 * stays.
 */
#include "background.h"
#include "client.h"
#include "err.h"
#include "logs_priv.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#define REST_MS     1000
#define REST_MAX_MS 60000
#define TELL_MS     60000

/* ---- calls ---- */

static void add_text(struct json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, json_object_new_string(text));
}

/* One call whose answer says nothing; in is consumed. */
static int call(const struct logs *g, enum aws_op op, struct json_object *in, const char *what, struct bp_err *err)
{
    struct reply r = {0};
    int rc = client_json(g->aws->client, op, in, what, &r, err);
    json_object_put(in);
    reply_free(&r);
    return rc;
}

static int make_group(struct logs *g, const char *group, struct bp_err *err)
{
    char what[160];
    struct bp_err why = {0};
    struct json_object *in = json_object_new_object();
    snprintf(what, sizeof what, "log group %.120s", group);
    add_text(in, "logGroupName", group);
    int rc = call(g, AWS_OP_LOGS_CREATE_LOG_GROUP, in, what, err);
    if (rc < 0)
        return rc == BP_CONFLICT ? 0 : rc;
    AWS_LOG(g->aws, BP_LOG_INFO, "made the log group %s", group);
    if (!g->retention_days)
        return 0;
    in = json_object_new_object();
    add_text(in, "logGroupName", group);
    json_object_object_add(in, "retentionInDays", json_object_new_int64(g->retention_days));
    if (call(g, AWS_OP_LOGS_PUT_RETENTION_POLICY, in, what, &why) < 0)
        AWS_LOG(g->aws, BP_LOG_WARN, "the log group %s keeps its lines for ever: %s", group, why.text);
    return 0;
}

static int make_stream(struct logs *g, const struct log_record *r, struct bp_err *err)
{
    char what[200];
    int rc = BP_NOTFOUND;
    snprintf(what, sizeof what, "log stream %.80s of %.80s", r->stream, r->group);
    for (int tries = 0; tries < 2 && rc == BP_NOTFOUND; tries++) {
        struct json_object *in = json_object_new_object();
        add_text(in, "logGroupName", r->group);
        add_text(in, "logStreamName", r->stream);
        int made = tries ? make_group(g, r->group, err) : 0;
        if (made < 0) {
            json_object_put(in);
            return made;
        }
        rc = call(g, AWS_OP_LOGS_CREATE_LOG_STREAM, in, what, err);
    }
    return rc == BP_CONFLICT ? 0 : rc;
}

/* CloudWatch read the call and will never take it as it is. */
static int is_refused(const struct reply *r)
{
    const char *code = r->error.code;
    return r->error.http_status == 413 || strcmp(code, "InvalidParameterException") == 0 ||
           strcmp(code, "ValidationException") == 0 || strcmp(code, "SerializationException") == 0;
}

/* *rejected: of those in the call; in is borrowed. */
static int put_events(struct logs *g, const struct log_record *r, struct json_object *in, uint32_t n,
                      uint32_t *rejected, struct bp_err *err)
{
    char what[200];
    struct reply reply = {0};
    snprintf(what, sizeof what, "log stream %.80s of %.80s", r->stream, r->group);
    int rc = client_json(g->aws->client, AWS_OP_LOGS_PUT_LOG_EVENTS, in, what, &reply, err);
    if (rc == BP_NOTFOUND && (rc = make_stream(g, r, err)) == 0) {
        reply_free(&reply);
        rc = client_json(g->aws->client, AWS_OP_LOGS_PUT_LOG_EVENTS, in, what, &reply, err);
    }
    if (rc == 0)
        *rejected = log_batch_rejected(reply.json, n);
    else if (strcmp(reply.error.code, "DataAlreadyAcceptedException") == 0)
        rc = 0;
    else
        rc = is_refused(&reply) ? BP_INVALID : rc == BP_INVALID ? BP_FAIL : rc;
    reply_free(&reply);
    return rc;
}

static void count(struct logs *g, uint64_t sent, uint64_t late, uint64_t rejected, uint64_t refused)
{
    pthread_mutex_lock(&g->mutex);
    g->sent += sent;
    g->lost.late += late;
    g->lost.rejected += rejected;
    g->lost.refused += refused;
    pthread_mutex_unlock(&g->mutex);
}

int logs_send(struct logs *g, const struct log_record *r, uint32_t n, uint32_t most, uint32_t *sent, struct bp_err *err)
{
    uint32_t late = 0, rejected = 0;
    *sent = log_batch_fit(r, n, most);
    struct json_object *list = log_batch_events(r, *sent, AWS_NOW(g->aws), &late);
    struct json_object *in = list ? json_object_new_object() : NULL;
    if (!in) {
        json_object_put(list);
        return err_set(err, BP_NOMEM, "no memory to send %u log lines", *sent);
    }
    add_text(in, "logGroupName", r->group);
    add_text(in, "logStreamName", r->stream);
    json_object_object_add(in, "logEvents", list);
    int rc = late == *sent ? 0 : put_events(g, r, in, *sent - late, &rejected, err);
    json_object_put(in);
    if (rc == 0)
        count(g, *sent - late - rejected, late, rejected, 0);
    return rc;
}

/* ---- from the spool ---- */

static void tell_losses(struct logs *g)
{
    int64_t now = AWS_NOW(g->aws);
    struct log_spool_losses s;
    log_spool_losses(g->spool, &s);
    pthread_mutex_lock(&g->mutex);
    struct log_losses l = g->lost;
    pthread_mutex_unlock(&g->mutex);
    uint64_t all = l.late + l.rejected + l.refused + s.dropped + s.damaged;
    if (all == g->told || (g->told_ms && now >= g->told_ms && now - g->told_ms < TELL_MS))
        return;
    AWS_LOG(g->aws, BP_LOG_WARN,
            "log lines that CloudWatch does not have, since the start: %llu too old or from the future, %llu rejected, "
            "%llu refused, %llu beyond logSpoolBytes, %llu stretches of the spool damaged",
            (unsigned long long)l.late, (unsigned long long)l.rejected, (unsigned long long)l.refused,
            (unsigned long long)s.dropped, (unsigned long long)s.damaged);
    g->told = all;
    g->told_ms = now;
}

static void set_error(struct logs *g, const char *text)
{
    pthread_mutex_lock(&g->mutex);
    snprintf(g->error, sizeof g->error, "%s", text);
    pthread_mutex_unlock(&g->mutex);
}

static void failed(struct logs *g, const struct bp_err *err)
{
    if (!g->rest_ms || strcmp(g->error, err->text) != 0)
        AWS_LOG(g->aws, BP_LOG_WARN, "CloudWatch does not take log lines; they are kept on disk: %s", err->text);
    set_error(g, err->text);
    g->rest_ms = g->rest_ms ? g->rest_ms * 2 : REST_MS;
    if (g->rest_ms > REST_MAX_MS)
        g->rest_ms = REST_MAX_MS;
}

static void arrived(struct logs *g)
{
    if (g->rest_ms)
        AWS_LOG(g->aws, BP_LOG_INFO, "CloudWatch takes log lines again; %lld bytes waited",
                (long long)log_spool_bytes(g->spool));
    set_error(g, "");
    g->rest_ms = 0;
    g->limit = g->limit * 2 < LOG_BATCH_EVENTS ? g->limit * 2 : LOG_BATCH_EVENTS;
}

/* Halves what is tried next; alone, the wrong one is dropped. */
static void was_refused(struct logs *g, uint32_t n, const struct bp_err *err)
{
    g->limit = n > 1 ? n / 2 : 1;
    if (n > 1)
        return;
    AWS_LOG(g->aws, BP_LOG_WARN, "a line of log stream %s of %s is dropped: %s", g->batch[0].stream, g->batch[0].group,
            err->text);
    log_spool_advance(g->spool, 1);
    count(g, 0, 0, 0, 1);
}

int64_t logs_send_step(void *logs)
{
    struct logs *g = logs;
    struct bp_err err = {0};
    uint32_t sent = 0, n = log_spool_read(g->spool, g->batch, g->limit);
    if (n == 0) {
        tell_losses(g);
        return BACKGROUND_IDLE;
    }
    client_hurry(BACKGROUND_CALL_MS);
    int rc = logs_send(g, g->batch, n, g->limit, &sent, &err);
    if (rc == 0) {
        arrived(g);
        log_spool_advance(g->spool, sent);
    } else if (rc == BP_INVALID) {
        was_refused(g, sent, &err);
    } else {
        failed(g, &err);
        tell_losses(g);
    }
    return rc == 0 || rc == BP_INVALID ? BACKGROUND_AGAIN : g->rest_ms;
}
