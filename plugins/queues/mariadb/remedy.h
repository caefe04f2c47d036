/* SPDX-License-Identifier: Apache-2.0 */
/* remedy.h - what an error of the server means for the queue, and what an operator does about it: one table. */
#ifndef MARIADB_REMEDY_H
#define MARIADB_REMEDY_H

#include <bp/plugin.h>
#include <mysql.h>

/* Why a statement failed, for those who may try again. */
#define FAULT_NONE  0
#define FAULT_RETRY 1 /* deadlock, lock wait or a race for a unique key: the transaction can be repeated */
#define FAULT_LOST  2 /* the connection is gone */
#define FAULT_OTHER 3
#define FAULT_MOVED 4 /* the server takes no more writes: rolled back; the connection is of no use any more */

/* FAULT_* of an error code of server or library. */
int remedy_fault(unsigned int code);
/* The last error of a connection as "cannot <doing> at <where>: <why> (<code>)<remedy>". Returns its rc. */
int32_t remedy_fail(MYSQL *db, const char *doing, const char *where, struct bp_err *err);

#endif
