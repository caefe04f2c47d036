/* SPDX-License-Identifier: Apache-2.0 */
/* check.h - facet bp.check/1 of the embedded queue: its file, its schema, its disk. On the queue's own thread. */
#ifndef SQLITE_CHECK_H
#define SQLITE_CHECK_H

#include <bp/check.h>

extern const struct bp_check store_check;

#endif
