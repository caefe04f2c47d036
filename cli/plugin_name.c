/* SPDX-License-Identifier: Apache-2.0 */
#include "log/err.h"
#include "plugin_new.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define FORMS 3

static int32_t check(const char *slug, struct bp_err *err)
{
    size_t n = strlen(slug), good = strspn(slug, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (n < 1 || n >= NAME_BYTES)
        return err_set(err, BP_INVALID, "a plugin's name has 1 to %d characters, this has %zu", NAME_BYTES - 1, n);
    if (good < n)
        return err_set(err, BP_INVALID, "\"%s\" cannot be a plugin's name: it may have a-z, 0-9 and '-', not '%c'",
                       slug, slug[good]);
    if (!islower((unsigned char)slug[0]))
        return err_set(err, BP_INVALID,
                       "\"%s\" cannot be a new plugin's name: its functions are called after it, so it "
                       "begins with a letter",
                       slug);
    if (slug[n - 1] == '-' || strstr(slug, "--"))
        return err_set(err, BP_INVALID, "\"%s\" cannot be a plugin's name: each '-' stands between two words", slug);
    return BP_OK;
}

int32_t plugin_name_make(const char *slug, struct plugin_name *out, struct bp_err *err)
{
    memset(out, 0, sizeof *out);
    int32_t rc = check(slug, err);
    if (rc != BP_OK)
        return rc;
    for (size_t i = 0; slug[i]; i++) {
        out->slug[i] = slug[i];
        out->id[i] = slug[i] == '-' ? '_' : slug[i];
        out->title[i] = slug[i] == '-' ? ' ' : slug[i];
    }
    out->title[0] = (char)toupper((unsigned char)out->title[0]);
    return BP_OK;
}

/* The form of `from` that begins at text: its number, or -1. */
static int form_at(const char *text, const char *const from[FORMS])
{
    for (int i = 0; i < FORMS; i++)
        if (strncmp(text, from[i], strlen(from[i])) == 0)
            return i;
    return -1;
}

char *plugin_name_replace(const char *text, const struct plugin_name *from, const struct plugin_name *to)
{
    const char *const old[FORMS] = {from->slug, from->id, from->title}, *const new[FORMS] = {to->slug, to->id,
                                                                                             to->title};
    char *out = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&out, &bytes);
    if (!f)
        return NULL;
    while (*text) {
        int form = form_at(text, old);
        if (form < 0) {
            fputc(*text++, f);
            continue;
        }
        fputs(new[form], f);
        text += strlen(old[form]);
    }
    return fclose(f) == 0 ? out : NULL;
}
