/* SPDX-License-Identifier: Apache-2.0 */
#include "host/serving.h"

#include "host/copy.h"
#include "log/log.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void link_path(const struct host *h, const char *name, char *out, size_t n)
{
    snprintf(out, n, "%s/serving/%s.so", h->state_dir, name);
}

int serving_open(struct host *h, struct bp_err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/serving", h->state_dir);
    return h->role == HOST_CONTROLLER ? dir_make(path, err) : BP_OK;
}

static int is_same_file(const char *a, const char *b)
{
    struct stat sa, sb;
    return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

void serving_publish(const struct generation *g)
{
    char path[PATH_MAX], temp[PATH_MAX];
    const struct host *h = g->host;
    if (h->role != HOST_CONTROLLER)
        return;
    link_path(h, g->plugin->name, path, sizeof path);
    if (is_same_file(g->copy, path)) /* rename() between two links to one file does nothing, not even remove one */
        return;
    snprintf(temp, sizeof temp, "%s/serving/.%s.new", h->state_dir, g->plugin->name);
    unlink(temp);
    if (link(g->copy, temp) < 0 || rename(temp, path) < 0)
        log_warn(LOG_HOST, "%s: cannot link %s: %s; workers on this machine will not find it", g->plugin->name, path,
                 strerror(errno));
}

void serving_withdraw(const struct host *h, const char *name)
{
    char path[PATH_MAX];
    if (h->role != HOST_CONTROLLER || h->stopping) /* workers may outlive this process */
        return;
    link_path(h, name, path, sizeof path);
    unlink(path);
}

void serving_sweep(struct host *h)
{
    char path[PATH_MAX];
    struct dirent *e;
    snprintf(path, sizeof path, "%s/serving", h->state_dir);
    DIR *d = h->role == HOST_CONTROLLER ? opendir(path) : NULL;
    while (d && (e = readdir(d))) {
        char name[NAME_MAX + 1];
        size_t n = strlen(e->d_name);
        if (n < 4 || strcmp(e->d_name + n - 3, ".so") != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(n - 3), e->d_name);
        const struct plugin *p = plugin_find(h, name);
        if (!p || !p->current)
            serving_withdraw(h, name);
    }
    if (d)
        closedir(d);
}
