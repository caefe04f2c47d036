/* SPDX-License-Identifier: Apache-2.0 */
/* A log in few writes: what is committed is in the files when COMMIT returns, and a failed write leaves nothing behind.
 */
#include "gather.h"

#include "queue_file.h"
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_PATH "queue.db"

/* ---- a VFS below that counts writes to the log, and fails one ---- */

static sqlite3_vfs counting;
static sqlite3_io_methods counted;
static const sqlite3_io_methods *plain;
static int writes, fail_at; /* fail_at: the write that fails, 0: none */

static int counted_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
    return ++writes == fail_at ? SQLITE_FULL : plain->xWrite(f, from, n, at);
}

static int counting_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    sqlite3_vfs *real = sqlite3_vfs_find("unix");
    (void)vfs;
    int rc = real->xOpen(real, name, f, flags, out);
    if (rc == SQLITE_OK && (flags & SQLITE_OPEN_WAL)) {
        plain = f->pMethods;
        counted = *plain;
        counted.xWrite = counted_write;
        f->pMethods = &counted;
    }
    return rc;
}

static struct gather *g;

static int fresh(void **state)
{
    (void)state;
    directory_fresh();
    if (!counting.zName) {
        counting = *sqlite3_vfs_find("unix");
        counting.pNext = NULL;
        counting.zName = "counting";
        counting.xOpen = counting_open;
        assert_int_equal(sqlite3_vfs_register(&counting, 0), SQLITE_OK);
    }
    writes = fail_at = 0;
    g = gather_new("counting");
    assert_non_null(g);
    return 0;
}

static int over(void **state)
{
    (void)state;
    gather_free(g);
    return 0;
}

/* ---- databases ---- */

static int run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

static sqlite3 *opened(const char *path, const char *vfs)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs), SQLITE_OK);
    assert_int_equal(run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS t(x)"),
                     SQLITE_OK);
    return db;
}

static sqlite3 *gathering(void)
{
    sqlite3 *db = opened(FILE_PATH, gather_name(g));
    assert_int_equal(gather_begin(db), SQLITE_OK);
    writes = 0;
    return db;
}

static void add(sqlite3 *db, int rows)
{
    char sql[160];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%d) INSERT INTO t "
             "SELECT zeroblob(3000) FROM n",
             rows);
    assert_int_equal(run(db, sql), SQLITE_OK);
}

static void copy(const char *from, const char *to)
{
    char buf[65536];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(in >= 0 && out >= 0);
    for (ssize_t n; (n = read(in, buf, sizeof buf)) > 0;)
        assert_int_equal(write(out, buf, (size_t)n), n);
    close(in);
    close(out);
}

/* How many rows who finds the files after a power cut at this moment has. */
static int64_t rows_in_the_files(void)
{
    copy(FILE_PATH, "copy.db");
    copy(FILE_PATH "-wal", "copy.db-wal");
    sqlite3 *db = opened("copy.db", "unix");
    int64_t n = number(db, "SELECT count(*) FROM t");
    assert_int_equal(number(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check='ok'"), 1);
    sqlite3_close(db);
    return n;
}

/* ---- tests ---- */

static void a_commit_is_in_the_files_in_one_write(void **state)
{
    (void)state;
    sqlite3 *db = gathering();
    for (int i = 1; i <= 5; i++) {
        writes = 0;
        assert_int_equal(run(db, "BEGIN IMMEDIATE"), SQLITE_OK);
        add(db, 4);
        assert_int_equal(run(db, "COMMIT"), SQLITE_OK);
        assert_int_equal(writes, 1);
        assert_int_equal(rows_in_the_files(), 4 * i);
    }
    sqlite3_close(db);
}

static void a_commit_larger_than_what_is_kept_is_all_there(void **state)
{
    (void)state;
    sqlite3 *db = gathering(), *other = opened(FILE_PATH, "unix");
    add(db, 1000);
    assert_in_range(writes, 1000 * 4120 / (31 * 4120), 1000 * 4120 / (31 * 4120) + 3);
    assert_int_equal(rows_in_the_files(), 1000);
    assert_int_equal(number(other, "SELECT count(*) FROM t"), 1000);
    assert_int_equal(number(db, "SELECT count(*) FROM t"), 1000);
    sqlite3_close(other);
    sqlite3_close(db);
}

static void nothing_of_a_transaction_is_written_before_it_commits(void **state)
{
    (void)state;
    sqlite3 *db = gathering();
    assert_int_equal(run(db, "PRAGMA cache_size=10; BEGIN IMMEDIATE"), SQLITE_OK);
    add(db, 500);
    assert_int_equal(writes, 0);
    assert_int_equal(run(db, "ROLLBACK"), SQLITE_OK);
    assert_int_equal(writes, 0);
    assert_int_equal(number(db, "SELECT count(*) FROM t"), 0);
    sqlite3_close(db);
}

static void a_failed_write_fails_its_commit_and_touches_no_later_one(void **state)
{
    (void)state;
    for (int at = 1; at <= 4; at++) {
        sqlite3 *db = gathering(), *other = opened(FILE_PATH, "unix");
        int64_t rows = number(db, "SELECT count(*) FROM t");
        writes = 0;
        fail_at = at;
        assert_int_equal(run(db, "BEGIN IMMEDIATE"), SQLITE_OK);
        add(db, 110); /* four writes */
        assert_int_equal(run(db, "COMMIT"), SQLITE_FULL);
        fail_at = 0;
        if (!sqlite3_get_autocommit(db))
            assert_int_equal(run(db, "ROLLBACK"), SQLITE_OK);
        assert_int_equal(rows_in_the_files(), rows);
        add(other, 3); /* where the failed one would have been */
        assert_int_equal(number(db, "SELECT count(*) FROM t"), rows + 3);
        assert_int_equal(rows_in_the_files(), rows + 3);
        add(db, 2);
        assert_int_equal(rows_in_the_files(), rows + 5);
        sqlite3_close(other);
        sqlite3_close(db);
    }
}

static void a_log_that_begins_again_is_whole(void **state)
{
    (void)state;
    sqlite3 *db = gathering();
    assert_int_equal(run(db, "PRAGMA wal_autocheckpoint=20"), SQLITE_OK);
    for (int i = 1; i <= 60; i++) {
        add(db, 7);
        assert_int_equal(rows_in_the_files(), 7 * i);
    }
    assert_int_equal(run(db, "PRAGMA wal_checkpoint(TRUNCATE)"), SQLITE_OK);
    assert_int_equal(rows_in_the_files(), 7 * 60);
    sqlite3_close(db);
}

static void only_a_log_is_gathered(void **state)
{
    (void)state;
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(FILE_PATH, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, gather_name(g)),
                     SQLITE_OK);
    assert_int_equal(run(db, "PRAGMA journal_mode=DELETE; CREATE TABLE t(x)"), SQLITE_OK);
    assert_int_equal(gather_begin(db), SQLITE_MISUSE);
    sqlite3_close(db);
    db = opened(FILE_PATH, "unix");
    assert_int_equal(gather_begin(db), SQLITE_MISUSE);
    sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_commit_is_in_the_files_in_one_write, fresh, over),
        cmocka_unit_test_setup_teardown(a_commit_larger_than_what_is_kept_is_all_there, fresh, over),
        cmocka_unit_test_setup_teardown(nothing_of_a_transaction_is_written_before_it_commits, fresh, over),
        cmocka_unit_test_setup_teardown(a_failed_write_fails_its_commit_and_touches_no_later_one, fresh, over),
        cmocka_unit_test_setup_teardown(a_log_that_begins_again_is_whole, fresh, over),
        cmocka_unit_test_setup_teardown(only_a_log_is_gathered, fresh, over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
