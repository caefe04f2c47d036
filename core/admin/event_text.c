/* SPDX-License-Identifier: Apache-2.0 */
#include "admin_priv.h"

#include "log/json.h"
#include "log/utf8.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A value with blanks is quoted; control characters never reach a terminal. */
static void write_value(FILE *out, const char *value)
{
    char *own = strdup(value);
    const char *s = own ? own : "";
    if (own)
        utf8_make_harmless(own);
    int quote = s[strcspn(s, " \"")] != 0 || !*s;
    if (quote)
        fputc('"', out);
    for (; *s; s++)
        fputc(*s == '"' ? '\'' : *s, out);
    if (quote)
        fputc('"', out);
    free(own);
}

char *event_text(const struct event_msg *e)
{
    char *text = NULL;
    size_t n = 0;
    time_t s = (time_t)(e->at_ms / 1000);
    struct tm tm;
    struct json_object *fields = event_fields(e);
    FILE *out = fields ? open_memstream(&text, &n) : NULL;
    if (!out)
        return NULL;
    localtime_r(&s, &tm);
    fprintf(out, "%02d:%02d:%02d.%03d %-16s", tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(e->at_ms % 1000),
            event_info(e->id)->name);
    json_object_object_foreach(fields, key, v)
    {
        const char *value = v ? json_object_get_string(v) : "";
        if (!*value)
            continue;
        fprintf(out, " %s=", key);
        write_value(out, value);
    }
    fclose(out);
    return text;
}
