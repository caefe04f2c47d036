/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a command prints, in whatever parts: bounded words, a fraction between 0 and 1, and no more lines than
 * allowed. */
#include "lines.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok)
        abort();
}

static void log_line(void *arg, const char *line)
{
    int *n = arg;
    ++*n;
    check(strlen(line) <= LINE_MAX_BYTES);
    for (const char *p = line; *p; p++)
        check((unsigned char)*p >= ' ' && *p != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] =
        "{\"command\": [\"x\"], \"logLines\": 5, \"progress\": {\"pattern\": \"([0-9]+)/([0-9]+)\"}}";
    struct settings s;
    struct bp_err err = {0};
    int n = 0;
    char tail[100];
    check(settings_open(&s, text, &err) == BP_OK);
    struct lines l = {.settings = &s, .log = log_line, .arg = &n};
    size_t part = size ? data[0] % 50U + 1 : 1;
    for (size_t at = 0; at < size; at += part) {
        struct stream *stream = at / part % 2 ? &l.err : &l.out;
        lines_feed(&l, stream, (const char *)data + at, size - at < part ? size - at : part);
        check(l.fraction >= 0 && l.fraction <= 1);
    }
    lines_end(&l, &l.out);
    lines_end(&l, &l.err);
    check(n <= 6 && strlen(l.text) < sizeof l.text && strlen(l.error) < sizeof l.error);
    check(strlen(lines_tail(&l, tail, sizeof tail)) < sizeof tail);
    settings_close(&s);
    return 0;
}
