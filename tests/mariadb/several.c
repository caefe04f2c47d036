/* SPDX-License-Identifier: Apache-2.0 */
/* Controllers that share a queue decide the same thing at the same time: each in a process of its own, let loose at
 * once. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cm.h"
#include "database.h"

#define CONTROLLERS 3
#define ROUNDS      40

static struct bp_op submit_of(const char *tenant)
{
    struct bp_op op = {.kind = BP_OP_SUBMIT};
    op.u.submit = (struct bp_op_submit){.tenant = tenant, .workflow = "a", .request_hash = "h"};
    return op;
}

static struct bp_op tenant_of(const char *name)
{
    struct bp_op op = {.kind = BP_OP_TENANT_PUT};
    op.u.tenant_put = (struct bp_op_tenant_put){
        .name = name, .weight = -1, .max_pending = -1, .max_running = -1, .disabled = -1, .webhook_version = -1};
    return op;
}

/* Runs fn in so many processes, each with a queue of its own that is up before any begins. A test that fails in one of
 * them ends it with another code than 0. */
static void together(int n, void (*fn)(struct fake_host *h, int number))
{
    int gate[2], ready[2];
    char byte;
    assert_int_equal(pipe(gate), 0);
    assert_int_equal(pipe(ready), 0);
    fake_host_stop(queue_up());
    for (int i = 0; i < n; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid > 0)
            continue;
        struct fake_host *h = queue_up();
        close(gate[1]);
        if (write(ready[1], "r", 1) != 1 || read(gate[0], &byte, 1) != 0)
            _exit(1);
        fn(h, i);
        fake_host_stop(h);
        _exit(0);
    }
    for (int i = 0; i < n; i++)
        assert_int_equal(read(ready[0], &byte, 1), 1);
    close(gate[0]);
    close(gate[1]);
    close(ready[0]);
    close(ready[1]);
    for (int i = 0; i < n; i++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

/* In a child: a failed check must end the process, not continue the parent's tests. */
#define MUST(cond)                                                                                                     \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                                 \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

/* ---- names of workers ---- */

static int64_t names_of(const char *worker)
{
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM DB.worker_names WHERE name='%s'", worker);
    return database_int(sql);
}

static void prune_names(struct fake_host *h, int64_t before_ms)
{
    struct bp_op op = {.kind = BP_OP_PRUNE};
    op.u.prune.before_ms = before_ms;
    op.u.prune.limit = 10;
    assert_int_equal(queue_do(h, &op), BP_OK);
}

/* One that comes again, and at a controller that remembers the number it had, is a worker like any other. */
static void the_name_of_a_worker_goes_when_no_job_can_have_it(void **state)
{
    (void)state;
    struct fake_host *a = queue_up(), *b = queue_up();
    struct bp_err err;
    int64_t id, now = INT64_C(1700000000000); /* of queue_run() */
    queue_worker(a, "old");
    queue_worker(a, "w");
    assert_int_equal(queue_lease(b, "old", "t1"), 0); /* now it knows its number */
    struct bp_op del = {.kind = BP_OP_WORKER_DEL};
    del.u.worker_del = (struct bp_op_worker_del){.worker_id = "old", .who = "test"};
    assert_int_equal(queue_do(a, &del), BP_OK);
    prune_names(a, now - 60000);
    assert_int_equal(names_of("old"), 1);
    prune_names(a, now + 60000);
    assert_int_equal(names_of("old"), 0);
    assert_int_equal(names_of("w"), 1);
    queue_worker(b, "old");
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.worker_names n JOIN DB.workers w ON w.id=n.id"), 2);
    assert_int_equal(queue_submit(a, NULL, &id, &err), BP_OK);
    assert_int_equal(queue_lease(a, "old", "t2"), id);
    prune_names(a, now + 60000);
    assert_int_equal(names_of("old"), 1);
    fake_host_stop(a);
    fake_host_stop(b);
}

/* ---- keys ---- */

static void submits_unique(struct fake_host *h, int number)
{
    (void)number;
    for (int i = 0; i < ROUNDS; i++) {
        char key[16];
        struct bp_op op = submit_of("acme");
        snprintf(key, sizeof key, "key-%d", i);
        op.u.submit.unique_key = key;
        MUST(queue_do(h, &op) == BP_OK && op.u.submit.id > 0);
        MUST(op.u.submit.outcome == BP_SUBMIT_NEW || op.u.submit.outcome == BP_SUBMIT_PENDING);
    }
}

static void a_unique_key_submitted_at_several_makes_one_job(void **state)
{
    (void)state;
    together(CONTROLLERS, submits_unique);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches"), ROUNDS);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.unique_keys WHERE pending=1"), ROUNDS);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.job_events"), ROUNDS);
    assert_int_equal(database_int("SELECT SUM(queued) FROM DB.dispatch_counters WHERE owner=1"), ROUNDS);
}

/* A key that is free again and again: each round one of them makes the job, and whoever sees it cancels it. */
static void submits_and_cancels(struct fake_host *h, int number)
{
    (void)number;
    for (int i = 0; i < ROUNDS; i++) {
        struct bp_op op = submit_of("acme"), cancel = {.kind = BP_OP_CANCEL};
        op.u.submit.unique_key = "k";
        MUST(queue_do(h, &op) == BP_OK);
        cancel.u.cancel.id = op.u.submit.id;
        int32_t rc = queue_do(h, &cancel);
        MUST(rc == BP_OK || rc == BP_CONFLICT);
    }
}

static void a_unique_key_is_never_held_twice_nor_lost(void **state)
{
    (void)state;
    together(CONTROLLERS, submits_and_cancels);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status <> 'cancelled'"), 0);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.unique_keys WHERE pending=1"), 0);
    struct fake_host *h = queue_up();
    struct bp_op op = submit_of("acme");
    op.u.submit.unique_key = "k";
    assert_int_equal(queue_do(h, &op), BP_OK);
    assert_int_equal(op.u.submit.outcome, BP_SUBMIT_NEW);
    fake_host_stop(h);
}

static void submits_keyed(struct fake_host *h, int number)
{
    for (int i = 0; i < ROUNDS; i++) {
        char key[16];
        struct bp_op op = submit_of("acme");
        snprintf(key, sizeof key, "key-%d", i);
        op.u.submit.idempotency_key = key;
        op.u.submit.request_hash = number ? "h" : "other";
        int32_t rc = queue_do(h, &op);
        MUST(rc == BP_OK || (rc == BP_CONFLICT && op.u.submit.outcome == BP_SUBMIT_KEY));
        MUST(op.u.submit.id > 0);
    }
}

static void an_idempotency_key_submitted_at_several_makes_one_job(void **state)
{
    (void)state;
    together(CONTROLLERS, submits_keyed);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches"), ROUNDS);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.idempotency_keys"), ROUNDS);
}

/* ---- limits ---- */

#define MAX_PENDING 17
#define MAX_RUNNING 3

static void limit(int32_t max_pending, int32_t max_running)
{
    struct fake_host *h = queue_up();
    struct bp_op op = tenant_of("acme");
    op.u.tenant_put.max_pending = max_pending;
    op.u.tenant_put.max_running = max_running;
    assert_int_equal(queue_do(h, &op), BP_OK);
    fake_host_stop(h);
}

static void submits_many(struct fake_host *h, int number)
{
    (void)number;
    for (int i = 0; i < ROUNDS; i++) {
        struct bp_op op = submit_of("acme");
        int32_t rc = queue_do(h, &op);
        MUST(rc == BP_OK || (rc == BP_LATER && op.u.submit.outcome == BP_SUBMIT_LIMIT));
    }
}

static void max_pending_holds_exactly_at_several(void **state)
{
    (void)state;
    limit(MAX_PENDING, -1);
    together(CONTROLLERS, submits_many);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches"), MAX_PENDING);
    assert_int_equal(database_int("SELECT SUM(queued) FROM DB.dispatch_counters WHERE owner=2"), MAX_PENDING);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_jobs"), MAX_PENDING);
}

/* Leases several at once, looks at what all have, and gives some back. */
static void leases_and_completes(struct fake_host *h, int number)
{
    char worker[16];
    const char *workflow = "a";
    snprintf(worker, sizeof worker, "w%d", number);
    queue_worker(h, worker);
    for (int i = 0; i < ROUNDS; i++) {
        char texts[4][32];
        const char *tokens[4], *keys[4] = {"k", "k", "k", "k"};
        for (int k = 0; k < 4; k++) {
            snprintf(texts[k], sizeof texts[k], "t-%d-%d-%d", number, i, k);
            tokens[k] = texts[k];
        }
        struct bp_op op = {.kind = BP_OP_LEASE};
        op.u.lease = (struct bp_op_lease){.worker_id = worker, .workflows = &workflow, .n_workflows = 1, .max = 4};
        op.u.lease.tokens = tokens;
        op.u.lease.output_keys = keys;
        op.u.lease.ttl_ms = 60000;
        MUST(queue_do(h, &op) == BP_OK);
        MUST(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches d JOIN DB.tenants t ON t.id = d.tenant_id WHERE "
                          "d.status='leased' AND t.name='acme'") <= MAX_RUNNING);
        for (uint32_t k = 0; k < op.u.lease.count; k++) {
            struct bp_op end = {.kind = BP_OP_COMPLETE};
            end.u.complete = (struct bp_op_complete){
                .id = op.u.lease.jobs[k].id, .token = op.u.lease.jobs[k].lease_token, .worker_id = worker};
            MUST(queue_do(h, &end) == BP_OK);
        }
        fake_host_free(op.u.lease.memory);
    }
}

static void leases_only(struct fake_host *h, int number)
{
    char worker[16], token[32];
    snprintf(worker, sizeof worker, "v%d", number);
    queue_worker(h, worker);
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(token, sizeof token, "l-%d-%d", number, i);
        queue_lease(h, worker, token);
    }
}

static void fill(const char *tenant, int n)
{
    struct fake_host *h = queue_up();
    for (int i = 0; i < n; i++) {
        struct bp_op op = submit_of(tenant);
        assert_int_equal(queue_do(h, &op), BP_OK);
    }
    fake_host_stop(h);
}

static void max_running_holds_at_every_moment_at_several(void **state)
{
    (void)state;
    limit(-1, MAX_RUNNING);
    fill("acme", 2 * ROUNDS);
    fill("zenith", ROUNDS);
    together(CONTROLLERS, leases_and_completes);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE attempts > 1"), 0);
    assert_int_equal(database_int("SELECT SUM(leased) FROM DB.dispatch_counters WHERE owner=2"), 0);
}

static void max_running_is_reached_and_the_others_are_not_held_up(void **state)
{
    (void)state;
    limit(-1, MAX_RUNNING);
    fill("acme", ROUNDS);
    fill("zenith", ROUNDS);
    together(CONTROLLERS, leases_only);
    assert_int_equal(database_int("SELECT SUM(leased) FROM DB.dispatch_counters WHERE owner=2"), MAX_RUNNING + ROUNDS);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches d JOIN DB.tenants t ON t.id = d.tenant_id "
                                  "WHERE d.status='leased' AND t.name='acme'"),
                     MAX_RUNNING);
}

static void a_tenant_changed_at_one_is_changed_at_the_other_with_the_next_batch(void **state)
{
    (void)state;
    struct fake_host *one = queue_up(), *two = queue_up();
    struct bp_op op = submit_of("acme"), put = tenant_of("acme");
    assert_int_equal(queue_do(two, &op), BP_OK);
    put.u.tenant_put.disabled = 1;
    assert_int_equal(queue_do(one, &put), BP_OK);
    op = submit_of("acme");
    assert_int_equal(queue_do(two, &op), BP_DENIED);
    assert_int_equal(op.u.submit.outcome, BP_SUBMIT_DISABLED);
    put = tenant_of("acme");
    put.u.tenant_put.disabled = 0;
    put.u.tenant_put.max_pending = 2;
    assert_int_equal(queue_do(two, &put), BP_OK);
    op = submit_of("acme");
    assert_int_equal(queue_do(one, &op), BP_OK);
    op = submit_of("acme");
    assert_int_equal(queue_do(one, &op), BP_LATER);
    fake_host_stop(one);
    fake_host_stop(two);
}

/* ---- shares ---- */

static void submits_fair(struct fake_host *h, int number)
{
    (void)number;
    for (int i = 0; i < ROUNDS; i++) {
        struct bp_op op = submit_of(i % 2 ? "zenith" : "acme");
        op.u.submit.fair = 1;
        MUST(queue_do(h, &op) == BP_OK);
    }
}

static void share_tags_given_at_several_follow_each_other(void **state)
{
    (void)state;
    together(CONTROLLERS, submits_fair);
    int64_t each = CONTROLLERS * ROUNDS / 2;
    assert_int_equal(database_int("SELECT COUNT(DISTINCT tenant_id, share_tag) FROM DB.ai_job_dispatches"), 2 * each);
    assert_int_equal(database_int("SELECT MAX(share_tag) FROM DB.ai_job_dispatches"), each - 1);
    assert_int_equal(database_int("SELECT MIN(finish) FROM DB.shares"), each);
}

/* ---- dependencies ---- */

static int64_t first_id;

/* A job is passed over for the moment in which another is submitted behind it. */
static void completes_all(struct fake_host *h)
{
    char token[24];
    queue_worker(h, "w");
    for (int i = 0, done = 0; done < ROUNDS; i++) {
        struct bp_op end = {.kind = BP_OP_COMPLETE};
        snprintf(token, sizeof token, "t-%d", i);
        end.u.complete = (struct bp_op_complete){.id = queue_lease(h, "w", token), .token = token, .worker_id = "w"};
        if (!end.u.complete.id)
            continue;
        MUST(queue_do(h, &end) == BP_OK);
        done++;
    }
}

static void completes_or_submits_behind(struct fake_host *h, int number)
{
    if (number == 0)
        completes_all(h);
    for (int i = 0; number > 0 && i < ROUNDS; i++) {
        int64_t parent = first_id + i;
        struct bp_op op = submit_of("acme");
        op.u.submit.workflow = "b";
        op.u.submit.after = &parent;
        op.u.submit.n_after = 1;
        MUST(queue_do(h, &op) == BP_OK);
    }
}

static void no_job_waits_for_one_that_completed_meanwhile(void **state)
{
    (void)state;
    fill("acme", ROUNDS);
    first_id = database_int("SELECT MIN(id) FROM DB.ai_job_dispatches");
    together(CONTROLLERS, completes_or_submits_behind);
    struct fake_host *h = queue_up();
    struct bp_op op = {.kind = BP_OP_SWEEP};
    op.u.sweep.limit = 1000;
    assert_int_equal(queue_do(h, &op), BP_OK);
    assert_int_equal(op.u.sweep.next_due_ms, 0);
    fake_host_free(op.u.sweep.memory);
    fake_host_stop(h);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status='queued'"),
                     (CONTROLLERS - 1) * ROUNDS);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE waits_for <> 0"), 0);
}

/* ---- webhooks ---- */

static void delivers(struct fake_host *h, int number)
{
    (void)number;
    for (uint32_t n = 1; n;) {
        struct bp_op op = {.kind = BP_OP_WEBHOOK_TAKE};
        op.u.webhook_take.limit = 3;
        op.u.webhook_take.hold_ms = 60000;
        MUST(queue_do(h, &op) == BP_OK);
        n = op.u.webhook_take.count;
        for (uint32_t i = 0; i < n; i++) {
            struct bp_op done = {.kind = BP_OP_WEBHOOK_DONE};
            done.u.webhook_done = (struct bp_op_webhook_done){.job_id = op.u.webhook_take.rows[i].job_id,
                                                              .finished_ms = op.u.webhook_take.rows[i].finished_ms,
                                                              .delivered = 1,
                                                              .detail = "200"};
            MUST(queue_do(h, &done) == BP_OK);
        }
        fake_host_free(op.u.webhook_take.memory);
    }
}

static void a_delivery_is_given_to_one(void **state)
{
    (void)state;
    struct fake_host *h = queue_up();
    struct bp_op put = tenant_of("acme");
    put.u.tenant_put.webhook_url = "https://acme.example/hook";
    assert_int_equal(queue_do(h, &put), BP_OK);
    for (int i = 0; i < ROUNDS; i++) {
        struct bp_op op = submit_of("acme"), cancel = {.kind = BP_OP_CANCEL};
        assert_int_equal(queue_do(h, &op), BP_OK);
        cancel.u.cancel.id = op.u.submit.id;
        assert_int_equal(queue_do(h, &cancel), BP_OK);
    }
    fake_host_stop(h);
    together(CONTROLLERS, delivers);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.webhook_deliveries"), 0);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.job_events WHERE what=13"), ROUNDS);
}

/* ---- turns ---- */

#define ROOM 3

static void pause_of(int number, int round)
{
    struct timespec t = {0, ((number * 7 + round * 13) % 9) * 30 * 1000000L};
    nanosleep(&t, NULL);
}

/* Bursts and pauses, so that each is alone now and then and takes what it knows for true: of one worker all share. */
static void works_in_turns(struct fake_host *h, int number)
{
    const char *workflow = "a", *key = "k";
    for (int i = 0; i < ROUNDS; i++) {
        char token[32];
        const char *tokens = token;
        struct bp_op sub = submit_of("acme"), op = {.kind = BP_OP_LEASE};
        snprintf(token, sizeof token, "turn-%d-%d", number, i);
        if (i % 4 == 0)
            pause_of(number, i);
        MUST(queue_do(h, &sub) == BP_OK && sub.u.submit.id > 0);
        op.u.lease = (struct bp_op_lease){.worker_id = "shared", .workflows = &workflow, .n_workflows = 1, .max = 1};
        op.u.lease.tokens = &tokens;
        op.u.lease.output_keys = &key;
        op.u.lease.ttl_ms = 60000;
        MUST(queue_do(h, &op) == BP_OK);
        MUST(op.u.lease.live_leases <= ROOM);
        if (!op.u.lease.count)
            continue;
        MUST(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status=3") <= ROOM);
        struct bp_op end = {.kind = BP_OP_COMPLETE};
        end.u.complete =
            (struct bp_op_complete){.id = op.u.lease.jobs[0].id, .token = token, .worker_id = "shared", .output = "{}"};
        MUST(queue_do(h, &end) == BP_OK && !end.u.complete.replay);
        fake_host_free(op.u.lease.memory);
    }
}

static void controllers_that_work_in_turns_lose_and_double_nothing(void **state)
{
    (void)state;
    struct fake_host *h = queue_up();
    struct bp_op room = {.kind = BP_OP_WORKER_SET};
    queue_worker(h, "shared");
    room.u.worker_set =
        (struct bp_op_worker_set){.worker_id = "shared", .approved = -1, .draining = -1, .max_concurrency = ROOM};
    assert_int_equal(queue_do(h, &room), BP_OK);
    together(CONTROLLERS, works_in_turns);
    fake_host_stop(h);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches"), CONTROLLERS * ROUNDS);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_jobs"), CONTROLLERS * ROUNDS);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status=3"), 0);
    /* each job is where its timeline says */
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches d WHERE (SELECT "
                                  "GROUP_CONCAT(e.what ORDER BY e.seq) FROM DB.job_events e WHERE e.job_id = d.id) <> "
                                  "IF(d.status=4, '1,2,8', '1')"),
                     0);
    assert_int_equal(database_int("SELECT SUM(completed) FROM DB.dispatch_counters WHERE owner=1"),
                     database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status=4"));
    assert_int_equal(database_int("SELECT SUM(queued) FROM DB.dispatch_counters WHERE owner=1"),
                     database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status=2"));
    /* nor did the worker ever hold more than it may */
    assert_int_equal(
        database_int("SELECT COUNT(*) FROM (SELECT SUM(IF(what=2,1,IF(what=8,-1,0))) OVER (ORDER BY seq) AS "
                     "held FROM DB.job_events) x WHERE held > 3"),
        0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_name_of_a_worker_goes_when_no_job_can_have_it, database_setup),
        cmocka_unit_test_setup(a_unique_key_submitted_at_several_makes_one_job, database_setup),
        cmocka_unit_test_setup(a_unique_key_is_never_held_twice_nor_lost, database_setup),
        cmocka_unit_test_setup(an_idempotency_key_submitted_at_several_makes_one_job, database_setup),
        cmocka_unit_test_setup(max_pending_holds_exactly_at_several, database_setup),
        cmocka_unit_test_setup(max_running_holds_at_every_moment_at_several, database_setup),
        cmocka_unit_test_setup(max_running_is_reached_and_the_others_are_not_held_up, database_setup),
        cmocka_unit_test_setup(a_tenant_changed_at_one_is_changed_at_the_other_with_the_next_batch, database_setup),
        cmocka_unit_test_setup(share_tags_given_at_several_follow_each_other, database_setup),
        cmocka_unit_test_setup(no_job_waits_for_one_that_completed_meanwhile, database_setup),
        cmocka_unit_test_setup(a_delivery_is_given_to_one, database_setup),
        cmocka_unit_test_setup(controllers_that_work_in_turns_lose_and_double_nothing, database_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
