/* SPDX-License-Identifier: Apache-2.0 */
/* finding.h - what a check found, in the order found: each with its level and, unless all is well, a remedy. */
#ifndef CLI_FINDING_H
#define CLI_FINDING_H

#include <bp/plugin.h>
#include <stdio.h>

enum finding_level { FINDING_OK = 1, FINDING_WARNING, FINDING_ERROR };

struct json_object;

struct findings {
    struct json_object *list; /* of {"level", "check", "text", "remedy"} */
    int errors, warnings;
};

void findings_open(struct findings *f);
void findings_close(struct findings *f);
/* check: the part that found it ("file", "manifest", "params", ...); remedy: what to do, NULL for FINDING_OK. */
void finding_add(struct findings *f, enum finding_level level, const char *check, const char *remedy, const char *fmt,
                 ...) BP_PRINTF(5, 6);
/* One line each, its remedy below. */
void findings_print(const struct findings *f, FILE *out);

#endif
