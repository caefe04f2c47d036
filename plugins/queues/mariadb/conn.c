/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"

#include <mysqld_error.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

#define PATIENT_S    86400 /* of a connection that migrates: a step may take hours on a large table */
#define TABLE_WAIT_S 60    /* a step waits for a table this long; whoever needs the table waits behind it */

static int32_t fail_from_server(struct store *s, const char *doing)
{
    unsigned int code = mysql_errno(s->db);
    s->fault = remedy_fault(code);
    if (code == ER_UNKNOWN_STMT_HANDLER || code == ER_NEED_REPREPARE)
        shapes_forget(s);
    return remedy_fail(s->db, doing, s->settings.where, &s->failure);
}

/* ---- opening ---- */

static void options_set(struct store *s)
{
    const struct settings *c = &s->settings;
    const unsigned int wait_s = s->patient ? PATIENT_S : c->query_timeout_s;
    my_bool on = 1, off = 0, tls = strcmp(c->tls, "off") != 0, verify = strcmp(c->tls, "verify") == 0;
    mysql_optionsv(s->db, MYSQL_OPT_CONNECT_TIMEOUT, &c->connect_timeout_s);
    mysql_optionsv(s->db, MYSQL_OPT_READ_TIMEOUT, &wait_s);
    mysql_optionsv(s->db, MYSQL_OPT_WRITE_TIMEOUT, &wait_s);
    mysql_optionsv(s->db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_optionsv(s->db, MYSQL_OPT_RECONNECT, &off);
    mysql_optionsv(s->db, MYSQL_OPT_LOCAL_INFILE, &off);
    mysql_optionsv(s->db, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "bpd");
    if (tls) {
        mysql_ssl_set(s->db, *c->tls_key ? c->tls_key : NULL, *c->tls_cert ? c->tls_cert : NULL,
                      *c->tls_ca ? c->tls_ca : NULL, NULL, NULL);
        mysql_optionsv(s->db, MYSQL_OPT_SSL_ENFORCE, &on);
        mysql_optionsv(s->db, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, verify ? &on : &off);
    }
}

static int32_t session_set(struct store *s)
{
    struct sql q = {0};
    sql_add(&q,
            "SET NAMES utf8mb4 COLLATE utf8mb4_nopad_bin; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;"
            "SET SESSION sql_mode='STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', autocommit=1, "
            "innodb_lock_wait_timeout=%l, lock_wait_timeout=%l, wait_timeout=%l, max_statement_time=%l, "
            "idle_transaction_timeout=%l",
            (int64_t)s->settings.lock_timeout_s, (int64_t)(s->patient ? TABLE_WAIT_S : s->settings.lock_timeout_s),
            INT64_C(3600), (int64_t)(s->patient ? 0 : s->settings.query_timeout_s),
            (int64_t)(s->patient ? 0 : s->settings.lock_timeout_s + 2 * s->settings.pool_timeout_s));
    int32_t rc = query_run(s, &q);
    sql_free(&q);
    return rc;
}

/* One statement with the name of the database at its end. */
static int32_t on_database(struct store *s, const char *doing, const char *sql)
{
    struct sql q = {0};
    int32_t rc = BP_OK;
    sql_add(&q, "%r %q", sql, s->settings.database);
    if (q.failed)
        rc = store_nomem(s);
    else if (mysql_real_query(s->db, q.text, q.n) != 0)
        rc = fail_from_server(s, doing);
    sql_free(&q);
    return rc;
}

static int32_t database_use(struct store *s)
{
    int32_t rc = BP_OK;
    if (s->settings.create_database)
        rc = on_database(s, "create the database", "CREATE DATABASE IF NOT EXISTS");
    return rc ? rc : on_database(s, "use the database", "USE");
}

/* The library goes on in plain text with a server that offers no TLS. */
static int32_t encryption_check(struct store *s)
{
    if (strcmp(s->settings.tls, "off") == 0 || mysql_get_ssl_cipher(s->db))
        return BP_OK;
    return store_fail(s, BP_DENIED,
                      "the server at %.100s offers no TLS, but tls is %s; give the server a certificate (ssl_cert, "
                      "ssl_key)",
                      s->settings.where, s->settings.tls);
}

int32_t conn_open(struct store *s)
{
    const struct settings *c = &s->settings;
    s->db = mysql_init(NULL);
    if (!s->db)
        return store_fail(s, BP_NOMEM, "out of memory connecting to %.100s", c->where);
    options_set(s);
    bool local = !*c->host;
    if (!mysql_real_connect(s->db, local ? NULL : c->host, c->user, c->password, NULL, local ? 0 : c->port,
                            local && *c->socket ? c->socket : NULL, CLIENT_MULTI_STATEMENTS | CLIENT_FOUND_ROWS)) {
        int32_t rc = fail_from_server(s, "connect");
        if (rc == BP_LATER)
            s->fault = FAULT_LOST;
        conn_close(s);
        return rc;
    }
    s->thread_id = mysql_thread_id(s->db);
    int32_t rc = encryption_check(s);
    rc = rc ? rc : session_set(s);
    rc = rc ? rc : database_use(s);
    if (rc)
        conn_close(s);
    return rc;
}

void conn_close(struct store *s)
{
    if (s->db)
        mysql_close(s->db);
    s->db = NULL;
    s->hasty = false;
    recent_clear(s);
    recall_clear(s);
    bounds_clear(s);
    shapes_forget(s);
}

/* ---- statements ---- */

int32_t query_failed(struct store *s, const char *doing)
{
    return fail_from_server(s, doing);
}

int32_t query_send(struct store *s, const struct sql *q)
{
    if (q->failed)
        return store_fail(s, BP_NOMEM, "out of memory for a statement");
    s->fault = FAULT_NONE;
    s->first_answer = true;
    if (mysql_real_query(s->db, q->text, q->n) != 0)
        return fail_from_server(s, "write to the queue");
    return BP_OK;
}

/* Moves to the next answer. 1: there is one; 0: no more. */
static int32_t next_answer(struct store *s)
{
    if (s->first_answer) {
        s->first_answer = false;
        return 1;
    }
    int more = mysql_next_result(s->db);
    if (more > 0)
        return fail_from_server(s, "read from the queue");
    return more == 0;
}

int32_t query_rows(struct store *s, struct reply *r)
{
    int32_t rc;
    *r = (struct reply){0};
    while ((rc = next_answer(s)) > 0) {
        r->result = mysql_store_result(s->db);
        if (r->result)
            return BP_OK;
        if (mysql_field_count(s->db) != 0)
            return fail_from_server(s, "read from the queue");
    }
    return rc ? rc : store_fail(s, BP_FAIL, "the server answered a query of the queue without rows");
}

bool reply_next(struct reply *r)
{
    r->row = r->result ? mysql_fetch_row(r->result) : NULL;
    return r->row != NULL;
}

void reply_done(struct reply *r)
{
    mysql_free_result(r->result);
    *r = (struct reply){0};
}

int32_t query_end(struct store *s)
{
    int32_t rc;
    while ((rc = next_answer(s)) > 0) {
        MYSQL_RES *result = mysql_store_result(s->db);
        s->affected = mysql_affected_rows(s->db);
        mysql_free_result(result);
        if (!result && mysql_field_count(s->db) != 0)
            return fail_from_server(s, "read from the queue");
    }
    return rc;
}

int32_t query_run(struct store *s, const struct sql *q)
{
    int32_t rc = query_send(s, q);
    return rc ? rc : query_end(s);
}

int32_t query_text(struct store *s, const char *sql)
{
    struct sql q = {0};
    sql_add(&q, "%r", sql);
    int32_t rc = query_run(s, &q);
    sql_free(&q);
    return rc;
}

int32_t query_one(struct store *s, const struct sql *q, struct reply *r)
{
    *r = (struct reply){0};
    int32_t rc = query_send(s, q);
    rc = rc ? rc : query_rows(s, r);
    rc = rc ? rc : query_end(s);
    if (rc)
        reply_done(r);
    return rc;
}

int32_t query_int(struct store *s, const struct sql *q, int64_t *value)
{
    struct reply r;
    *value = 0;
    int32_t rc = query_one(s, q, &r);
    if (!rc && reply_next(&r))
        *value = column_int(&r, 0);
    reply_done(&r);
    return rc;
}

int64_t column_int(const struct reply *r, int column)
{
    return r->row[column] ? strtoll(r->row[column], NULL, 10) : 0;
}

double column_double(const struct reply *r, int column)
{
    return r->row[column] ? strtod(r->row[column], NULL) : 0;
}
