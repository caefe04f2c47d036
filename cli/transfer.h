/* SPDX-License-Identifier: Apache-2.0 */
/* transfer.h - files to and from signed URLs. */
#ifndef CLI_TRANSFER_H
#define CLI_TRANSFER_H

#include <bp/plugin.h>

/* PUTs a file. mime may be NULL. */
int transfer_put(const char *url, const char *path, const char *mime, struct bp_err *err);
/* GETs into path, by a temporary file beside it, so that path is whole or untouched. "-": standard output. */
int transfer_get(const char *url, const char *path, struct bp_err *err);
/* MIME type by the file's first bytes, else by its ending, else application/octet-stream. */
const char *transfer_mime(const char *path);

#endif
