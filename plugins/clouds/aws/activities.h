/* SPDX-License-Identifier: Apache-2.0 */
/* activities.h - what happened to the fleets: failed launches above all, kept in a bounded ring, newest last. */
#ifndef AWS_ACTIVITIES_H
#define AWS_ACTIVITIES_H

#include <bp/plugin.h>

struct activities;
struct fleets;

struct activities *activities_open(struct fleets *f, struct bp_err *err);
void activities_close(struct activities *a); /* NULL allowed */

/* A launch of the workflow's fleet failed: AWS' own code ("InsufficientInstanceCapacity") and message, the instance
 * type and zone or subnet, "" where unknown. Any thread; no call to AWS. */
void activities_note_launch_error(struct fleets *f, const char *slug, const char *code, const char *message,
                                  const char *type, const char *zone);

#endif
