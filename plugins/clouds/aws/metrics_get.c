/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_get.c - samples of one metric read back from CloudWatch, page by page. */
#include "client.h"
#include "err.h"
#include "form.h"
#include "metrics_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS    86400000LL
#define PAGES_MAX 64

/* CloudWatch keeps minutes for 15 days, five minutes for 63, hours for 455. */
static int64_t period_s(int64_t age_ms)
{
    return age_ms < 15 * DAY_MS ? METRIC_PERIOD_S : age_ms < 63 * DAY_MS ? 300 : 3600;
}

struct question {
    const char *name, *workflow;
    int64_t since_ms, until_ms, period;
};

static struct form *ask(const struct metrics *m, const struct question *q, const char *page)
{
    static const char stat[] = "MetricDataQueries.member.1.MetricStat";
    struct form *f = form_new();
    if (!f)
        return NULL;
    form_put(f, "m", "MetricDataQueries.member.1.Id");
    form_put(f, m->namespace, "%s.Metric.Namespace", stat);
    form_put(f, q->name, "%s.Metric.MetricName", stat);
    form_put(f, "WorkflowSlug", "%s.Metric.Dimensions.member.1.Name", stat);
    form_put(f, q->workflow, "%s.Metric.Dimensions.member.1.Value", stat);
    form_put(f, "Stage", "%s.Metric.Dimensions.member.2.Name", stat);
    form_put(f, m->aws->settings.stage, "%s.Metric.Dimensions.member.2.Value", stat);
    form_put_int(f, q->period, "%s.Period", stat);
    form_put(f, "Average", "%s.Stat", stat);
    form_put_time(f, q->since_ms, "StartTime");
    form_put_time(f, q->until_ms, "EndTime");
    form_put(f, "TimestampAscending", "ScanBy");
    form_put(f, page[0] ? page : NULL, "NextToken");
    return f;
}

/* Appends one page's samples to out; *n of them are there. */
static void take(const struct metrics *m, const struct question *q, const struct xml *result, struct bp_metric *out,
                 uint32_t room, uint32_t *n)
{
    const struct xml *t = xml_first(result, "MetricDataResults/member/Timestamps/member"),
                     *v = xml_first(result, "MetricDataResults/member/Values/member");
    for (; t && v && *n < room; t = xml_next(t), v = xml_next(v)) {
        struct bp_metric *s = &out[*n];
        int64_t at_ms = xml_time_ms(t, "");
        if (at_ms < q->since_ms)
            continue;
        memset(s, 0, sizeof *s);
        snprintf(s->name, sizeof s->name, "%s", q->name);
        snprintf(s->workflow, sizeof s->workflow, "%s", q->workflow);
        snprintf(s->stage, sizeof s->stage, "%s", m->aws->settings.stage);
        s->at_ms = at_ms;
        s->value = strtod(xml_text(v, ""), NULL);
        ++*n;
    }
}

static int by_time(const void *a, const void *b)
{
    const struct bp_metric *x = a, *y = b;
    return (x->at_ms > y->at_ms) - (x->at_ms < y->at_ms);
}

int metrics_read(struct metrics *m, const char *name, const char *workflow, int64_t since_ms, struct bp_metric *out,
                 uint32_t *n, struct bp_err *err)
{
    int64_t now = AWS_NOW(m->aws);
    struct question q = {name, workflow, since_ms < now ? since_ms : now, now + 60000, 0};
    uint32_t room = *n;
    char page[2048] = "", what[256];
    int rc = 0;
    if (q.since_ms < now - 455 * DAY_MS)
        q.since_ms = now - 455 * DAY_MS;
    q.period = period_s(now - q.since_ms);
    *n = 0;
    snprintf(what, sizeof what, "%.60s of %.120s", name, workflow);
    for (int i = 0; rc == 0 && i < PAGES_MAX && *n < room && (i == 0 || page[0]); i++) {
        struct reply r = {0};
        struct form *f = ask(m, &q, page);
        rc = f ? client_query(m->aws->client, AWS_OP_CLOUDWATCH_GET_METRIC_DATA, f, what, &r, err)
               : err_set(err, BP_NOMEM, "no memory to read metrics");
        const struct xml *result = rc == 0 ? xml_result(r.xml) : NULL;
        take(m, &q, result, out, room, n);
        snprintf(page, sizeof page, "%s", xml_text(result, "NextToken"));
        reply_free(&r);
        form_free(f);
    }
    qsort(out, *n, sizeof *out, by_time); /* a page may bring its own order */
    return rc;
}
