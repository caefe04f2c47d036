/* SPDX-License-Identifier: Apache-2.0 */
/* database.h - the server with_mariadb started, a database of its own for each test, and queues on it. */
#ifndef TEST_DATABASE_H
#define TEST_DATABASE_H

#include <bp/queue.h>
#include <stdbool.h>

#include "fake_host.h"

/* Makes a new empty name for the database; the plugin creates it. */
void database_fresh(void);
/* The same, as a test's setup. */
int database_setup(void **state);
/* Uses one that another process of the test made. */
void database_use(const char *the_name);
/* Runs a statement as root in no database; "DB" in it stands for the test's. */
void database_run(const char *sql);
/* Runs a statement on a connection that stays open, with its locks, until database_release(). */
void database_hold(const char *sql);
void database_release(void);
/* Runs each of the statements a query answers. */
void database_run_each(const char *query);
/* The text a query ending in "OFFSET" answers at this offset; false: there is none. */
bool database_text(const char *query, int64_t offset, char *text, size_t n);
/* The single integer a query answers. */
int64_t database_int(const char *sql);
const char *database_socket(void);
/* The test's own name for databases. */
const char *database_name(void);
/* Is the text in any column of the test's database, but for these tables? */
bool database_holds(const char *text, const char *but);
/* The same on a second server, of programs that run beside two. */
void far_run(const char *sql);
int64_t far_int(const char *sql);
const char *far_socket(void);
/* Starts a queue. extra: more settings as JSON members ("" or ",\"user\":..."); socket NULL: the server's. NULL on
 * failure. */
struct fake_host *queue_start(const char *socket, const char *extra, struct bp_err *err);
/* A queue on the server; the test fails where it does not come up. */
struct fake_host *queue_up(void);
/* The same without migrate(): nothing is connected yet. */
struct fake_host *queue_load(const char *extra, struct bp_err *err);
/* One operation in one transaction; the batch's rc. */
int32_t queue_run(struct fake_host *h, struct bp_op *op, struct bp_err *err);
/* One that must not end its batch; its own rc. */
int32_t queue_do(struct fake_host *h, struct bp_op *op);
/* Submits a job of workflow "a"; the batch's rc. */
int32_t queue_submit(struct fake_host *h, const char *key, int64_t *id, struct bp_err *err);
/* Registers worker `id` for workflow "a". */
void queue_worker(struct fake_host *h, const char *id);
/* Leases one job for a worker; its id, 0: none. */
int64_t queue_lease(struct fake_host *h, const char *worker, const char *token);

#endif
