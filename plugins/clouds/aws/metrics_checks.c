/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_checks.c - whether CloudWatch takes the metrics, and what the stage's alarms say. */
#include "checks.h"
#include "form.h"
#include "metrics_priv.h"

#include <stdio.h>
#include <string.h>

/* What was sent last says more than another request would. */
static void check_samples(struct metrics *m, struct checks *k)
{
    check_begin(k, "metrics", AWS_OP_CLOUDWATCH_PUT_METRIC_DATA, "namespace %s", m->namespace);
    pthread_mutex_lock(&m->mutex);
    const struct metric_losses l = m->lost;
    uint32_t waiting = metric_buffer_count(m->buffer);
    uint64_t sent = m->sent, lost = l.late + l.pushed_out + l.refused;
    char error[sizeof m->error];
    snprintf(error, sizeof error, "%s", m->error);
    pthread_mutex_unlock(&m->mutex);
    if (error[0])
        check_fail(k, "mend what is said here; the samples wait meanwhile", "%u samples wait: %s", waiting, error);
    else if (lost)
        check_warn(k, "see bpd's log for when and why", "%llu samples were sent, %llu are lost since the start",
                   (unsigned long long)sent, (unsigned long long)lost);
    else if (sent)
        check_ok(k, "%llu samples were sent since the start", (unsigned long long)sent);
    else
        check_ok(k, "no sample was sent yet");
}

static void tell_alarms(struct checks *k, const struct xml *result)
{
    char names[300] = "";
    int all = 0, ringing = 0;
    for (const struct xml *x = xml_first(result, "MetricAlarms/member"); x; x = xml_next(x), all++) {
        size_t n = strlen(names);
        if (strcmp(xml_text(x, "StateValue"), "ALARM") != 0)
            continue;
        ringing++;
        snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "", xml_text(x, "AlarmName"));
    }
    const char *more = xml_text(result, "NextToken")[0] ? "the first " : "";
    if (ringing)
        check_warn(k, "see these alarms in CloudWatch", "%d of %s%d are in alarm: %s", ringing, more, all, names);
    else
        check_ok(k, "none of %s%d is in alarm", more, all);
}

static void check_alarms(struct metrics *m, struct checks *k)
{
    struct reply r = {0};
    struct bp_err err = {0};
    char prefix[64];
    struct form *f = form_new();
    snprintf(prefix, sizeof prefix, METRIC_ALARM_PREFIX, m->aws->settings.stage);
    check_begin(k, "alarms", AWS_OP_CLOUDWATCH_DESCRIBE_ALARMS, "alarms %s*", prefix);
    if (!f) {
        check_fail(k, "", "no memory");
        return;
    }
    form_put(f, prefix, "AlarmNamePrefix");
    form_put_int(f, 100, "MaxRecords");
    int rc = client_query(m->aws->client, AWS_OP_CLOUDWATCH_DESCRIBE_ALARMS, f, "the stage's alarms", &r, &err);
    if (rc < 0)
        check_failed(k, rc, &r, &err);
    else
        tell_alarms(k, xml_result(r.xml));
    reply_free(&r);
    form_free(f);
}

void metrics_checks(struct aws *a, struct checks *k)
{
    check_samples(a->metrics, k);
    if (settings_bool(&a->settings, "alarms", 1))
        check_alarms(a->metrics, k);
}
