/* SPDX-License-Identifier: Apache-2.0 */
/* Promises 2, 3, 5 and 7: how a lease ends. */
#include "case.h"

CASE(complete, complete_stores_the_output)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    advance(3000);
    struct bp_op *op = complete_op(&l);
    op->u.complete.provider_job_id = "prompt-9";
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.complete.replay, 0);
    CHECK_INT(op->u.complete.status, BP_JOB_COMPLETED);
    const struct bp_job_row *j = job(l.id);
    CHECK_INT(j->status, BP_JOB_COMPLETED);
    CHECK_STR(j->output, "{\"key\":\"out.mp4\",\"size\":7}");
    CHECK_STR(j->provider_job_id, "prompt-9");
    CHECK_STR(j->worker, "w");
    CHECK_STR(j->lease_token, l.token);
    CHECK_INT(j->finished_ms, world.now);
    CHECK(j->progress == 1);
    CHECK(j->error == NULL);
    CHECK_STR(timeline(l.id), "submitted leased completed");
}

CASE(complete, complete_repeated_answers_the_same_and_changes_nothing)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    struct bp_op *first = complete_op(&l);
    CHECK_INT(apply_one(first), BP_OK);
    int64_t finished = job(l.id)->finished_ms;
    advance(5000);
    struct bp_op *again = complete_op(&l);
    again->u.complete.output = "{\"key\":\"other\"}";
    CHECK_INT(apply_one(again), BP_OK);
    CHECK_INT(again->u.complete.replay, 1);
    CHECK_INT(again->u.complete.status, BP_JOB_COMPLETED);
    CHECK_INT(again->u.complete.wait_ms, first->u.complete.wait_ms);
    CHECK_INT(again->u.complete.run_ms, first->u.complete.run_ms);
    CHECK_INT(job(l.id)->finished_ms, finished);
    CHECK_STR(job(l.id)->output, "{\"key\":\"out.mp4\",\"size\":7}");
    CHECK_STR(timeline(l.id), "submitted leased completed");
    CHECK_INT(stats_of("a")->completed_recent, 1);
}

CASE(complete, complete_repeated_in_one_batch_happens_once)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    struct bp_op *ops[2] = {complete_op(&l), complete_op(&l)};
    apply_all(ops, 2);
    CHECK_INT(ops[0]->u.complete.replay, 0);
    CHECK_INT(ops[1]->err.rc, BP_OK);
    CHECK_INT(ops[1]->u.complete.replay, 1);
    CHECK_INT(stats_of("a")->completed_recent, 1);
}

CASE(complete, complete_repeated_after_a_restart_answers_the_same)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    world_restart();
    struct bp_op *again = complete_op(&l);
    CHECK_INT(apply_one(again), BP_OK);
    CHECK_INT(again->u.complete.replay, 1);
}

CASE(complete, complete_needs_the_exact_token_and_worker)
{
    worker_any("w");
    worker_any("W");
    submit("a");
    struct lease l = lease_one("w"), x = l;
    x.token[0] ^= 0x20;
    CHECK_INT(complete(&x), BP_STALE);
    x = l;
    strcat(x.token, " ");
    CHECK_INT(complete(&x), BP_STALE);
    x = l;
    x.token[strlen(x.token) - 1] = 0;
    CHECK_INT(complete(&x), BP_STALE);
    x = l;
    x.token[0] = 0;
    CHECK_INT(complete(&x), BP_STALE);
    x = l;
    x.worker[0] = 'W';
    CHECK_INT(complete(&x), BP_STALE);
    struct bp_op *none = complete_op(&l);
    none->u.complete.token = NULL;
    CHECK_INT(apply_one(none), BP_STALE);
    CHECK_INT(status_of(l.id), BP_JOB_LEASED);
    CHECK_STR(timeline(l.id), "submitted leased");
    CHECK_INT(complete(&l), BP_OK);
}

CASE(complete, complete_of_a_job_that_never_was_is_stale)
{
    worker_any("w");
    struct lease l = {.id = 4711, .token = "t", .worker = "w"};
    CHECK_INT(complete(&l), BP_STALE);
    l.id = 0;
    CHECK_INT(complete(&l), BP_STALE);
    l.id = -1;
    CHECK_INT(complete(&l), BP_STALE);
}

CASE(complete, complete_of_a_queued_job_is_stale)
{
    worker_any("w");
    struct lease l = {.id = submit("a"), .token = "", .worker = ""};
    CHECK_INT(complete(&l), BP_STALE);
    struct bp_op *none = complete_op(&l);
    none->u.complete.token = none->u.complete.worker_id = NULL;
    CHECK_INT(apply_one(none), BP_STALE);
    CHECK_INT(status_of(l.id), BP_JOB_QUEUED);
}

CASE(complete, complete_after_expiry_counts_while_nobody_took_the_job)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    advance(TTL * 3);
    CHECK_INT(complete(&l), BP_OK);
    CHECK_INT(sweep()->count, 0);
}

CASE(complete, complete_after_the_sweep_is_stale)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    advance(TTL + 1);
    sweep();
    CHECK_INT(complete(&l), BP_STALE);
    CHECK_INT(status_of(l.id), BP_JOB_QUEUED);
}

CASE(complete, complete_of_an_old_lease_leaves_the_new_one_alone)
{
    worker_any("w");
    submit("a");
    struct lease old = lease_one("w");
    advance(TTL + 1);
    sweep();
    struct lease new = lease_one("w");
    CHECK_INT(new.id, old.id);
    CHECK_INT(complete(&old), BP_STALE);
    CHECK_INT(apply_one(fail_op(&old, "late", 1)), BP_STALE);
    CHECK_INT(requeue(&old), BP_STALE);
    CHECK_INT(apply_one(extend_op(&old)), BP_STALE);
    const struct bp_job_row *j = job(new.id);
    CHECK_INT(j->status, BP_JOB_LEASED);
    CHECK_STR(j->lease_token, new.token);
    CHECK_INT(complete(&new), BP_OK);
}

CASE(complete, complete_measures_wait_and_run)
{
    worker_any("w");
    submit("a");
    advance(1500);
    struct lease l = lease_one("w");
    advance(4000);
    struct bp_op *op = complete_op(&l);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.complete.wait_ms, 1500);
    CHECK_INT(op->u.complete.run_ms, 4000);
}

CASE(complete, complete_wait_begins_when_the_job_is_due)
{
    worker_any("w");
    struct bp_op *s = submit_op("a");
    s->u.submit.not_before_ms = world.now + 60000;
    CHECK_INT(apply_one(s), BP_OK);
    advance(60500);
    sweep();
    advance(500);
    struct lease l = lease_one("w");
    struct bp_op *op = complete_op(&l);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.complete.wait_ms, 1000);
}

CASE(complete, complete_run_is_that_of_the_last_lease)
{
    worker_any("w");
    submit("a");
    advance(100);
    struct lease l = lease_one("w");
    advance(9000);
    CHECK_INT(requeue(&l), BP_OK);
    advance(9000);
    l = lease_one("w");
    advance(700);
    struct bp_op *op = complete_op(&l);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.complete.run_ms, 700);
    CHECK_INT(op->u.complete.wait_ms, 100);
}

CASE(complete, complete_wins_over_a_cancel)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(cancel(l.id), BP_OK);
    struct bp_op *op = complete_op(&l);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.complete.status, BP_JOB_COMPLETED);
    CHECK_INT(status_of(l.id), BP_JOB_COMPLETED);
}

CASE(complete, complete_and_fail_of_one_lease_count_once)
{
    worker_any("w");
    submit("a");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    CHECK_INT(apply_one(fail_op(&l, "no", 0)), BP_STALE);
    CHECK_INT(status_of(l.id), BP_JOB_COMPLETED);
    l = lease_one("w");
    CHECK_INT(apply_one(fail_op(&l, "no", 0)), BP_OK);
    CHECK_INT(complete(&l), BP_STALE);
    CHECK_INT(status_of(l.id), BP_JOB_FAILED);
}

/* ---- fail ---- */

CASE(fail, fail_for_good_keeps_the_error)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    struct bp_op *op = fail_op(&l, "The photo cannot be read.", 0);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.fail.status, BP_JOB_FAILED);
    CHECK_INT(op->u.fail.attempts, 1);
    const struct bp_job_row *j = job(l.id);
    CHECK_INT(j->status, BP_JOB_FAILED);
    CHECK_STR(j->error, "The photo cannot be read.");
    CHECK_INT(j->finished_ms, world.now);
    CHECK_STR(timeline(l.id), "submitted leased failed");
    CHECK_INT(lease_id("w"), 0);
}

CASE(fail, fail_retryable_waits_and_comes_back)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    struct bp_op *op = fail_op(&l, "out of memory", 1);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.fail.status, BP_JOB_SCHEDULED);
    CHECK_INT(op->u.fail.retry_at_ms, world.now + bp_retry_delay_ms(1, 1000, 5000, 0.5));
    CHECK_INT(job(l.id)->not_before_ms, op->u.fail.retry_at_ms);
    CHECK_STR(job(l.id)->error, "out of memory");
    CHECK_INT(lease_id("w"), 0);
    world.now = op->u.fail.retry_at_ms + 1;
    sweep();
    CHECK_INT(lease_id("w"), l.id);
    CHECK_INT(job(l.id)->attempts, 2);
}

CASE(fail, fail_backs_off_further_each_time)
{
    int64_t delay[2];
    worker_any("w");
    submit("a");
    for (int i = 0; i < 2; i++) {
        struct lease l = lease_one("w");
        struct bp_op *op = fail_op(&l, "no", 1);
        CHECK_INT(apply_one(op), BP_OK);
        delay[i] = op->u.fail.retry_at_ms - world.now;
        advance(delay[i] + 1);
        sweep();
    }
    CHECK_INT(delay[0], 750);
    CHECK_INT(delay[1], 1500);
}

CASE(fail, fail_with_no_attempts_left_is_final)
{
    worker_any("w");
    int64_t id = submit("a");
    for (int i = 1; i <= 3; i++) {
        struct lease l = lease_one("w");
        struct bp_op *op = fail_op(&l, "no", 1);
        CHECK_INT(apply_one(op), BP_OK);
        CHECK_INT(op->u.fail.attempts, i);
        CHECK_INT(op->u.fail.status, i < 3 ? BP_JOB_SCHEDULED : BP_JOB_FAILED);
        advance(10000);
        sweep();
    }
    CHECK_INT(status_of(id), BP_JOB_FAILED);
    CHECK_INT(stats_of("a")->failed_recent, 1);
}

CASE(fail, fail_repeated_answers_the_same_and_changes_nothing)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    struct bp_op *first = fail_op(&l, "no", 1), *again = fail_op(&l, "no", 1);
    CHECK_INT(apply_one(first), BP_OK);
    again->now_ms += 300;
    CHECK_INT(apply_one(again), BP_OK);
    CHECK_INT(again->u.fail.replay, 1);
    CHECK_INT(again->u.fail.status, BP_JOB_SCHEDULED);
    CHECK_INT(again->u.fail.attempts, 1);
    CHECK_INT(again->u.fail.retry_at_ms, first->u.fail.retry_at_ms);
    CHECK_STR(timeline(l.id), "submitted leased retry");
}

CASE(fail, fail_repeated_after_the_final_failure_is_a_replay)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(apply_one(fail_op(&l, "no", 0)), BP_OK);
    struct bp_op *again = fail_op(&l, "no", 0);
    CHECK_INT(apply_one(again), BP_OK);
    CHECK_INT(again->u.fail.replay, 1);
    CHECK_INT(again->u.fail.status, BP_JOB_FAILED);
    CHECK_INT(stats_of("a")->failed_recent, 1);
}

CASE(fail, fail_repeated_after_the_next_lease_is_stale)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(apply_one(fail_op(&l, "no", 1)), BP_OK);
    advance(10000);
    sweep();
    lease_one("w");
    CHECK_INT(apply_one(fail_op(&l, "no", 1)), BP_STALE);
    CHECK_INT(status_of(l.id), BP_JOB_LEASED);
}

CASE(fail, fail_of_a_job_to_be_cancelled_cancels_it)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(cancel(l.id), BP_OK);
    struct bp_op *op = fail_op(&l, "cancelled by the tenant", 1);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.fail.status, BP_JOB_CANCELLED);
    CHECK_INT(status_of(l.id), BP_JOB_CANCELLED);
    CHECK_INT(stats_of("a")->failed_recent, 0);
}

CASE(fail, fail_with_another_token_is_stale)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w"), x = l;
    x.token[2] ^= 1;
    CHECK_INT(apply_one(fail_op(&x, "no", 0)), BP_STALE);
    CHECK_INT(status_of(l.id), BP_JOB_LEASED);
}

CASE(fail, fail_keeps_the_checkpoint_for_the_next_attempt)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    struct bp_op *op = extend_op(&l);
    op->u.extend.checkpoint_key = "ckpt/1";
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(apply_one(fail_op(&l, "no", 1)), BP_OK);
    advance(10000);
    sweep();
    l = lease_one("w");
    CHECK_STR(l.row->checkpoint_key, "ckpt/1");
}

/* ---- requeue ---- */

CASE(requeue, requeue_gives_the_attempt_back)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    struct bp_op *op = requeue_op(&l, "spot_interruption");
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.requeue.status, BP_JOB_QUEUED);
    const struct bp_job_row *j = job(l.id);
    CHECK_INT(j->status, BP_JOB_QUEUED);
    CHECK_INT(j->attempts, 0);
    CHECK_INT(j->requeues, 1);
    CHECK_STR(timeline(l.id), "submitted leased requeued");
}

CASE(requeue, requeue_goes_to_the_front_of_its_priority)
{
    worker_any("w");
    int64_t one = submit("a"), two = submit("a"), three = submit("a");
    CHECK_INT(lease_id("w"), one);
    struct lease l = lease_one("w");
    CHECK_INT(l.id, two);
    CHECK_INT(requeue(&l), BP_OK);
    int64_t urgent = submit_priority("a", 1);
    CHECK_INT(lease_id("w"), urgent);
    CHECK_INT(lease_id("w"), two);
    CHECK_INT(lease_id("w"), three);
}

CASE(requeue, requeue_passes_older_jobs_of_its_priority)
{
    struct lease l[3];
    worker_any("w");
    for (int i = 0; i < 3; i++)
        submit("a");
    for (int i = 0; i < 3; i++)
        l[i] = lease_one("w");
    advance(TTL + 1);
    CHECK_INT(apply_one(extend_op(&l[2])), BP_OK);
    sweep();
    CHECK_INT(requeue(&l[2]), BP_OK);
    CHECK_INT(lease_id("w"), l[2].id);
    CHECK_INT(lease_id("w"), l[0].id);
    CHECK_INT(lease_id("w"), l[1].id);
}

CASE(requeue, requeue_keeps_the_checkpoint)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    struct bp_op *op = extend_op(&l);
    op->u.extend.checkpoint_key = "ckpt/1";
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(requeue(&l), BP_OK);
    l = lease_one("w");
    CHECK_STR(l.row->checkpoint_key, "ckpt/1");
    op = requeue_op(&l, "sigterm");
    op->u.requeue.checkpoint_key = "ckpt/2";
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_STR(lease_one("w").row->checkpoint_key, "ckpt/2");
}

CASE(requeue, requeue_is_capped)
{
    worker_any("w");
    int64_t id = submit("a");
    for (int i = 1; i <= MAX_REQUEUES + 1; i++) {
        struct lease l = lease_one("w");
        struct bp_op *op = requeue_op(&l, "spot");
        CHECK_INT(apply_one(op), BP_OK);
        CHECK_INT(op->u.requeue.status, i <= MAX_REQUEUES ? BP_JOB_QUEUED : BP_JOB_FAILED);
    }
    CHECK_INT(status_of(id), BP_JOB_FAILED);
    CHECK(job(id)->error && job(id)->error[0]);
    CHECK_INT(lease_id("w"), 0);
    CHECK_INT(stats_of("a")->failed_recent, 1);
}

CASE(requeue, requeue_of_a_lease_that_reached_nobody_does_not_count)
{
    worker_any("w");
    int64_t id = submit("a"), other = submit("a");
    for (int i = 0; i < 2 * MAX_REQUEUES; i++) {
        struct lease l = lease_one("w");
        CHECK_INT(l.id, id);
        struct bp_op *op = requeue_op(&l, "nobody was there");
        op->u.requeue.max_requeues = -1;
        CHECK_INT(apply_one(op), BP_OK);
        CHECK_INT(op->u.requeue.status, BP_JOB_QUEUED);
    }
    CHECK_INT(job(id)->attempts, 0);
    CHECK_INT(job(id)->requeues, 0);
    CHECK_INT(stats_of("a")->interrupted_recent, 0);
    struct lease l = lease_one("w");
    CHECK_INT(l.id, id);
    CHECK_INT(cancel(id), BP_OK);
    struct bp_op *op = requeue_op(&l, "nobody was there");
    op->u.requeue.max_requeues = -1;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.requeue.status, BP_JOB_CANCELLED);
    CHECK_INT(lease_id("w"), other);
}

CASE(requeue, requeue_twice_is_stale)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(requeue(&l), BP_OK);
    CHECK_INT(requeue(&l), BP_STALE);
    CHECK_INT(job(l.id)->requeues, 1);
    CHECK_INT(complete(&l), BP_STALE);
    CHECK_INT(apply_one(fail_op(&l, "no", 0)), BP_STALE);
    CHECK_INT(status_of(l.id), BP_JOB_QUEUED);
}

CASE(requeue, requeue_does_not_revive_a_finished_job)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    CHECK_INT(requeue(&l), BP_STALE);
    CHECK_INT(status_of(l.id), BP_JOB_COMPLETED);
}

CASE(requeue, requeue_of_a_job_to_be_cancelled_cancels_it)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(cancel(l.id), BP_OK);
    struct bp_op *op = requeue_op(&l, "spot");
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.requeue.status, BP_JOB_CANCELLED);
    CHECK_INT(lease_id("w"), 0);
}

CASE(requeue, requeue_loses_its_place_in_front_once_it_ran)
{
    worker_any("w");
    int64_t old = submit("a"), young = submit("a");
    CHECK_INT(lease_id("w"), old);
    struct lease l = lease_one("w");
    CHECK_INT(l.id, young);
    CHECK_INT(requeue(&l), BP_OK);
    CHECK_INT(lease_id("w"), young);
    advance(TTL + 1);
    CHECK_INT(sweep()->count, 2);
    CHECK_INT(lease_id("w"), old);
    CHECK_INT(lease_id("w"), young);
}
