/* SPDX-License-Identifier: Apache-2.0 */
/* disk.h - how much a directory tree holds, however deep it is. */
#ifndef RUNNER_DISK_H
#define RUNNER_DISK_H

#include <stdint.h>

struct disk_usage {
    int64_t bytes, files;
};

/* Adds up what lies in the directories (ended by NULL). Stops early when there are more than files_max files. Changes
 * the working directory meanwhile. */
void disk_measure(const char *const *dirs, int64_t files_max, struct disk_usage *out);
/* Bytes that this user may still write on the file system of a path; 0 when that cannot be told. */
int64_t disk_free(const char *path);

#endif
