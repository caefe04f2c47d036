/* SPDX-License-Identifier: Apache-2.0 */
#include "assets/asset_place.h"

#include "log/err.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4400

/* 1: the link leads to something in the cache; target gets where. */
static int is_ours(int dir, const char *name, const char *cache_dir, char target[PATH_BYTES])
{
    size_t n = strlen(cache_dir);
    ssize_t k = readlinkat(dir, name, target, PATH_BYTES - 1);
    if (k < 0)
        return 0;
    target[k] = '\0';
    return strncmp(target, cache_dir, n) == 0 && target[n] == '/';
}

/* The cache drops contents that nobody holds: a server would list what it cannot open. */
static void remove_dangling(int dir, const char *cache_dir)
{
    char target[PATH_BYTES];
    int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = again >= 0 ? fdopendir(again) : NULL;
    if (!d && again >= 0)
        close(again);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (is_ours(dir, e->d_name, cache_dir, target) && access(target, F_OK) != 0 && errno == ENOENT)
            unlinkat(dir, e->d_name, 0);
    }
    if (d)
        closedir(d);
}

/* Makes the folders of place, and opens the last one; *name: what is left of place. -1: errno. */
static int open_folder(const char *models_dir, const char *place, const char **name)
{
    int dir = open(models_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (const char *slash; dir >= 0 && (slash = strchr(place, '/')); place = slash + 1) {
        char folder[256];
        snprintf(folder, sizeof(folder), "%.*s", (int)(slash - place), place);
        int made = mkdirat(dir, folder, 0755) == 0 || errno == EEXIST;
        int next = made ? openat(dir, folder, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
        int why = errno;
        close(dir);
        errno = why;
        dir = next;
    }
    *name = place;
    return dir;
}

static int put_link(int dir, const char *name, const char *content)
{
    char temp[300];
    snprintf(temp, sizeof(temp), ".%.200s.%d", name, (int)getpid());
    unlinkat(dir, temp, 0);
    if (symlinkat(content, dir, temp) < 0)
        return -1;
    if (renameat(dir, temp, dir, name) == 0)
        return 0;
    int why = errno;
    unlinkat(dir, temp, 0);
    errno = why;
    return -1;
}

int asset_place_make(const char *models_dir, const char *place, const char *content, const char *cache_dir,
                     struct bp_err *err)
{
    char target[PATH_BYTES] = "";
    const char *name;
    struct stat st;
    int rc = BP_OK, dir = open_folder(models_dir, place, &name);
    if (dir < 0)
        return err_set(err, BP_IO, "make the folders of %.120s in %.200s (worker.modelsDir): %s", place, models_dir,
                       strerror(errno));
    int there = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0, ours = is_ours(dir, name, cache_dir, target);
    if (there && !ours)
        rc = err_set(err, BP_INVALID,
                     "%.200s/%.120s is there already and is no link of a worker: remove it, or the asset's \"place\"",
                     models_dir, place);
    else if (strcmp(target, content) != 0 && put_link(dir, name, content) < 0)
        rc = err_set(err, BP_IO, "make the link %.200s/%.120s: %s", models_dir, place, strerror(errno));
    remove_dangling(dir, cache_dir);
    close(dir);
    return rc;
}
