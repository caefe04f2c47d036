/* SPDX-License-Identifier: Apache-2.0 */
/* err.h - filling a struct bp_err. Safe from any thread. */
#ifndef LOG_ERR_H
#define LOG_ERR_H

#include <bp/plugin.h>

/* Writes rc and the sentence, returns rc, so that `return err_set(err, BP_INVALID, "...")` reads well. err may be NULL.
 */
int err_set(struct bp_err *err, int rc, const char *fmt, ...) BP_PRINTF(3, 4);
#ifdef __clang_analyzer__ /* which does not look into another file: what err_set() promises, in words it can follow */
static inline int err_promise(struct bp_err *err, int rc)
{
    if (err)
        err->rc = rc;
    return rc;
}
#define err_set(err, rc, ...) ((void)(err_set)(err, rc, __VA_ARGS__), err_promise(err, rc))
#endif
/* Puts words in front of what is there: "open queue.db: " + text. Returns err->rc. */
int err_prefix(struct bp_err *err, const char *fmt, ...) BP_PRINTF(2, 3);
/* "invalid", "not_found", ...: the stable name of a return code in JSON and logs. */
const char *err_name(int rc);

#endif
