/* SPDX-License-Identifier: Apache-2.0 */
/* instance_files.c - <state>/instances: a directory for each running instance, a log for each recent one. */
#include "fleets.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOGS_KEPT 50
#define LOGS_MAX  4096 /* looked at in one go; more go the next time */
#define ID_LENGTH 19

struct log {
    char id[ID_LENGTH + 1];
    int64_t modified_s;
};

static int is_known(struct fleet *list, const char *id)
{
    for (struct fleet *f = list; f; f = f->next)
        if (fleet_instance(f, id))
            return 1;
    return 0;
}

static int newest_first(const void *a, const void *b)
{
    const struct log *x = a, *y = b;
    return (x->modified_s < y->modified_s) - (x->modified_s > y->modified_s);
}

static void drop_logs(const char *folder, struct log *logs, size_t n)
{
    char path[PATH_SIZE];
    qsort(logs, n, sizeof *logs, newest_first);
    for (size_t i = LOGS_KEPT; i < n; i++) {
        path_format(path, "%s/%s.log", folder, logs[i].id);
        unlink(path);
    }
}

/* A directory without fleet goes now; a log of an ended instance goes to the list. */
static void look_at(const char *folder, const char *name, struct fleet *list, struct log *logs, size_t *n)
{
    struct stat st;
    char id[ID_LENGTH + 1], path[PATH_SIZE];
    if (strncmp(name, "i-", 2) != 0 || strlen(name) < ID_LENGTH)
        return;
    snprintf(id, sizeof id, "%.19s", name);
    path_format(path, "%s/%s", folder, name);
    if (is_known(list, id) || lstat(path, &st) < 0)
        return;
    if (S_ISDIR(st.st_mode))
        file_remove_tree(path);
    else if (*n < LOGS_MAX && strcmp(name + ID_LENGTH, ".log") == 0) {
        memcpy(logs[*n].id, id, sizeof id);
        logs[(*n)++].modified_s = st.st_mtime;
    }
}

void instance_files_clean(const struct local *l, struct fleet *list)
{
    char folder[PATH_SIZE];
    size_t n = 0;
    path_format(folder, "%s/instances", l->dir);
    struct log *logs = calloc(LOGS_MAX, sizeof *logs);
    DIR *d = opendir(folder);
    for (struct dirent *e; d && logs && (e = readdir(d));)
        look_at(folder, e->d_name, list, logs, &n);
    if (n > LOGS_KEPT)
        drop_logs(folder, logs, n);
    if (d)
        closedir(d);
    free(logs);
}
