/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - jobs and changes that came into the store past this controller: by another one, or by another program.
 *
 * The store is looked at while somebody waits here, or while this controller leads others: then a counter that moved
 * wakes waiting polls, and scaling. Nobody waits: nothing is asked. All [loop].
 */
#ifndef DISPATCH_WATCH_H
#define DISPATCH_WATCH_H

#include "dispatch/lane.h"

struct watcher *watcher_new(struct dispatch *d);
void watcher_free(struct watcher *w);
/* Something changed that decides whether and how often to look: a poll waits, another controller came or went. */
void watcher_wanted(struct watcher *w);
/* A lease found only jobs that another controller held: the next look brings a poll another try. */
void watcher_again(struct watcher *w);

#endif
