/* SPDX-License-Identifier: Apache-2.0 */
#include "about.h"
#include "host/host.h"
#include "host/self.h"
#include "log/err.h"
#include "migrate.h"
#include "pluginfile/facet.h"
#include "pluginfile/load.h"
#include "state_dir.h"
#include "vetting/vet.h"
#include <bp/queue.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The search for the plugin. */
struct search {
    const struct config *config;
    const char *wanted; /* services.queue; NULL: the only one */
    char *plugin_config;
    struct signers *signers;
    char copies[PATH_MAX]; /* a directory of this process's own */
    struct vetted found;
    struct bp_err why; /* the file that should be it was refused */
};

/* ---- finding it ---- */

/* As the daemon chooses: the named one, else the first by name that needs no naming or has settings. */
static int is_wanted(const struct search *s, const struct manifest *m)
{
    if (m->kind != KIND_QUEUE)
        return 0;
    if (s->wanted)
        return strcmp(m->name, s->wanted) == 0;
    return strcmp(json_str(m->json, "start", "always"), "named") != 0 ||
           json_member(config_map(s->config, CONFIG_PLUGIN_CONFIG), m->name);
}

/* The file's name says nothing for sure, but a refused file of that name is most likely the one. */
static int looks_wanted(const struct search *s, const char *file)
{
    size_t n = s->wanted ? strlen(s->wanted) : 0;
    return n && strncmp(file, s->wanted, n) == 0 && strcmp(file + n, ".so") == 0;
}

static int try_file(struct search *s, const char *dir, const char *file)
{
    char path[PATH_MAX + 257];
    struct bp_err err = {0};
    struct vetted v;
    snprintf(path, sizeof path, "%s/%s", dir, file);
    struct vet_spec spec = {.path = path,
                            .copies = s->copies,
                            .plugin_config = s->plugin_config,
                            .max_bytes = config_int(s->config, CONFIG_PLUGINS_MAX_BYTES),
                            .signers = s->signers};
    int rc = vet_file(&spec, &v, &err);
    if (rc == BP_OK && is_wanted(s, v.manifest)) {
        s->found = v;
        return 1;
    }
    if (rc && (looks_wanted(s, file) || (v.manifest && is_wanted(s, v.manifest))))
        err_set(&s->why, rc, "%.100s refused: %.140s", path, err.text);
    vetted_clear(&v);
    return 0;
}

static int is_plugin(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return e->d_name[0] != '.' && n > 3 && strcmp(e->d_name + n - 3, ".so") == 0;
}

static int try_dir(struct search *s, const char *name)
{
    int found = 0;
    struct dirent **files = NULL;
    char *dir = realpath(name, NULL);
    int n = dir ? scandir(dir, &files, is_plugin, alphasort) : -1;
    if (n < 0)
        err_set(&s->why, BP_IO, "plugins directory %.160s: %s", name, strerror(errno));
    for (int i = 0; i < n; i++) {
        found = found || try_file(s, dir, files[i]->d_name);
        free(files[i]);
    }
    free(files);
    free(dir);
    return found;
}

static int search_run(struct search *s, const struct options *o, struct bp_err *err)
{
    char own[4096];
    const char *dirs[OPTIONS_MAX];
    if (host_signers(s->config, &s->signers, err) < 0)
        return err->rc;
    uint32_t n = about_plugins_dirs(o, s->config, own, sizeof own, dirs);
    for (uint32_t i = 0; i < n; i++)
        if (try_dir(s, dirs[i]))
            return BP_OK;
    if (s->why.rc)
        *err = s->why;
    else
        err_set(err, BP_NOTFOUND, "there is no queue plugin%s%.64s in %.120s; see services.queue and --plugins-dir",
                s->wanted ? " " : "", s->wanted ? s->wanted : "", n ? dirs[0] : "any directory");
    return err->rc;
}

/* ---- running it ---- */

static int call(const struct bp_plugin *api, void *inst, const struct manifest *m, const struct bp_migrate *what,
                char **report, struct bp_err *err)
{
    struct offer offers[FACETS];
    uint32_t n = 0;
    int rc = load_offers(api, inst, m, offers, &n, err);
    if (rc < 0)
        return rc;
    const struct bp_queue *queue = offers[0].table;
    rc = queue->migrate(inst, what, report, err);
    if (rc)
        load_text_clean(err, "the queue plugin does not say why");
    return rc;
}

static int run_alone(struct search *s, const char *state_dir, const struct bp_migrate *what, char **report,
                     struct bp_err *err)
{
    char dir[PATH_MAX + 128];
    void *inst = NULL;
    const struct bp_plugin *api;
    const struct manifest *m = s->found.manifest;
    snprintf(dir, sizeof dir, "%s/plugin/%s", state_dir, m->name);
    int rc = load_code(s->found.copy.path, m, &api, err);
    if (rc < 0)
        return rc;
    struct bp_self *self = self_new(NULL, m->name, json_text(s->found.settings), dir);
    rc = api->start(self, &host_table, &inst, err);
    if (rc) {
        load_text_clean(err, "it does not say why");
        err_prefix(err, "%s does not start: ", m->name);
    } else {
        rc = call(api, inst, m, what, report, err);
        api->stop(inst);
    }
    self_free(self);
    return rc;
}

static void copies_remove(const char *dir)
{
    char path[PATH_MAX + 257];
    struct dirent *e;
    DIR *d = opendir(dir);
    while (d && (e = readdir(d))) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

static int copies_make(struct search *s, struct bp_err *err)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(s->copies, sizeof s->copies, "%s/bpd-migrate.XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp");
    if (!mkdtemp(s->copies))
        return err_set(err, BP_IO, "cannot make a directory %s: %s; set TMPDIR", s->copies, strerror(errno));
    return BP_OK;
}

int migrate_queue(const struct options *o, const struct config *c, const struct bp_migrate *what, char **report,
                  struct bp_err *err)
{
    char state_dir[4096];
    struct json_object *plugins = config_map(c, CONFIG_PLUGIN_CONFIG);
    struct search s = {.config = c, .wanted = json_str(config_map(c, CONFIG_SERVICES), "queue", NULL)};
    int rc = state_dir_path(c, state_dir, sizeof state_dir, err);
    if (rc < 0 || (rc = copies_make(&s, err)) < 0)
        return rc;
    s.plugin_config = plugins ? strdup(json_text(plugins)) : NULL;
    rc = search_run(&s, o, err);
    if (rc == BP_OK) {
        rc = run_alone(&s, state_dir, what, report, err);
        vetted_clear(&s.found);
    }
    copies_remove(s.copies);
    free(s.plugin_config);
    return rc;
}
