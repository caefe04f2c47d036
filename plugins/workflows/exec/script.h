/* SPDX-License-Identifier: Apache-2.0 */
/* script.h - commands that carry a program in an argument (sh -c, python3 -c, perl -e): there no tenant's text may go.
 */
#ifndef EXEC_SCRIPT_H
#define EXEC_SCRIPT_H

#include <bp/plugin.h>
#include <json-c/json.h>

/* Does it have a placeholder {params.NAME}? */
int script_has_param(const char *text);
/* BP_INVALID when an argument of settings.command that an interpreter takes for a program has such a placeholder. */
int32_t script_check(struct json_object *command, struct bp_err *err);

#endif
