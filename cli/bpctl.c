/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpctl.c - the operator's command. It knows no commands of its own but submit, migrate, simulate and those of
 * plugin.h: what else is typed goes to the daemon, whose one table parses it, checks it and gives the answer in words
 * or as JSON.
 */
#include "asset.h"
#include "client.h"
#include "log/json.h"
#include "migrate.h"
#include "plugin.h"
#include "rollout.h"
#include "simulate.h"
#include "submit.h"
#include "workflow.h"
#include <curl/curl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bpctl {
    const char *socket;
    int json;
    int first; /* index of the first word of the command */
};

static void help(FILE *out)
{
    fputs("Usage: bpctl [--socket PATH] [--json] COMMAND [ARGUMENT]...\n"
          "Talks to a running bpd through its admin socket.\n\n"
          "  -s, --socket PATH  the socket (BPCTL_SOCKET; else <state.dir>/bpd.sock)\n"
          "  -j, --json         answer as JSON\n"
          "  -h, --help         this help; bpctl help lists the daemon's commands\n"
          "  -V, --version      the version\n\n"
          "Often used: status, doctor, workflows, jobs, job N, submit, workers, plugin, scale, fleet, events --follow, "
          "log\n"
          "bpctl submit --help says how to submit a job from files.\n"
          "bpctl migrate --help says how to bring the queue's schema up to date; it needs no running bpd.\n"
          "bpctl simulate --help says how to try scaling policies on past jobs; it needs none either.\n"
          "bpctl plugin --help says what can be done with plugin files; that needs none either.\n"
          "bpctl workflow check --help says how to check files of workflows.d; the same.\n"
          "Exit status: 0 done, 1 refused or failed (doctor: something it tried failed), 2 wrong usage; of migrate "
          "also 3.\n",
          out);
}

/* Options before the command. 0 go on, else exit status + 1. */
static int parse(struct bpctl *b, int argc, char **argv)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "-j") == 0) {
            b->json = 1;
        } else if ((strcmp(argv[i], "--socket") == 0 || strcmp(argv[i], "-s") == 0) && i + 1 < argc) {
            b->socket = argv[++i];
        } else if (strncmp(argv[i], "--socket=", 9) == 0) {
            b->socket = argv[i] + 9;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            help(stdout);
            return 1;
        } else if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-V") == 0) {
            printf("bpctl %s\n", BP_VERSION);
            return 1;
        } else {
            fprintf(stderr, "bpctl: unknown option %s; see bpctl --help\n", argv[i]);
            return 3;
        }
    }
    b->first = i;
    if (i < argc)
        return 0;
    help(stderr);
    return 3;
}

static void print_result(const struct bpctl *b, struct json_object *r)
{
    struct json_object *text = json_member(r, "text");
    if (!b->json && text && json_object_is_type(text, json_type_string))
        fputs(json_object_get_string(text), stdout);
    else
        printf("%s\n", json_object_to_json_string_ext(r, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    fflush(stdout);
}

/* After `events --follow` the daemon goes on sending. */
static void follow(struct client *c)
{
    struct json_object *o;
    while ((o = client_next(c))) {
        struct json_object *e = json_member(o, "params");
        int words = e && json_object_is_type(e, json_type_string);
        printf("%s\n", words ? json_object_get_string(e) : json_text(e ? e : o));
        fflush(stdout);
        json_object_put(o);
    }
}

/* The daemon has a directory of its own: a file that was named from here is named in full. */
static struct json_object *word_for_daemon(const char *word, const char *before)
{
    char full[PATH_MAX];
    int names_file = strcmp(before, "--file") == 0 && word[0] != '/' && realpath(word, full);
    return json_object_new_string(names_file ? full : word);
}

static int ask(const struct bpctl *b, struct client *c, int argc, char **argv)
{
    struct bp_err err = {0};
    struct json_object *params = json_object_new_object();
    struct json_object *words = json_object_new_array();
    struct json_object *fields = NULL;
    int json = b->json, follows = 0;
    for (int i = b->first; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) { /* also behind the command, where people type it */
            json = 1;
            continue;
        }
        follows |= strcmp(argv[b->first], "events") == 0 && strcmp(argv[i], "--follow") == 0;
        json_object_array_add(words, word_for_daemon(argv[i], i > b->first ? argv[i - 1] : ""));
    }
    json_object_object_add(params, "argv", words);
    json_put_bool(params, "text", !json);
    struct json_object *r = client_call(c, "run", params, &fields, &err);
    if (!r) {
        fprintf(stderr, "bpctl: %s\n", err.text);
        client_print_fields(fields, stderr);
        json_object_put(fields);
        return 1;
    }
    print_result(&(struct bpctl){.json = json}, r);
    int failed = strcmp(argv[b->first], "doctor") == 0 && json_int(r, "fail", 0) > 0;
    json_object_put(r);
    if (follows)
        follow(c);
    return failed;
}

static int run_submit(const struct bpctl *b, struct client *c, int argc, char **argv)
{
    int json = b->json, n = 0;
    char **rest = argv + b->first + 1;
    for (int i = b->first + 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = 1;
        else
            rest[n++] = argv[i];
    }
    return submit_main(c, n, rest, json);
}

/* `ami rollout WORKFLOW --follow`, but for --abort --follow, which the daemon answers at once. */
static int follows_rollout(const struct bpctl *b, int argc, char **argv)
{
    int follow = 0, other = 0;
    if (argc < b->first + 3 || strcmp(argv[b->first], "ami") != 0 || strcmp(argv[b->first + 1], "rollout") != 0)
        return 0;
    for (int i = b->first + 2; i < argc; i++) {
        follow |= strcmp(argv[i], "--follow") == 0;
        other |= strcmp(argv[i], "--abort") == 0 || strcmp(argv[i], "--help") == 0;
    }
    return follow && !other;
}

static int run_rollout(const struct bpctl *b, struct client *c, int argc, char **argv)
{
    int json = b->json;
    for (int i = b->first; i < argc; i++)
        json |= strcmp(argv[i], "--json") == 0;
    return rollout_follow(c, argc - b->first - 2, argv + b->first + 2, json);
}

/* The words of `plugin` that are bpctl's own. -1: it is for the daemon, else the exit status. */
static int run_plugin(const struct bpctl *b, int argc, char **argv)
{
    const char *word = argc > b->first + 1 && strcmp(argv[b->first], "plugin") == 0 ? argv[b->first + 1] : NULL;
    const struct plugin_command *c = word ? plugin_command_find(word) : NULL;
    if (c)
        return plugin_command_run(c, argc - b->first - 2, argv + b->first + 2, b->json);
    if (!word || (strcmp(word, "--help") != 0 && strcmp(word, "-h") != 0))
        return -1;
    plugin_help(stdout);
    return 0;
}

/* `workflow check` alone is about a workflow of that name. */
static int checks_workflow(const struct bpctl *b, int argc, char **argv)
{
    return argc > b->first + 2 && strcmp(argv[b->first], "workflow") == 0 && strcmp(argv[b->first + 1], "check") == 0;
}

static int puts_asset(const struct bpctl *b, int argc, char **argv)
{
    return argc > b->first + 1 && strcmp(argv[b->first], "asset") == 0 && strcmp(argv[b->first + 1], "put") == 0;
}

/* Its answer is JSON as it is. */
static int run_asset_put(const struct bpctl *b, struct client *c, int argc, char **argv)
{
    int n = 0;
    char **rest = argv + b->first + 2;
    for (int i = b->first + 2; i < argc; i++)
        if (strcmp(argv[i], "--json") != 0)
            rest[n++] = argv[i];
    return asset_put(c, n, rest);
}

int main(int argc, char **argv)
{
    struct bpctl b = {0};
    struct bp_err err = {0};
    int rc = parse(&b, argc, argv);
    if (rc)
        return rc - 1;
    if (strcmp(argv[b.first], "migrate") == 0)
        return migrate_main(argc - b.first - 1, argv + b.first + 1, b.json);
    if (strcmp(argv[b.first], "simulate") == 0)
        return simulate_main(argc - b.first - 1, argv + b.first + 1, b.json, b.socket);
    if (checks_workflow(&b, argc, argv))
        return workflow_check(argc - b.first - 2, argv + b.first + 2, b.json);
    rc = run_plugin(&b, argc, argv);
    if (rc >= 0)
        return rc;
    int submits = strcmp(argv[b.first], "submit") == 0 && !(argc > b.first + 1 && argv[b.first + 1][0] == '{');
    if (submits && argc > b.first + 1 &&
        (strcmp(argv[b.first + 1], "--help") == 0 || strcmp(argv[b.first + 1], "-h") == 0)) {
        submit_help(stdout);
        return 0;
    }
    if (puts_asset(&b, argc, argv) && argc > b.first + 2 &&
        (strcmp(argv[b.first + 2], "--help") == 0 || strcmp(argv[b.first + 2], "-h") == 0)) {
        asset_put_help(stdout);
        return 0;
    }
    struct client *c = client_open(b.socket, &err);
    if (!c && strcmp(argv[b.first], "help") == 0) {
        help(stdout);
        fprintf(stderr, "bpctl: the daemon's commands are in bpctl(1); they are not listed here: %s\n", err.text);
        return 0;
    }
    if (!c) {
        fprintf(stderr, "bpctl: %s\n", err.text);
        return 1;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    rc = submits                           ? run_submit(&b, c, argc, argv)
         : puts_asset(&b, argc, argv)      ? run_asset_put(&b, c, argc, argv)
         : follows_rollout(&b, argc, argv) ? run_rollout(&b, c, argc, argv)
                                           : ask(&b, c, argc, argv);
    client_close(c);
    curl_global_cleanup();
    return rc;
}
