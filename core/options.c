/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include "log/err.h"
#include "log/json.h"
#include <bp/queue.h>
#include <string.h>

/* What an option does with its value; value is NULL for options without one. */
typedef int (*option_fn)(struct options *o, const char *value, struct bp_err *err);

struct option_row {
    const char *name;
    char letter;
    const char *value; /* name of the value in the help, NULL: takes none */
    option_fn set;
    const char *help;
};

static int set_config(struct options *o, const char *value, struct bp_err *err)
{
    (void)err;
    o->config = value;
    return 0;
}

static int set_role(struct options *o, const char *value, struct bp_err *err)
{
    if (strcmp(value, "controller") != 0 && strcmp(value, "worker") != 0)
        return err_set(err, BP_INVALID, "--role is \"%s\", but must be controller or worker", value);
    o->role = value;
    return 0;
}

static int add(const char **list, uint32_t *n, const char *value, struct bp_err *err)
{
    if (*n == OPTIONS_MAX)
        return err_set(err, BP_INVALID, "more than %d values of one option; put them into a config file", OPTIONS_MAX);
    list[(*n)++] = value;
    return 0;
}

static int add_plugins_dir(struct options *o, const char *value, struct bp_err *err)
{
    return add(o->plugins_dirs, &o->n_plugins_dirs, value, err);
}

static int add_set(struct options *o, const char *value, struct bp_err *err)
{
    if (!strchr(value, '='))
        return err_set(err, BP_INVALID, "--set %s: write it as key=value", value);
    return add(o->sets, &o->n_sets, value, err);
}

static int set_migrate(struct options *o, const char *value, struct bp_err *err)
{
    if (strcmp(value, "central") != 0 && strcmp(value, "pools") != 0)
        return err_set(err, BP_INVALID, "--migrate is \"%s\", but must be central or pools", value);
    o->migrate = value;
    o->action = OPTIONS_MIGRATE;
    return 0;
}

static int set_mode(struct options *o, int32_t mode, struct bp_err *err)
{
    if (o->migrate_mode)
        return err_set(err, BP_INVALID, "give --dry-run or --status, not both");
    o->migrate_mode = mode;
    return 0;
}

static int set_dry_run(struct options *o, const char *value, struct bp_err *err)
{
    (void)value;
    return set_mode(o, BP_MIGRATE_DRY_RUN, err);
}

static int set_status(struct options *o, const char *value, struct bp_err *err)
{
    (void)value;
    return set_mode(o, BP_MIGRATE_STATUS, err);
}

static int set_json(struct options *o, const char *value, struct bp_err *err)
{
    (void)value;
    (void)err;
    o->json = 1;
    return 0;
}

#define ACTION(name, action_id)                                                                                        \
    static int name(struct options *o, const char *value, struct bp_err *err)                                          \
    {                                                                                                                  \
        (void)value;                                                                                                   \
        (void)err;                                                                                                     \
        o->action = action_id;                                                                                         \
        return 0;                                                                                                      \
    }
ACTION(do_check, OPTIONS_CHECK_CONFIG)
ACTION(do_help, OPTIONS_HELP)
ACTION(do_help_config, OPTIONS_HELP_CONFIG)
ACTION(do_help_config_md, OPTIONS_HELP_CONFIG_MD)
ACTION(do_version, OPTIONS_VERSION)

static const struct option_row rows[] = {
    {"config", 'c', "FILE", set_config, "read settings from FILE (JSON with comments) and conf.d/*.json beside it"},
    {"plugins-dir", 'p', "DIR", add_plugins_dir, "watch DIR for plugins; may be given several times"},
    {"set", 's', "KEY=VALUE", add_set, "set one key, over file and environment; may be given several times"},
    {"role", 'r', "ROLE", set_role, "controller (default), or worker: run jobs on this machine"},
    {"migrate", 0, "WHAT", set_migrate, "bring the queue's schema (central, or pools) up to date, and end"},
    {"dry-run", 0, NULL, set_dry_run, "with --migrate: only say what it would run"},
    {"status", 0, NULL, set_status, "with --migrate: only say what is applied and what is not"},
    {"json", 0, NULL, set_json, "with --migrate: print JSON"},
    {"check-config", 0, NULL, do_check, "check the settings, say what is wrong, and end: 0 good, 2 not"},
    {"help-config", 0, NULL, do_help_config, "list every setting with type, default, range and meaning"},
    {"help-config-markdown", 0, NULL, do_help_config_md, "the same as a Markdown page"},
    {"help", 'h', NULL, do_help, "show this help"},
    {"version", 'V', NULL, do_version, "show the version"},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

static const struct option_row *find_long(const char *name, size_t len)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0)
            return &rows[i];
    return NULL;
}

static const struct option_row *find_letter(char letter)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (rows[i].letter && rows[i].letter == letter)
            return &rows[i];
    return NULL;
}

static int unknown(const char *arg, struct bp_err *err)
{
    const char *names[N_ROWS];
    for (size_t i = 0; i < N_ROWS; i++)
        names[i] = rows[i].name;
    const char *near = arg[0] == '-' && arg[1] == '-' ? nearest_name(arg + 2, names, N_ROWS) : NULL;
    if (arg[0] != '-')
        return err_set(err, BP_INVALID, "unexpected argument \"%s\"; see bpd --help", arg);
    if (near)
        return err_set(err, BP_INVALID, "unknown option %s; did you mean --%s? See bpd --help", arg, near);
    return err_set(err, BP_INVALID, "unknown option %s; see bpd --help", arg);
}

/* One option at argv[*i]; moves *i over a value that stands in the next word. */
static int parse_one(struct options *o, int argc, char **argv, int *i, struct bp_err *err)
{
    const char *arg = argv[*i];
    const char *value = NULL;
    const struct option_row *row = NULL;
    if (strncmp(arg, "--", 2) == 0) {
        const char *eq = strchr(arg, '=');
        row = find_long(arg + 2, eq ? (size_t)(eq - arg) - 2 : strlen(arg) - 2);
        value = eq ? eq + 1 : NULL;
    } else if (arg[0] == '-' && arg[1]) {
        row = find_letter(arg[1]);
        value = arg[2] ? arg + 2 : NULL;
    }
    if (!row)
        return unknown(arg, err);
    if (!row->value && value)
        return err_set(err, BP_INVALID, "option --%s takes no value", row->name);
    if (row->value && !value) {
        if (*i + 1 >= argc)
            return err_set(err, BP_INVALID, "option --%s needs a value: --%s %s", row->name, row->name, row->value);
        value = argv[++*i];
    }
    return row->set(o, value, err);
}

int options_parse(struct options *o, int argc, char **argv, struct bp_err *err)
{
    memset(o, 0, sizeof *o);
    o->action = OPTIONS_RUN;
    o->role = "controller";
    for (int i = 1; i < argc; i++) {
        int rc = parse_one(o, argc, argv, &i, err);
        if (rc < 0)
            return rc;
    }
    if ((o->migrate_mode || o->json) && !o->migrate)
        return err_set(err, BP_INVALID, "--dry-run, --status and --json go with --migrate central or --migrate pools");
    return 0;
}

void options_help(FILE *out)
{
    fputs("Usage: bpd [OPTION]...\n"
          "Turns a queue of AI jobs into just enough GPUs: accepts jobs, leases them to workers, scales the fleets.\n"
          "Runs in the foreground. SIGTERM drains and ends, SIGHUP reads the settings again.\n\n",
          out);
    for (size_t i = 0; i < N_ROWS; i++) {
        char left[64];
        char letter[8] = "    ";
        if (rows[i].letter)
            snprintf(letter, sizeof letter, "-%c, ", rows[i].letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, rows[i].name, rows[i].value ? " " : "",
                 rows[i].value ? rows[i].value : "");
        fprintf(out, "  %-30s %s\n", left, rows[i].help);
    }
    fputs(
        "\nAny setting can also come from the environment: BPD_HTTP_LISTEN sets http.listen.\n"
        "Exit status: 0 ended as asked, 1 could not start or failed, 2 wrong options or settings, 3 with --status or\n"
        "--dry-run: steps are pending.\n"
        "Talk to a running bpd with bpctl.\n",
        out);
}
