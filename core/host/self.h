/* SPDX-License-Identifier: Apache-2.0 */
/* self.h - what a plugin holds of the host: its struct bp_self and the table bp_host. */
#ifndef HOST_SELF_H
#define HOST_SELF_H

#include "bus/bus.h"

extern const struct bp_host host_table;

/* name, settings (JSON text) and state_dir are copied. Freed with self_free once nothing of the plugin can run any
 * more. */
struct bp_self *self_new(struct bus *b, const char *name, const char *settings, const char *state_dir);
void self_free(struct bp_self *s);
/* Cuts a plugin that never came to an end off from a bus that is about to be freed. */
void self_detach(struct bp_self *s);
const char *self_state_dir(const struct bp_self *s);

#endif
