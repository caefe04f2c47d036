/* SPDX-License-Identifier: Apache-2.0 */
/* secret.c - the fleet secret of a worker whose settings say param:NAME: asked of the params service before it
 * registers, and again, past any cache, once the controller refuses what it has: the secret was rotated. */
#include "host/param.h"
#include "log/err.h"
#include "log/log.h"
#include "worker/worker_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAM_TIMEOUT_MS 15000

struct secret_ask {
    struct worker_link *link;
    int fresh;
    char name[1025], value[sizeof(((struct worker *)0)->secret)];
};

static void ask_free(void *arg)
{
    struct secret_ask *ask = arg;
    if (--ask->link->refs == 0)
        free(ask->link);
    explicit_bzero(ask, sizeof(*ask));
    free(ask);
}

/* On the provider's thread. */
static int run_get(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct secret_ask *ask = args;
    int rc = param_read(table, inst, ask->name, ask->fresh, ask->value, sizeof(ask->value), err);
    if (rc == 0 && !ask->value[0])
        rc = err_set(err, BP_INVALID, "parameter %.150s is empty; a fleet secret has 1 to %zu bytes", ask->name,
                     sizeof(ask->value) - 1);
    return rc;
}

static void got(void *args, const struct bp_err *err, void *arg)
{
    struct worker_link *link = arg;
    struct worker *w = link->worker;
    if (!w)
        return;
    w->reading_secret = 0;
    if (worker_is_stopping(w))
        return;
    const struct secret_ask *ask = args;
    if (err->rc == BP_OK) {
        snprintf(w->secret, sizeof(w->secret), "%s", ask->value);
        w->secret_refused = 0;
    }
    w->secret_read(w, err);
}

void worker_read_secret(struct worker *w, void (*then)(struct worker *w, const struct bp_err *err))
{
    struct bp_err err = {0};
    w->secret_read = then;
    if (w->reading_secret)
        return;
    struct secret_ask *ask = calloc(1, sizeof(*ask));
    if (!ask) {
        err_set(&err, BP_NOMEM, "no memory to read it");
        then(w, &err);
        return;
    }
    ask->link = w->link;
    ask->link->refs++;
    ask->fresh = w->secret_refused;
    snprintf(ask->name, sizeof(ask->name), "%s", w->secret_param);
    struct request_spec spec = {.service = "params",
                                .name = "params.get",
                                .run = run_get,
                                .args = ask,
                                .args_free = ask_free,
                                .reply = got,
                                .arg = w->link, /* alive as long as args are: read only when the reply came in time */
                                .timeout_ms = PARAM_TIMEOUT_MS};
    w->reading_secret = 1;
    if (bus_request(w->bus, &spec, &err) == BP_OK)
        return;
    w->reading_secret = 0;
    then(w, &err);
}

int worker_needs_secret(const struct worker *w)
{
    return w->secret_param[0] && (!w->secret[0] || w->secret_refused);
}
