/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - bpd: options and settings, then one of its two roles. */
#include "agent.h"
#include "config/config.h"
#include "configured.h"
#include "controller.h"
#include "log/err.h"
#include "log/log.h"
#include "logging.h"
#include "migrate.h"
#include "options.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define EXIT_USAGE 2

static int complain(const struct bp_err *err)
{
    fprintf(stderr, "bpd: %s\n", err->text);
    return EXIT_USAGE;
}

/* Log target and levels as configured. */
static int set_log(const struct options *o, const struct config *c, struct bp_err *err)
{
    char ident[300];
    snprintf(ident, sizeof ident, "%s%s%s", strcmp(o->role, "worker") == 0 ? "worker" : "bpd",
             config_str(c, CONFIG_WORKER_ID)[0] ? " " : "", config_str(c, CONFIG_WORKER_ID));
    log_ident(ident);
    return logging_open(c, err);
}

/* Runners are programs of their own and start with no secrets: theirs are not forbidden. */
static void forbid_dumps(const struct config *c)
{
    const char *may = config_str(c, CONFIG_STATE_DUMPS);
    int local = strcmp(config_str(c, CONFIG_STAGE), "local") == 0;
    if (strcmp(may, "no") == 0 || (strcmp(may, "auto") == 0 && !local))
        prctl(PR_SET_DUMPABLE, 0);
}

static int run(const struct options *o, struct config *c)
{
    struct bp_err err = {0};
    forbid_dumps(c);
    if (set_log(o, c, &err) < 0)
        return complain(&err);
    signal(SIGPIPE, SIG_IGN);
    return strcmp(o->role, "worker") == 0 ? agent_run(o, c) : controller_run(o, c);
}

static int check(const struct options *o)
{
    struct bp_err err = {0};
    struct config *c = configured_load(o, &err);
    if (!c)
        return complain(&err);
    printf("%s: good\n", o->config ? o->config : "settings");
    config_free(c);
    return 0;
}

static int migrate(const struct options *o)
{
    struct bp_err err = {0};
    struct config *c = configured_load(o, &err);
    if (!c)
        return complain(&err);
    log_ident("migrate");
    log_open(NULL, LOG_FORM_TEXT, &err);
    int status = migrate_main(o, c);
    config_free(c);
    return status;
}

static int start(const struct options *o)
{
    struct bp_err err = {0};
    struct config *c = configured_load(o, &err);
    return c ? run(o, c) : complain(&err);
}

/* Standard output may be a full disk or a closed pipe: then the help was not given. */
static int printed(void)
{
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options o;
    struct bp_err err = {0};
    if (options_parse(&o, argc, argv, &err) < 0)
        return complain(&err);
    switch (o.action) {
    case OPTIONS_HELP:
        options_help(stdout);
        return printed();
    case OPTIONS_HELP_CONFIG:
        config_help(stdout, 0);
        return printed();
    case OPTIONS_HELP_CONFIG_MD:
        config_help(stdout, 1);
        return printed();
    case OPTIONS_VERSION:
        printf("bpd %s (plugin ABI %u.%u)\n", BP_VERSION, BP_ABI_MAJOR(BP_ABI_VERSION), BP_ABI_MINOR(BP_ABI_VERSION));
        return printed();
    case OPTIONS_CHECK_CONFIG:
        return check(&o);
    case OPTIONS_MIGRATE:
        return migrate(&o);
    case OPTIONS_RUN:
        break;
    }
    return start(&o);
}
