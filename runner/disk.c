/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/disk.h"

#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

void disk_measure(const char *const *dirs, int64_t files_max, struct disk_usage *out)
{
    memset(out, 0, sizeof(*out));
    if (!dirs || !*dirs)
        return;
    FTS *walk = fts_open((char *const *)dirs, FTS_PHYSICAL, NULL);
    for (FTSENT *e; walk && out->files <= files_max && (e = fts_read(walk));) {
        if (e->fts_info == FTS_DP || !e->fts_statp)
            continue;
        out->files++;
        if (e->fts_info != FTS_NS && e->fts_info != FTS_ERR)
            out->bytes += (int64_t)e->fts_statp->st_blocks * 512;
    }
    if (walk)
        fts_close(walk);
}

int64_t disk_free(const char *path)
{
    struct statvfs fs;
    return statvfs(path, &fs) == 0 ? (int64_t)fs.f_bavail * (int64_t)fs.f_frsize : 0;
}
