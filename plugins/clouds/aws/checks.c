/* SPDX-License-Identifier: Apache-2.0 */
#include "checks.h"

#include "err.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ONE_CHECK_MS 5000 /* so long at the most, that one dead service does not hide the others */

/* One function a part; in the order that people read the rows in. */
static const struct {
    checks_fn run;
    int in_worker;
    const char *service; /* that the rows are about, "": every one */
} parts[] = {
    {own_checks, 1, ""},          {fleet_checks, 0, "fleet"},     {objects_checks, 0, "objects"},
    {params_checks, 1, "params"}, {metrics_checks, 0, "metrics"}, {logs_checks, 1, "logs"},
    {notify_checks, 0, "notify"},
};

struct checks {
    const struct aws *aws;
    bp_check_report report;
    void *arg;
    int64_t until_ms; /* monotonic */
    const char *service;
    enum aws_op op;
    struct bp_check_row row; /* the one under way */
};

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t left_ms(const struct checks *k)
{
    int64_t left = k->until_ms - mono_ms();
    return left < 0 ? 0 : left;
}

/* ---- rows ---- */

BP_PRINTF(4, 0)
static void begin(struct checks *k, const char *name, const char *operation, const char *resource, va_list ap)
{
    int64_t left = left_ms(k);
    memset(&k->row, 0, sizeof k->row);
    k->row.size = sizeof k->row;
    k->row.status = BP_CHECK_RUNNING;
    snprintf(k->row.name, sizeof k->row.name, "%s", name);
    snprintf(k->row.operation, sizeof k->row.operation, "%s", operation);
    vsnprintf(k->row.resource, sizeof k->row.resource, resource, ap);
    snprintf(k->row.service, sizeof k->row.service, "%s", k->service);
    k->report(k->arg, &k->row);
    client_hurry((int32_t)(left < 1 ? 1 : left < ONE_CHECK_MS ? left : ONE_CHECK_MS));
}

void check_begin(struct checks *k, const char *name, enum aws_op op, const char *resource, ...)
{
    va_list ap;
    va_start(ap, resource);
    begin(k, name, aws_op_name(op), resource, ap);
    va_end(ap);
    k->op = op;
}

void check_begin_own(struct checks *k, const char *name, const char *resource, ...)
{
    va_list ap;
    va_start(ap, resource);
    begin(k, name, "", resource, ap);
    va_end(ap);
    k->op = AWS_N_OPS;
}

BP_PRINTF(4, 0)
static void end(struct checks *k, int status, const char *remedy, const char *fmt, va_list ap)
{
    k->row.status = status;
    snprintf(k->row.remedy, sizeof k->row.remedy, "%s", remedy);
    vsnprintf(k->row.text, sizeof k->row.text, fmt, ap);
    k->report(k->arg, &k->row);
}

#define END(status, remedy)                                                                                            \
    do {                                                                                                               \
        va_list ap;                                                                                                    \
        va_start(ap, fmt);                                                                                             \
        end(k, status, remedy, fmt, ap);                                                                               \
        va_end(ap);                                                                                                    \
    } while (0)

void check_ok(struct checks *k, const char *fmt, ...)
{
    END(BP_CHECK_OK, "");
}

void check_warn(struct checks *k, const char *remedy, const char *fmt, ...)
{
    END(BP_CHECK_WARN, remedy);
}

void check_fail(struct checks *k, const char *remedy, const char *fmt, ...)
{
    END(BP_CHECK_FAIL, remedy);
}

/* Divides "what is wrong; what to do" at its last semicolon; "" when it has none. */
static const char *cut_remedy(char *text)
{
    char *at = NULL;
    for (char *s = text; (s = strstr(s, "; ")); s += 2)
        at = s;
    if (!at)
        return "";
    *at = '\0';
    return at + 2;
}

void check_failed(struct checks *k, int rc, const struct reply *r, const struct bp_err *err)
{
    char text[sizeof err->text], remedy[256];
    int answered = k->op < AWS_N_OPS && r && r->error.http_status;
    snprintf(text, sizeof text, "%s", err->text);
    snprintf(remedy, sizeof remedy, "%s", cut_remedy(text));
    if (!answered && !remedy[0])
        snprintf(remedy, sizeof remedy, "see the log of bpd, and docs/aws.md");
    if (answered)
        client_remedy(k->aws->client, k->op, r, rc, remedy, sizeof remedy);
    if (answered && rc == BP_DENIED && !r->error.expired)
        snprintf(k->row.permission, sizeof k->row.permission, "%s", aws_op_permission(k->op));
    check_fail(k, remedy, "%s", text);
}

/* ---- the facet ---- */

static int32_t run(void *inst, int32_t budget_ms, bp_check_report report, void *arg, struct bp_err *err)
{
    struct aws *a = inst;
    struct checks k = {.aws = a, .report = report, .arg = arg, .until_ms = mono_ms() + budget_ms};
    (void)err;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && left_ms(&k); i++) {
        k.service = parts[i].service;
        if (parts[i].in_worker || !a->settings.in_worker)
            parts[i].run(a, &k);
    }
    client_hurry(0);
    return BP_OK;
}

const struct bp_check check_facet = {.size = sizeof(struct bp_check), .run = run};
