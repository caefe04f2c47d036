/* SPDX-License-Identifier: Apache-2.0 */
#include "about.h"

#include "log/json.h"
#include "paths.h"
#include <stdio.h>
#include <string.h>

uint32_t about_plugins_dirs(const struct options *o, const struct config *c, char *own, size_t n, const char **out)
{
    const char *const *configured;
    uint32_t count = config_strs(c, CONFIG_PLUGINS_DIRS, &configured);
    if (o->n_plugins_dirs) {
        memcpy(out, o->plugins_dirs, o->n_plugins_dirs * sizeof *out);
        return o->n_plugins_dirs;
    }
    if (count > OPTIONS_MAX)
        count = OPTIONS_MAX;
    if (count) {
        memcpy(out, configured, count * sizeof *out);
        return count;
    }
    paths_plugins(own, n);
    out[0] = own;
    return 1;
}

/* "<dir of path>/workflows.d" */
static void beside(const char *path, char *out, size_t n)
{
    const char *slash = strrchr(path, '/');
    snprintf(out, n, "%.*sworkflows.d", slash ? (int)(slash - path) + 1 : 0, path);
}

void about_workflows_dir(const struct options *o, const struct config *c, const char *first, char *out, size_t n)
{
    char dir[4096];
    const char *configured = config_str(c, CONFIG_PLUGINS_WORKFLOWS_DIR);
    if (*configured) {
        snprintf(out, n, "%s", configured);
    } else if (o->config) {
        beside(o->config, out, n);
    } else {
        size_t bytes = (size_t)snprintf(dir, sizeof dir, "%s", first);
        while (bytes > 1 && bytes < sizeof dir && dir[bytes - 1] == '/')
            dir[--bytes] = '\0';
        beside(dir, out, n);
    }
}

char *about_json(const struct about *a)
{
    char self[4096];
    struct json_object *o = json_object_new_object();
    struct json_object *dirs = json_object_new_array();
    paths_self(self, sizeof self);
    json_put_str(o, "role", a->role);
    json_put_str(o, "url", a->url);
    json_put_str(o, "stage", a->stage);
    json_put_str(o, "state_dir", a->state_dir);
    json_put_str(o, "fleet_secret_file", a->fleet_secret_file);
    json_put_str(o, "instance_id", a->instance_id);
    json_put_str(o, "fleet", a->fleet);
    json_put_str(o, "bpd", self);
    for (uint32_t i = 0; i < a->n_plugins_dirs; i++)
        json_object_array_add(dirs, json_object_new_string(a->plugins_dirs[i]));
    json_object_object_add(o, "plugins_dirs", dirs);
    json_put_str(o, "workflows_dir", a->workflows_dir);
    char *text = strdup(json_text(o));
    json_object_put(o);
    return text;
}
