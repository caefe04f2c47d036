/* SPDX-License-Identifier: Apache-2.0 */
/* logging.h - the log as the settings want it: target, form and levels. */
#ifndef CORE_LOGGING_H
#define CORE_LOGGING_H

#include "config/config.h"

/* Opens log.path (again: it may have been rotated away) in log.form, and sets log.levels. A fault in the levels or the
 * path changes nothing. */
int logging_open(const struct config *c, struct bp_err *err);

#endif
