/* SPDX-License-Identifier: Apache-2.0 */
#include "finding.h"

#include "log/json.h"
#include <stdarg.h>
#include <string.h>

static const char *const levels[] = {[FINDING_OK] = "ok", [FINDING_WARNING] = "warning", [FINDING_ERROR] = "error"};

void findings_open(struct findings *f)
{
    *f = (struct findings){.list = json_object_new_array()};
}

void findings_close(struct findings *f)
{
    json_object_put(f->list);
    f->list = NULL;
}

void finding_add(struct findings *f, enum finding_level level, const char *check, const char *remedy, const char *fmt,
                 ...)
{
    char text[1200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct json_object *o = json_object_new_object();
    json_put_str(o, "level", levels[level]);
    json_put_str(o, "check", check);
    json_put_str(o, "text", text);
    if (remedy)
        json_put_str(o, "remedy", remedy);
    json_object_array_add(f->list, o);
    f->errors += level == FINDING_ERROR;
    f->warnings += level == FINDING_WARNING;
}

void findings_print(const struct findings *f, FILE *out)
{
    for (size_t i = 0; i < json_object_array_length(f->list); i++) {
        struct json_object *o = json_object_array_get_idx(f->list, i);
        const char *remedy = json_str(o, "remedy", NULL);
        fprintf(out, "%-8s %-9s %s\n", json_str(o, "level", ""), json_str(o, "check", ""), json_str(o, "text", ""));
        if (remedy)
            fprintf(out, "%-8s %-9s   remedy: %s\n", "", "", remedy);
    }
}
