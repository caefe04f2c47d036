/* SPDX-License-Identifier: Apache-2.0 */
/* queue_file.h - a queue file in the test's directory, through the plugin and behind its back. */
#ifndef TEST_QUEUE_FILE_H
#define TEST_QUEUE_FILE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_host.h"

#define NOW INT64_C(1700000000000)

/* Makes and enters an empty directory; removed by nobody, the whole temporary directory is. */
void directory_fresh(void);
/* Starts the plugin on ./queue.db with these settings (NULL: {}); must succeed. */
struct fake_host *queue_start(const char *settings);
/* Must be refused; the reason contains `word`. */
void queue_refused(const char *settings, const char *word);
/* One transaction of one submit with `bytes` of params; the batch's rc, *id its job. */
int32_t queue_submit(struct fake_host *h, size_t bytes, int64_t *id);
/* One transaction of one operation that must be accepted. */
void queue_run(struct fake_host *h, struct bp_op *op);
/* Jobs in all states. */
int64_t queue_jobs(struct fake_host *h);
/* Runs SQL on a file by a connection of its own; it must work. */
void file_sql(const char *path, const char *sql);
int64_t file_int(const char *path, const char *sql);
/* 1 when integrity_check and foreign_key_check find nothing. */
int file_sound(const char *path);

#endif
