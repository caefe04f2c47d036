/* SPDX-License-Identifier: Apache-2.0 */
/* check_probe.c - does it come up? Found out by bp-runner --probe --start, in a process of its own. */
#include "check.h"

#include "child.h"
#include "log/err.h"
#include "spawn/runner_spawn.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *last_line(char *text)
{
    size_t n = strlen(text);
    while (n > 0 && (unsigned char)text[n - 1] <= ' ')
        text[--n] = '\0';
    char *nl = strrchr(text, '\n');
    return nl ? nl + 1 : text;
}

static void facets_found(struct check *c, struct json_object *list)
{
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        const char *id = json_str(o, "facet", "");
        finding_add(&c->found, FINDING_OK, "facets", NULL, "%s: a table of %lld bytes with all it must have", id,
                    (long long)json_int(o, "bytes", 0));
        if (manifest_lists_facets(c->file.manifest) && !manifest_has_facet(c->file.manifest, id))
            finding_add(&c->found, FINDING_WARNING, "facets", "list it in \"facets\"",
                        "%s is offered, but not listed in the manifest", id);
    }
}

/* BP_LATER and BP_NOSPACE say that what the plugin needs is not there now: here, where there is no network, no error.
 */
static void failed(struct check *c, int64_t rc, const char *stage, const char *text)
{
    if (strcmp(stage, "start") == 0 && (rc == BP_LATER || rc == BP_NOSPACE))
        finding_add(&c->found, FINDING_WARNING, "probe", "try it where what it needs is there: bpctl plugin load FILE",
                    "its start waits for something (there is no network in a check): %s", text);
    else
        finding_add(&c->found, FINDING_ERROR, "probe", "correct what it says; a daemon refuses it",
                    strcmp(stage, "start") == 0 ? "its start failed: %s" : "%s", text);
}

static int take(struct check *c, char *output)
{
    struct bp_err err = {0};
    const char *line = last_line(output);
    c->probe = json_parse(line, strlen(line), &err);
    if (!c->probe || !json_object_is_type(c->probe, json_type_object) || !json_member(c->probe, "rc")) {
        finding_add(&c->found, FINDING_ERROR, "probe", "let it return to its caller, and print nothing",
                    "it ended its process while it was loaded, started or stopped%s%.200s",
                    line[0] ? "; it said: " : "", line);
        return 0;
    }
    int64_t rc = json_int(c->probe, "rc", BP_FAIL);
    if (rc < 0) {
        failed(c, rc, json_str(c->probe, "stage", ""), json_str(c->probe, "text", ""));
        return 0;
    }
    finding_add(&c->found, FINDING_OK, "probe", NULL, "it loads, starts (%lld ms) and stops (%lld ms)",
                (long long)json_int(c->probe, "start_ms", 0), (long long)json_int(c->probe, "stop_ms", 0));
    facets_found(c, json_member(c->probe, "facets"));
    return 1;
}

static int run(struct check *c, const char *settings)
{
    char output[16384], words[120];
    struct child_end end = {0};
    struct bp_err err = {0};
    char *argv[] = {c->runner, "--probe", c->file.path, "--start", (char *)(uintptr_t)settings, NULL};
    char **env = runner_environment(environ, c->dir);
    struct child_spec spec = {.argv = argv, .env = env, .limit_ms = check_start_ms(c)};
    int rc = env ? child_run(&spec, output, sizeof output, &end, &err) : BP_NOMEM;
    free(env);
    if (rc < 0) {
        finding_add(&c->found, FINDING_ERROR, "probe", "name bp-runner with --runner PATH", "%s", err.text);
        return 0;
    }
    if (end.timed_out) {
        finding_add(&c->found, FINDING_ERROR, "probe", "let start() return soon, and do long work in run()",
                    "it was not loaded, started and stopped within %d s", check_start_ms(c) / 1000);
        return 0;
    }
    child_words(end.status, words, sizeof words);
    if (end.status == 0)
        return take(c, output);
    const char *said = last_line(output);
    finding_add(&c->found, FINDING_ERROR, "probe", "run it under a debugger: bp-runner --probe FILE --start '{}'",
                "it %s while it was loaded, started or stopped%s%.200s", words, said[0] ? "; it said: " : "", said);
    return 0;
}

int check_probe(struct check *c)
{
    struct json_object *settings = check_settings(c);
    int up = settings && run(c, json_text(settings));
    json_object_put(settings);
    return up;
}
