/* SPDX-License-Identifier: Apache-2.0 */
/* plugin.c - the entry point: brings the parts up in order, takes them down in the reverse one, names the facets. */
#include "aws.h"
#include "client.h"
#include "credentials.h"
#include "err.h"
#include "http.h"
#include "imds.h"

#include <stdlib.h>
#include <string.h>

#define BODY_MAX (64LL << 20)

char *aws_text(const struct aws *a, const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = a->host->alloc(n);
    return copy ? memcpy(copy, text, n) : NULL;
}

static struct http *web_open(struct aws *a, struct bp_err *err)
{
    const struct settings *s = &a->settings;
    const char *bundle = settings_str(s, "caBundle", "");
    const struct http_settings h = {.connect_timeout_ms = (int32_t)settings_int(s, "connectTimeoutMilliseconds", 3000),
                                    .read_timeout_ms = (int32_t)settings_int(s, "readTimeoutMilliseconds", 30000),
                                    .total_timeout_ms = (int32_t)settings_int(s, "callTimeoutMilliseconds", 60000),
                                    .ca_bundle = bundle[0] ? bundle : getenv("AWS_CA_BUNDLE"),
                                    .max_body = BODY_MAX};
    return http_open(&h, err);
}

static void web_close(struct http *h)
{
    http_close(h);
}

/* A part `name` lives in the member `member` of struct aws. */
#define PART(name, member)                                                                                             \
    static int open_##name(struct aws *a, struct bp_err *err)                                                          \
    {                                                                                                                  \
        return (a->member = name##_open(a, err)) ? 0 : err->rc;                                                        \
    }                                                                                                                  \
    static void close_##name(struct aws *a)                                                                            \
    {                                                                                                                  \
        name##_close(a->member);                                                                                       \
        a->member = NULL;                                                                                              \
    }

PART(web, http)
PART(imds, imds)
PART(creds, credentials)
PART(client, client)
PART(objects, objects)
PART(params, params)
PART(metrics, metrics)
PART(logs, logs)
PART(notify, notify)
PART(node, node)
PART(fleets, fleets)

/* What doctor asks has nothing of its own. */
static int open_checks(struct aws *a, struct bp_err *err)
{
    (void)a, (void)err;
    return 0;
}

static void close_checks(struct aws *a)
{
    (void)a;
}

/* In the order they are opened in; what acts by itself comes last. */
static const struct part {
    int (*open)(struct aws *a, struct bp_err *err);
    void (*close)(struct aws *a);
    int in_worker; /* 0: only in the controller */
    const char *facet;
    const void *table;
} parts[] = {
    {open_web, close_web, 1, NULL, NULL},
    {open_imds, close_imds, 1, NULL, NULL},
    {open_creds, close_creds, 1, NULL, NULL},
    {open_client, close_client, 1, NULL, NULL},
    {open_objects, close_objects, 1, BP_OBJECTS_FACET, &objects_facet},
    {open_params, close_params, 1, BP_PARAMS_FACET, &params_facet},
    {open_metrics, close_metrics, 0, BP_METRICS_FACET, &metrics_facet},
    {open_logs, close_logs, 1, BP_LOGS_FACET, &logs_facet},
    {open_notify, close_notify, 0, BP_NOTIFY_FACET, &notify_facet},
    {open_node, close_node, 1, BP_NODE_FACET, &node_facet},
    {open_fleets, close_fleets, 0, BP_FLEET_FACET, &fleet_facet},
    {open_checks, close_checks, 1, BP_CHECK_FACET, &check_facet},
};
#define N_PARTS (sizeof parts / sizeof parts[0])

static void close_all(struct aws *a)
{
    for (size_t i = N_PARTS; i-- > 0;)
        parts[i].close(a);
    settings_close(&a->settings);
    free(a);
}

static int open_all(struct aws *a, struct bp_err *err)
{
    int rc = settings_open(&a->settings, a->host->config(a->self), err);
    if (rc == 0)
        settings_region_of_profile(&a->settings);
    for (size_t i = 0; rc == 0 && i < N_PARTS; i++)
        if (parts[i].in_worker || !a->settings.in_worker)
            rc = parts[i].open(a, err);
    return rc;
}

static int32_t start(struct bp_self *self, const struct bp_host *host, void **inst, struct bp_err *err)
{
    struct aws *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(err, BP_NOMEM, "no memory to start the AWS plugin");
    a->self = self;
    a->host = host;
    int rc = open_all(a, err);
    if (rc < 0) {
        close_all(a);
        return rc;
    }
    *inst = a;
    return 0;
}

static void stop(void *inst)
{
    close_all(inst);
}

static const void *facet(void *inst, const char *id)
{
    (void)inst;
    for (size_t i = 0; i < N_PARTS; i++)
        if (parts[i].facet && strcmp(parts[i].facet, id) == 0)
            return parts[i].table;
    return NULL;
}

extern BP_EXPORT const struct bp_plugin bp_plugin_v1;
BP_EXPORT const struct bp_plugin bp_plugin_v1 = {
    .size = sizeof(struct bp_plugin),
    .abi = BP_ABI_VERSION,
    .name = "aws",
    .start = start,
    .stop = stop,
    .facet = facet,
};
