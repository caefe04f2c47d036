/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zone.h - local time of a named time zone, from the system's zoneinfo files (TZif, RFC 8536), without the process-wide
 * TZ that only one zone at a time can have. Immutable once loaded; any thread.
 */
#ifndef POLICY_ZONE_H
#define POLICY_ZONE_H

#include <bp/plugin.h>

struct zone;

/* "Europe/Berlin"; "UTC" needs no file. NULL with err: BP_INVALID no name of a zone, BP_NOTFOUND no such file, BP_IO
 * damaged. zone_free() it. */
struct zone *zone_load(const char *name, struct bp_err *err);
/* The same from a file's bytes. */
struct zone *zone_parse(const void *tzif, size_t n, struct bp_err *err);
void zone_free(struct zone *z); /* NULL is fine */
/* Seconds that local time is ahead of UTC at this moment (seconds since 1970). */
int32_t zone_offset_s(const struct zone *z, int64_t at_s);
/* 1 when this machine has zoneinfo files at all. */
int zone_files_exist(void);

#endif
