/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_check.c - bpctl plugin check: everything that can be found out about a plugin file before a daemon has it. */
#include "plugin.h"

#include "check.h"
#include "log/err.h"
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_S 60

void plugin_check_details(FILE *out)
{
    fputs("Runs none of it but in a child process, without network.\n\n"
          "      --sample FILE    input of the dry run of a workflow; may be given again (a small one is built in)\n"
          "      --params JSON    params of the dry run (their defaults)\n"
          "      --workflow FILE  of a template: the file of workflows.d that makes a workflow of it\n"
          "      --settings JSON  settings of the plugin, plugin.<name> in the daemon's (their defaults)\n"
          "      --timeout N      seconds one run may take (60)\n"
          "      --no-run         leave the dry run out\n"
          "      --runner PATH    bp-runner (beside bpctl, or in libexec)\n"
          "      --json           the findings as JSON\n\n"
          "Exit status: 0 no errors (there may be warnings), 1 errors, 2 wrong usage.\n",
          out);
}

/* ---- words ---- */

struct wish {
    struct check *c;
    const char *file;
    const char *definition; /* of --workflow, or NULL */
    int no_run;
};

static int take_object(struct json_object **into, const char *name, const char *value)
{
    struct bp_err err = {0};
    *into = json_parse(value, strlen(value), &err);
    if (*into && json_object_is_type(*into, json_type_object))
        return 0;
    fprintf(stderr, "bpctl: %s takes a JSON object: %s\n", name, err.text[0] ? err.text : value);
    return -1;
}

static int take_option(struct wish *w, const char *name, const char *value)
{
    struct check *c = w->c;
    char *end;
    if (strcmp(name, "--sample") == 0 && c->n_samples < CHECK_SAMPLES) {
        c->samples[c->n_samples++] = value;
    } else if (strcmp(name, "--params") == 0 && !c->params) {
        return take_object(&c->params, name, value);
    } else if (strcmp(name, "--settings") == 0 && !c->settings) {
        return take_object(&c->settings, name, value);
    } else if (strcmp(name, "--workflow") == 0 && !w->definition) {
        w->definition = value;
    } else if (strcmp(name, "--runner") == 0) {
        snprintf(c->runner, sizeof c->runner, "%s", value);
    } else if (strcmp(name, "--timeout") == 0) {
        c->timeout_s = (int)strtol(value, &end, 10);
        if (*end || c->timeout_s < 1 || c->timeout_s > 86400) {
            fprintf(stderr, "bpctl: --timeout takes a number of seconds, 1 to 86400, not \"%s\"\n", value);
            return -1;
        }
    } else {
        fprintf(stderr, "bpctl: unknown option %s, or given too often\n", name);
        return -1;
    }
    return 0;
}

static int parse(struct wish *w, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--no-run") == 0) {
            w->no_run = 1;
        } else if (argv[i][0] == '-') {
            if (i + 1 == argc) {
                fprintf(stderr, "bpctl: %s needs a value\n", argv[i]);
                return -1;
            }
            if (take_option(w, argv[i], argv[i + 1]) < 0)
                return -1;
            i++;
        } else if (w->file) {
            return -1;
        } else {
            w->file = argv[i];
        }
    }
    return w->file ? 0 : -1;
}

/* ---- the check ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void run_parts(struct check *c, const struct wish *w)
{
    check_file(c);
    if (w->definition && c->file.manifest && check_define(c, w->definition) < 0)
        return;
    check_manifest(c);
    if (!c->file.manifest)
        return;
    int up = check_probe(c);
    if (c->file.manifest->is_template)
        finding_add(&c->found, FINDING_OK, "run", NULL,
                    "a template: give a file of workflows.d with --workflow to run it");
    else if (c->file.manifest->kind == KIND_WORKFLOW && up && !w->no_run)
        check_run(c);
}

static void print_json(const struct check *c)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "file", c->file.path);
    json_put_str(o, "sha256", c->file.sha);
    json_put_bool(o, "ok", c->found.errors == 0);
    json_put_int(o, "errors", c->found.errors);
    json_put_int(o, "warnings", c->found.warnings);
    json_object_object_add(o, "findings", json_object_get(c->found.list));
    json_object_object_add(o, "run", json_object_get(c->run));
    printf("%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}

static void print(const struct check *c, int json)
{
    if (json) {
        print_json(c);
        return;
    }
    findings_print(&c->found, stdout);
    printf("%d error%s, %d warning%s\n", c->found.errors, c->found.errors == 1 ? "" : "s", c->found.warnings,
           c->found.warnings == 1 ? "" : "s");
}

static int check(struct wish *w, int json)
{
    struct check *c = w->c;
    struct bp_err err = {0};
    const char *temp = getenv("TMPDIR");
    int rc = plugin_file_open(&c->file, w->file, &err);
    snprintf(c->dir, sizeof c->dir, "%s/bpctl-check.XXXXXX", temp && temp[0] == '/' ? temp : "/tmp");
    if (rc == BP_OK && !mkdtemp(c->dir))
        rc = err_set(&err, BP_IO, "cannot make a directory %s: %s", c->dir, strerror(errno));
    if (rc == BP_OK) {
        findings_open(&c->found);
        run_parts(c, w);
        print(c, json);
        rc = c->found.errors ? BP_FAIL : BP_OK;
        findings_close(&c->found);
        nftw(c->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    } else {
        fprintf(stderr, "bpctl: %s\n", err.text);
    }
    plugin_file_close(&c->file);
    return rc < 0;
}

int plugin_check(int argc, char **argv, int json)
{
    static struct check c;
    struct wish w = {.c = &c};
    c.timeout_s = TIMEOUT_S;
    plugin_tool("bp-runner", c.runner, sizeof c.runner);
    int status = parse(&w, argc, argv) < 0 ? 2 : check(&w, json);
    json_object_put(c.params);
    json_object_put(c.settings);
    json_object_put(c.run);
    json_object_put(c.probe);
    return status;
}
