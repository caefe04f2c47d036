/* SPDX-License-Identifier: Apache-2.0 */
#include "log_file.h"

#include "err.h"
#include "file.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* path.<keep> falls off, each other one moves up by one. */
static void rotate(const char *path, int64_t keep)
{
    char from[PATH_SIZE], to[PATH_SIZE];
    for (int64_t i = keep; i >= 1; i--) {
        path_format(to, "%s.%" PRId64, path, i);
        if (i > 1)
            path_format(from, "%s.%" PRId64, path, i - 1);
        else
            path_format(from, "%s", path);
        rename(from, to);
    }
}

int log_file_append(const char *path, const char *text, size_t n, int64_t max_bytes, int64_t keep, struct bp_err *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && st.st_size > 0 && st.st_size + (int64_t)n > max_bytes)
        rotate(path, keep);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, "open", path, errno);
    int bad = file_write_all(fd, text, n) < 0;
    int number = errno;
    close(fd);
    return bad ? err_errno(err, "write", path, number) : 0;
}

void log_time(int64_t ms, char out[LOG_TIME_SIZE])
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    char day[24];
    gmtime_r(&s, &tm);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, LOG_TIME_SIZE, "%s.%03dZ", day, (int)(ms % 1000));
}
