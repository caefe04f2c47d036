/* SPDX-License-Identifier: Apache-2.0 */
#include "secrets.h"

#include "log/err.h"
#include "log/log.h"
#include "state_dir.h"
#include <bp/cloud.h>
#include <stdlib.h>
#include <string.h>

#define PARAM_PREFIX     "param:"
#define PARAM_TIMEOUT_MS 10000

static int is_local(const struct config *c)
{
    return strcmp(config_str(c, CONFIG_STAGE), "local") == 0;
}

int secrets_open(struct app *app, const struct config *c, struct bp_err *err)
{
    const char *secret = config_str(c, CONFIG_WORKERS_FLEET_SECRET);
    int rc = 0;
    if (secret[0] && strncmp(secret, PARAM_PREFIX, strlen(PARAM_PREFIX)) != 0) {
        snprintf(app->fleet_secret, sizeof app->fleet_secret, "%s", secret);
        rc = state_dir_write(app->state_dir, "fleet.secret", secret, err);
    } else if (!secret[0] && is_local(c)) {
        rc = state_dir_secret(app->state_dir, "fleet.secret", 48, app->fleet_secret, sizeof app->fleet_secret, err);
    }
    if (rc == 0 && is_local(c))
        rc = state_dir_secret(app->state_dir, "local.token", 64, app->local_token, sizeof app->local_token, err);
    return rc;
}

void secrets_reload(struct app *app)
{
    const char *secret = config_str(app->config, CONFIG_WORKERS_FLEET_SECRET);
    struct bp_err err = {0};
    if (!secret[0] && !is_local(app->config))
        app->fleet_secret[0] = 0;
    else if (strcmp(secret, app->fleet_secret) != 0 && secrets_open(app, app->config, &err) < 0)
        log_error(LOG_CORE, "workers.fleetSecret: %s; instances to come cannot register", err.text);
    secrets_fetch_params(app);
}

struct param_get {
    char name[1024];
    char value[1025];
};

/* On the provider's thread. */
static int run_get(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_params *params = table;
    struct param_get *p = args;
    char *value = NULL;
    int rc = params->get(inst, p->name, &value, err);
    if (rc == 0 && strlen(value) >= sizeof p->value)
        rc = err_set(err, BP_INVALID, "parameter %s is longer than %zu bytes", p->name, sizeof p->value - 1);
    if (rc == 0)
        snprintf(p->value, sizeof p->value, "%s", value);
    free(value);
    return rc;
}

static void got(void *args, const struct bp_err *err, void *arg)
{
    struct app *app = arg;
    struct param_get *p = args;
    struct bp_err write_err;
    if (err->rc < 0) {
        log_error(LOG_CORE, "workers.fleetSecret: %s; workers cannot register until it can be read", err->text);
        return;
    }
    snprintf(app->fleet_secret, sizeof app->fleet_secret, "%s", p->value);
    if (state_dir_write(app->state_dir, "fleet.secret", p->value, &write_err) < 0)
        log_error(LOG_CORE, "%s", write_err.text);
}

void secrets_fetch_params(struct app *app)
{
    const char *secret = config_str(app->config, CONFIG_WORKERS_FLEET_SECRET);
    struct bp_err err;
    if (strncmp(secret, PARAM_PREFIX, strlen(PARAM_PREFIX)) != 0)
        return;
    struct param_get *p = calloc(1, sizeof *p);
    if (!p)
        return;
    snprintf(p->name, sizeof p->name, "%s", secret + strlen(PARAM_PREFIX));
    struct request_spec spec = {.service = "params",
                                .name = "params.get",
                                .run = run_get,
                                .args = p,
                                .args_free = free,
                                .reply = got,
                                .arg = app,
                                .timeout_ms = PARAM_TIMEOUT_MS};
    if (bus_request(app->bus, &spec, &err) < 0)
        log_error(LOG_CORE, "workers.fleetSecret: cannot ask the params service: %s", err.text);
}
