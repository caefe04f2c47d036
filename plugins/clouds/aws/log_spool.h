/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_spool.h - log records on disk, on their way to CloudWatch: appended at the end, read and dropped at the front.
 *
 * What append() has taken survives a crash and a power cut, and is read in the order it came; what had been read but
 * not dropped by then is read again. The spool never grows beyond its limit: the oldest records give way and are
 * counted. Records that a power cut tore, or a disk damaged, are passed over and counted.
 *
 * Files <number>.log hold the records; "cursor" says where reading goes on. One process at a time; any thread appends,
 * one reads.
 */
#ifndef AWS_LOG_SPOOL_H
#define AWS_LOG_SPOOL_H

#include "log_batch.h"
#include <bp/plugin.h>

struct log_spool;

/* Since the spool was opened. */
struct log_spool_losses {
    uint64_t dropped; /* records that gave way */
    uint64_t damaged; /* stretches that held no record */
};

/* In directory dir, which is made; of about max_bytes. NULL with err. */
struct log_spool *log_spool_open(const char *dir, int64_t max_bytes, struct bp_err *err);
/* What it holds stays on disk. NULL is fine. */
void log_spool_close(struct log_spool *s);
/* All n or none; durable on return. BP_NOSPACE, BP_IO; BP_TOOLARGE: more than the spool may hold. */
int log_spool_append(struct log_spool *s, const struct log_record *r, uint32_t n, struct bp_err *err);
/* The oldest records, up to `most`, as many as are read at once; 0: it is empty. Borrowed until the next call. */
uint32_t log_spool_read(struct log_spool *s, struct log_record *out, uint32_t most);
/* Drops the first n of those that were read last. */
void log_spool_advance(struct log_spool *s, uint32_t n);
int64_t log_spool_bytes(struct log_spool *s); /* on disk */
void log_spool_losses(struct log_spool *s, struct log_spool_losses *out);

#endif
