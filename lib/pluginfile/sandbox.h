/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.h - what a workflow asks its runner's sandbox to leave open, as its manifest says, and how an operator
 * narrows that. An operator can only take away.
 *
 * JSON: {"network": "none"|"loopback", "exec": true|false, "read": ["/path", ...]}; a member that is not there is none,
 * false, or [].
 */
#ifndef PLUGINFILE_SANDBOX_H
#define PLUGINFILE_SANDBOX_H

#include <bp/plugin.h>

#define SANDBOX_READS 32 /* paths at most */

struct json_object;

/* Is it one? BP_INVALID with the member and the remedy. */
int sandbox_check(struct json_object *rules, struct bp_err *err);
/*
 * What both allow, with all three members. asked: the manifest's, NULL: nothing. allowed: the operator's, NULL, or
 * without a member: that is not narrowed. Of read paths the deeper of two that contain each other stays. Both checked.
 * *out: json_object_put().
 */
struct json_object *sandbox_narrow(struct json_object *asked, struct json_object *allowed);

#endif
