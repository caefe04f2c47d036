/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct bp_err *err, int rc, const char *fmt, ...)
{
    if (!err)
        return rc;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    err->rc = rc;
    return rc;
}

int err_rc(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return BP_NOSPACE;
    case ENOENT:
        return BP_NOTFOUND;
    case EACCES:
    case EPERM:
        return BP_DENIED;
    case ENOMEM:
        return BP_NOMEM;
    default:
        return BP_IO;
    }
}

int err_errno(struct bp_err *err, const char *what, const char *path, int number)
{
    char words[96];
    return err_set(err, err_rc(number), "cannot %s %s: %s", what, path, strerror_r(number, words, sizeof words));
}
