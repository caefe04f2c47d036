/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX      64
#define USUAL_SETTINGS "/etc/bpd/bpd.json"

static void migrate_help(FILE *out)
{
    fputs(
        "Usage: bpctl migrate central|pools [OPTION]...\n"
        "Brings the schema of the queue up to date: central is the queue's own database, pools those of the tenants.\n"
        "Needs no running bpd: it runs bpd --migrate with the same settings, here, and may run on several hosts at "
        "once.\n\n"
        "  -c, --config FILE      the daemon's settings (" USUAL_SETTINGS " when it is there)\n"
        "      --set KEY=VALUE    set one key, as for bpd\n"
        "      --plugins-dir DIR  where the queue plugin is, as for bpd\n"
        "      --dry-run          only say what would run, with its SQL\n"
        "      --status           only say what is applied and what is pending\n"
        "      --json             answer as JSON\n"
        "  -h, --help             this help\n\n"
        "Exit status: 0 done, nothing is pending; 1 failed; 2 wrong usage or settings; 3 with --dry-run or --status:\n"
        "steps are pending.\n",
        out);
}

/* bpd beside bpctl (a build tree), or in sbin beside bin (an installation), or wherever PATH finds it. */
static const char *find_bpd(char *out, size_t n)
{
    ssize_t len = readlink("/proc/self/exe", out, n - 1);
    out[len < 0 ? 0 : len] = 0;
    char *slash = strrchr(out, '/');
    if (!slash)
        return "bpd";
    size_t room = n - (size_t)(slash - out);
    snprintf(slash, room, "/bpd");
    if (access(out, X_OK) == 0)
        return out;
    snprintf(slash, room, "/../sbin/bpd");
    return access(out, X_OK) == 0 ? out : "bpd";
}

static int names_settings(const char *word)
{
    return strcmp(word, "-c") == 0 || strncmp(word, "--config", 8) == 0;
}

int migrate_main(int argc, char **argv, int json)
{
    char bpd[PATH_MAX];
    char *words[WORDS_MAX + 8] = {"bpd", "--migrate"};
    int n = 2, configured = 0;
    if (argc < 1 || argv[0][0] == '-' || argc > WORDS_MAX) {
        int asked = argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0);
        migrate_help(asked ? stdout : stderr);
        return asked ? 0 : 2;
    }
    for (int i = 0; i < argc; i++) {
        configured |= names_settings(argv[i]);
        words[n++] = argv[i];
    }
    if (json)
        words[n++] = "--json";
    if (!configured && access(USUAL_SETTINGS, F_OK) == 0) {
        words[n++] = "--config";
        words[n++] = USUAL_SETTINGS;
    }
    const char *program = find_bpd(bpd, sizeof bpd);
    execvp(program, words);
    fprintf(stderr, "bpctl: cannot run %s: %s; run it yourself: bpd --migrate %s --config FILE\n", program,
            strerror(errno), argv[0]);
    return 1;
}
