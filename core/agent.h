/* SPDX-License-Identifier: Apache-2.0 */
/* agent.h - role worker: the plugin host and the worker agent on one loop. */
#ifndef CORE_AGENT_H
#define CORE_AGENT_H

#include "config/config.h"
#include "options.h"

/* Takes the config (freed here). Returns the exit status. */
int agent_run(const struct options *o, struct config *c);

#endif
