/* SPDX-License-Identifier: Apache-2.0 */
/* fault.h - what a worker says of its device in capabilities.health, and of assets in capabilities.assets. Pure. */
#ifndef POLICY_FAULT_H
#define POLICY_FAULT_H

#include <stddef.h>
#include <stdint.h>

#define FAULT_BYTES 300

struct json_object;

/* capabilities: JSON text or NULL. 1 when the worker says that its device is broken, and why in out; 0 and "" else. */
int fault_in(const char *capabilities, char *out, size_t n);
/* 1 when the worker has checked its device and says how it is, good or bad. */
int fault_is_checked(const char *capabilities);
/* 1 when the worker has checked its device and says that it is sound; *since_ms: since when, by its clock, 0: not told.
 */
int fault_is_sound(const char *capabilities, int64_t *since_ms);
/* {"slug": "why"} of the workflows whose assets it cannot have, texts all; NULL: none. The caller's. */
struct json_object *lacks_in(const char *capabilities);

#endif
