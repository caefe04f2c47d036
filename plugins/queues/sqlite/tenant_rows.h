/* SPDX-License-Identifier: Apache-2.0 */
/* tenant_rows.h - tenants as the host sees them. */
#ifndef SQLITE_TENANT_ROWS_H
#define SQLITE_TENANT_ROWS_H

#include "rows.h"

/* One tenant by its number, or all by name (id 0), in one block of host memory. */
int32_t tenant_rows(struct store *s, int64_t id, struct bp_tenant_row **rows, uint32_t *n);

#endif
