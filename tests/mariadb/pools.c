/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants' content in pools: on the queue's server, on another one, on one that is away. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pool_rig.h"
#include "proxy.h"

static const char *const TENANTS[] = {"home", "near1", "near2", "far"};
#define N_TENANTS 4

static int64_t count(const char *where)
{
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM %s", where);
    return database_int(sql);
}

/* ---- where content is ---- */

static void content_is_in_its_pool_and_nowhere_else(void **state)
{
    (void)state;
    char key[32], params[64], got[128];
    struct rig_view v;
    struct fake_host *h = rig_start(NULL);
    queue_worker(h, "w");
    for (int i = 0; i < N_TENANTS; i++) {
        snprintf(key, sizeof key, "private-key-%s", TENANTS[i]);
        snprintf(params, sizeof params, "{\"private-params\":\"%s\"}", TENANTS[i]);
        int64_t id = rig_submit(h, TENANTS[i], key, params);
        assert_int_equal(rig_lease(h, "w", TENANTS[i], got), id);
        assert_string_equal(got, params);
        assert_int_equal(rig_complete(h, id, "w", TENANTS[i], "{\"key\":\"private-output\"}"), BP_OK);
        assert_int_equal(rig_get(h, TENANTS[i], id, &v), BP_OK);
        assert_string_equal(v.output, "{\"key\":\"private-output\"}");
        assert_int_equal(rig_submit(h, TENANTS[i], key, params), id);
    }
    rig_sweep(h);
    assert_false(database_holds("private-", "ai_jobs ai_job_outputs"));
    assert_true(database_holds("near1", "ai_jobs")); /* it looks everywhere */
    assert_int_equal(count("DB.ai_jobs"), 1);
    const char *row = "status=4 AND params LIKE '%private-params%' AND output LIKE '%private-output%' AND "
                      "idempotency_key LIKE 'private-key-%' AND provider_job_id='provider-1' AND finished_ms > 0";
    char sql[512];
    snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM `DB.1`.ai_jobs WHERE tenant='near1' AND %s", row);
    assert_int_equal(database_int(sql), 1);
    snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM `DB.2`.ai_jobs WHERE tenant='near2' AND %s", row);
    assert_int_equal(database_int(sql), 1);
    snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM DB.ai_jobs WHERE tenant='far' AND %s", row);
    assert_int_equal(far_int(sql), 1);
    fake_host_stop(h);
}

static void the_pools_row_follows_the_job(void **state)
{
    (void)state;
    struct fake_host *h = rig_start(NULL);
    queue_worker(h, "w");
    for (int i = 1; i < N_TENANTS; i += 2) { /* near1 and far */
        int64_t (*ask)(const char *sql) = i == 1 ? database_int : far_int;
        const char *sql = i == 1 ? "SELECT status FROM `DB.1`.ai_jobs" : "SELECT status FROM DB.ai_jobs";
        int64_t id = rig_submit(h, TENANTS[i], NULL, "{}");
        rig_sweep(h);
        assert_int_equal(ask(sql), 2);
        assert_int_equal(rig_lease(h, "w", TENANTS[i], NULL), id);
        assert_int_equal(rig_fail(h, id, "w", TENANTS[i]), BP_OK);
        rig_sweep(h);
        assert_int_equal(ask(sql), 5);
        struct bp_op again = {.kind = BP_OP_RETRY};
        again.u.retry = (struct bp_op_retry){.id = id, .tenant = TENANTS[i]};
        assert_int_equal(rig_op(h, &again, NULL), BP_OK);
        rig_sweep(h);
        assert_int_equal(ask(sql), 2);
        struct bp_op stop = {.kind = BP_OP_CANCEL};
        stop.u.cancel = (struct bp_op_cancel){.id = id, .tenant = TENANTS[i]};
        assert_int_equal(rig_op(h, &stop, NULL), BP_OK);
        rig_sweep(h);
        assert_int_equal(ask(sql), 6);
        assert_int_equal(count("DB.pool_outbox"), 0);
    }
    fake_host_stop(h);
}

static void pruning_takes_the_pools_rows_too(void **state)
{
    (void)state;
    struct fake_host *h = rig_start(NULL);
    queue_worker(h, "w");
    for (int i = 0; i < N_TENANTS; i++) {
        int64_t id = rig_submit(h, TENANTS[i], TENANTS[i], "{}");
        assert_int_equal(rig_lease(h, "w", TENANTS[i], NULL), id);
        assert_int_equal(rig_complete(h, id, "w", TENANTS[i], "{}"), BP_OK);
    }
    struct bp_op op = {.kind = BP_OP_PRUNE};
    op.u.prune = (struct bp_op_prune){.before_ms = rig_now + 1, .limit = 100};
    assert_int_equal(rig_op(h, &op, NULL), BP_OK);
    assert_int_equal(op.u.prune.removed, N_TENANTS);
    fake_host_free(op.u.prune.memory);
    rig_sweep(h);
    assert_int_equal(count("DB.ai_jobs") + count("`DB.1`.ai_jobs") + count("`DB.2`.ai_jobs"), 0);
    assert_int_equal(count("DB.idempotency_keys") + count("DB.pool_outbox"), 0);
    assert_int_equal(far_int("SELECT COUNT(*) FROM DB.ai_jobs"), 0);
    assert_int_equal(far_int("SELECT COUNT(*) FROM DB.ai_job_outputs"), 0);
    fake_host_stop(h);
}

static void one_batch_may_touch_every_pool(void **state)
{
    (void)state;
    struct fake_host *h = rig_start(NULL);
    struct bp_op all[12] = {{0}}, *ops[12];
    struct bp_err err = {0};
    char params[12][32];
    for (int i = 0; i < 12; i++) {
        snprintf(params[i], sizeof params[i], "{\"n\":%d}", i);
        all[i] = (struct bp_op){.size = sizeof all[i], .kind = BP_OP_SUBMIT, .now_ms = rig_now};
        all[i].u.submit = (struct bp_op_submit){.tenant = TENANTS[i % N_TENANTS], .workflow = "a", .params = params[i]};
        ops[i] = &all[i];
    }
    assert_int_equal(fake_host_queue(h)->apply(fake_host_instance(h), ops, 12, &err), BP_OK);
    for (int i = 0; i < 12; i++) {
        struct rig_view v;
        assert_int_equal(all[i].err.rc, BP_OK);
        assert_int_equal(rig_get(h, TENANTS[i % N_TENANTS], all[i].u.submit.id, &v), BP_OK);
        assert_string_equal(v.params, params[i]);
    }
    assert_int_equal(count("`DB.2`.ai_jobs"), 3);
    fake_host_stop(h);
}

/* ---- which pool ---- */

static int64_t in_pool(const char *tenant, const char *pool)
{
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM DB.tenants WHERE name='%s' AND pool='%s'", tenant, pool);
    return database_int(sql);
}

static void new_tenants_go_where_the_fewest_are(void **state)
{
    (void)state;
    char name[16];
    struct fake_host *h = rig_start(NULL);
    rig_submit(h, "near2", NULL, "{}");
    rig_submit(h, "far", NULL, "{}");
    rig_submit(h, "first", NULL, "{}");
    assert_int_equal(in_pool("first", "near1"), 1);
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "t%d", i);
        rig_submit(h, name, NULL, "{}");
    }
    assert_int_equal(count("DB.tenants WHERE pool='near1'"), 3);
    assert_int_equal(count("DB.tenants WHERE pool='near2'"), 3);
    assert_int_equal(count("DB.tenants WHERE pool='far'"), 3);
    fake_host_stop(h);
}

static void a_tenant_stays_where_it_is(void **state)
{
    (void)state;
    struct bp_err err = {0};
    struct rig_view v;
    struct fake_host *h = queue_start(NULL, "", &err);
    assert_non_null(h);
    int64_t before = rig_submit(h, "near1", NULL, "{\"before\":1}");
    fake_host_stop(h);
    h = rig_start(NULL); /* now there are pools, and the settings would put it into one */
    int64_t after = rig_submit(h, "near1", NULL, "{\"after\":1}");
    assert_int_equal(in_pool("near1", ""), 1);
    assert_int_equal(rig_get(h, "near1", before, &v), BP_OK);
    assert_string_equal(v.params, "{\"before\":1}");
    assert_int_equal(rig_get(h, "near1", after, &v), BP_OK);
    assert_string_equal(v.params, "{\"after\":1}");
    fake_host_stop(h);
}

static void a_producer_that_knows_no_pools_is_served(void **state)
{
    (void)state;
    struct fake_host *h = rig_start(NULL);
    queue_worker(h, "w");
    database_run("INSERT INTO DB.tenants (name) VALUES ('outside')");
    database_run("INSERT INTO DB.ai_job_dispatches (tenant_id, workflow_id, input_key) SELECT t.id, w.id, "
                 "'tenants/outside/in.png' FROM DB.tenants t JOIN DB.workflows w ON w.name='a' WHERE t.name='outside'");
    assert_int_not_equal(rig_lease(h, "w", "t1", NULL), 0);
    rig_sweep(h);
    assert_int_equal(in_pool("outside", ""), 1);
    assert_int_equal(count("DB.ai_jobs WHERE inputs LIKE '%in.png%'"), 1);
    database_run("INSERT INTO DB.tenants (name, pool) VALUES ('inside', 'far')");
    database_run("INSERT INTO DB.ai_job_dispatches (tenant_id, workflow_id, input_key) SELECT t.id, w.id, "
                 "'tenants/inside/in.png' FROM DB.tenants t JOIN DB.workflows w ON w.name='a' WHERE t.name='inside'");
    assert_int_not_equal(rig_lease(h, "w", "t2", NULL), 0);
    assert_int_equal(far_int("SELECT COUNT(*) FROM DB.ai_jobs WHERE inputs LIKE '%in.png%'"), 1);
    fake_host_stop(h);
}

static void a_pool_nobody_configured_is_named(void **state)
{
    (void)state;
    struct bp_err err = {0};
    struct rig_view v;
    struct fake_host *h = rig_start(NULL);
    int64_t id = rig_submit(h, "far", NULL, "{}");
    fake_host_stop(h);
    h = queue_start(NULL, "", &err);
    assert_non_null(h);
    queue_worker(h, "w");
    assert_int_equal(rig_submit_try(h, "far", &err), BP_LATER);
    assert_non_null(strstr(err.text, "pool far"));
    assert_non_null(strstr(err.text, "plugin.mariadb.pools"));
    assert_int_equal(rig_lease(h, "w", "t1", NULL), 0);
    assert_int_equal(rig_get(h, "far", id, &v), BP_LATER);
    assert_int_equal(rig_get(h, NULL, id, &v), BP_OK);
    assert_int_equal(v.attempts, 0);
    fake_host_stop(h);
}

static void wrong_pools_are_refused(const char *pools, const char *why)
{
    struct bp_err err = {0};
    char text[512];
    snprintf(text, sizeof text, ",\"pools\":%s", pools);
    assert_null(queue_start(NULL, text, &err));
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
}

static void pools_that_cannot_be_right_are_refused(void **state)
{
    (void)state;
    char text[256];
    snprintf(text, sizeof text, "{\"one\":{\"database\":\"%s\"}}", database_name());
    wrong_pools_are_refused(text, "is that of the queue itself");
    wrong_pools_are_refused("{\"one\":{\"database\":\"x\"},\"two\":{\"database\":\"x\"}}", "is that of one");
    wrong_pools_are_refused("{},\"tenantPool\":{\"acme\":\"none\"}", "tenant 'acme'");
}

/* ---- a pool that is away ---- */

static void away(struct fake_host *h, int64_t far_job)
{
    struct bp_err err;
    struct rig_view v;
    char params[128];
    assert_int_equal(rig_submit_try(h, "far", &err), BP_LATER);
    assert_non_null(strstr(err.text, "pool far"));
    assert_non_null(strstr(err.text, "proxy.sock"));
    for (int i = 0; i < 5; i++) { /* the others' jobs, and only theirs */
        int64_t id = rig_submit(h, TENANTS[i % 3], NULL, "{\"other\":1}");
        char token[32];
        snprintf(token, sizeof token, "others-%lld", (long long)id);
        assert_int_equal(rig_lease(h, "w", token, params), id);
        assert_string_equal(params, "{\"other\":1}");
        rig_sweep(h);
    }
    assert_int_equal(rig_lease(h, "w", "nothing", NULL), 0);
    assert_int_equal(rig_get(h, "far", far_job, &v), BP_LATER);
    assert_int_equal(rig_get(h, NULL, far_job, &v), BP_OK);
    assert_int_equal(v.status, BP_JOB_QUEUED);
    assert_int_equal(v.attempts, 0);
    assert_non_null(strstr(v.error, "pool far"));
    assert_int_equal(rig_count(h, "far"), 2);
    assert_int_equal(database_int("SELECT MAX(attempts) FROM DB.ai_job_dispatches d JOIN DB.tenants t ON t.id = "
                                  "d.tenant_id WHERE t.name='far' AND d.status='queued'"),
                     0);
}

/* A running job of the pool: its lease goes on, its end is refused for now. */
static void running_while_away(struct fake_host *h, int64_t id)
{
    struct bp_op x = {.kind = BP_OP_EXTEND};
    x.u.extend = (struct bp_op_extend){.id = id, .token = "running", .worker_id = "w", .ttl_ms = TTL_MS};
    assert_int_equal(rig_op(h, &x, NULL), BP_OK);
    fake_host_free(x.u.extend.memory);
    assert_int_equal(rig_complete(h, id, "w", "running", "{\"key\":\"x\"}"), BP_LATER);
}

static void back(struct fake_host *h, int64_t far_job, int64_t running)
{
    struct rig_view v;
    struct bp_err err;
    int32_t rc = BP_LATER;
    for (int i = 0; rc != BP_OK && i < 600; i++) {
        usleep(50000);
        rc = rig_submit_try(h, "far", &err);
    }
    if (rc != BP_OK)
        fail_msg("%s", err.text);
    assert_int_equal(rig_lease(h, "w", "at-last", NULL), far_job);
    assert_int_equal(rig_get(h, "far", far_job, &v), BP_OK);
    assert_int_equal(v.attempts, 1);
    assert_string_equal(v.error, "");
    assert_int_equal(rig_complete(h, running, "w", "running", "{\"key\":\"x\"}"), BP_OK);
    assert_int_equal(rig_complete(h, far_job, "w", "at-last", "{\"key\":\"y\"}"), BP_OK);
}

static void refuse_all(int on)
{
    proxy_cut(on ? REFUSE : PASS);
}

static void waits(void (*trouble)(int on))
{
    struct fake_host *h = rig_start(proxy_start(far_socket()));
    queue_worker(h, "w");
    int64_t running = rig_submit(h, "far", NULL, "{}"), waiting;
    assert_int_equal(rig_lease(h, "w", "running", NULL), running);
    waiting = rig_submit(h, "far", NULL, "{}");
    trouble(1);
    running_while_away(h, running);
    away(h, waiting);
    trouble(0);
    back(h, waiting, running);
    fake_host_stop(h);
}

static void W19_a_pool_that_is_down_burns_no_attempt_and_holds_nobody_else_up(void **state)
{
    (void)state;
    waits(refuse_all);
}

static void W19_nor_does_one_that_hangs(void **state)
{
    (void)state;
    waits(proxy_freeze);
}

static void a_lost_connection_is_made_again_unnoticed(void **state)
{
    (void)state;
    struct bp_err err;
    char sql[64];
    struct fake_host *h = rig_start(NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig_submit_try(h, "far", &err), BP_OK);
        snprintf(sql, sizeof sql, "KILL %lld",
                 (long long)far_int("SELECT id FROM information_schema.PROCESSLIST WHERE db='DB'"));
        far_run(sql);
    }
    if (rig_submit_try(h, "far", &err) != BP_OK)
        fail_msg("%s", err.text);
    assert_int_equal(rig_count(h, "far"), 4);
    fake_host_stop(h);
}

static void an_unreachable_pool_is_no_reason_not_to_start(void **state)
{
    (void)state;
    struct bp_err err;
    const char *proxy = proxy_start(far_socket());
    proxy_cut(REFUSE);
    struct fake_host *h = rig_start(proxy);
    assert_int_equal(rig_submit_try(h, "far", &err), BP_LATER);
    assert_int_equal(rig_submit_try(h, "near1", &err), BP_OK);
    proxy_cut(PASS);
    int32_t rc = BP_LATER;
    for (int i = 0; rc != BP_OK && i < 600; i++) {
        usleep(50000);
        rc = rig_submit_try(h, "far", &err);
    }
    assert_int_equal(rc, BP_OK);
    fake_host_stop(h);
}

/* ---- content that is gone ---- */

static void forget(const char *tenant, int64_t id)
{
    char sql[128];
    const char *table = strcmp(tenant, "near1") == 0 ? "`DB.1`.ai_jobs" : "DB.ai_jobs";
    snprintf(sql, sizeof sql, "DELETE FROM %s WHERE id=%lld", table, (long long)id);
    if (strcmp(tenant, "far") == 0)
        far_run(sql);
    else
        database_run(sql);
}

static void has_failed(struct fake_host *h, const char *tenant, int64_t id)
{
    char where[64];
    struct rig_view v;
    bool central = strcmp(tenant, "home") == 0;
    snprintf(where, sizeof where, central ? "the queue's database" : "pool %s", tenant);
    assert_int_equal(rig_get(h, tenant, id, &v), BP_OK);
    assert_int_equal(v.status, BP_JOB_FAILED);
    assert_int_equal(v.attempts, 0);
    assert_non_null(strstr(v.error, "params and inputs are missing"));
    assert_non_null(strstr(v.error, where));
}

/* Two of three jobs lose their content: those fail, and the worker gets the one behind them. */
static void without_content(const char *tenant)
{
    int64_t lost[2], good;
    char got[128];
    struct fake_host *h = rig_start(NULL);
    lost[0] = rig_submit(h, tenant, NULL, "{\"n\":1}");
    lost[1] = rig_submit(h, tenant, NULL, "{\"n\":2}");
    good = rig_submit(h, tenant, NULL, "{\"n\":3}");
    fake_host_stop(h); /* it remembers what it took itself */
    forget(tenant, lost[0]);
    forget(tenant, lost[1]);
    h = rig_start(NULL);
    queue_worker(h, "w");
    assert_int_equal(rig_lease(h, "w", "t1", got), good);
    assert_string_equal(got, "{\"n\":3}");
    has_failed(h, tenant, lost[0]);
    has_failed(h, tenant, lost[1]);
    /* By hand once more, when a near pool has its row again, without what was in it. */
    struct bp_op again = {.kind = BP_OP_RETRY};
    again.u.retry = (struct bp_op_retry){.id = lost[0], .tenant = tenant};
    assert_int_equal(rig_op(h, &again, NULL), BP_OK);
    assert_int_equal(rig_lease(h, "w", "t2", NULL), 0);
    has_failed(h, tenant, lost[0]);
    assert_int_equal(count("DB.job_events WHERE what=9"), 3);
    assert_int_equal(database_int("SELECT SUM(queued) FROM DB.dispatch_counters WHERE owner=1"), 0);
    fake_host_stop(h);
}

static void a_job_whose_content_was_deleted_ran_on_empty_params(void **state)
{
    (void)state;
    const char *const tenants[] = {"home", "near1", "far"};
    for (int i = 0; i < 3; i++) {
        database_fresh();
        without_content(tenants[i]);
    }
}

static void a_job_that_never_had_content_runs_all_the_same(void **state)
{
    (void)state;
    char got[128];
    struct rig_view v;
    struct fake_host *h = rig_start(NULL);
    queue_worker(h, "w");
    database_run("INSERT INTO DB.tenants (name, pool) VALUES ('inside', 'far')");
    database_run("INSERT INTO DB.ai_job_dispatches (tenant_id, workflow_id) SELECT t.id, w.id FROM DB.tenants t JOIN "
                 "DB.workflows w ON w.name='a' WHERE t.name='inside'");
    int64_t id = database_int("SELECT MAX(id) FROM DB.ai_job_dispatches");
    assert_int_equal(rig_get(h, "inside", id, &v), BP_OK);
    assert_string_equal(v.error, "");
    assert_int_equal(rig_lease(h, "w", "t", got), id);
    assert_string_equal(got, "{}");
    fake_host_stop(h);
}

/* ---- the reconciler ---- */

static void what_may_still_come_is_not_removed(void **state)
{
    (void)state;
    struct fake_host *h = rig_start(NULL);
    rig_submit(h, "home", NULL, "{}");
    database_hold("START TRANSACTION; INSERT INTO DB.ai_job_dispatches (id, due_ms) VALUES (777, 1)");
    far_run("INSERT INTO DB.ai_jobs (id, tenant, params) VALUES (777, 'far', '{}'), (778, 'far', '{}')");
    rig_sweep(h);
    assert_int_equal(far_int("SELECT COUNT(*) FROM DB.ai_jobs"), 2); /* both are young */
    rig_age_far();
    rig_sweep(h);
    assert_int_equal(far_int("SELECT COUNT(*) FROM DB.ai_jobs WHERE id=777"), 1);
    assert_int_equal(far_int("SELECT COUNT(*) FROM DB.ai_jobs WHERE id=778"), 0);
    database_release(); /* rolls back */
    database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE id=777 LOCK IN SHARE MODE");
    rig_sweep(h);
    assert_int_equal(far_int("SELECT COUNT(*) FROM DB.ai_jobs"), 0);
    fake_host_stop(h);
}

static void another_queues_row_is_not_overwritten(void **state)
{
    (void)state;
    struct bp_err err = {0};
    struct fake_host *h = rig_start(NULL);
    far_run("INSERT INTO DB.ai_jobs (id, tenant, status, params) SELECT seq, 'theirs', 2, '{}' FROM "
            "(SELECT 1 seq UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL "
            "SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9 UNION ALL SELECT 10) x");
    assert_int_equal(rig_submit_try(h, "far", &err), BP_LATER);
    assert_non_null(strstr(err.text, "Duplicate"));
    assert_int_equal(rig_submit_try(h, "near1", &err), BP_OK);
    assert_int_equal(far_int("SELECT COUNT(*) FROM DB.ai_jobs WHERE tenant='theirs'"), 10);
    fake_host_stop(h);
}

static void an_orphan_makes_room_for_its_id(void **state)
{
    (void)state;
    struct rig_view v;
    struct fake_host *h = rig_start(NULL);
    far_run("INSERT INTO DB.ai_jobs (id, tenant, params) VALUES (1, 'far', '{\"orphan\":1}'), (2, 'far', '{}')");
    int64_t id = rig_submit(h, "far", NULL, "{\"real\":1}");
    assert_in_range(id, 1, 2);
    assert_int_equal(rig_get(h, "far", id, &v), BP_OK);
    assert_string_equal(v.params, "{\"real\":1}");
    fake_host_stop(h);
}

/* ---- schemas ---- */

static char *migrate(struct fake_host *h, int32_t mode)
{
    struct bp_err err = {0};
    char *report = NULL;
    struct bp_migrate what = {sizeof what, mode, "pools"};
    if (fake_host_queue(h)->migrate(fake_host_instance(h), &what, &report, &err) != BP_OK)
        fail_msg("migrate: %s", err.text);
    return report;
}

static uint32_t times_in(const char *text, const char *what)
{
    uint32_t n = 0;
    for (; (text = strstr(text, what)); text += strlen(what))
        n++;
    return n;
}

static void an_old_pool_is_refused_with_the_command_that_mends_it(void **state)
{
    (void)state;
    struct bp_err err = {0};
    fake_host_stop(rig_start(NULL));
    far_run("DROP TABLE DB.schema_migrations");
    const char *strict = rig_pools(NULL, ",\"autoMigrate\":false");
    assert_null(queue_start(NULL, strict, &err));
    assert_non_null(strstr(err.text, "bpctl migrate pools"));
    assert_non_null(strstr(err.text, "pool far"));
    database_run("DELETE FROM `DB.1`.schema_migrations");
    struct fake_host *h = queue_load(strict, &err);
    char *report = migrate(h, BP_MIGRATE_STATUS);
    assert_int_equal(times_in(report, "\"pending\""), 2);
    assert_int_equal(times_in(report, "\"applied\""), 1);
    fake_host_free(report);
    report = migrate(h, BP_MIGRATE_APPLY);
    assert_int_equal(times_in(report, "\"now\":true"), 2);
    assert_int_equal(times_in(report, "\"where\""), 3);
    fake_host_free(report);
    fake_host_stop(h);
    h = queue_start(NULL, strict, &err);
    if (!h)
        fail_msg("%s", err.text);
    assert_int_equal(rig_submit_try(h, "far", &err), BP_OK);
    fake_host_stop(h);
}

static void without_pools_there_is_nothing_to_migrate(void **state)
{
    (void)state;
    struct bp_err err = {0};
    struct fake_host *h = queue_load("", &err);
    char *report = migrate(h, BP_MIGRATE_APPLY);
    assert_non_null(strstr(report, "no pools are configured"));
    fake_host_free(report);
    fake_host_stop(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(content_is_in_its_pool_and_nowhere_else, database_setup),
        cmocka_unit_test_setup(the_pools_row_follows_the_job, database_setup),
        cmocka_unit_test_setup(pruning_takes_the_pools_rows_too, database_setup),
        cmocka_unit_test_setup(one_batch_may_touch_every_pool, database_setup),
        cmocka_unit_test_setup(new_tenants_go_where_the_fewest_are, database_setup),
        cmocka_unit_test_setup(a_tenant_stays_where_it_is, database_setup),
        cmocka_unit_test_setup(a_producer_that_knows_no_pools_is_served, database_setup),
        cmocka_unit_test_setup(a_pool_nobody_configured_is_named, database_setup),
        cmocka_unit_test_setup(pools_that_cannot_be_right_are_refused, database_setup),
        cmocka_unit_test_setup(W19_a_pool_that_is_down_burns_no_attempt_and_holds_nobody_else_up, database_setup),
        cmocka_unit_test_setup(W19_nor_does_one_that_hangs, database_setup),
        cmocka_unit_test_setup(a_lost_connection_is_made_again_unnoticed, database_setup),
        cmocka_unit_test_setup(an_unreachable_pool_is_no_reason_not_to_start, database_setup),
        cmocka_unit_test_setup(a_job_whose_content_was_deleted_ran_on_empty_params, database_setup),
        cmocka_unit_test_setup(a_job_that_never_had_content_runs_all_the_same, database_setup),
        cmocka_unit_test_setup(what_may_still_come_is_not_removed, database_setup),
        cmocka_unit_test_setup(another_queues_row_is_not_overwritten, database_setup),
        cmocka_unit_test_setup(an_orphan_makes_room_for_its_id, database_setup),
        cmocka_unit_test_setup(an_old_pool_is_refused_with_the_command_that_mends_it, database_setup),
        cmocka_unit_test_setup(without_pools_there_is_nothing_to_migrate, database_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
