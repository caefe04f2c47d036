/* SPDX-License-Identifier: Apache-2.0 */
#include "reload.h"

#include "configured.h"
#include "log/err.h"
#include "log/log.h"
#include "logging.h"
#include "sd_notify.h"
#include "secrets.h"

static void tell_changes(const struct config *old, const struct config *new, uint32_t *changed)
{
    enum config_key keys[CONFIG_END];
    *changed = config_diff(old, new, keys, CONFIG_END);
    for (uint32_t i = 0; i < *changed; i++) {
        const struct config_info *info = config_info(keys[i]);
        if (info->flags & CONFIG_RESTART)
            log_warn(LOG_CONFIG, "%s changed, which takes effect at the next start", info->name);
        else
            log_info(LOG_CONFIG, "%s changed (%s)", info->name, config_origin(new, keys[i]));
    }
}

/* What can fail goes first, so that a refusal leaves the old settings whole. */
static int try_new(struct reload *r, const struct config *new, struct bp_err *err)
{
    int rc = http_reconfigure(r->http, new, err);
    return rc < 0 ? rc : logging_open(new, err);
}

static void swap_in(struct reload *r, struct config *new)
{
    struct config *old = *r->config;
    struct app *app = r->app;
    *r->config = new;
    app->config = new;
    host_reconfigure(app->host, new);
    dispatch_reconfigure(app->dispatch, new);
    dispatch_set_url(app->dispatch, app->url);
    fleets_reconfigure(app->fleets, new);
    scale_reconfigure(app->scale, new);
    secrets_reload(app);
    config_free(old);
}

int reload_config(struct reload *r, uint32_t *changed, struct bp_err *err)
{
    *changed = 0;
    sd_notify_reloading();
    struct config *new = configured_load(r->options, err);
    int rc = new ? try_new(r, new, err) : err->rc;
    if (rc < 0) {
        bus_publish(r->app->bus, EVENT_CONFIG_RELOADED, (int64_t)0, err->text);
        if (new) {
            struct bp_err ignored;
            (void)http_reconfigure(r->http, *r->config, &ignored);
            config_free(new);
        }
    } else {
        tell_changes(*r->config, new, changed);
        swap_in(r, new);
        log_info(LOG_CONFIG, "settings read again: %u changed", *changed);
        bus_publish(r->app->bus, EVENT_CONFIG_RELOADED, (int64_t)*changed, "");
    }
    sd_notify_send("READY=1");
    return rc;
}
