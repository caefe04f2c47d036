/* SPDX-License-Identifier: Apache-2.0 */
/* moment.h - times as text, in UTC. Any thread. */
#ifndef LOG_MOMENT_H
#define LOG_MOMENT_H

#include <stddef.h>
#include <stdint.h>

#define MOMENT_SIZE 40 /* of any form, with the NUL */

/* "2026-01-31T12:00:00.123Z" of ms since 1970. */
void moment_text(int64_t ms, char out[MOMENT_SIZE]);
/* "2026-01-31T12:00:00" of the same, and its bytes: for forms with another end. */
size_t moment_second(int64_t ms, char out[MOMENT_SIZE]);

#endif
