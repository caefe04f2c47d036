/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activities.h - what happened to the fleets, failed launches above all: scaling activities and LaunchInstances'
 * errors.
 *
 * Activities are read only while a group has fewer instances in service than it wants, for all groups at once: one call
 * for the newest of the account, a second one for those that are under way for long. Everything else is answered from
 * what was read.
 */
#ifndef AWS_ACTIVITIES_H
#define AWS_ACTIVITIES_H

#include <bp/plugin.h>

struct activities;
struct fleets;

struct activities *activities_open(struct fleets *f, struct bp_err *err);
void activities_close(struct activities *a); /* NULL allowed */

/* A launch of the workflow's fleet failed: AWS' own code ("InsufficientInstanceCapacity") and message, the instance
 * type, zone, subnet and market ("spot", "on-demand"), "" where unknown. Any thread; no call to AWS. */
struct launch_error {
    const char *code, *message, *type, *zone, *subnet, *market;
};
void activities_note_launch_error(struct fleets *f, const char *slug, const struct launch_error *e);
/* Did launches fail in this subnet so lately, in every type of the fleet (names with spaces between, "" not known),
 * that another one should be tried first? Any thread; no call. */
int activities_is_out(struct fleets *f, const char *slug, const char *subnet, const char *types);

#endif
