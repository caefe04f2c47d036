/* SPDX-License-Identifier: Apache-2.0 */
/* file.h - files as the plugin keeps them: written whole and durably, or not at all. Safe from any thread. */
#ifndef LOCAL_FILE_H
#define LOCAL_FILE_H

#include <bp/plugin.h>
#include <sys/types.h>

/* Room for every path made here. Directories from settings are at most PATH_DIR_MAX bytes, so paths below them fit. */
#define PATH_SIZE    4096
#define PATH_DIR_MAX 3000

/* Prints a path; that it fits is a promise of the caller (asserted). */
void path_format(char out[PATH_SIZE], const char *fmt, ...) BP_PRINTF(2, 3);
/* Makes a directory and its parents, mode 0700. */
int file_make_dirs(const char *path, struct bp_err *err);
/* Reads a file of at most `max` bytes; *text is NUL-terminated, free() it. BP_NOTFOUND, BP_INVALID when larger. */
int file_read(const char *path, size_t max, char **text, struct bp_err *err);
/* Replaces a file by `text`, mode 0600: temporary file, fsync, rename, fsync of the directory. Not for two at once. */
int file_replace(const char *path, const char *text, struct bp_err *err);
/* Writes all of n bytes; 0 or -1 with errno. */
int file_write_all(int fd, const void *data, size_t n);
/* Copies everything from one descriptor to another; 0 or -1 with errno. */
int file_copy(int from, int to);
/* fsync of a directory, or of the directory a file lies in. 0 or -1 with errno. */
int file_sync_dir(const char *dir);
int file_sync_parent(const char *path);
/* Removes a directory with everything below it; does not follow links. */
void file_remove_tree(const char *path);
/* Bytes an unprivileged process may still write to the file system of path; -1 when it cannot be told. */
int64_t file_free_bytes(const char *path);

/* `bytes` random bytes as 2 * bytes hex letters and a NUL; aborts only when the system gives no randomness at all. */
void random_hex(char *out, size_t bytes);

#endif
