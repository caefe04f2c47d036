/* SPDX-License-Identifier: Apache-2.0 */
/* Migrations: by several hosts at once, cut off in the middle, looked at without a change. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cm.h"
#include "database.h"

#define HOSTS      4
#define RUNNING    ",\"autoMigrate\":false"
#define MIGRATIONS "SELECT COUNT(*) FROM DB.schema_migrations"

/* Asks a queue of its own for a migration; the report, or NULL with err. fake_host_free() it. */
static char *migrate(const char *extra, int32_t mode, const char *target, struct bp_err *err)
{
    char *report = NULL;
    struct bp_migrate what = {sizeof what, mode, target};
    struct fake_host *h = queue_load(extra, err);
    if (!h)
        fail_msg("load: %s", err->text);
    int32_t rc = fake_host_queue(h)->migrate(fake_host_instance(h), &what, &report, err);
    assert_int_equal(rc != BP_OK, report == NULL);
    assert_int_equal(rc, err->rc);
    fake_host_stop(h);
    return report;
}

static void migrated(const char *extra, int32_t mode, const char *has, const char *has_not)
{
    struct bp_err err = {0};
    char *report = migrate(extra, mode, "central", &err);
    if (!report)
        fail_msg("migrate: %s", err.text);
    if (!strstr(report, has) || (has_not && strstr(report, has_not)))
        fail_msg("%s", report);
    fake_host_free(report);
}

/* The queue starts without migrating by itself, and works. */
static void works(void)
{
    struct bp_err err = {0};
    struct fake_host *h = queue_start(NULL, RUNNING, &err);
    if (!h)
        fail_msg("start: %s", err.text);
    if (queue_submit(h, NULL, NULL, &err) != BP_OK)
        fail_msg("submit: %s", err.text);
    fake_host_stop(h);
}

static void looking_changes_nothing(void **state)
{
    (void)state;
    migrated(RUNNING, BP_MIGRATE_STATUS, "\"state\":\"pending\"", "CREATE TABLE");
    migrated(RUNNING, BP_MIGRATE_DRY_RUN, "CREATE TABLE IF NOT EXISTS ai_job_dispatches", "\"now\"");
    assert_int_equal(database_int("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME='DB'"), 0);
    database_run("CREATE DATABASE DB");
    migrated(RUNNING, BP_MIGRATE_STATUS, "\"state\":\"pending\"", "CREATE TABLE");
    assert_int_equal(database_int("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA='DB'"), 0);
}

static void what_was_applied_is_reported_once_as_now(void **state)
{
    (void)state;
    migrated(RUNNING, BP_MIGRATE_APPLY, "\"now\":true", "pending");
    migrated(RUNNING, BP_MIGRATE_APPLY, "\"state\":\"applied\"", "\"now\"");
    migrated(RUNNING, BP_MIGRATE_STATUS, "\"applied_ms\":1", "pending");
    works();
}

static void pools_and_unknown_targets_are_answered(void **state)
{
    struct bp_err err = {0};
    (void)state;
    char *report = migrate(RUNNING, BP_MIGRATE_STATUS, "pools", &err);
    assert_non_null(report);
    fake_host_free(report);
    assert_null(migrate(RUNNING, BP_MIGRATE_STATUS, "puddles", &err));
    assert_int_equal(err.rc, BP_UNSUPPORTED);
    assert_non_null(strstr(err.text, "puddles"));
}

/* ---- at once ---- */

static void one_host(int start)
{
    char byte;
    struct bp_err err = {0};
    if (read(start, &byte, 1) != 0) /* until all are there */
        _exit(2);
    char *report = migrate(RUNNING, BP_MIGRATE_APPLY, "central", &err);
    if (!report)
        fprintf(stderr, "migrate: %s\n", err.text);
    _exit(report ? strstr(report, "\"now\":true") ? 10 : 0 : 1);
}

static void four_hosts_at_once_apply_each_step_once(void **state)
{
    int start[2], status, applied = 0;
    pid_t pids[HOSTS];
    (void)state;
    database_run("CREATE DATABASE DB");
    assert_int_equal(pipe(start), 0);
    for (int i = 0; i < HOSTS; i++) {
        if ((pids[i] = fork()) == 0) {
            close(start[1]);
            one_host(start[0]);
        }
    }
    close(start[0]);
    close(start[1]);
    for (int i = 0; i < HOSTS; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status));
        assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 10);
        applied += WEXITSTATUS(status) == 10;
    }
    assert_int_equal(applied, 1);
    assert_int_equal(database_int("SELECT COUNT(*) = COUNT(DISTINCT version) AND COUNT(*) = MAX(version) FROM "
                                  "DB.schema_migrations"),
                     1);
    works();
}

static void a_host_that_waits_for_another_finds_its_work_done(void **state)
{
    int start[2], status;
    (void)state;
    database_run("CREATE DATABASE DB");
    database_hold("SELECT GET_LOCK(CONCAT('bpd.migrate.', SHA1('DB')), 0)");
    assert_int_equal(pipe(start), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(start[1]);
        one_host(start[0]);
    }
    close(start[0]);
    close(start[1]);
    const char *waits = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE db='DB' AND state='User lock'";
    for (int i = 0; i < 600 && database_int(waits) == 0; i++)
        usleep(50000);
    assert_int_equal(database_int("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA='DB'"), 0);
    database_release();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 10);
}

/* ---- cut ---- */

static void grant_all_tables_but_the_last(void)
{
    database_run("CREATE OR REPLACE USER half@localhost");
    database_run("GRANT SELECT, INSERT, UPDATE, DELETE, INDEX, REFERENCES, ALTER, DROP ON DB.* TO half@localhost");
    database_run("GRANT CREATE ON DB.schema_migrations TO half@localhost");
    database_run("GRANT CREATE ON DB.tenants TO half@localhost");
    database_run("GRANT CREATE ON DB.workflows TO half@localhost");
    database_run("GRANT CREATE ON DB.effects TO half@localhost");
}

static void a_step_cut_in_the_middle_is_taken_up_again(void **state)
{
    struct bp_err err = {0};
    (void)state;
    database_run("CREATE DATABASE DB");
    grant_all_tables_but_the_last();
    assert_null(migrate(RUNNING ",\"user\":\"half\"", BP_MIGRATE_APPLY, "central", &err));
    if (!strstr(err.text, "CREATE command denied") || !strstr(err.text, "GRANT") || !strstr(err.text, "0001_"))
        fail_msg("%s", err.text);
    assert_true(database_int("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA='DB'") > 1);
    assert_int_equal(database_int(MIGRATIONS), 0);
    migrated(RUNNING, BP_MIGRATE_APPLY, "\"now\":true", "pending");
    works();
}

static void every_statement_of_the_steps_may_be_repeated(void **state)
{
    (void)state;
    migrated(RUNNING, BP_MIGRATE_APPLY, "\"now\":true", "pending");
    works(); /* and has rows now */
    for (int64_t version = database_int("SELECT MAX(version) FROM DB.schema_migrations"); version > 0; version--) {
        char sql[96];
        snprintf(sql, sizeof sql, "DELETE FROM DB.schema_migrations WHERE version >= %lld", (long long)version);
        database_run(sql);
        migrated(RUNNING, BP_MIGRATE_APPLY, "\"now\":true", "pending");
        works();
    }
}

static void a_host_killed_while_it_migrates_leaves_nothing_behind(void **state)
{
    int start[2], status;
    (void)state;
    for (int tables = 1; tables <= 21; tables += 4) {
        database_fresh();
        database_run("CREATE DATABASE DB");
        assert_int_equal(pipe(start), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(start[1]);
            one_host(start[0]);
        }
        close(start[0]);
        close(start[1]);
        while (database_int("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA='DB'") < tables &&
               waitpid(pid, &status, WNOHANG) == 0)
            ;
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        migrated(RUNNING, BP_MIGRATE_APPLY, "\"state\":\"applied\"", "pending");
        works();
    }
}

/* ---- refusals ---- */

static void refused(const char *one, const char *two)
{
    struct bp_err err = {0};
    assert_null(queue_start(NULL, RUNNING, &err));
    assert_int_equal(err.rc, BP_LATER);
    if (!strstr(err.text, one) || !strstr(err.text, two))
        fail_msg("'%s' says neither '%s' nor '%s'", err.text, one, two);
}

static void an_old_schema_names_the_command_and_a_migration_mends_it(void **state)
{
    (void)state;
    refused("is number 0", "run: bpctl migrate central");
    migrated(RUNNING, BP_MIGRATE_APPLY, "\"now\":true", NULL);
    works();
}

static void a_newer_or_edited_schema_is_not_touched(void **state)
{
    struct bp_err err = {0};
    (void)state;
    migrated(RUNNING, BP_MIGRATE_APPLY, "\"now\":true", NULL);
    database_run("INSERT INTO DB.schema_migrations VALUES (999, 'later', 'x', 0)");
    refused("999", "install the newer version");
    assert_null(migrate(RUNNING, BP_MIGRATE_APPLY, "central", &err));
    assert_non_null(strstr(err.text, "install the newer version"));
    database_run("DELETE FROM DB.schema_migrations WHERE version=999");
    database_run("UPDATE DB.schema_migrations SET checksum='edited' WHERE version=1");
    refused("0001_", "another checksum");
    assert_null(migrate(RUNNING, BP_MIGRATE_STATUS, "central", &err));
    assert_non_null(strstr(err.text, "another checksum"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(looking_changes_nothing, database_setup),
        cmocka_unit_test_setup(what_was_applied_is_reported_once_as_now, database_setup),
        cmocka_unit_test_setup(pools_and_unknown_targets_are_answered, database_setup),
        cmocka_unit_test_setup(four_hosts_at_once_apply_each_step_once, database_setup),
        cmocka_unit_test_setup(a_host_that_waits_for_another_finds_its_work_done, database_setup),
        cmocka_unit_test_setup(a_step_cut_in_the_middle_is_taken_up_again, database_setup),
        cmocka_unit_test_setup(every_statement_of_the_steps_may_be_repeated, database_setup),
        cmocka_unit_test_setup(a_host_killed_while_it_migrates_leaves_nothing_behind, database_setup),
        cmocka_unit_test_setup(an_old_schema_names_the_command_and_a_migration_mends_it, database_setup),
        cmocka_unit_test_setup(a_newer_or_edited_schema_is_not_touched, database_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
