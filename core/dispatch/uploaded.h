/* SPDX-License-Identifier: Apache-2.0 */
/* uploaded.h - are a new job's inputs in the object store? A job without its input would only fail later. All [loop].
 */
#ifndef DISPATCH_UPLOADED_H
#define DISPATCH_UPLOADED_H

#include "dispatch/engine.h"

/* rc BP_OK: fields is NULL when every input is there, else it names each that is not (taken over by the callee).
 * Otherwise the store could not be asked. Called exactly once, not before uploaded_check() returned; also when the
 * engine is dead by then. */
typedef void (*uploaded_fn)(const struct bp_err *err, struct json_object *fields, void *arg);
/* One request to the object store for all of inputs ([{"key"}], at least one). `at` is the field they came in: "inputs"
 * (a list) or "input" (one). A store without a head call cannot be asked and is believed. */
void uploaded_check(struct dispatch *d, struct json_object *inputs, const char *at, uploaded_fn fn, void *arg);

#endif
