/* SPDX-License-Identifier: Apache-2.0 */
/* node_priv.h - for the node*.c files. */
#ifndef AWS_NODE_PRIV_H
#define AWS_NODE_PRIV_H

#include "aws.h"

/* bp_node.ending: keeps the group's lifecycle hook waiting (0), or lets it go (1). BP_OK too where there is none. */
int32_t node_ending(void *inst, int32_t done, struct bp_err *err);

#endif
