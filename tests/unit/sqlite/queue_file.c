/* SPDX-License-Identifier: Apache-2.0 */
#include "queue_file.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void directory_fresh(void)
{
    char dir[512];
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/queue.XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
}

struct fake_host *queue_start(const char *settings)
{
    struct bp_err err;
    struct fake_host *h = fake_host_start(SQLITE_PLUGIN, ".", settings, &err);
    if (!h)
        fail_msg("%s", err.text);
    return h;
}

void queue_refused(const char *settings, const char *word)
{
    struct bp_err err = {0};
    assert_null(fake_host_start(SQLITE_PLUGIN, ".", settings, &err));
    assert_int_not_equal(err.rc, BP_OK);
    if (!strstr(err.text, word))
        fail_msg("'%s' does not say '%s'", err.text, word);
}

int32_t queue_submit(struct fake_host *h, size_t bytes, int64_t *id)
{
    struct bp_err err;
    struct bp_op op = {.size = sizeof op, .kind = BP_OP_SUBMIT, .now_ms = NOW}, *list = &op;
    char *params = malloc(bytes + 3);
    assert_non_null(params);
    memset(params, ' ', bytes);
    memcpy(params, "{", 1);
    strcpy(params + bytes, "}");
    op.u.submit = (struct bp_op_submit){.tenant = "acme",
                                        .workflow = "a",
                                        .params = params,
                                        .inputs = "[]",
                                        .request_hash = "",
                                        .who = "tenant:acme",
                                        .max_attempts = 3};
    int32_t rc = fake_host_queue(h)->apply(fake_host_instance(h), &list, 1, &err);
    free(params);
    if (id)
        *id = op.u.submit.id;
    if (rc == BP_OK)
        assert_int_equal(op.err.rc, BP_OK);
    else
        assert_true(err.rc == rc && err.text[0] != 0);
    return rc;
}

void queue_run(struct fake_host *h, struct bp_op *op)
{
    struct bp_err err = {0};
    op->size = sizeof *op;
    if (!op->now_ms)
        op->now_ms = NOW;
    if (fake_host_queue(h)->apply(fake_host_instance(h), &op, 1, &err) != BP_OK)
        fail_msg("%s", err.text);
    if (op->err.rc != BP_OK)
        fail_msg("%s", op->err.text);
}

int64_t queue_jobs(struct fake_host *h)
{
    int64_t n = 0;
    for (int64_t before = 0;;) {
        struct bp_op op = {.kind = BP_OP_LIST};
        op.u.list.limit = 1000;
        op.u.list.before_id = before;
        queue_run(h, &op);
        uint32_t count = op.u.list.count;
        before = count ? op.u.list.jobs[count - 1].id : 0;
        fake_host_free(op.u.list.memory);
        n += count;
        if (count == 0)
            return n;
    }
}

static sqlite3 *file_open(const char *path)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    return db;
}

void file_sql(const char *path, const char *sql)
{
    sqlite3 *db = file_open(path);
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
    sqlite3_close(db);
}

int64_t file_int(const char *path, const char *sql)
{
    sqlite3 *db = file_open(path);
    sqlite3_stmt *q = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return value;
}

int file_sound(const char *path)
{
    return file_int(path, "SELECT integrity_check = 'ok' FROM pragma_integrity_check") == 1 &&
           file_int(path, "SELECT count(*) FROM pragma_foreign_key_check") == 0;
}
