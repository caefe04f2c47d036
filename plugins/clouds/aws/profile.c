/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINE_MAX_BYTES 8192

/* Blanks around go; a comment behind a blank goes too. In place. */
static char *trim(char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    size_t n = strlen(s);
    while (n && isspace((unsigned char)s[n - 1]))
        s[--n] = '\0';
    return s;
}

/* "[profile x]" and "[services x]": is it the section kind x? The profile default has no kind before it. */
static int is_section(char *line, const char *kind, const char *name)
{
    char *end = strchr(line, ']');
    if (line[0] != '[' || !end)
        return 0;
    *end = '\0';
    char *in = trim(line + 1);
    if (strcmp(kind, "profile") == 0 && strcmp(name, "default") == 0 && strcmp(in, "default") == 0)
        return 1;
    size_t n = strlen(kind);
    return strncmp(in, kind, n) == 0 && isspace((unsigned char)in[n]) && strcmp(trim(in + n), name) == 0;
}

/* Splits "name = value"; the value, or NULL when it is no such line. */
static char *split(char *line, char **name)
{
    char *equals = strchr(line, '=');
    if (!equals)
        return NULL;
    *equals = '\0';
    *name = trim(line);
    return trim(equals + 1);
}

struct wanted {
    const char *kind, *section, *parent, *name; /* parent NULL: the name is the section's own */
};

/* Takes one line; state in *inside (of the section) and *below (of the parent). The value when this is it. */
static char *take(char *line, const struct wanted *w, int *inside, int *below)
{
    int indented = isspace((unsigned char)line[0]);
    char *text = trim(line);
    char *name = NULL;
    if (!*text || *text == '#' || *text == ';')
        return NULL;
    if (*text == '[' && !indented) {
        *inside = is_section(text, w->kind, w->section);
        *below = 0;
        return NULL;
    }
    char *value = *inside ? split(text, &name) : NULL;
    if (!value)
        return NULL;
    if (!indented)
        *below = w->parent && strcasecmp(name, w->parent) == 0 && !*value;
    int here = w->parent ? indented && *below : !indented;
    return here && strcasecmp(name, w->name) == 0 ? value : NULL;
}

/* The last value of that name counts, as in every reader of these files. */
static int find(FILE *f, const struct wanted *w, char *out, size_t size)
{
    char line[LINE_MAX_BYTES];
    int inside = 0, below = 0, found = 0;
    rewind(f);
    while (fgets(line, sizeof line, f)) {
        char *value = take(line, w, &inside, &below);
        if (value && *value && (size_t)snprintf(out, size, "%s", value) < size)
            found = 1;
    }
    return found;
}

static FILE *config_file(void)
{
    char path[4096];
    const char *given = getenv("AWS_CONFIG_FILE");
    const char *home = getenv("HOME");
    if (given && given[0])
        return fopen(given, "re");
    if (!home || (size_t)snprintf(path, sizeof path, "%s/.aws/config", home) >= sizeof path)
        return NULL;
    return fopen(path, "re");
}

int profile_endpoint(const char *profile, const char *service, char *out, size_t size)
{
    char text[256];
    int found = 0;
    FILE *f = config_file();
    if (!f)
        return 0;
    struct wanted w = {"profile", profile, NULL, "ignore_configured_endpoint_urls"};
    int ignored = find(f, &w, text, sizeof text) && strcasecmp(text, "true") == 0;
    w.name = "services";
    if (!ignored && find(f, &w, text, sizeof text)) {
        const struct wanted one = {"services", text, service, "endpoint_url"};
        found = find(f, &one, out, size);
    }
    w.name = "endpoint_url";
    if (!ignored && !found)
        found = find(f, &w, out, size);
    fclose(f);
    return found;
}
