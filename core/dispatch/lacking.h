/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lacking.h - workers that cannot have the assets of a workflow (pluginfile/asset.h), as they said in their last poll
 * here. A memory for explanations only: who has not said so for a while is left out, and what is lost comes with the
 * next poll. All [loop].
 */
#ifndef DISPATCH_LACKING_H
#define DISPATCH_LACKING_H

#include "dispatch/dispatch.h"

struct lacking;

struct lacking *lacking_new(void);
void lacking_free(struct lacking *l);
/* What a worker says now; capabilities: JSON text, or NULL: it says nothing new. */
void lacking_note(struct dispatch *d, const char *worker_id, const char *capabilities);
/* Tells by events what changed between two capabilities (JSON text); either may be NULL. */
void lacking_tell(struct bus *b, const char *worker_id, const char *before, const char *now);

#endif
