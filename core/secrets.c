/* SPDX-License-Identifier: Apache-2.0 */
#include "secrets.h"

#include "host/param.h"
#include "log/err.h"
#include "log/log.h"
#include "state_dir.h"
#include <bp/cloud.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define PARAM_TIMEOUT_MS 10000
#define SECRET_SIZE      1025
#define DOUBT_MS         5000 /* refused workers make us look for a rotated secret at most so often */

/* A secret that is configured, kept in the params service, or generated in stage local. */
static const struct secret {
    enum config_key key;
    size_t offset;    /* of its text in struct app */
    const char *file; /* where it is kept, and made in stage local; NULL: neither */
    const char *lost; /* what does not work without it */
} SECRETS[] = {
    {CONFIG_WORKERS_FLEET_SECRET, offsetof(struct app, fleet_secret), "fleet.secret",
     "instances to come cannot register"},
    {CONFIG_WEBHOOKS_SECRET, offsetof(struct app, webhook_secret), "webhook.secret", "webhooks cannot be signed"},
    {CONFIG_BUS_REDIS, offsetof(struct app, redis_url), NULL, "the store is watched instead"},
};
#define N_SECRETS (sizeof SECRETS / sizeof SECRETS[0])
_Static_assert(sizeof((struct app *)0)->fleet_secret == SECRET_SIZE, "all secrets have one size");
_Static_assert(sizeof((struct app *)0)->webhook_secret == SECRET_SIZE, "all secrets have one size");
_Static_assert(sizeof((struct app *)0)->redis_url == SECRET_SIZE, "all secrets have one size");

static int is_local(const struct config *c)
{
    return strcmp(config_str(c, CONFIG_STAGE), "local") == 0;
}

static char *text_of(struct app *app, const struct secret *s)
{
    return (char *)app + s->offset;
}

/* A new value takes effect. The fleet secret's former one lives on for a while: workers on their way still bring it. */
static void take(struct app *app, const struct secret *s, const char *value)
{
    char *text = text_of(app, s);
    if (text == app->fleet_secret && text[0] && app->config) {
        double s_former = config_num(app->config, CONFIG_WORKERS_FORMER_SECRET_S);
        memcpy(app->former_secret, text, SECRET_SIZE);
        app->former_until_ms = mono_ms() + (int64_t)(s_former * 1000);
        log_info(LOG_CORE, "%s was rotated; the former one is accepted for %.0f s", config_info(s->key)->name,
                 s_former);
    }
    snprintf(text, SECRET_SIZE, "%s", value);
}

static int open_one(struct app *app, const struct config *c, const struct secret *s, struct bp_err *err)
{
    const char *value = config_str(c, s->key);
    char *text = text_of(app, s);
    if (config_secret_param(c, s->key))
        return 0; /* asked for later */
    if (value[0]) {
        take(app, s, value);
        return s->file ? state_dir_write(app->state_dir, s->file, value, err) : 0;
    }
    if (s->file && is_local(c))
        return state_dir_secret(app->state_dir, s->file, 48, text, SECRET_SIZE, err);
    return 0;
}

int secrets_open(struct app *app, const struct config *c, struct bp_err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < N_SECRETS; i++)
        rc = open_one(app, c, &SECRETS[i], err);
    if (rc == 0 && is_local(c))
        rc = state_dir_secret(app->state_dir, "local.token", 64, app->local_token, sizeof app->local_token, err);
    return rc;
}

/* Tells those who keep a copy. */
static void pass_on(struct app *app)
{
    if (!app->dispatch)
        return;
    dispatch_webhook_secret(app->dispatch, app->webhook_secret);
    dispatch_bridge(app->dispatch, app->redis_url);
}

void secrets_reload(struct app *app)
{
    struct bp_err err = {0};
    for (size_t i = 0; i < N_SECRETS; i++) {
        const struct secret *s = &SECRETS[i];
        const char *value = config_str(app->config, s->key);
        if (!value[0] && (!s->file || !is_local(app->config)))
            text_of(app, s)[0] = 0;
        else if (strcmp(value, text_of(app, s)) != 0 && open_one(app, app->config, s, &err) < 0)
            log_error(LOG_CORE, "%s: %s; %s", config_info(s->key)->name, err.text, s->lost);
    }
    pass_on(app);
    secrets_fetch_params(app);
}

struct param_get {
    char name[1024];
    char value[SECRET_SIZE];
    int fresh; /* past any cache */
};

/* For whom a parameter is asked for: apart from the request, which after a timeout is still the provider's. */
static struct param_wait {
    struct app *app;
    const struct secret *secret;
    int failed;      /* the last time, and the log says so */
    int64_t read_ms; /* monotonic: when it was last asked for, past any cache */
} waits[N_SECRETS];

static void get_free(void *arg)
{
    explicit_bzero(arg, sizeof(struct param_get));
    free(arg);
}

/* On the provider's thread. */
static int run_get(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct param_get *p = args;
    return param_read(table, inst, p->name, p->fresh, p->value, sizeof p->value, err);
}

/* What was read before stays in use. Told once, not with every try. */
static void cannot_read(struct param_wait *w, const struct bp_err *err)
{
    const struct secret *s = w->secret;
    int known = text_of(w->app, s)[0] != 0;
    log_write(LOG_CORE, w->failed ? BP_LOG_DEBUG : BP_LOG_ERROR, "%s: %s; %s", config_info(s->key)->name, err->text,
              known ? "the value read before stays in use" : s->lost);
    w->failed = 1;
}

static void got(void *args, const struct bp_err *err, void *arg)
{
    struct param_wait *w = arg;
    const struct secret *s = w->secret;
    struct param_get *p = args;
    struct bp_err write_err;
    if (err->rc < 0) {
        cannot_read(w, err);
        return;
    }
    if (w->failed)
        log_info(LOG_CORE, "%s can be read again", config_info(s->key)->name);
    w->failed = 0;
    if (strcmp(text_of(w->app, s), p->value) == 0)
        return;
    take(w->app, s, p->value);
    if (s->file && state_dir_write(w->app->state_dir, s->file, p->value, &write_err) < 0)
        log_error(LOG_CORE, "%s", write_err.text);
    pass_on(w->app);
}

static void fetch(struct app *app, const struct secret *s, const char *name, int fresh)
{
    struct bp_err err = {0};
    struct param_wait *w = &waits[s - SECRETS];
    struct param_get *p = calloc(1, sizeof *p);
    if (!p)
        return;
    w->app = app;
    w->secret = s;
    p->fresh = fresh;
    snprintf(p->name, sizeof p->name, "%s", name);
    struct request_spec spec = {.service = "params",
                                .name = "params.get",
                                .run = run_get,
                                .args = p,
                                .args_free = get_free,
                                .reply = got,
                                .arg = w,
                                .timeout_ms = PARAM_TIMEOUT_MS};
    if (bus_request(app->bus, &spec, &err) < 0)
        cannot_read(w, &err);
}

void secrets_fetch_params(struct app *app)
{
    for (size_t i = 0; i < N_SECRETS; i++) {
        const char *name = config_secret_param(app->config, SECRETS[i].key);
        if (name)
            fetch(app, &SECRETS[i], name, 0);
    }
}

void secrets_doubt_fleet(struct app *app)
{
    const struct secret *s = &SECRETS[0];
    const char *name = config_secret_param(app->config, s->key);
    struct param_wait *w = &waits[0];
    if (!name || (w->read_ms && mono_ms() - w->read_ms < DOUBT_MS))
        return;
    w->read_ms = mono_ms();
    fetch(app, s, name, 1);
}
