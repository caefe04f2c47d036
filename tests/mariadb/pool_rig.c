/* SPDX-License-Identifier: Apache-2.0 */
#include "pool_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t rig_now = 1700000000000;

static const char *pools(const char *far, int timeout_s, const char *extra)
{
    static char text[1500];
    const char *name = database_name();
    snprintf(text, sizeof text,
             ",\"pools\":{\"near1\":{\"database\":\"%s.1\"},\"near2\":{\"database\":\"%s.2\"},\"far\":{\"socket\":"
             "\"%s\",\"database\":\"%s\"}},\"tenantPool\":{\"near1\":\"near1\",\"near2\":\"near2\",\"far\":\"far\","
             "\"home\":\"\"},\"poolTimeoutSeconds\":%d%s",
             name, name, far ? far : far_socket(), name, timeout_s, extra);
    return text;
}

const char *rig_pools(const char *far, const char *extra)
{
    return pools(far, 2, extra);
}

struct fake_host *rig_start_at(const char *socket, const char *far, int timeout_s)
{
    struct bp_err err = {0};
    rig_now = 1700000000000;
    struct fake_host *h = queue_start(socket, pools(far, timeout_s, ""), &err);
    if (!h)
        fail_msg("start: %s", err.text);
    return h;
}

struct fake_host *rig_start(const char *far)
{
    return rig_start_at(NULL, far, 2);
}

int32_t rig_op(struct fake_host *h, struct bp_op *op, struct bp_err *err)
{
    struct bp_err batch = {0};
    op->now_ms = rig_now;
    if (queue_run(h, op, &batch) != BP_OK)
        fail_msg("operation %d: %s", op->kind, batch.text);
    if (err)
        *err = op->err;
    return op->err.rc;
}

static void submit_fill(struct bp_op *op, const char *tenant, const char *key, const char *params)
{
    op->kind = BP_OP_SUBMIT;
    op->u.submit = (struct bp_op_submit){.tenant = tenant, .workflow = "a", .params = params, .who = "test"};
    op->u.submit.inputs = "[{\"key\":\"private-input\"}]";
    op->u.submit.idempotency_key = key;
    op->u.submit.request_hash = "h";
}

int64_t rig_submit(struct fake_host *h, const char *tenant, const char *key, const char *params)
{
    struct bp_op op = {0};
    struct bp_err err;
    submit_fill(&op, tenant, key, params);
    if (rig_op(h, &op, &err) != BP_OK)
        fail_msg("submit of %s: %s", tenant, err.text);
    return op.u.submit.id;
}

int32_t rig_submit_try(struct fake_host *h, const char *tenant, struct bp_err *err)
{
    struct bp_op op = {0};
    submit_fill(&op, tenant, NULL, "{}");
    return rig_op(h, &op, err);
}

int64_t rig_lease(struct fake_host *h, const char *worker, const char *token, char params[128])
{
    const char *workflow = "a", *key = "k";
    struct bp_op op = {.kind = BP_OP_LEASE};
    op.u.lease = (struct bp_op_lease){.worker_id = worker, .workflows = &workflow, .n_workflows = 1, .max = 1};
    op.u.lease.tokens = &token;
    op.u.lease.output_keys = &key;
    op.u.lease.ttl_ms = TTL_MS;
    assert_int_equal(rig_op(h, &op, NULL), BP_OK);
    int64_t id = op.u.lease.count ? op.u.lease.jobs[0].id : 0;
    if (params)
        snprintf(params, 128, "%s", id ? op.u.lease.jobs[0].params : "");
    fake_host_free(op.u.lease.memory);
    return id;
}

int32_t rig_complete(struct fake_host *h, int64_t id, const char *worker, const char *token, const char *output)
{
    struct bp_op op = {.kind = BP_OP_COMPLETE};
    op.u.complete = (struct bp_op_complete){.id = id, .worker_id = worker, .token = token, .output = output};
    op.u.complete.provider_job_id = "provider-1";
    return rig_op(h, &op, NULL);
}

int32_t rig_fail(struct fake_host *h, int64_t id, const char *worker, const char *token)
{
    struct bp_op op = {.kind = BP_OP_FAIL};
    op.u.fail = (struct bp_op_fail){.id = id, .worker_id = worker, .token = token, .error = "it broke"};
    return rig_op(h, &op, NULL);
}

void rig_sweep(struct fake_host *h)
{
    struct bp_op op = {.kind = BP_OP_SWEEP};
    op.u.sweep.limit = 100;
    assert_int_equal(rig_op(h, &op, NULL), BP_OK);
    fake_host_free(op.u.sweep.memory);
}

static void text_take(char *to, size_t room, const char *from)
{
    snprintf(to, room, "%s", from ? from : "");
}

int32_t rig_get(struct fake_host *h, const char *tenant, int64_t id, struct rig_view *view)
{
    struct bp_op op = {.kind = BP_OP_GET};
    op.u.get = (struct bp_op_get){.id = id, .tenant = tenant};
    memset(view, 0, sizeof *view);
    int32_t rc = rig_op(h, &op, NULL);
    if (rc == BP_OK) {
        view->status = op.u.get.job->status;
        view->attempts = op.u.get.job->attempts;
        text_take(view->params, sizeof view->params, op.u.get.job->params);
        text_take(view->output, sizeof view->output, op.u.get.job->output);
        text_take(view->error, sizeof view->error, op.u.get.job->error);
    } else {
        text_take(view->error, sizeof view->error, op.err.text);
    }
    fake_host_free(op.u.get.memory);
    return rc;
}

uint32_t rig_count(struct fake_host *h, const char *tenant)
{
    struct bp_op op = {.kind = BP_OP_LIST};
    op.u.list = (struct bp_op_list){.tenant = tenant, .limit = 1000};
    assert_int_equal(rig_op(h, &op, NULL), BP_OK);
    fake_host_free(op.u.list.memory);
    return op.u.list.count;
}

void rig_age_far(void)
{
    far_run("UPDATE DB.ai_jobs SET written = written - INTERVAL 1 HOUR WHERE status=0");
}
