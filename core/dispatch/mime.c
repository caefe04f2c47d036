/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/mime.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *mime, *extension;
} known[] = {
    {"video/mp4", ".mp4"},  {"video/webm", ".webm"},       {"image/png", ".png"},       {"image/jpeg", ".jpg"},
    {"image/gif", ".gif"},  {"image/webp", ".webp"},       {"audio/wav", ".wav"},       {"audio/mpeg", ".mp3"},
    {"text/plain", ".txt"}, {"application/json", ".json"}, {"application/zip", ".zip"},
};

const char *mime_extension(const char *mime)
{
    for (size_t i = 0; mime && i < sizeof known / sizeof *known; i++) {
        if (mime_matches(known[i].mime, mime))
            return known[i].extension;
    }
    return "";
}

int mime_matches(const char *pattern, const char *mime)
{
    size_t n = strcspn(mime, "; \t");
    size_t p = strlen(pattern);
    if (strcmp(pattern, "*/*") == 0 || strcmp(pattern, "*") == 0)
        return 1;
    if (p > 1 && pattern[p - 1] == '*')
        return n >= p && strncasecmp(pattern, mime, p - 1) == 0;
    return n == p && strncasecmp(pattern, mime, n) == 0;
}

static size_t name_length(const char *s)
{
    size_t n = 0;
    while (isalnum((unsigned char)s[n]) || (n > 0 && s[n] && strchr("!#$&-^_.+", s[n])))
        n++;
    return n;
}

int mime_is_valid(const char *mime)
{
    size_t type = name_length(mime);
    if (type == 0 || type > 64 || mime[type] != '/')
        return 0;
    size_t sub = name_length(mime + type + 1);
    const char *rest = mime + type + 1 + sub;
    if (sub == 0 || sub > 64 || (*rest && *rest != ';' && *rest != ' '))
        return 0;
    for (; *rest; rest++) {
        if ((unsigned char)*rest < 32 || (unsigned char)*rest == 127)
            return 0;
    }
    return 1;
}
