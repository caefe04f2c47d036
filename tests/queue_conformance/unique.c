/* SPDX-License-Identifier: Apache-2.0 */
/* At most one pending job has a unique key. */
#include "case.h"

static struct bp_op *unique(const char *tenant, const char *key)
{
    struct bp_op *op = submit_op("a");
    op->u.submit.tenant = tenant;
    op->u.submit.unique_key = key;
    return op;
}

static int64_t must(struct bp_op *op)
{
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.submit.outcome, BP_SUBMIT_NEW);
    CHECK_INT(op->u.submit.existed, 0);
    return op->u.submit.id;
}

static void is_pending(const char *key, int64_t id, int32_t status)
{
    struct bp_op *op = unique("acme", key);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.submit.outcome, BP_SUBMIT_PENDING);
    CHECK_INT(op->u.submit.existed, 1);
    CHECK_INT(op->u.submit.id, id);
    CHECK_INT(op->u.submit.status, status);
}

CASE(unique, unique_key_finds_the_pending_job_in_each_state)
{
    worker_any("w");
    struct bp_op *op = unique("acme", "k");
    op->u.submit.not_before_ms = world.now + 1000;
    int64_t id = must(op);
    is_pending("k", id, BP_JOB_SCHEDULED);
    advance(1000);
    sweep();
    is_pending("k", id, BP_JOB_QUEUED);
    CHECK_STR(lease_one("w").row->unique_key, "k");
    is_pending("k", id, BP_JOB_LEASED);
    CHECK_INT(list_of(NULL, NULL, 0)->count, 1);
    CHECK_INT(stats_of("a")->submitted_recent, 1);
    CHECK_STR(job(id)->unique_key, "k");
}

CASE(unique, unique_key_is_free_after_completion)
{
    worker_any("w");
    int64_t id = must(unique("acme", "k"));
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    CHECK(must(unique("acme", "k")) != id);
    CHECK_STR(job(id)->unique_key, "k");
}

CASE(unique, unique_key_is_free_after_failure)
{
    worker_any("w");
    int64_t id = must(unique("acme", "k"));
    struct lease l = lease_one("w");
    CHECK_INT(apply_one(fail_op(&l, "no", 0)), BP_OK);
    CHECK(must(unique("acme", "k")) != id);
}

CASE(unique, unique_key_is_free_after_a_cancel)
{
    int64_t id = must(unique("acme", "k"));
    CHECK_INT(cancel(id), BP_OK);
    CHECK(must(unique("acme", "k")) != id);
}

CASE(unique, unique_key_is_free_after_the_last_expiry)
{
    worker_any("w");
    struct bp_op *op = unique("acme", "k");
    op->u.submit.max_attempts = 1;
    int64_t id = must(op);
    lease_one("w");
    advance(TTL + 1);
    sweep();
    CHECK_INT(status_of(id), BP_JOB_FAILED);
    CHECK(must(unique("acme", "k")) != id);
}

CASE(unique, unique_key_stays_through_retries_and_interruptions)
{
    worker_any("w");
    int64_t id = must(unique("acme", "k"));
    struct lease l = lease_one("w");
    CHECK_INT(requeue(&l), BP_OK);
    is_pending("k", id, BP_JOB_QUEUED);
    l = lease_one("w");
    CHECK_INT(apply_one(fail_op(&l, "busy", 1)), BP_OK);
    is_pending("k", id, BP_JOB_SCHEDULED);
}

CASE(unique, unique_key_comes_back_with_a_retry)
{
    int64_t id = must(unique("acme", "k"));
    CHECK_INT(cancel(id), BP_OK);
    CHECK_INT(retry(id), BP_OK);
    is_pending("k", id, BP_JOB_QUEUED);
}

CASE(unique, unique_key_taken_meanwhile_refuses_the_retry)
{
    int64_t id = must(unique("acme", "k"));
    CHECK_INT(cancel(id), BP_OK);
    int64_t other = must(unique("acme", "k"));
    CHECK_INT(retry(id), BP_CONFLICT);
    CHECK_INT(status_of(id), BP_JOB_CANCELLED);
    is_pending("k", other, BP_JOB_QUEUED);
    CHECK_INT(cancel(other), BP_OK);
    CHECK_INT(retry(id), BP_OK);
    is_pending("k", id, BP_JOB_QUEUED);
}

CASE(unique, unique_keys_belong_to_a_tenant_and_not_to_a_workflow)
{
    int64_t id = must(unique("acme", "k"));
    CHECK(must(unique("zenith", "k")) != id);
    struct bp_op *op = unique("acme", "k");
    op->u.submit.workflow = "b";
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.submit.id, id);
}

CASE(unique, unique_keys_differ_by_case_and_space)
{
    must(unique("acme", "Key"));
    must(unique("acme", "key"));
    must(unique("acme", "key "));
    must(unique("acme", " key"));
    CHECK_INT(list_of(NULL, NULL, 0)->count, 4);
}

CASE(unique, unique_key_has_1_to_255_bytes)
{
    char key[257] = "";
    struct bp_op *op = unique("acme", key);
    CHECK_INT(apply_one(op), BP_INVALID);
    CHECK_INT(op->u.submit.outcome, 0);
    memset(key, 'k', 256);
    CHECK_INT(apply_one(unique("acme", key)), BP_INVALID);
    key[255] = 0;
    int64_t id = must(unique("acme", key));
    is_pending(key, id, BP_JOB_QUEUED);
    CHECK_STR(job(id)->unique_key, key);
}

CASE(unique, unique_idempotency_key_has_at_most_255_bytes)
{
    char key[257];
    memset(key, 'k', 256);
    key[256] = 0;
    struct bp_op *op = submit_op("a");
    op->u.submit.idempotency_key = key;
    CHECK_INT(apply_one(op), BP_INVALID);
    CHECK_INT(op->u.submit.outcome, 0);
    key[255] = 0;
    op = submit_op("a");
    op->u.submit.idempotency_key = key;
    CHECK_INT(apply_one(op), BP_OK);
    struct bp_op *again = submit_op("a");
    again->u.submit.idempotency_key = key;
    CHECK_INT(apply_one(again), BP_OK);
    CHECK_INT(again->u.submit.outcome, BP_SUBMIT_REPLAY);
}

CASE(unique, unique_key_twice_in_one_batch_happens_once)
{
    struct bp_op *ops[3] = {unique("acme", "k"), unique("acme", "k"), unique("acme", "other")};
    apply_all(ops, 3);
    CHECK_INT(ops[0]->u.submit.outcome, BP_SUBMIT_NEW);
    CHECK_INT(ops[1]->u.submit.outcome, BP_SUBMIT_PENDING);
    CHECK_INT(ops[1]->u.submit.id, ops[0]->u.submit.id);
    CHECK_INT(ops[2]->u.submit.outcome, BP_SUBMIT_NEW);
}

CASE(unique, unique_key_survives_a_restart)
{
    int64_t id = must(unique("acme", "k"));
    world_restart();
    is_pending("k", id, BP_JOB_QUEUED);
    CHECK_INT(cancel(id), BP_OK);
    world_restart();
    must(unique("acme", "k"));
}

CASE(unique, unique_key_comes_after_the_idempotency_key)
{
    struct bp_op *first = unique("acme", "k");
    first->u.submit.idempotency_key = "i";
    int64_t id = must(first);
    CHECK_INT(cancel(id), BP_OK);
    must(unique("acme", "k"));
    struct bp_op *again = unique("acme", "k"), *other = unique("acme", "k");
    again->u.submit.idempotency_key = other->u.submit.idempotency_key = "i";
    other->u.submit.request_hash = "another";
    CHECK_INT(apply_one(again), BP_OK);
    CHECK_INT(again->u.submit.outcome, BP_SUBMIT_REPLAY);
    CHECK_INT(again->u.submit.id, id);
    CHECK_INT(apply_one(other), BP_CONFLICT);
    CHECK_INT(other->u.submit.outcome, BP_SUBMIT_KEY);
    CHECK_INT(other->u.submit.id, id);
}

CASE(unique, unique_key_comes_before_after_and_limit)
{
    int64_t id = must(unique("acme", "k")), nobody = id + 1000;
    struct bp_op *limit = tenant_op("acme");
    limit->u.tenant_put.max_pending = 1;
    CHECK_INT(apply_one(limit), BP_OK);
    struct bp_op *op = unique("acme", "k");
    op->u.submit.after = &nobody;
    op->u.submit.n_after = 1;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.submit.outcome, BP_SUBMIT_PENDING);
    op = unique("acme", "new");
    op->u.submit.after = &nobody;
    op->u.submit.n_after = 1;
    CHECK_INT(apply_one(op), BP_NOTFOUND);
    CHECK_INT(op->u.submit.outcome, BP_SUBMIT_AFTER);
}

CASE(unique, unique_key_of_a_pending_answer_is_not_kept_for_a_replay)
{
    int64_t id = must(unique("acme", "k"));
    struct bp_op *op = unique("acme", "k"), *again = unique("acme", "k");
    op->u.submit.idempotency_key = again->u.submit.idempotency_key = "i";
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.submit.id, id);
    CHECK_INT(cancel(id), BP_OK);
    CHECK(must(again) != id);
}
