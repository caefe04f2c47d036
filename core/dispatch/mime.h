/* SPDX-License-Identifier: Apache-2.0 */
/* mime.h - the few things the engine knows about MIME types. Safe from any thread. */
#ifndef DISPATCH_MIME_H
#define DISPATCH_MIME_H

/* ".mp4" for "video/mp4"; "" when unknown or NULL. Static text. */
const char *mime_extension(const char *mime);
/* Does `mime` match a pattern: "image/jpeg", "image/" followed by a star, or star slash star? Parameters after ';' and
 * case are ignored. */
int mime_matches(const char *pattern, const char *mime);
/* Is it type "/" subtype, of the characters RFC 6838 allows (parameters may follow)? */
int mime_is_valid(const char *mime);

#endif
