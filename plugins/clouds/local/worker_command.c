/* SPDX-License-Identifier: Apache-2.0 */
#include "worker_command.h"

#include "err.h"
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOBODY "http://127.0.0.1:9" /* the port of a service that is not there any more */

void worker_command_mark(const char *id, char out[128])
{
    snprintf(out, 128, "worker.id=%s", id);
}

/* Adds one word; out of memory or room shows in the end as n < 0. */
static void add(struct worker_command *c, const char *fmt, ...) BP_PRINTF(2, 3);
static void add(struct worker_command *c, const char *fmt, ...)
{
    va_list ap;
    char *word = NULL;
    if (c->n < 0)
        return;
    va_start(ap, fmt);
    int n = vasprintf(&word, fmt, ap);
    va_end(ap);
    if (n < 0 || c->n == WORKER_ARGS_MAX) {
        if (n >= 0)
            free(word);
        worker_command_free(c);
        c->n = -1;
        return;
    }
    c->argv[c->n++] = word;
    c->argv[c->n] = NULL;
}

static void add_each(struct worker_command *c, const char *option, struct json_object *words)
{
    for (size_t i = 0; i < json_object_array_length(words); i++) {
        add(c, "%s", option);
        add(c, "%s", json_object_get_string(json_object_array_get_idx(words, i)));
    }
}

static void add_set(struct worker_command *c, const char *key, const char *value)
{
    add(c, "--set");
    add(c, "%s=%s", key, value);
}

/* An instance is another machine: of the environment it gets what programs need to run, no secrets and no BPD_*. */
static int is_passed(const char *variable)
{
    static const char *const names[] = {"PATH=",
                                        "HOME=",
                                        "LANG=",
                                        "LC_",
                                        "TZ=",
                                        "TMPDIR=",
                                        "USER=",
                                        "LOGNAME=",
                                        "LD_LIBRARY_PATH=",
                                        "CUDA_",
                                        "NVIDIA_",
                                        "ASAN_OPTIONS=",
                                        "LSAN_OPTIONS=",
                                        "TSAN_OPTIONS=",
                                        "UBSAN_OPTIONS=",
                                        "MALLOC_",
                                        "BP_"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return 1;
    return 0;
}

static char **environment(void)
{
    size_t n = 0, used = 0;
    while (environ && environ[n])
        n++;
    char **out = calloc(n + 1, sizeof *out);
    for (size_t i = 0; out && i < n; i++)
        if (is_passed(environ[i]))
            out[used++] = environ[i];
    return out;
}

int worker_command_make(struct worker_command *c, const struct local *l, const struct worker_place *at,
                        struct bp_err *err)
{
    const struct settings *s = &l->settings;
    char mark[128];
    memset(c, 0, sizeof *c);
    if (!s->bpd[0] || !s->url[0])
        return err_set(err, BP_FAIL, "cannot start a worker: %s is not known; set %s of plugin local",
                       s->bpd[0] ? "the URL of this daemon" : "the path of bpd", s->bpd[0] ? "url" : "bpd");
    add(c, "%s", s->bpd);
    add(c, "--role");
    add(c, "worker");
    add_each(c, "--plugins-dir", s->plugins_dirs);
    if (s->workflows_dir[0])
        add_set(c, "plugins.workflowsDir", s->workflows_dir);
    worker_command_mark(at->id, mark);
    add(c, "--set");
    add(c, "%s", mark);
    add_set(c, "worker.url", at->mute ? NOBODY : s->url);
    add_set(c, "worker.fleet", at->slug);
    if (s->fleet_secret_file[0]) {
        add(c, "--set");
        add(c, "worker.fleetSecret=file:%s", s->fleet_secret_file);
    }
    add_set(c, "worker.device", s->device);
    add_set(c, "stage", s->stage);
    add_set(c, "state.dir", at->dir);
    add_set(c, "log.path", at->log);
    add_each(c, "--set", s->worker_args);
    c->envp = c->n < 0 ? NULL : environment();
    if (c->envp)
        return 0;
    worker_command_free(c);
    return err_set(err, BP_NOMEM, "no memory to start a worker, or too many workerArgs");
}

void worker_command_free(struct worker_command *c)
{
    for (int i = 0; i < c->n; i++)
        free(c->argv[i]);
    free(c->envp);
    memset(c, 0, sizeof *c);
}
