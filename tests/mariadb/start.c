/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a server or an account is said at start, with the remedy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cm.h"
#include "database.h"
#include "proxy.h"

static void made(void)
{
    struct bp_err err;
    struct fake_host *h = queue_start(NULL, "", &err);
    if (!h)
        fail_msg("start: %s", err.text);
    fake_host_stop(h);
}

/* The start fails, and says all of these. */
static void refused(const char *extra, const char *one, const char *two)
{
    struct bp_err err = {0};
    struct fake_host *h = queue_start(NULL, extra, &err);
    assert_null(h);
    if (!strstr(err.text, one) || !strstr(err.text, two))
        fail_msg("'%s' says neither '%s' nor '%s'", err.text, one, two);
    assert_int_not_equal(err.rc, BP_OK);
}

static void a_wrong_password_names_user_and_server(void **state)
{
    (void)state;
    refused(",\"user\":\"nobody-here\",\"password\":\"x\"", "nobody-here@", "check user and password");
}

static void a_missing_database_says_how_to_make_it(void **state)
{
    (void)state;
    refused(",\"user\":\"root\"", "root@", "createDatabase");
}

static void a_read_only_server_is_refused(void **state)
{
    (void)state;
    made();
    database_run("SET GLOBAL read_only=1");
    refused("", "read-only", "primary");
    database_run("SET GLOBAL read_only=0");
}

static void a_small_packet_is_refused(void **state)
{
    (void)state;
    database_run("SET GLOBAL max_allowed_packet=1048576");
    refused("", "max_allowed_packet", "set it to");
    database_run("SET GLOBAL max_allowed_packet=16777216");
}

/* A row that another application has not committed yet is not there for us. */
static void uncommitted_is_unseen(struct fake_host *h)
{
    struct bp_err err;
    database_run("INSERT IGNORE INTO DB.tenants (name) VALUES ('acme')");
    database_hold("START TRANSACTION; INSERT INTO DB.ai_job_dispatches (tenant_id, workflow_id) SELECT t.id, w.id FROM "
                  "DB.tenants t JOIN DB.workflows w ON w.name='a' WHERE t.name='acme'");
    struct bp_op op = {.kind = BP_OP_LIST};
    op.u.list.limit = 10;
    assert_int_equal(queue_run(h, &op, &err), BP_OK);
    assert_int_equal(op.err.rc, BP_OK);
    assert_int_equal(op.u.list.count, 0);
    fake_host_free(op.u.list.memory);
    assert_int_equal(queue_lease(h, "w", "t0"), 0);
    database_release();
}

/* Nor does anybody wait for a row behind the last one, as with REPEATABLE READ: the gap there would be locked. */
static void the_end_of_the_queue_is_open(struct fake_host *h)
{
    int64_t id;
    struct bp_err err;
    database_hold("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION; INSERT INTO "
                  "DB.ai_job_dispatches (tenant_id, workflow_id, due_ms) VALUES (1, 0, 1)");
    assert_int_equal(queue_submit(h, NULL, &id, &err), BP_OK);
    assert_int_equal(queue_lease(h, "w", "t1"), id);
    database_release();
}

static void the_isolation_sessions_get_by_default_is_not_ours(void **state)
{
    static const char *const DEFAULTS[] = {"SERIALIZABLE", "READ-UNCOMMITTED", "REPEATABLE-READ"};
    char sql[64];
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct bp_err err = {0};
        database_fresh();
        snprintf(sql, sizeof sql, "SET GLOBAL tx_isolation='%s'", DEFAULTS[i]);
        database_run(sql);
        struct fake_host *h = queue_start(NULL, "", &err);
        if (!h)
            fail_msg("%s: %s", DEFAULTS[i], err.text);
        queue_worker(h, "w");
        uncommitted_is_unseen(h);
        the_end_of_the_queue_is_open(h);
        fake_host_stop(h);
    }
}

/* Whatever stands between us and the server may have its own mind of what sessions ask for. */
static void another_isolation_than_asked_for_is_refused(void **state)
{
    struct bp_err err = {0};
    (void)state;
    made();
    const char *proxy = proxy_start(database_socket());
    proxy_isolation("SERIALIZABLE");
    assert_null(queue_start(proxy, "", &err));
    if (!strstr(err.text, "isolation SERIALIZABLE") || !strstr(err.text, "let sessions set READ COMMITTED"))
        fail_msg("'%s'", err.text);
    proxy_isolation(NULL);
    struct fake_host *h = queue_start(proxy, "", &err);
    assert_non_null(h);
    fake_host_stop(h);
}

static void missing_privileges_are_named(void **state)
{
    (void)state;
    made();
    database_run("CREATE OR REPLACE USER reader@localhost");
    database_run("GRANT SELECT, INSERT ON DB.* TO reader@localhost");
    refused(",\"user\":\"reader\"", "command denied", "GRANT");
}

static void every_table_is_looked_at_for_its_privileges(void **state)
{
    static const char *const RIGHTS[] = {"SELECT, INSERT, UPDATE", "SELECT, INSERT, DELETE", "SELECT, UPDATE, DELETE",
                                         "INSERT, UPDATE, DELETE"};
    static const char ALL[] =
        "SELECT CONCAT('GRANT SELECT, INSERT, UPDATE, DELETE ON DB.', TABLE_NAME, ' TO few@localhost') "
        "FROM information_schema.TABLES WHERE TABLE_SCHEMA='DB'";
    char name[65], sql[256];
    (void)state;
    made();
    database_run("CREATE OR REPLACE USER few@localhost");
    database_run_each(ALL);
    for (int64_t i = 0; database_text("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA='DB' AND "
                                      "TABLE_NAME <> 'schema_migrations' ORDER BY 1 LIMIT 1 OFFSET",
                                      i, name, sizeof name);
         i++) {
        snprintf(sql, sizeof sql, "REVOKE ALL ON DB.%s FROM few@localhost", name);
        database_run(sql);
        snprintf(sql, sizeof sql, "GRANT %s ON DB.%s TO few@localhost", RIGHTS[i % 4], name);
        database_run(sql);
        refused(",\"user\":\"few\"", "command denied", "GRANT");
        snprintf(sql, sizeof sql, "GRANT SELECT, INSERT, UPDATE, DELETE ON DB.%s TO few@localhost", name);
        database_run(sql);
    }
    struct bp_err err;
    struct fake_host *h = queue_start(NULL, ",\"user\":\"few\"", &err);
    if (!h)
        fail_msg("start: %s", err.text);
    fake_host_stop(h);
}

static void an_unreachable_server_is_said_and_found_when_it_comes(void **state)
{
    (void)state;
    struct bp_err err = {0};
    char dir[64], path[96];
    assert_non_null(getcwd(dir, sizeof dir));
    snprintf(path, sizeof path, "%s/later.sock", dir);
    assert_null(queue_start(path, "", &err));
    assert_int_equal(err.rc, BP_LATER);
    assert_non_null(strstr(err.text, "later.sock"));
    assert_int_equal(symlink(database_socket(), path), 0);
    struct fake_host *h = queue_start(path, "", &err);
    assert_non_null(h);
    assert_int_equal(unlink(path), 0);
    database_run("KILL USER root");
    int32_t rc = BP_OK;
    for (int i = 0; rc == BP_OK && i < 200; i++)
        rc = queue_submit(h, NULL, NULL, &err);
    assert_int_equal(rc, BP_LATER);
    assert_non_null(strstr(err.text, "later.sock"));
    assert_int_equal(symlink(database_socket(), path), 0);
    for (int i = 0; rc != BP_OK && i < 200; i++) {
        usleep(50000);
        rc = queue_submit(h, NULL, NULL, &err);
    }
    assert_int_equal(rc, BP_OK);
    fake_host_stop(h);
}

static void one_bad_text_fails_alone(void **state)
{
    (void)state;
    struct bp_err err = {0};
    struct fake_host *h = queue_start(NULL, "", &err);
    struct bp_op good = {.size = sizeof good, .kind = BP_OP_SUBMIT, .now_ms = 1}, bad = good, *ops[2] = {&bad, &good};
    good.u.submit = (struct bp_op_submit){.tenant = "acme", .workflow = "a"};
    bad.u.submit = (struct bp_op_submit){.tenant = "acme", .workflow = "a", .params = "\xff\xfe"};
    assert_non_null(h);
    assert_int_equal(fake_host_queue(h)->apply(fake_host_instance(h), ops, 2, &err), BP_OK);
    assert_int_equal(bad.err.rc, BP_INVALID);
    assert_int_equal(good.err.rc, BP_OK);
    fake_host_stop(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_wrong_password_names_user_and_server, database_setup),
        cmocka_unit_test_setup(a_missing_database_says_how_to_make_it, database_setup),
        cmocka_unit_test_setup(a_read_only_server_is_refused, database_setup),
        cmocka_unit_test_setup(a_small_packet_is_refused, database_setup),
        cmocka_unit_test_setup(the_isolation_sessions_get_by_default_is_not_ours, database_setup),
        cmocka_unit_test_setup(another_isolation_than_asked_for_is_refused, database_setup),
        cmocka_unit_test_setup(missing_privileges_are_named, database_setup),
        cmocka_unit_test_setup(every_table_is_looked_at_for_its_privileges, database_setup),
        cmocka_unit_test_setup(an_unreachable_server_is_said_and_found_when_it_comes, database_setup),
        cmocka_unit_test_setup(one_bad_text_fails_alone, database_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
