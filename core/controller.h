/* SPDX-License-Identifier: Apache-2.0 */
/* controller.h - role controller: wires the engines and doors together, runs the loop, drains and ends. */
#ifndef CORE_CONTROLLER_H
#define CORE_CONTROLLER_H

#include "config/config.h"
#include "options.h"

/* Takes the config (freed here). Returns the exit status. */
int controller_run(const struct options *o, struct config *c);

#endif
