/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_conformance [--partial] PLUGIN.so [SETTINGS-JSON] [NAME...]: proves the promises of bp/queue.h for any queue
 * plugin.
 *
 * Each case runs in a child process with a state directory of its own. NAME selects cases whose name or group it is;
 * '*' in it stands for anything, and a '-' before it leaves them out. In the settings @CASE@ stands for a name no other
 * case has, for plugins whose queue lies outside of the state directory. --list prints them. --partial leaves out what
 * the plugin does not offer: a case that fails after an operation was answered with BP_UNSUPPORTED. Exit 0: all passed;
 * 1: some failed; 2: usage.
 */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

#define CASES_MAX    512
#define CASE_SECONDS 120

enum outcome { PASSED, FAILED, LEFT_OUT }; /* also the exit status of a case's process */

static struct entry {
    const char *group, *name;
    void (*fn)(void);
} cases[CASES_MAX];
static size_t n_cases;

void case_add(const char *group, const char *name, void (*fn)(void))
{
    if (n_cases == CASES_MAX)
        abort();
    cases[n_cases++] = (struct entry){group, name, fn};
}

void case_failed(const char *file, int line, const char *fmt, ...)
{
    va_list ap;
    if (world.partial && world.lacks) {
        printf("    it does not offer operation %d as it is asked for here\n", world.lacks);
        fflush(stdout);
        _exit(LEFT_OUT);
    }
    printf("    %s:%d: ", file, line);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    fflush(stdout);
    _exit(FAILED);
}

static void directory_remove(const char *dir)
{
    DIR *d = opendir(dir);
    char path[1024];
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.' || (e->d_name[1] && e->d_name[1] != '.'))
            unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

/* Puts the last part of the state directory's path in the place of each @CASE@. */
static const char *settings_of_case(const char *settings)
{
    static char text[4096];
    const char *name = strrchr(world.dir, '/') + 1, *at;
    size_t n = 0;
    for (; (at = strstr(settings, "@CASE@")) && n < sizeof text; settings = at + strlen("@CASE@"))
        n += (size_t)snprintf(text + n, sizeof text - n, "%.*s%s", (int)(at - settings), settings, name);
    if (n >= sizeof text || n + strlen(settings) >= sizeof text)
        case_failed(__FILE__, __LINE__, "the settings are too long");
    strcpy(text + n, settings);
    return text;
}

/* In the child. */
static void case_run(const struct entry *c)
{
    struct bp_err err;
    alarm(CASE_SECONDS);
    world.now = WORLD_BEGIN;
    world.random = 88172645463325252u;
    world.settings = settings_of_case(world.settings);
    world.host = fake_host_start(world.plugin, world.dir, world.settings, &err);
    if (!world.host)
        case_failed(__FILE__, __LINE__, "start: %s", err.text);
    c->fn();
    world_free_memory();
    CHECK_INT(fake_host_blocks(), 0);
    fake_host_stop(world.host);
    fflush(stdout);
    exit(0);
}

static enum outcome case_outcome(const struct entry *c)
{
    int status = 0;
    const char *tmp = getenv("TMPDIR");
    snprintf(world.dir, sizeof world.dir, "%s/bp-queue.XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(world.dir)) {
        perror("queue_conformance: mkdtemp");
        exit(2);
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        case_run(c);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    directory_remove(world.dir);
    if (WIFSIGNALED(status))
        printf("    killed by signal %d\n", WTERMSIG(status));
    return !WIFEXITED(status) || WEXITSTATUS(status) > LEFT_OUT ? FAILED : (enum outcome)WEXITSTATUS(status);
}

static bool matches(const struct entry *c, const char *pattern)
{
    return fnmatch(pattern, c->name, 0) == 0 || strcmp(c->group, pattern) == 0;
}

static bool selected(const struct entry *c, char **patterns, int n)
{
    bool named = false, all = true;
    for (int i = 0; i < n; i++) {
        if (patterns[i][0] == '-' && matches(c, patterns[i] + 1))
            return false;
        all &= patterns[i][0] == '-';
        named |= matches(c, patterns[i]);
    }
    return named || all;
}

static int by_group(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = strcmp(x->group, y->group);
    return order ? order : strcmp(x->name, y->name);
}

static int list(void)
{
    for (size_t i = 0; i < n_cases; i++)
        printf("%-12s %s\n", cases[i].group, cases[i].name);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const words[] = {"ok  ", "FAIL", "n/a "};
    int first = 2, count[LEFT_OUT + 1] = {0};
    qsort(cases, n_cases, sizeof *cases, by_group);
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    world.partial = argc > 1 && strcmp(argv[1], "--partial") == 0;
    argc -= world.partial;
    argv += world.partial;
    if (argc < 2 || argv[1][0] == '-') {
        fprintf(stderr, "usage: queue_conformance [--partial] PLUGIN.so [SETTINGS-JSON] [[-]NAME...] | --list\n");
        return 2;
    }
    world.plugin = argv[1];
    world.settings = argc > 2 && argv[2][0] == '{' ? argv[first++] : "{}";
    fake_host_verbose(getenv("BP_VERBOSE") != NULL);
    for (size_t i = 0; i < n_cases; i++) {
        if (!selected(&cases[i], argv + first, argc - first))
            continue;
        enum outcome o = case_outcome(&cases[i]);
        printf("%s %s.%s\n", words[o], cases[i].group, cases[i].name);
        count[o]++;
    }
    printf("%d cases, %d failed", count[PASSED] + count[FAILED], count[FAILED]);
    printf(count[LEFT_OUT] ? ", %d left out\n" : "\n", count[LEFT_OUT]);
    return count[PASSED] + count[FAILED] == 0 ? 2 : count[FAILED] > 0;
}
