/* SPDX-License-Identifier: Apache-2.0 */
/* notify_checks.c - whether the topic that people are told by is there. */
#include "checks.h"
#include "form.h"
#include "notify_priv.h"

void notify_checks(struct aws *a, struct checks *k)
{
    struct reply r = {0};
    struct bp_err err = {0};
    const struct notify *n = a->notify;
    check_begin(k, "topic", AWS_OP_SNS_GET_TOPIC_ATTRIBUTES, "topic %s", n->topic[0] ? n->topic : "(none)");
    struct form *f = n->topic[0] && !n->wrong ? form_new() : NULL;
    if (!n->topic[0])
        check_warn(k, "set plugin.aws.snsTopicArn where services.notify is aws", "nobody is told of alerts");
    else if (n->wrong)
        check_fail(k, "correct plugin.aws.snsTopicArn or plugin.aws.region", "%s", n->wrong);
    else if (!f)
        check_fail(k, "", "no memory");
    if (!f)
        return;
    form_put(f, n->topic, "TopicArn");
    int rc = client_query(a->client, AWS_OP_SNS_GET_TOPIC_ATTRIBUTES, f, n->topic, &r, &err);
    if (rc < 0)
        check_failed(k, rc, &r, &err);
    else
        check_ok(k, "it is there; send a message to see who reads it: bpctl notify test");
    reply_free(&r);
    form_free(f);
}
