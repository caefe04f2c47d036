/* SPDX-License-Identifier: Apache-2.0 */
/*
 * background.h - a thread that takes one step after another for a part that sends by itself.
 *
 * A step says when the next one is due; a rest it asked for is kept, however often it is woken.
 */
#ifndef AWS_BACKGROUND_H
#define AWS_BACKGROUND_H

#include <bp/plugin.h>

#define BACKGROUND_AGAIN 0    /* there is more to do */
#define BACKGROUND_IDLE  (-1) /* nothing, until woken */

/* A step's calls should end within this, for a stop waits for the step: client_hurry(BACKGROUND_CALL_MS). */
#define BACKGROUND_CALL_MS 20000

struct background;

/* step returns milliseconds to rest, or one of the above. NULL with err. */
struct background *background_start(int64_t (*step)(void *arg), void *arg, struct bp_err *err);
/* There is something to do. Any thread. */
void background_wake(struct background *b);
/* Takes steps as long as they say AGAIN, for drain_ms at most (a step that lasts longer is waited for), and ends the
 * thread. One that rests takes none. NULL is fine. */
void background_stop(struct background *b, int64_t drain_ms);

#endif
