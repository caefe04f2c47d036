/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checks.h - facet bp.check/1 of the plugin: what `bpctl doctor` shows of AWS.
 *
 * Each part has one function of type checks_fn, a row of the table in checks.c, that runs its checks one after another:
 * check_begin() before what may block, then exactly one of check_ok, check_warn, check_fail, check_failed. A check
 * changes nothing in AWS. Its calls are cut short to what is left of doctor's time.
 */
#ifndef AWS_CHECKS_H
#define AWS_CHECKS_H

#include "aws.h"
#include "client.h"
#include <bp/check.h>

struct checks; /* one run of doctor, on one thread */
typedef void (*checks_fn)(struct aws *a, struct checks *k);

/* A check of that name by an operation on a resource ("bucket media"). */
void check_begin(struct checks *k, const char *name, enum aws_op op, const char *resource, ...) BP_PRINTF(4, 5);
/* The same of something that is no call to AWS. */
void check_begin_own(struct checks *k, const char *name, const char *resource, ...) BP_PRINTF(3, 4);
/* It works; what was found, in words. */
void check_ok(struct checks *k, const char *fmt, ...) BP_PRINTF(2, 3);
void check_warn(struct checks *k, const char *remedy, const char *fmt, ...) BP_PRINTF(3, 4);
void check_fail(struct checks *k, const char *remedy, const char *fmt, ...) BP_PRINTF(3, 4);
/* A call failed with rc, r and err as the client gave them (r NULL: there is no reply): the words, the IAM action and
 * the remedy come from these. */
void check_failed(struct checks *k, int rc, const struct reply *r, const struct bp_err *err);

/* checks_own.c: who we are, where, and by which clock. */
void own_checks(struct aws *a, struct checks *k);

#endif
