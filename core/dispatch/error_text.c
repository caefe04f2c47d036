/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/finish.h"
#include "dispatch/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char *message_of(struct json_object *o)
{
    const char *s = json_str(o, "exception_message", NULL);
    return s && *s ? s : json_str(o, "error_message", NULL);
}

/* The value behind "exception_message": or 'exception_message': somewhere in a text; escapes stay as they are. */
static int embedded(const char *raw, char out[1024])
{
    const char *p = strstr(raw, "exception_message");
    if (!p)
        return 0;
    p += strlen("exception_message");
    p += strspn(p, "\"' \t");
    if (*p != ':')
        return 0;
    p += 1 + strspn(p + 1, " \t");
    char quote = *p;
    if (quote != '"' && quote != '\'')
        return 0;
    size_t n = 0;
    for (p++; *p && *p != quote && n < 1000; p++) {
        if (*p == '\\' && p[1])
            p++;
        out[n++] = *p;
    }
    out[n] = '\0';
    return n > 0;
}

/* The first line that says something, without white space around it; cut at a character, not inside one. */
static void first_line(const char *s, char out[1024])
{
    while (isspace((unsigned char)*s))
        s++;
    size_t n = strcspn(s, "\r\n");
    if (n > 1000) {
        n = 1000;
        while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
            n--;
    }
    while (n > 0 && isspace((unsigned char)s[n - 1]))
        n--;
    memcpy(out, s, n);
    out[n] = '\0';
}

void error_text(const char *raw, char out[1024])
{
    char found[1024] = "";
    const char *text = raw ? raw : "";
    while (isspace((unsigned char)*text))
        text++;
    struct json_object *o = *text == '{' ? json_parse(text, strlen(text), NULL) : NULL;
    const char *message = message_of(o);
    if (message)
        first_line(message, out);
    else if (embedded(text, found))
        first_line(found, out);
    else
        first_line(text, out);
    json_object_put(o);
    text_repair(out);
    if (!out[0])
        snprintf(out, 1024, "%s", raw ? "Processing failed." : "Processing failed. Try another input.");
}
