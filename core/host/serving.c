/* SPDX-License-Identifier: Apache-2.0 */
#include "host/serving.h"

#include "log/log.h"
#include "vetting/copy.h"
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

static void definition_path(const struct host *h, const char *slug, char *out, size_t n)
{
    snprintf(out, n, "%s/serving/workflows.d/%s" DEFINITION_ENDING, h->state_dir, slug);
}

int serving_open(struct host *h, struct bp_err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/serving/workflows.d", h->state_dir);
    return h->role == HOST_CONTROLLER ? dir_make(path, err) : BP_OK;
}

static int is_same_file(const char *a, const char *b)
{
    struct stat sa, sb;
    return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* What the file said, with the config's overrides of what counts on workers: they have their own config. */
static struct json_object *definition_served(const struct generation *g)
{
    static const char *const keys[] = {"settings", "sandbox"};
    struct json_object *o = NULL;
    if (json_object_deep_copy(g->manifest->definition, &o, NULL))
        return NULL;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct json_object *v = json_member(g->workflow->manifest, keys[i]);
        if (v)
            json_object_object_add(o, keys[i], json_object_get(v));
    }
    return o;
}

/* Not a link: the file is the operator's, and may be changed in place. */
static void publish_definition(const struct generation *g)
{
    char path[PATH_MAX], temp[PATH_MAX];
    const struct host *h = g->host;
    struct json_object *o = definition_served(g);
    definition_path(h, g->plugin->name, path, sizeof path);
    snprintf(temp, sizeof temp, "%s/serving/workflows.d/.%s.new", h->state_dir, g->plugin->name);
    if (!o || json_object_to_file_ext(temp, o, JSON_C_TO_STRING_PRETTY) < 0 || chmod(temp, 0644) < 0 ||
        rename(temp, path) < 0)
        log_warn(LOG_HOST, "%s: cannot write %s: %s; workers on this machine will not find it", g->plugin->name, path,
                 strerror(errno));
    json_object_put(o);
}

void serving_publish(const struct generation *g)
{
    char path[PATH_MAX], temp[PATH_MAX];
    const struct host *h = g->host;
    if (h->role != HOST_CONTROLLER)
        return;
    if (g->manifest->definition) {
        publish_definition(g);
        return;
    }
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
    definition_path(h, name, path, sizeof path);
    unlink(path);
}

/* Withdraws what a directory still has of names with this ending that nothing serves. */
static void sweep(struct host *h, const char *dir, const char *ending)
{
    struct dirent *e;
    DIR *d = opendir(dir);
    size_t end = strlen(ending);
    while (d && (e = readdir(d))) {
        char name[NAME_MAX + 1];
        size_t n = strlen(e->d_name);
        if (n <= end || strcmp(e->d_name + n - end, ending) != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(n - end), e->d_name);
        const struct plugin *p = plugin_find(h, name);
        if (!p || !p->current) /* of candidates too: they are shown again when their canary is taken up */
            serving_withdraw(h, name);
    }
    if (d)
        closedir(d);
}

void serving_sweep(struct host *h)
{
    char path[PATH_MAX];
    if (h->role != HOST_CONTROLLER)
        return;
    snprintf(path, sizeof path, "%s/serving", h->state_dir);
    sweep(h, path, ".so");
    snprintf(path, sizeof path, "%s/serving/workflows.d", h->state_dir);
    sweep(h, path, DEFINITION_ENDING);
}
