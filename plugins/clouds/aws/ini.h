/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ini.h - the files that AWS's tools share, as a list of settings: [kind name] sections, "name = value" lines, lines
 * indented below one (more of its value, or settings inside it when it has none). Comments begin with # or ; at the
 * start of a line or behind a blank. A line that is none of these is passed over. Read only once made; its memory is
 * zeroed when it is freed, for it may hold keys.
 */
#ifndef AWS_INI_H
#define AWS_INI_H

#include <bp/plugin.h>
#include <stddef.h>

#define INI_BYTES_MAX 1048576

struct ini;

/* NULL with BP_TOOLARGE, BP_INVALID (a NUL byte in it) or BP_NOMEM. */
struct ini *ini_parse(const char *text, size_t n, struct bp_err *err);
/* The same of a file: also BP_NOTFOUND, and BP_DENIED or BP_IO with the path and why it cannot be read. */
struct ini *ini_read(const char *path, struct bp_err *err);
void ini_free(struct ini *i); /* NULL is fine */
/* Is there a section "[kind name]", or "[name]" when kind is ""? i may be NULL. */
int ini_has(const struct ini *i, const char *kind, const char *section);
/* The last value of a setting of that section, inside the setting `parent` when that is not NULL; the names of settings
 * in any case. "" when it has none; NULL when it is not there or i is NULL. Borrowed. */
const char *ini_get(const struct ini *i, const char *kind, const char *section, const char *parent, const char *name);

#endif
