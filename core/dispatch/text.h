/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - random names, digests and times as text. Safe from any thread. */
#ifndef DISPATCH_TEXT_H
#define DISPATCH_TEXT_H

#include "log/moment.h"
#include <stddef.h>
#include <stdint.h>

#define UUID_SIZE   37 /* with the NUL */
#define DIGEST_SIZE 65
#define TOKEN_SIZE  65
#define TIME_SIZE   MOMENT_SIZE

/* A random UUID, version 4 (RFC 9562), lower case. */
void uuid_make(char out[UUID_SIZE]);
/* n of them; asking for all at once is much cheaper than one by one. */
void uuids_make(char (*out)[UUID_SIZE], size_t n);
/* 64 characters of [A-Za-z0-9], each equally likely. */
void token_make(char out[TOKEN_SIZE]);
/* Lower-case hex SHA-256. */
void digest_make(const void *bytes, size_t n, char out[DIGEST_SIZE]);
/* 0 <= x < 1, from the system's random source. */
double random_fraction(void);

/* Makes text that was cut or came from elsewhere well-formed UTF-8, in place: '?' for each byte that is not. */
void text_repair(char *s);

/* "2026-01-31T12:00:00+00:00", the form field workers know. ms since the Unix epoch. */
void time_iso(int64_t ms, char out[TIME_SIZE]);
/* Reads that, the form of log/moment.h, and "2026-01-31 12:00:00" as UTC. Returns 1 and the ms, or 0. */
int time_parse(const char *text, int64_t *ms);

#endif
