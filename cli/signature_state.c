/* SPDX-License-Identifier: Apache-2.0 */
#include "signature_state.h"

#include "pluginfile/signature.h"
#include <stdio.h>
#include <string.h>

static void take_line(const struct plugin_file *f, const char *line, struct signature_state *s)
{
    char sha[65], who[64];
    unsigned char key[SIGNATURE_KEY_BYTES], signature[SIGNATURE_BYTES];
    int rc = signature_parse(line, strlen(line), sha, key, signature);
    if (rc == 0)
        return;
    if (rc < 0 || (strcmp(sha, f->sha) == 0 && !signature_fits(sha, key, signature))) {
        s->bad++;
    } else if (strcmp(sha, f->sha) != 0) {
        s->old++;
    } else {
        size_t len = strlen(s->by);
        signature_key_text(key, who);
        snprintf(s->by + len, sizeof s->by - len, "%s%s", s->good++ ? ", " : "", who);
    }
}

void signature_state_read(const struct plugin_file *f, struct signature_state *out)
{
    char path[PATH_MAX + 8], line[SIGNATURE_LINE_MAX + 2];
    memset(out, 0, sizeof *out);
    snprintf(path, sizeof path, "%s" SIGNATURE_ENDING, f->path);
    FILE *in = fopen(path, "re");
    out->there = in != NULL;
    for (int i = 0; in && i < SIGNATURE_MAX_BYTES && fgets(line, sizeof line, in); i++) {
        line[strcspn(line, "\n")] = '\0';
        take_line(f, line, out);
    }
    if (in)
        fclose(in);
}

void signature_state_words(const struct signature_state *s, char *out, size_t n)
{
    if (!s->there)
        snprintf(out, n, "none");
    else if (s->bad)
        snprintf(out, n, "%d that %s not fit%s%s", s->bad, s->bad == 1 ? "does" : "do", s->good ? ", and by " : "",
                 s->by);
    else if (s->good)
        snprintf(out, n, "by %s", s->by);
    else
        snprintf(out, n, "of other content only");
}
