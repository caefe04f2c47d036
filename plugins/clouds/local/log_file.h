/* SPDX-License-Identifier: Apache-2.0 */
/* log_file.h - appending to a file that is rotated by size: path, path.1 (newest old one), ..., path.<keep>. */
#ifndef LOCAL_LOG_FILE_H
#define LOCAL_LOG_FILE_H

#include <bp/plugin.h>
#include <stddef.h>

/* Appends n bytes with one write; before that the file is rotated when it would grow beyond max_bytes. The caller sees
 * to it that no other thread is at the same file. */
int log_file_append(const char *path, const char *text, size_t n, int64_t max_bytes, int64_t keep, struct bp_err *err);
/* "2026-01-31T12:00:00.123Z" of milliseconds since the epoch. */
#define LOG_TIME_SIZE 32
void log_time(int64_t ms, char out[LOG_TIME_SIZE]);

#endif
