/* SPDX-License-Identifier: Apache-2.0 */
/* One batch is one transaction whose operations see each other and fail alone. */
#include "case.h"

CASE(batch, batch_of_nothing_is_ok)
{
    apply_all(NULL, 0);
}

CASE(batch, lease_sees_the_submit_before_it)
{
    worker_any("w");
    struct bp_op *ops[2] = {submit_op("a"), lease_op("w", "a", 1)};
    apply_all(ops, 2);
    CHECK_INT(ops[1]->u.lease.count, 1);
    CHECK_INT(ops[1]->u.lease.jobs[0].id, ops[0]->u.submit.id);
}

CASE(batch, lease_does_not_see_the_submit_behind_it)
{
    worker_any("w");
    struct bp_op *ops[2] = {lease_op("w", "a", 1), submit_op("a")};
    apply_all(ops, 2);
    CHECK_INT(ops[0]->u.lease.count, 0);
    CHECK_INT(lease_id("w"), ops[1]->u.submit.id);
}

CASE(batch, leases_in_one_batch_get_different_jobs)
{
    struct bp_op *ops[6];
    worker_any("w");
    worker_any("v");
    for (int i = 0; i < 5; i++)
        submit("a");
    for (int i = 0; i < 6; i++)
        ops[i] = lease_op(i % 2 ? "w" : "v", "a", 1);
    apply_all(ops, 6);
    for (int i = 0; i < 5; i++)
        CHECK_INT(ops[i]->u.lease.count, 1);
    CHECK_INT(ops[5]->u.lease.count, 0);
    for (int i = 1; i < 5; i++)
        CHECK(ops[i]->u.lease.jobs[0].id > ops[i - 1]->u.lease.jobs[0].id);
}

CASE(batch, leases_in_one_batch_share_the_workers_room)
{
    struct bp_op *ops[4];
    worker_put("w", "[\"a\"]", 3);
    for (int i = 0; i < 9; i++)
        submit("a");
    for (int i = 0; i < 4; i++)
        ops[i] = lease_op("w", "a", 2);
    apply_all(ops, 4);
    uint32_t total = 0;
    for (int i = 0; i < 4; i++)
        total += ops[i]->u.lease.count;
    CHECK_INT(total, 3);
    CHECK_INT(ops[3]->u.lease.live_leases, 3);
}

CASE(batch, a_failing_operation_disturbs_no_other)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w"), wrong = l;
    wrong.token[0] ^= 1;
    struct bp_op *ops[7] = {submit_op("a"),    complete_op(&wrong),        op_new(BP_OP_CANCEL), complete_op(&l),
                            op_new(BP_OP_GET), lease_op("nobody", "a", 1), submit_op("b")};
    ops[2]->u.cancel.id = 99999;
    ops[4]->u.get.id = 99999;
    apply_all(ops, 7);
    const int32_t want[7] = {BP_OK, BP_STALE, BP_NOTFOUND, BP_OK, BP_NOTFOUND, BP_DENIED, BP_OK};
    for (int i = 0; i < 7; i++) {
        CHECK_INT(ops[i]->err.rc, want[i]);
        CHECK((ops[i]->err.text[0] != 0) == (want[i] != BP_OK));
    }
    CHECK_INT(status_of(l.id), BP_JOB_COMPLETED);
    CHECK_INT(list_of(NULL, NULL, BP_JOB_QUEUED)->count, 2);
}

CASE(batch, lease_behind_a_completion_has_its_room)
{
    worker_put("w", "[\"a\"]", 1);
    submit("a");
    int64_t next = submit("a");
    struct lease l = lease_one("w");
    for (int i = 0; i < 2; i++) {
        struct bp_op *ops[2] = {complete_op(&l), lease_op("w", "a", 1)};
        ops[1]->u.lease.after = ops[0];
        apply_all(ops, 2);
        CHECK_INT(ops[0]->u.complete.replay, i);
        CHECK_INT(ops[1]->err.rc, BP_OK);
        CHECK_INT(ops[1]->u.lease.count, i == 0);
        CHECK_INT(ops[1]->u.lease.live_leases, 1);
    }
    CHECK_INT(status_of(l.id), BP_JOB_COMPLETED);
    CHECK_INT(status_of(next), BP_JOB_LEASED);
}

CASE(batch, lease_behind_a_refused_end_gets_nothing)
{
    worker_any("w");
    submit("a");
    submit("a");
    struct lease l = lease_one("w"), wrong = l;
    wrong.token[0] ^= 1;
    struct bp_op *ops[5] = {complete_op(&wrong), lease_op("w", "a", 1), fail_op(&wrong, "no", 0), lease_op("w", "a", 1),
                            lease_op("w", "a", 1)};
    ops[1]->u.lease.after = ops[0];
    ops[3]->u.lease.after = ops[2];
    apply_all(ops, 5);
    for (int i = 0; i < 4; i++)
        CHECK_INT(ops[i]->err.rc, BP_STALE);
    CHECK_INT(ops[1]->u.lease.count, 0);
    CHECK_INT(ops[4]->u.lease.count, 1);
    CHECK_STR(timeline(ops[4]->u.lease.jobs[0].id), "submitted leased");
}

CASE(batch, an_unknown_kind_is_unsupported)
{
    struct bp_op *ops[3] = {op_new(9999), submit_op("a"), op_new(0)};
    apply_all(ops, 3);
    CHECK_INT(ops[0]->err.rc, BP_UNSUPPORTED);
    CHECK_INT(ops[1]->err.rc, BP_OK);
    CHECK_INT(ops[2]->err.rc, BP_UNSUPPORTED);
}

CASE(batch, a_whole_life_in_one_batch)
{
    worker_any("w");
    struct bp_op *first[2] = {submit_op("a"), lease_op("w", "a", 1)};
    apply_all(first, 2);
    struct lease l;
    leased(first[1], &l, 1);
    struct bp_op *ops[5] = {extend_op(&l), complete_op(&l), complete_op(&l), fail_op(&l, "no", 1), extend_op(&l)};
    apply_all(ops, 5);
    CHECK_INT(ops[0]->err.rc, BP_OK);
    CHECK_INT(ops[1]->u.complete.replay, 0);
    CHECK_INT(ops[2]->u.complete.replay, 1);
    CHECK_INT(ops[3]->err.rc, BP_STALE);
    CHECK_INT(ops[4]->err.rc, BP_STALE);
}

CASE(batch, the_first_of_complete_and_requeue_wins)
{
    worker_any("w");
    submit("a");
    submit("a");
    struct lease l = lease_one("w"), m = lease_one("w");
    struct bp_op *ops[4] = {complete_op(&l), requeue_op(&l, "spot"), requeue_op(&m, "spot"), complete_op(&m)};
    apply_all(ops, 4);
    CHECK_INT(ops[0]->err.rc, BP_OK);
    CHECK_INT(ops[1]->err.rc, BP_STALE);
    CHECK_INT(ops[2]->err.rc, BP_OK);
    CHECK_INT(ops[3]->err.rc, BP_STALE);
    CHECK_INT(status_of(l.id), BP_JOB_COMPLETED);
    CHECK_INT(status_of(m.id), BP_JOB_QUEUED);
}

CASE(batch, cancel_before_lease_keeps_the_job_from_being_leased)
{
    worker_any("w");
    int64_t id = submit("a");
    struct bp_op *ops[2] = {op_new(BP_OP_CANCEL), lease_op("w", "a", 1)};
    ops[0]->u.cancel.id = id;
    apply_all(ops, 2);
    CHECK_INT(ops[0]->u.cancel.status, BP_JOB_CANCELLED);
    CHECK_INT(ops[1]->u.lease.count, 0);
}

CASE(batch, requeue_and_lease_in_one_batch_change_hands)
{
    worker_any("w");
    worker_any("v");
    submit("a");
    struct lease l = lease_one("w"), m;
    struct bp_op *ops[2] = {requeue_op(&l, "spot"), lease_op("v", "a", 1)};
    apply_all(ops, 2);
    CHECK_INT(leased(ops[1], &m, 1), 1);
    CHECK_INT(m.id, l.id);
    CHECK_INT(m.row->attempts, 1);
    CHECK_STR(m.row->worker, "v");
}

CASE(batch, a_worker_put_in_the_batch_can_lease)
{
    struct bp_worker_row w = {.size = sizeof w, .approved = 1, .max_concurrency = 1, .worker_id = "w"};
    w.workflows = "[\"a\"]";
    w.token_hash = "h";
    struct bp_op *ops[4] = {op_new(BP_OP_WORKER_PUT), op_new(BP_OP_WORKER_AUTH), submit_op("a"), lease_op("w", "a", 1)};
    ops[0]->u.worker_put.worker = &w;
    ops[1]->u.worker_auth.token_hash = "h";
    apply_all(ops, 4);
    for (int i = 0; i < 4; i++)
        CHECK_INT(ops[i]->err.rc, BP_OK);
    CHECK_INT(ops[3]->u.lease.count, 1);
}

CASE(batch, reads_see_what_came_before_in_the_batch)
{
    struct bp_op *ops[4] = {submit_op("a"), op_new(BP_OP_LIST), op_new(BP_OP_STATS), submit_op("a")};
    ops[1]->u.list.limit = 10;
    ops[2]->u.stats.window_ms = 300000;
    apply_all(ops, 4);
    CHECK_INT(ops[1]->u.list.count, 1);
    CHECK_INT(ops[2]->u.stats.count, 1);
    CHECK_INT(ops[2]->u.stats.rows[0].queued, 1);
    CHECK_INT(ops[2]->u.stats.rows[0].submitted_recent, 1);
    CHECK_INT(stats_of("a")->queued, 2);
}

CASE(batch, a_batch_of_256)
{
    struct bp_op *ops[256];
    worker_any("w");
    for (int i = 0; i < 256; i++)
        ops[i] = i % 2 ? lease_op("w", "a", 1) : submit_op("a");
    apply_all(ops, 256);
    for (int i = 1; i < 256; i += 2) {
        CHECK_INT(ops[i]->u.lease.count, 1);
        CHECK_INT(ops[i]->u.lease.jobs[0].id, ops[i - 1]->u.submit.id);
    }
}

CASE(batch, no_memory_undoes_the_whole_batch)
{
    worker_any("w");
    for (long n = 1; n <= 3; n++) {
        struct bp_op *ops[4] = {submit_op("a"), lease_op("w", "a", 1), submit_op("a"), op_new(BP_OP_STATS)};
        ops[3]->u.stats.window_ms = 1000;
        uint32_t before = list_of(NULL, NULL, 0)->count;
        fake_host_fail_alloc(n);
        int32_t rc = apply_try(ops, 4);
        fake_host_fail_alloc(0);
        if (n <= 2) {
            CHECK_INT(rc, BP_NOMEM);
            CHECK_INT(list_of(NULL, NULL, 0)->count, before);
            CHECK_INT(list_of(NULL, NULL, BP_JOB_LEASED)->count, 0);
        } else {
            CHECK_INT(rc, BP_OK);
        }
    }
    CHECK_INT(stats_of("a")->submitted_recent, 2);
}

CASE(batch, times_come_from_the_caller)
{
    struct bp_op *one = submit_op("a"), *two = submit_op("a");
    one->now_ms = 5000;
    two->now_ms = 9000;
    struct bp_op *ops[2] = {one, two};
    apply_all(ops, 2);
    CHECK_INT(job(one->u.submit.id)->created_ms, 5000);
    CHECK_INT(job(two->u.submit.id)->created_ms, 9000);
}

/* What the job waits for was asked for in the middle of the writes, which were lost and the batch with them. */
CASE(batch, looking_at_a_job_that_waits_beside_a_submit_does_both)
{
    int64_t parent = submit("a"), child = submit_after(parent);
    struct bp_op *look = op_new(BP_OP_GET), *ops[2] = {submit_op("a"), look};
    look->u.get.id = child;
    apply_all(ops, 2);
    CHECK_INT(look->u.get.job->id, child);
    CHECK_INT(status_of(ops[0]->u.submit.id), BP_JOB_QUEUED);
    CHECK_INT(list_of(NULL, NULL, 0)->count, 3);
}
