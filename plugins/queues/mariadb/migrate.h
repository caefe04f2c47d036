/* SPDX-License-Identifier: Apache-2.0 */
/* migrate.h - the facet's migrate(): looking at the schemas of this queue, or bringing them up to date. */
#ifndef MARIADB_MIGRATE_H
#define MARIADB_MIGRATE_H

#include "store.h"

int32_t store_migrate(void *inst, const struct bp_migrate *what, char **report, struct bp_err *err);

#endif
