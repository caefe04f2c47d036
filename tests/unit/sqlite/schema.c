/* SPDX-License-Identifier: Apache-2.0 */
#include "queue_file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema.h"

static int fresh(void **state)
{
    (void)state;
    directory_fresh();
    return 0;
}

static void a_new_file_gets_the_schema_and_our_mark(void **state)
{
    (void)state;
    fake_host_stop(queue_start(NULL));
    assert_int_equal(file_int("queue.db", "PRAGMA application_id"), SCHEMA_APPLICATION_ID);
    assert_int_equal(file_int("queue.db", "SELECT count(*) FROM schema_migrations WHERE length(checksum) = 16"), 2);
    assert_int_equal(file_int("queue.db", "SELECT count(*) FROM sqlite_master WHERE name IN ('ai_job_dispatches', "
                                          "'ai_jobs', 'workflows', 'effects', 'workers', 'worker_workflows', "
                                          "'worker_audit_logs', 'job_events', 'tenants')"),
                     9);
    assert_true(file_sound("queue.db"));
}

static void the_file_is_for_its_owner_alone(void **state)
{
    struct stat st;
    (void)state;
    struct fake_host *h = queue_start(NULL);
    assert_int_equal(queue_submit(h, 10, NULL), BP_OK);
    assert_int_equal(stat("queue.db", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat("queue.db-wal", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    fake_host_stop(h);
}

static void the_path_can_be_chosen(void **state)
{
    (void)state;
    fake_host_stop(queue_start("{\"path\": \"other.db\"}"));
    assert_int_equal(access("other.db", F_OK), 0);
    assert_int_equal(access("queue.db", F_OK), -1);
}

static void opening_again_migrates_nothing(void **state)
{
    (void)state;
    fake_host_stop(queue_start(NULL));
    struct fake_host *h = queue_start(NULL);
    struct bp_err err;
    char *report = NULL;
    struct bp_migrate what = {sizeof what, BP_MIGRATE_DRY_RUN, "central"};
    assert_int_equal(fake_host_queue(h)->migrate(fake_host_instance(h), &what, &report, &err), BP_OK);
    assert_null(strstr(report, "pending"));
    fake_host_free(report);
    what.mode = BP_MIGRATE_APPLY;
    assert_int_equal(fake_host_queue(h)->migrate(fake_host_instance(h), &what, NULL, &err), BP_OK);
    fake_host_stop(h);
    assert_int_equal(file_int("queue.db", "SELECT count(*) FROM schema_migrations"), 2);
}

/* Asks a queue that was not opened, and frees its report. */
static void asked(int32_t mode, const char *target, const char *has, const char *has_not)
{
    struct bp_err err;
    char *report = NULL;
    struct bp_migrate what = {sizeof what, mode, target};
    struct fake_host *h = fake_host_load(SQLITE_PLUGIN, ".", NULL, &err);
    assert_non_null(h);
    assert_int_equal(fake_host_queue(h)->migrate(fake_host_instance(h), &what, &report, &err), BP_OK);
    if (!strstr(report, has) || (has_not && strstr(report, has_not)))
        fail_msg("%s", report);
    fake_host_free(report);
    fake_host_stop(h);
}

static void looking_at_the_schema_changes_nothing(void **state)
{
    (void)state;
    asked(BP_MIGRATE_STATUS, "central", "\"state\":\"pending\"", "CREATE TABLE");
    asked(BP_MIGRATE_DRY_RUN, "central", "CREATE TABLE", "\"now\"");
    assert_int_equal(access("queue.db", F_OK), -1);
    asked(BP_MIGRATE_APPLY, "central", "\"now\":true", "pending");
    asked(BP_MIGRATE_APPLY, "central", "\"state\":\"applied\"", "\"now\"");
    asked(BP_MIGRATE_STATUS, "central", "\"state\":\"applied\"", "pending");
    asked(BP_MIGRATE_APPLY, "pools", "no pools", NULL);
}

static void a_newer_schema_is_refused_and_left_alone(void **state)
{
    (void)state;
    fake_host_stop(queue_start(NULL));
    file_sql("queue.db", "INSERT INTO schema_migrations VALUES (99, '0099_future', 'x', 1)");
    queue_refused(NULL, "newer version");
    assert_int_equal(file_int("queue.db", "SELECT count(*) FROM schema_migrations WHERE version < 99"), 2);
}

static void an_edited_migration_is_refused(void **state)
{
    (void)state;
    fake_host_stop(queue_start(NULL));
    file_sql("queue.db", "UPDATE schema_migrations SET checksum = '0123456789abcdef'");
    queue_refused(NULL, "differs");
}

static void another_programs_database_is_refused_and_left_alone(void **state)
{
    (void)state;
    file_sql("queue.db", "CREATE TABLE photos (id INTEGER)");
    queue_refused(NULL, "another program");
    assert_int_equal(file_int("queue.db", "SELECT count(*) FROM sqlite_master"), 1);
    assert_int_equal(file_int("queue.db", "PRAGMA application_id"), 0);
}

static void a_file_that_is_no_database_is_refused_and_left_alone(void **state)
{
    struct stat st;
    (void)state;
    FILE *f = fopen("queue.db", "w");
    for (int i = 0; i < 1000; i++)
        fputs("This is my diary. ", f);
    fclose(f);
    queue_refused(NULL, "queue.db");
    assert_int_equal(stat("queue.db", &st), 0);
    assert_int_equal(st.st_size, 18000);
}

static void a_missing_directory_is_named(void **state)
{
    (void)state;
    queue_refused("{\"path\": \"no/such/dir/queue.db\"}", "no/such/dir/queue.db");
}

static void an_unknown_synchronous_is_refused_with_the_choices(void **state)
{
    (void)state;
    queue_refused("{\"synchronous\": \"most\"}", "full, normal or off");
}

static void words_of_the_timeline_are_in_the_file(void **state)
{
    (void)state;
    struct fake_host *h = queue_start(NULL);
    assert_int_equal(queue_submit(h, 10, NULL), BP_OK);
    fake_host_stop(h);
    assert_int_equal(file_int("queue.db", "SELECT w.word = 'submitted' FROM job_events e JOIN job_event_words w "
                                          "ON w.id = e.what"),
                     1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_new_file_gets_the_schema_and_our_mark, fresh),
        cmocka_unit_test_setup(the_file_is_for_its_owner_alone, fresh),
        cmocka_unit_test_setup(the_path_can_be_chosen, fresh),
        cmocka_unit_test_setup(opening_again_migrates_nothing, fresh),
        cmocka_unit_test_setup(looking_at_the_schema_changes_nothing, fresh),
        cmocka_unit_test_setup(a_newer_schema_is_refused_and_left_alone, fresh),
        cmocka_unit_test_setup(an_edited_migration_is_refused, fresh),
        cmocka_unit_test_setup(another_programs_database_is_refused_and_left_alone, fresh),
        cmocka_unit_test_setup(a_file_that_is_no_database_is_refused_and_left_alone, fresh),
        cmocka_unit_test_setup(a_missing_directory_is_named, fresh),
        cmocka_unit_test_setup(an_unknown_synchronous_is_refused_with_the_choices, fresh),
        cmocka_unit_test_setup(words_of_the_timeline_are_in_the_file, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
