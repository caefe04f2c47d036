/* SPDX-License-Identifier: Apache-2.0 */
/* Promises 1 and 3: what is accepted is there, and asking twice does it once. */
#include <stdlib.h>

#include "case.h"

static struct bp_op *keyed(const char *tenant, const char *key, const char *hash)
{
    struct bp_op *op = submit_op("a");
    op->u.submit.tenant = tenant;
    op->u.submit.idempotency_key = key;
    op->u.submit.request_hash = hash;
    return op;
}

CASE(submit, submit_is_queued_at_once)
{
    struct bp_op *op = submit_op("a");
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.submit.status, BP_JOB_QUEUED);
    CHECK_INT(op->u.submit.existed, 0);
    CHECK_INT(status_of(op->u.submit.id), BP_JOB_QUEUED);
}

CASE(submit, submit_keeps_every_member)
{
    struct bp_op *op = submit_op("a");
    op->u.submit.effect = "slow-push";
    op->u.submit.priority = -7;
    op->u.submit.max_attempts = 5;
    op->u.submit.idempotency_key = "key-1";
    CHECK_INT(apply_one(op), BP_OK);
    const struct bp_job_row *j = job(op->u.submit.id);
    CHECK_STR(j->tenant, "acme");
    CHECK_STR(j->workflow, "a");
    CHECK_STR(j->effect, "slow-push");
    CHECK_STR(j->params, op->u.submit.params);
    CHECK_STR(j->inputs, op->u.submit.inputs);
    CHECK_STR(j->idempotency_key, "key-1");
    CHECK_INT(j->priority, -7);
    CHECK_INT(j->max_attempts, 5);
    CHECK_INT(j->attempts, 0);
    CHECK_INT(j->requeues, 0);
    CHECK_INT(j->created_ms, world.now);
    CHECK_INT(j->leased_ms, 0);
    CHECK_INT(j->finished_ms, 0);
    CHECK(j->progress == 0);
    CHECK(!j->output && !j->error && !j->worker && !j->lease_token && !j->checkpoint_key);
}

CASE(submit, submit_without_effect_has_none)
{
    CHECK(job(submit("a"))->effect == NULL);
}

CASE(submit, submit_ids_ascend)
{
    int64_t last = 0;
    for (int i = 0; i < 50; i++) {
        int64_t id = submit(i % 2 ? "a" : "b");
        CHECK(id > last);
        last = id;
    }
}

CASE(submit, submit_in_the_future_is_scheduled)
{
    struct bp_op *op = submit_op("a");
    op->u.submit.not_before_ms = world.now + 5000;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.submit.status, BP_JOB_SCHEDULED);
    CHECK_INT(job(op->u.submit.id)->not_before_ms, world.now + 5000);
}

CASE(submit, submit_due_in_the_past_is_queued)
{
    struct bp_op *op = submit_op("a");
    op->u.submit.not_before_ms = world.now - 5000;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.submit.status, BP_JOB_QUEUED);
}

CASE(submit, submit_with_the_same_key_happens_once)
{
    struct bp_op *first = keyed("acme", "k", "h"), *again = keyed("acme", "k", "h");
    CHECK_INT(apply_one(first), BP_OK);
    CHECK_INT(apply_one(again), BP_OK);
    CHECK_INT(again->u.submit.existed, 1);
    CHECK_INT(again->u.submit.id, first->u.submit.id);
    CHECK_INT(again->u.submit.status, BP_JOB_QUEUED);
    CHECK_INT(list_of(NULL, NULL, 0)->count, 1);
    CHECK_STR(timeline(first->u.submit.id), "submitted");
}

CASE(submit, submit_repeated_in_one_batch_happens_once)
{
    struct bp_op *ops[3] = {keyed("acme", "k", "h"), keyed("acme", "k", "h"), keyed("acme", "k", "other")};
    apply_all(ops, 3);
    CHECK_INT(ops[0]->err.rc, BP_OK);
    CHECK_INT(ops[1]->u.submit.id, ops[0]->u.submit.id);
    CHECK_INT(ops[1]->u.submit.existed, 1);
    CHECK_INT(ops[2]->err.rc, BP_CONFLICT);
    CHECK_INT(list_of(NULL, NULL, 0)->count, 1);
}

CASE(submit, submit_repeated_after_the_end_tells_the_outcome)
{
    struct bp_op *first = keyed("acme", "k", "h"), *again = keyed("acme", "k", "h");
    CHECK_INT(apply_one(first), BP_OK);
    worker_any("w");
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    CHECK_INT(apply_one(again), BP_OK);
    CHECK_INT(again->u.submit.id, first->u.submit.id);
    CHECK_INT(again->u.submit.status, BP_JOB_COMPLETED);
}

CASE(submit, submit_repeated_after_a_restart_happens_once)
{
    struct bp_op *first = keyed("acme", "k", "h");
    CHECK_INT(apply_one(first), BP_OK);
    world_restart();
    struct bp_op *again = keyed("acme", "k", "h");
    CHECK_INT(apply_one(again), BP_OK);
    CHECK_INT(again->u.submit.existed, 1);
    CHECK_INT(again->u.submit.id, first->u.submit.id);
}

CASE(submit, submit_with_the_key_of_another_request_conflicts)
{
    struct bp_op *first = keyed("acme", "k", "h"), *other = keyed("acme", "k", "H");
    CHECK_INT(apply_one(first), BP_OK);
    CHECK_INT(apply_one(other), BP_CONFLICT);
    CHECK(other->err.text[0] != 0);
    CHECK_INT(list_of(NULL, NULL, 0)->count, 1);
    CHECK_INT(stats_of("a")->queued, 1);
    CHECK_INT(stats_of("a")->submitted_recent, 1);
}

CASE(submit, submit_keys_belong_to_a_tenant)
{
    struct bp_op *first = keyed("acme", "k", "h"), *other = keyed("zenith", "k", "other");
    CHECK_INT(apply_one(first), BP_OK);
    CHECK_INT(apply_one(other), BP_OK);
    CHECK_INT(other->u.submit.existed, 0);
    CHECK(other->u.submit.id != first->u.submit.id);
}

CASE(submit, submit_keys_differ_by_case_and_space)
{
    struct bp_op *ops[4] = {keyed("acme", "Key", "h"), keyed("acme", "key", "h"), keyed("acme", "key ", "h"),
                            keyed("ACME", "key", "h")};
    apply_all(ops, 4);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(ops[i]->err.rc, BP_OK);
        CHECK_INT(ops[i]->u.submit.existed, 0);
    }
    CHECK_INT(list_of(NULL, NULL, 0)->count, 4);
}

CASE(submit, submit_without_key_is_always_new)
{
    CHECK(submit("a") != submit("a"));
    CHECK_INT(list_of(NULL, NULL, 0)->count, 2);
}

CASE(submit, submit_begins_the_timeline)
{
    struct bp_op *op = op_new(BP_OP_GET);
    op->u.get.id = submit("a");
    op->u.get.with_events = 1;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.get.n_events, 1);
    CHECK_STR(op->u.get.events[0].what, "submitted");
    CHECK_STR(op->u.get.events[0].who, "tenant:acme");
    CHECK_INT(op->u.get.events[0].at_ms, world.now);
    CHECK_INT(op->u.get.events[0].job_id, op->u.get.id);
}

CASE(submit, submit_takes_large_params_and_any_text)
{
    size_t n = 1 << 20;
    char *params = malloc(n + 1);
    memset(params, 'x', n);
    memcpy(params, "{\"p\":\"", 6);
    memcpy(params + n - 2, "\"}", 3);
    struct bp_op *op = submit_op("a");
    op->u.submit.params = params;
    op->u.submit.tenant = "Zo\xc3\xab's \"caf\xc3\xa9\"; DROP TABLE--";
    CHECK_INT(apply_one(op), BP_OK);
    const struct bp_job_row *j = job(op->u.submit.id);
    CHECK(strcmp(j->params, params) == 0);
    CHECK_STR(j->tenant, "Zo\xc3\xab's \"caf\xc3\xa9\"; DROP TABLE--");
    free(params);
}
