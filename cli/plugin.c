/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin.h"

#include <string.h>

/* A row for each word; a command lives in plugin_NAME.c. */
static const struct plugin_command commands[] = {
    {"inspect", "FILE.so", "what a plugin file says of itself; runs no code of it", plugin_inspect, NULL},
    {"new", "KIND NAME [--dir DIR]", "writes a small, working plugin to begin with", plugin_new, plugin_new_details},
    {"check", "FILE.so [OPTION]...", "vet a plugin file, with a trial run of a workflow", plugin_check,
     plugin_check_details},
    {"sign", "FILE.so --key KEY.pem", "sign a plugin file for plugins.signers", plugin_sign, plugin_sign_details},
    {"keygen", "[--out KEY.pem]", "make a key to sign plugin files with", plugin_keygen, plugin_keygen_details},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

const struct plugin_command *plugin_command_find(const char *word)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, word) == 0)
            return &commands[i];
    return NULL;
}

void plugin_help(FILE *out)
{
    fputs("Usage: bpctl plugin COMMAND [ARGUMENT]...\n"
          "On files, without a running bpd:\n",
          out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-8s %-30s %s\n", commands[i].name, commands[i].usage, commands[i].help);
    fputs("On the plugins of a running bpd: list, show, load, reload, retire and others; see bpctl help.\n", out);
}

static void command_help(const struct plugin_command *c, FILE *out)
{
    fprintf(out, "Usage: bpctl plugin %s %s\n%c%s.\n", c->name, c->usage, c->help[0] - ('a' - 'A'), c->help + 1);
    if (c->details)
        c->details(out);
}

int plugin_command_run(const struct plugin_command *c, int argc, char **argv, int json)
{
    int n = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            command_help(c, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--json") == 0)
            json = 1;
        else
            argv[n++] = argv[i];
    }
    int status = c->run(n, argv, json);
    if (status == 2)
        fprintf(stderr, "usage: bpctl plugin %s %s; see bpctl plugin %s --help\n", c->name, c->usage, c->name);
    return status;
}
