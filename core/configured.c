/* SPDX-License-Identifier: Apache-2.0 */
#include "configured.h"

#include "host/host.h"
#include "http/http.h"
#include "http/tenants.h"
#include "log/log.h"
#include "words/price.h"
#include <string.h>
#include <unistd.h>

static int check_tenants(const struct config *c, struct bp_err *err)
{
    struct tenants *t = tenants_new(c, NULL, err);
    if (!t)
        return err->rc;
    tenants_free(t);
    return 0;
}

/* A worker has no tenants: it need not be able to read their tokens where it shares a settings file. */
static int check(const struct config *c, const char *role, struct bp_err *err)
{
    int rc = log_check_levels(config_str(c, CONFIG_LOG_LEVELS), err);
    if (rc == 0)
        rc = price_check(config_map(c, CONFIG_PRICES), err);
    if (rc == 0)
        rc = http_config_check(c, err);
    if (rc == 0 && strcmp(role, "controller") == 0)
        rc = check_tenants(c, err);
    return rc < 0 ? rc : host_config_check(c, err);
}

struct config *configured_load(const struct options *o, struct bp_err *err)
{
    struct config_sources src = {.file = o->config, .sets = o->sets, .n_sets = o->n_sets, .environ_ = environ};
    struct config *c = config_load(&src, err);
    if (c && check(c, o->role, err) < 0) {
        config_free(c);
        c = NULL;
    }
    return c;
}
