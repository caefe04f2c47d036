/* SPDX-License-Identifier: Apache-2.0 */
/* health.h - what changed in what a worker says of its device and of its workflows' assets. */
#ifndef DISPATCH_HEALTH_H
#define DISPATCH_HEALTH_H

struct bus;
struct json_object;

/* Tells by an event what changed between two capabilities (JSON text); either may be NULL. [loop] */
void health_tell(struct bus *b, const char *worker_id, const char *before, const char *now);
/* Is its device broken, by the capabilities it tells now (NULL: none), or else by those it told last? */
int health_is_broken(struct json_object *now, const char *last);

#endif
