/* SPDX-License-Identifier: Apache-2.0 */
#include "workflow.h"

#include "child.h"
#include "log/err.h"
#include "plugin_file.h"
#include "spawn/runner_spawn.h"
#include "vetting/vet.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIRS_MAX 16
#define ASK_MS   10000

struct wish {
    const char *dirs[DIRS_MAX]; /* where templates are looked for */
    int n_dirs, json;
};

static void workflow_check_help(FILE *out)
{
    fputs(
        "Usage: bpctl workflow check FILE.json... [--plugins-dir DIR]... [--json]\n"
        "Checks files of workflows.d as bpd would, without a running bpd: owner and mode, every key, and the settings\n"
        "against the schema of the template plugin and by what it checks itself.\n\n"
        "  --plugins-dir DIR  where the template's .so is; several times: in any (default: the installed directory)\n"
        "  --json             print the workflow's manifest, or {\"file\", \"error\"}, one line a file\n"
        "Exit status: 0 all are good, 1 one is not, 2 wrong usage.\n",
        out);
}

/* A build tree's plugins, else the installed ones. */
static void default_dirs(struct wish *w, char paths[2][PATH_MAX])
{
    char self[PATH_MAX - 64];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n < 0 ? 0 : n] = '\0';
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = '\0';
    snprintf(paths[0], PATH_MAX, "%s/../plugins", self);
    snprintf(paths[1], PATH_MAX, "%s/" BPD_PLUGINS_FROM_BIN, self);
    w->dirs[w->n_dirs++] = paths[0];
    w->dirs[w->n_dirs++] = paths[1];
}

/* The template's file; its manifest is f->manifest. plugin_file_close() it in any case. */
static int template_open(const struct wish *w, const char *name, struct plugin_file *f, struct bp_err *err)
{
    char path[PATH_MAX];
    for (int i = 0; i < w->n_dirs; i++) {
        snprintf(path, sizeof path, "%s/%s.so", w->dirs[i], name);
        if (access(path, F_OK) < 0)
            continue;
        int rc = plugin_file_open(f, path, err);
        if (rc == BP_OK && !f->manifest)
            rc = err_set(err, BP_INVALID, "its plugin %s: %.160s", name, f->wrong.text);
        if (rc == BP_OK && !f->manifest->is_template)
            rc = err_set(err, BP_INVALID, "plugin \"%s\" is no template, so no file can define a workflow of it", name);
        return rc;
    }
    return err_set(err, BP_NOTFOUND, "there is no %s.so in %.120s: give --plugins-dir", name, w->dirs[0]);
}

/* "settings.command[2]" at the beginning of a sentence, as definition_place() has it: settings.command.2. */
static void field_of(const char *text, char *out, size_t n)
{
    size_t k = 0;
    for (const char *p = text; *p && *p != ':' && *p != ' ' && k + 1 < n; p++) {
        if (*p != ']')
            out[k++] = *p == '[' ? '.' : *p;
    }
    out[k] = '\0';
}

/* What no schema says is asked of the plugin, in bp-runner. */
static int ask_plugin(const struct definition *d, const struct manifest *m, const char *file, struct bp_err *err)
{
    char runner[PATH_MAX], output[8192], words[120], field[160];
    struct child_end end = {0};
    char *argv[] = {(char *)(uintptr_t)plugin_tool("bp-runner", runner, sizeof runner), "--probe",
                    (char *)(uintptr_t)file, "--workflows", NULL};
    struct json_object *list = json_object_new_array();
    char **env = runner_environment(environ, "/tmp");
    json_object_array_add(list, json_object_get(m->json));
    struct child_spec spec = {.argv = argv, .env = env, .input = json_text(list), .limit_ms = ASK_MS};
    int rc = env ? child_run(&spec, output, sizeof output, &end, err) : err_set(err, BP_NOMEM, "no memory");
    free(env);
    json_object_put(list);
    if (rc < 0 || end.status == 0)
        return rc;
    child_words(end.status, words, sizeof words);
    for (size_t n = strlen(output); n > 0 && output[n - 1] == '\n';)
        output[--n] = '\0';
    const char *nl = strrchr(output, '\n'), *line = nl ? nl + 1 : output;
    if (end.timed_out)
        err_set(err, BP_INVALID, "plugin %s did not say within %d s whether it is right", m->name, ASK_MS / 1000);
    else
        err_set(err, BP_INVALID, "%s%s", *line ? line : "its plugin's process ", *line ? "" : words);
    field_of(line, field, sizeof field);
    return definition_place(d, strncmp(field, "settings", 8) == 0 ? field : "settings", err);
}

/* The workflow's manifest, checked; NULL with err. */
static struct manifest *check(const struct wish *w, const char *file, struct bp_err *err)
{
    char path[PATH_MAX];
    struct vetted v;
    struct plugin_file f = {0};
    struct manifest *m = NULL;
    if (!definition_is_name(file)) {
        err_set(err, BP_INVALID, "%s: a file of workflows.d is named SLUG.json", file);
        return NULL;
    }
    if (!realpath(file, path)) {
        err_set(err, BP_NOTFOUND, "%s: %s", file, strerror(errno));
        return NULL;
    }
    struct vet_spec spec = {.path = path};
    int rc = vet_definition(&spec, &v, err);
    if (rc == BP_OK && (rc = template_open(w, definition_plugin(v.definition), &f, err)) < 0)
        definition_place(v.definition, "plugin", err);
    if (rc == BP_OK)
        m = definition_apply(v.definition, f.manifest, err);
    if (m && ask_plugin(v.definition, m, f.path, err) < 0) {
        manifest_free(m);
        m = NULL;
    }
    plugin_file_close(&f);
    vetted_clear(&v);
    return m;
}

static void print(const struct wish *w, const char *file, const struct manifest *m, const struct bp_err *err)
{
    if (m && w->json) {
        printf("%s\n", json_text(m->json));
    } else if (m) {
        printf("%s: workflow %s of plugin %s %s is good\n", file, m->slug, m->name, m->version);
    } else if (w->json) {
        struct json_object *o = json_object_new_object();
        json_put_str(o, "file", file);
        json_put_str(o, "error", err->text);
        printf("%s\n", json_text(o));
        json_object_put(o);
    } else {
        fprintf(stderr, "bpctl: %s\n", err->text);
    }
}

/* -1: wrong usage. Files are moved to the front of argv; their number is returned. */
static int read_options(struct wish *w, int argc, char **argv)
{
    int n = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            w->json = 1;
        else if (strcmp(argv[i], "--plugins-dir") == 0 && i + 1 < argc && w->n_dirs < DIRS_MAX)
            w->dirs[w->n_dirs++] = argv[++i];
        else if (argv[i][0] == '-')
            return -1;
        else
            argv[n++] = argv[i];
    }
    return n ? n : -1;
}

int workflow_check(int argc, char **argv, int json)
{
    static char paths[2][PATH_MAX];
    struct wish w = {.json = json};
    if (argc == 1 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
        workflow_check_help(stdout);
        return 0;
    }
    int n = read_options(&w, argc, argv), wrong = 0;
    if (n < 0) {
        workflow_check_help(stderr);
        return 2;
    }
    if (w.n_dirs == 0)
        default_dirs(&w, paths);
    for (int i = 0; i < n; i++) {
        struct bp_err err = {0};
        struct manifest *m = check(&w, argv[i], &err);
        print(&w, argv[i], m, &err);
        wrong |= !m;
        manifest_free(m);
    }
    return wrong;
}
