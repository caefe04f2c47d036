/* SPDX-License-Identifier: Apache-2.0 */
#include "database.h"

#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cm.h"

static char name[64];

const char *database_socket(void)
{
    return getenv("BP_MARIADB_SOCKET");
}

void database_fresh(void)
{
    static int counter;
    snprintf(name, sizeof name, "test_%d_%d", (int)getpid(), ++counter);
}

int database_setup(void **state)
{
    (void)state;
    database_fresh();
    return 0;
}

void database_use(const char *the_name)
{
    snprintf(name, sizeof name, "%s", the_name);
}

static char *text_of(const char *sql)
{
    static char text[4096];
    const char *at;
    size_t n = 0;
    for (; (at = strstr(sql, "DB")); sql = at + 2)
        n += (size_t)snprintf(text + n, sizeof text - n, "%.*s%s", (int)(at - sql), sql, name);
    snprintf(text + n, sizeof text - n, "%s", sql);
    return text;
}

static MYSQL *ask(const char *socket, const char *sql)
{
    MYSQL *db = mysql_init(NULL);
    assert_non_null(mysql_real_connect(db, NULL, "root", "", NULL, 0, socket, CLIENT_MULTI_STATEMENTS));
    if (mysql_query(db, text_of(sql)) != 0)
        fail_msg("%s: %s", sql, mysql_error(db));
    return db;
}

void database_run(const char *sql)
{
    mysql_close(ask(database_socket(), sql));
}

static MYSQL *held;

void database_hold(const char *sql)
{
    held = ask(database_socket(), sql);
    mysql_free_result(mysql_store_result(held));
}

void database_release(void)
{
    mysql_close(held);
    held = NULL;
}

void database_run_each(const char *query)
{
    MYSQL_ROW row;
    MYSQL *db = ask(database_socket(), query);
    MYSQL_RES *result = mysql_store_result(db);
    assert_non_null(result);
    while ((row = mysql_fetch_row(result)))
        database_run(row[0]);
    mysql_free_result(result);
    mysql_close(db);
}

bool database_text(const char *query, int64_t offset, char *text, size_t n)
{
    char sql[512];
    snprintf(sql, sizeof sql, "%s %lld", query, (long long)offset);
    MYSQL *db = ask(database_socket(), sql);
    MYSQL_RES *result = mysql_store_result(db);
    assert_non_null(result);
    MYSQL_ROW row = mysql_fetch_row(result);
    if (row)
        snprintf(text, n, "%s", row[0]);
    mysql_free_result(result);
    mysql_close(db);
    return row != NULL;
}

static int64_t int_of(MYSQL *db)
{
    MYSQL_RES *result = mysql_store_result(db);
    assert_non_null(result);
    MYSQL_ROW row = mysql_fetch_row(result);
    int64_t n = row && row[0] ? strtoll(row[0], NULL, 10) : 0;
    mysql_free_result(result);
    mysql_close(db);
    return n;
}

int64_t database_int(const char *sql)
{
    return int_of(ask(database_socket(), sql));
}

const char *far_socket(void)
{
    return getenv("BP_MARIADB_FAR");
}

void far_run(const char *sql)
{
    mysql_close(ask(far_socket(), sql));
}

int64_t far_int(const char *sql)
{
    return int_of(ask(far_socket(), sql));
}

const char *database_name(void)
{
    return name;
}

static bool table_holds(const char *table, const char *text)
{
    char sql[256];
    bool found = false;
    snprintf(sql, sizeof sql, "SELECT * FROM DB.%s", table);
    MYSQL *db = ask(database_socket(), sql);
    MYSQL_RES *result = mysql_store_result(db);
    assert_non_null(result);
    for (MYSQL_ROW row; (row = mysql_fetch_row(result));)
        for (unsigned int i = 0; i < mysql_num_fields(result); i++)
            found = found || (row[i] && strstr(row[i], text));
    mysql_free_result(result);
    mysql_close(db);
    return found;
}

bool database_holds(const char *text, const char *but)
{
    bool found = false;
    MYSQL *db =
        ask(database_socket(),
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA='DB' AND TABLE_TYPE='BASE TABLE'");
    MYSQL_RES *result = mysql_store_result(db);
    assert_non_null(result);
    assert_true(mysql_num_rows(result) > 10);
    for (MYSQL_ROW row; (row = mysql_fetch_row(result));)
        found = found || (!strstr(but, row[0]) && table_holds(row[0], text));
    mysql_free_result(result);
    mysql_close(db);
    return found;
}

static const char *settings_of(const char *socket, const char *extra)
{
    static char settings[2048];
    const char *root = ",\"user\":\"root\",\"createDatabase\":true,\"autoMigrate\":true";
    snprintf(settings, sizeof settings, "{\"socket\":\"%s\",\"database\":\"%s\"%s%s}",
             socket ? socket : database_socket(), name, strstr(extra, "\"user\"") ? "" : root, extra);
    return settings;
}

struct fake_host *queue_start(const char *socket, const char *extra, struct bp_err *err)
{
    return fake_host_start(MARIADB_PLUGIN, ".", settings_of(socket, extra), err);
}

struct fake_host *queue_load(const char *extra, struct bp_err *err)
{
    return fake_host_load(MARIADB_PLUGIN, ".", settings_of(NULL, extra), err);
}

struct fake_host *queue_up(void)
{
    struct bp_err err;
    struct fake_host *h = queue_start(NULL, "", &err);
    if (!h)
        fail_msg("start: %s", err.text);
    return h;
}

int32_t queue_run(struct fake_host *h, struct bp_op *op, struct bp_err *err)
{
    op->size = sizeof *op;
    op->now_ms = op->now_ms ? op->now_ms : 1700000000000;
    return fake_host_queue(h)->apply(fake_host_instance(h), &op, 1, err);
}

int32_t queue_do(struct fake_host *h, struct bp_op *op)
{
    struct bp_err err = {0};
    if (queue_run(h, op, &err) != BP_OK)
        fail_msg("operation %d: %s", op->kind, err.text);
    return op->err.rc;
}

int32_t queue_submit(struct fake_host *h, const char *key, int64_t *id, struct bp_err *err)
{
    struct bp_op op = {.kind = BP_OP_SUBMIT};
    op.u.submit = (struct bp_op_submit){.tenant = "acme", .workflow = "a", .idempotency_key = key, .request_hash = "h"};
    int32_t rc = queue_run(h, &op, err);
    if (id)
        *id = op.u.submit.id;
    return rc;
}

void queue_worker(struct fake_host *h, const char *id)
{
    struct bp_err err;
    struct bp_worker_row w = {.approved = 1, .max_concurrency = 100000, .worker_id = id, .workflows = "[\"a\"]"};
    w.token_hash = id;
    struct bp_op op = {.kind = BP_OP_WORKER_PUT};
    op.u.worker_put.worker = &w;
    assert_int_equal(queue_run(h, &op, &err), BP_OK);
}

int64_t queue_lease(struct fake_host *h, const char *worker, const char *token)
{
    struct bp_err err;
    const char *workflow = "a", *key = "k";
    struct bp_op op = {.kind = BP_OP_LEASE};
    op.u.lease = (struct bp_op_lease){.worker_id = worker, .workflows = &workflow, .n_workflows = 1, .max = 1};
    op.u.lease.tokens = &token;
    op.u.lease.output_keys = &key;
    op.u.lease.ttl_ms = 60000;
    if (queue_run(h, &op, &err) != BP_OK)
        fail_msg("lease: %s", err.text);
    int64_t id = op.u.lease.count ? op.u.lease.jobs[0].id : 0;
    fake_host_free(op.u.lease.memory);
    return id;
}
