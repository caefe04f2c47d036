/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facet_call.h - a program that calls facets of a cloud plugin without a daemon, one JSON line in, one out:
 *
 *   PROGRAM PLUGIN.so SETTINGS STATE_DIR
 *   {"call":"put","key":"a","path":"/x"}   ->  {"rc":0,"text":""}
 *
 * rc is the facet's own; text its error. Lines of the plugin's log go to standard error. The end of the input stops the
 * plugin. A program is this and its table of calls.
 */
#ifndef FACET_CALL_H
#define FACET_CALL_H

#include "queue_conformance/fake_host.h"

#include <json-c/json.h>

struct facet_call {
    const char *name;
    int (*fn)(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err);
};
/* The program's own; ends with a row without a name. */
extern const struct facet_call facet_calls[];

const void *facet_of(const char *id); /* of the running plugin */
const char *str(struct json_object *o, const char *name);
int64_t num(struct json_object *o, const char *name, int64_t otherwise);
void give(struct json_object *out, const char *name, const char *text);

#endif
