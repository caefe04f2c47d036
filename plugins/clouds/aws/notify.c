/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.c - facet bp.notify/1: messages to the topic snsTopicArn, none with the same key twice within a while, and not
 * too many a minute: what is too much goes out as one message that names them all.
 *
 * A publish is not repeated when it may have arrived. Whoever sends it again gets it out, marked as such; a FIFO topic
 * knows by the message's id that it has it already.
 */
#include "background.h"
#include "client.h"
#include "err.h"
#include "form.h"
#include "notify_priv.h"
#include "sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUBJECT_MAX 100
#define MESSAGE_MAX 262144
#define MARK_MAX    64
#define RETRY_MS    30000

/* ---- one message ---- */

/* SNS takes printable ASCII that begins with no blank. */
static void fit_subject(const char *subject, char out[SUBJECT_MAX + 1])
{
    size_t n = 0;
    while (*subject == ' ')
        subject++;
    for (; *subject && n < SUBJECT_MAX; subject++) {
        unsigned char c = (unsigned char)*subject;
        if ((c & 0xc0) != 0x80) /* one for each character, not for each byte of it */
            out[n++] = c < ' ' || c == 0x7f ? ' ' : c < 0x7f ? (char)c : '?';
    }
    out[n] = '\0';
    if (!n)
        snprintf(out, SUBJECT_MAX + 1, "bpd");
}

/* The text below its subject where that was changed, cut to what SNS takes. free() it. */
static char *fit_text(const char *subject, const char *fitted, const char *text, const char *mark)
{
    int whole = strcmp(subject, fitted) == 0 && text[0];
    size_t room = MESSAGE_MAX - MARK_MAX - strlen(mark),
           size = strlen(subject) + strlen(text) + MARK_MAX + strlen(mark) + 4;
    char *out = malloc(size);
    if (!out)
        return NULL;
    size_t n = (size_t)snprintf(out, size, "%s%s%s", whole ? "" : subject, whole || !text[0] ? "" : "\n\n", text);
    if (n > room) {
        size_t cut = room;
        while (cut && ((unsigned char)out[cut] & 0xc0) == 0x80)
            cut--;
        snprintf(out + cut, size - cut, " ... [cut: %zu bytes]", n);
        n = strlen(out);
    }
    snprintf(out + n, size - n, "%s", mark);
    return out;
}

/* What a FIFO topic knows the message by. Without a key each one is new. */
static void make_id(const char *key, const char *subject, const char *text, char out[65])
{
    size_t size = strlen(key) + strlen(subject) + strlen(text) + 32;
    char *all = malloc(size);
    unsigned chance = key[0] ? 0 : arc4random();
    if (all)
        snprintf(all, size, "%s\n%u\n%s\n%s", key, chance, subject, text);
    sign_sha256_hex(all ? all : key, strlen(all ? all : key), out);
    free(all);
}

struct message {
    const char *subject, *text, *key;
    int again; /* 1: one like it may have arrived */
};

static struct form *publish_form(const struct notify *n, const struct message *m)
{
    char subject[SUBJECT_MAX + 1], id[65], group[80];
    struct form *f = form_new();
    fit_subject(m->subject, subject);
    char *text = fit_text(m->subject, subject, m->text,
                          m->again && !n->fifo ? "\n\n(Sent again: nobody knows whether the first one arrived.)" : "");
    if (!f || !text) {
        form_free(f);
        free(text);
        return NULL;
    }
    form_put(f, n->topic, "TopicArn");
    form_put(f, subject, "Subject");
    form_put(f, text, "Message");
    form_put(f, "stage", "MessageAttributes.entry.1.Name");
    form_put(f, "String", "MessageAttributes.entry.1.Value.DataType");
    form_put(f, n->aws->settings.stage, "MessageAttributes.entry.1.Value.StringValue");
    if (n->fifo) {
        make_id(m->key, m->subject, m->text, id);
        snprintf(group, sizeof group, "bpd-%s", n->aws->settings.stage);
        form_put(f, group, "MessageGroupId");
        form_put(f, id, "MessageDeduplicationId");
    }
    free(text);
    return f;
}

static int publish(struct notify *n, const struct message *m, int *unsure, struct bp_err *err)
{
    struct reply r = {0};
    char what[200];
    struct form *f = publish_form(n, m);
    if (!f)
        return err_set(err, BP_NOMEM, "no memory to notify");
    snprintf(what, sizeof what, "topic %.180s", n->topic);
    int rc = client_query(n->aws->client, AWS_OP_SNS_PUBLISH, f, what, &r, err);
    *unsure = rc < 0 && r.unsure;
    reply_free(&r);
    form_free(f);
    return rc;
}

/* ---- too many ---- */

/* The message is one of the next summary. */
static void hold(struct notify *n, const char *subject, int64_t now)
{
    size_t at = strlen(n->held.subjects), k = strlen(subject);
    if (!n->held.n++)
        n->held.since_ms = now;
    if (at + k + 4 < sizeof n->held.subjects)
        snprintf(n->held.subjects + at, sizeof n->held.subjects - at, "- %s\n", subject);
    background_wake(n->summary);
}

static int send_summary(struct notify *n, struct bp_err *err)
{
    char subject[SUBJECT_MAX + 1];
    size_t size = SUMMARY_SIZE + 400;
    char *text = malloc(size);
    int unsure = 0;
    if (!text)
        return err_set(err, BP_NOMEM, "no memory to notify");
    snprintf(subject, sizeof subject, "bpd %.31s: %u more messages", n->aws->settings.stage, n->held.n);
    snprintf(
        text, size,
        "%u messages came too fast to be sent one by one (notifyPerMinute is %lld):\n\n%s\nbpd's own log has them in "
        "full.",
        n->held.n, (long long)n->limit.per_minute, n->held.subjects);
    const struct message m = {subject, text, "", 0};
    int rc = publish(n, &m, &unsure, err);
    free(text);
    if (rc == 0 || unsure)
        memset(&n->held, 0, sizeof n->held);
    return rc;
}

/* As a step of background.h. */
static int64_t summary_step(void *arg)
{
    struct notify *n = arg;
    struct bp_err err = {0};
    int64_t rest = BACKGROUND_IDLE, now = AWS_NOW(n->aws);
    client_hurry(BACKGROUND_CALL_MS);
    pthread_mutex_lock(&n->mutex);
    int64_t left = n->held.n ? n->held.since_ms + n->summary_ms - now : 0;
    if (left > 0)
        rest = left < n->summary_ms ? left : n->summary_ms;
    else if (n->held.n && send_summary(n, &err) < 0) {
        AWS_LOG(n->aws, BP_LOG_WARN, "a summary of notifications could not be sent: %s", err.text);
        rest = RETRY_MS;
    }
    pthread_mutex_unlock(&n->mutex);
    return rest;
}

/* ---- the facet ---- */

static int send_locked(struct notify *n, struct message *m, struct bp_err *err)
{
    int64_t now = AWS_NOW(n->aws);
    int unsure = 0;
    if (notify_limit_is_repeat(&n->limit, m->key, now))
        return 0;
    if (!notify_limit_take(&n->limit, now)) {
        if (!m->key[0])
            return err_set(err, BP_LATER, "more than %lld notifications a minute (notifyPerMinute); try again later",
                           (long long)n->limit.per_minute);
        hold(n, m->subject, now);
        notify_limit_went(&n->limit, m->key, now, 0);
        return 0;
    }
    m->again = notify_limit_is_unsure(&n->limit, m->key, now);
    int rc = publish(n, m, &unsure, err);
    if (rc == 0 || unsure)
        notify_limit_went(&n->limit, m->key, now, rc < 0);
    return rc;
}

static int32_t send(void *inst, const char *subject, const char *text, const char *dedup_key, struct bp_err *err)
{
    struct notify *n = ((struct aws *)inst)->notify;
    struct message m = {subject, text ? text : "", dedup_key ? dedup_key : "", 0};
    if (!n || !n->topic[0])
        return err_set(err, BP_UNSUPPORTED, "nobody is told: plugin.aws.snsTopicArn is not set");
    if (!subject || !subject[0] || strlen(m.key) >= NOTIFY_KEY_SIZE)
        return err_set(err, BP_INVALID, "a notification needs a subject, and a key of at most %d bytes",
                       NOTIFY_KEY_SIZE - 1);
    if (n->wrong)
        return err_set(err, BP_INVALID, "%s", n->wrong);
    pthread_mutex_lock(&n->mutex);
    int rc = send_locked(n, &m, err);
    pthread_mutex_unlock(&n->mutex);
    return rc;
}

/* ---- life ---- */

/* arn:PARTITION:sns:REGION:ACCOUNT:NAME, of our region. */
static void check_topic(struct notify *n)
{
    char region[40] = "", account[16] = "", name[260] = "";
    const char *ours = n->aws->settings.region;
    size_t k = strlen(n->topic);
    n->fifo = k > 5 && strcmp(n->topic + k - 5, ".fifo") == 0;
    if (sscanf(n->topic, "arn:%*20[^:]:sns:%39[^:]:%15[0-9]:%259[^:]", region, account, name) != 3)
        snprintf(n->why, sizeof n->why,
                 "plugin.aws.snsTopicArn \"%.100s\" is no topic; write arn:aws:sns:REGION:ACCOUNT:NAME", n->topic);
    else if (strcmp(region, ours) != 0)
        snprintf(n->why, sizeof n->why,
                 "the topic %.100s is in region %.39s, but plugin.aws.region is %.32s; make one there", n->topic,
                 region, ours);
    else
        return;
    n->wrong = n->why;
    AWS_LOG(n->aws, BP_LOG_WARN, "nobody is told: %s", n->why);
}

struct notify *notify_open(struct aws *a, struct bp_err *err)
{
    struct notify *n = calloc(1, sizeof *n);
    const struct settings *s = &a->settings;
    if (!n) {
        err_set(err, BP_NOMEM, "no memory for notifications");
        return NULL;
    }
    n->aws = a;
    n->topic = settings_str(s, "snsTopicArn", "");
    n->summary_ms = (int64_t)(settings_num(s, "notifySummarySeconds", 60) * 1000);
    notify_limit_init(&n->limit, settings_int(s, "notifyPerMinute", 10),
                      (int64_t)(settings_num(s, "notifyDedupSeconds", 300) * 1000));
    pthread_mutex_init(&n->mutex, NULL);
    if (n->topic[0])
        check_topic(n);
    n->summary = background_start(summary_step, n, err);
    if (n->summary)
        return n;
    notify_close(n);
    return NULL;
}

void notify_close(struct notify *n)
{
    struct bp_err err = {0};
    if (!n)
        return;
    background_stop(n->summary, 0);
    if (n->held.n && send_summary(n, &err) < 0)
        AWS_LOG(n->aws, BP_LOG_WARN, "a summary of notifications could not be sent: %s", err.text);
    pthread_mutex_destroy(&n->mutex);
    free(n);
}

const struct bp_notify notify_facet = {.size = sizeof(struct bp_notify), .send = send};
