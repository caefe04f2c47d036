/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_jobs.c - commands about jobs and workers. */
#include "admin_priv.h"

#include "log/json.h"
#include <bp/queue.h>
#include <stdio.h>

void cmd_jobs(struct admin_call *c)
{
    const char *status = json_str(c->params, "status", NULL);
    int64_t limit = json_int(c->params, "limit", 20);
    struct dispatch_list q = {.tenant = json_str(c->params, "tenant", NULL),
                              .workflow = json_str(c->params, "workflow", NULL),
                              .status = status ? job_status_find(status) : 0,
                              .limit = limit < 1      ? 1
                                       : limit > 1000 ? 1000
                                                      : (uint32_t)limit,
                              .before_id = json_int(c->params, "before", 0)};
    if (status && !q.status) {
        call_fail(c, BP_INVALID, "jobs: status must be one of scheduled queued leased completed failed cancelled",
                  NULL);
        return;
    }
    dispatch_job_list(c->app->dispatch, &q, call_answer, c);
}

void cmd_job(struct admin_call *c)
{
    dispatch_job_get(c->app->dispatch, NULL, json_int(c->params, "id", 0), 1, call_answer, c);
}

void cmd_job_cancel(struct admin_call *c)
{
    dispatch_job_cancel(c->app->dispatch, NULL, c->who, json_int(c->params, "id", 0), call_answer, c);
}

void cmd_job_retry(struct admin_call *c)
{
    dispatch_job_retry(c->app->dispatch, NULL, c->who, json_int(c->params, "id", 0), call_answer, c);
}

/* An operator submits for a tenant; on a laptop that is the local one. */
static const char *tenant_of(struct admin_call *c)
{
    const char *tenant = json_str(c->params, "tenant", c->app->local_token[0] ? "local" : NULL);
    if (!tenant)
        call_fail(c, BP_INVALID, "whose job is it? Give --tenant NAME", NULL);
    return tenant;
}

void cmd_submit(struct admin_call *c)
{
    const char *tenant = tenant_of(c);
    if (tenant)
        dispatch_submit(c->app->dispatch, tenant, c->who, json_member(c->params, "body"), call_answer, c);
}

void cmd_upload(struct admin_call *c)
{
    const char *tenant = tenant_of(c);
    if (tenant)
        dispatch_upload(c->app->dispatch, tenant, json_member(c->params, "body"), call_answer, c);
}

void cmd_workers(struct admin_call *c)
{
    dispatch_worker_list(c->app->dispatch, call_answer, c);
}

void cmd_worker_change(struct admin_call *c)
{
    dispatch_worker_change(c->app->dispatch, json_str(c->params, "worker", ""), json_str(c->params, "change", ""),
                           c->who, call_answer, c);
}
