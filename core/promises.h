/* SPDX-License-Identifier: Apache-2.0 */
/*
 * promises.h - holds what is said of jobs against what comes of it: at each tick it asks about some that came, as
 * `bpctl explain job` would, and looks again when the time that was told is over. What is learned from it is the
 * scaling engine's to keep (policy/promise.h).
 */
#ifndef CORE_PROMISES_H
#define CORE_PROMISES_H

#include "app.h"

struct promise_watch;

/* NULL without memory. app is borrowed, its engines are there. [loop] */
struct promise_watch *promise_watch_new(const struct app *app);
void promise_watch_free(struct promise_watch *w); /* NULL is fine; after dispatch_free() */

#endif
