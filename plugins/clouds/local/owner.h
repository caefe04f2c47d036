/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owner.h - which generation of the plugin acts on the fleets.
 *
 * When the plugin is replaced in a running daemon, the new generation starts beside the old one. The later to take the
 * fleets has them: from then on the earlier neither starts nor ends an instance. A file holds the owner's token, a lock
 * on another file is held while acting.
 */
#ifndef LOCAL_OWNER_H
#define LOCAL_OWNER_H

#include <bp/plugin.h>

struct owner {
    int lock; /* descriptor of the lock file */
    int file; /* descriptor of the token file */
    char token[33];
};

/* Opens both files in dir. */
int owner_open(struct owner *o, const char *dir, struct bp_err *err);
/* Makes us the owner, and enters. */
int owner_take(struct owner *o, struct bp_err *err);
/* Begins to act: waits for the lock. 0, or BP_LATER (and not entered) when another generation has taken over. */
int owner_enter(struct owner *o, struct bp_err *err);
void owner_leave(struct owner *o);
void owner_close(struct owner *o);

#endif
