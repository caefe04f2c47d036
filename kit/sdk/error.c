/* SPDX-License-Identifier: Apache-2.0 */
#include <bp/sdk.h>

#include <stdarg.h>
#include <stdio.h>

#undef bp_error /* see sdk.h */
int32_t bp_error(struct bp_err *err, int32_t rc, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
        err->rc = rc;
    }
    return rc;
}
