/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin_new.h - the texts of a template with a plugin's own names in it.
 *
 * A template is a plugin that builds as it stands, called my-KIND. Its names stand in its texts and file names in three
 * forms, and each is replaced by that form of the new name: my-KIND by the slug, my_KIND by the C identifier, "My KIND"
 * by the title.
 */
#ifndef CLI_PLUGIN_NEW_H
#define CLI_PLUGIN_NEW_H

#include <bp/plugin.h>
#include <stdio.h>

#define NAME_BYTES 65

/* A plugin's name in three forms: brown-tones, brown_tones, "Brown tones". */
struct plugin_name {
    char slug[NAME_BYTES], id[NAME_BYTES], title[NAME_BYTES];
};

/* BP_INVALID with the rule that a slug breaks, else the other forms of it in *out. */
int32_t plugin_name_make(const char *slug, struct plugin_name *out, struct bp_err *err);
/* The text (NUL-terminated) with every form of `from` replaced by that of `to`; free() it. NULL: out of memory. */
char *plugin_name_replace(const char *text, const struct plugin_name *from, const struct plugin_name *to);

#endif
