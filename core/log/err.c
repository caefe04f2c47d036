/* SPDX-License-Identifier: Apache-2.0 */
#include "log/err.h"

#include "log/utf8.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int rc;
    const char *name;
} names[] = {
    {BP_OK, "ok"},
    {BP_FAIL, "fail"},
    {BP_INVALID, "invalid"},
    {BP_NOTFOUND, "not_found"},
    {BP_CONFLICT, "conflict"},
    {BP_LATER, "later"},
    {BP_TIMEOUT, "timeout"},
    {BP_NOSPACE, "no_space"},
    {BP_UNSUPPORTED, "unsupported"},
    {BP_DENIED, "denied"},
    {BP_STALE, "stale"},
    {BP_STOPPED, "stopped"},
    {BP_BADINPUT, "bad_input"},
    {BP_NOMEM, "no_memory"},
    {BP_IO, "io"},
    {BP_TOOLARGE, "too_large"},
};

const char *err_name(int rc)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].rc == rc)
            return names[i].name;
    }
    return "fail";
}

/* A text that did not fit is cut between characters, not inside one. */
static void store(struct bp_err *err, const char *text)
{
    size_t bytes = utf8_cut(text, strlen(text), sizeof err->text - 1);
    memcpy(err->text, text, bytes);
    err->text[bytes] = 0;
}

#undef err_set /* see err.h */
int err_set(struct bp_err *err, int rc, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    if (!err)
        return rc;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err->rc = rc;
    store(err, text);
    return rc;
}

int err_prefix(struct bp_err *err, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    if (!err)
        return BP_FAIL;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    snprintf(text + used, sizeof text - used, "%.*s", (int)sizeof err->text, err->text);
    store(err, text);
    return err->rc;
}
