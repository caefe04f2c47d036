/* SPDX-License-Identifier: Apache-2.0 */
/* err.h - the plugin's one way to fail: a return code and a sentence in the caller's struct bp_err. */
#ifndef CLOUD_ERR_H
#define CLOUD_ERR_H

#include <bp/plugin.h>

/* Writes rc and the sentence, returns rc. err may be NULL. */
int err_set(struct bp_err *err, int rc, const char *fmt, ...) BP_PRINTF(3, 4);
/* The return code that says best what errno value `number` means: BP_NOSPACE, BP_NOTFOUND, BP_DENIED, BP_NOMEM or
 * BP_IO. */
int err_rc(int number);
/* "cannot <what> <path>: <words of number>"; returns err_rc(number). */
int err_errno(struct bp_err *err, const char *what, const char *path, int number);

#endif
