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

#define CONNECT_MS 3000
#define READ_MS    30000
#define TOTAL_MS   60000
#define BODY_MAX   (64LL << 20)

char *aws_text(const struct aws *a, const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = a->host->alloc(n);
    return copy ? memcpy(copy, text, n) : NULL;
}

static void close_all(struct aws *a)
{
    node_close(a->node);
    params_close(a->params);
    objects_close(a->objects);
    client_close(a->client);
    creds_close(a->credentials);
    imds_close(a->imds);
    http_close(a->http);
    settings_close(&a->settings);
    free(a);
}

static int open_base(struct aws *a, struct bp_err *err)
{
    int rc = settings_open(&a->settings, a->host->config(a->self), err);
    if (rc < 0)
        return rc;
    const struct http_settings h = {.connect_timeout_ms = CONNECT_MS,
                                    .read_timeout_ms = READ_MS,
                                    .total_timeout_ms = TOTAL_MS,
                                    .ca_bundle = getenv("AWS_CA_BUNDLE"),
                                    .max_body = BODY_MAX};
    if (!(a->http = http_open(&h, err)) || !(a->imds = imds_open(a, err)) || !(a->credentials = creds_open(a, err)) ||
        !(a->client = client_open(a, err)))
        return err->rc;
    return 0;
}

static int open_parts(struct aws *a, struct bp_err *err)
{
    if (!(a->objects = objects_open(a, err)) || !(a->params = params_open(a, err)) || !(a->node = node_open(a, err)))
        return err->rc;
    return 0;
}

static int32_t start(struct bp_self *self, const struct bp_host *host, void **inst, struct bp_err *err)
{
    struct aws *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(err, BP_NOMEM, "no memory to start the AWS plugin");
    a->self = self;
    a->host = host;
    int rc = open_base(a, err);
    if (rc == 0)
        rc = open_parts(a, err);
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
    static const struct {
        const char *id;
        const void *table;
    } rows[] = {
        {BP_OBJECTS_FACET, &objects_facet},
        {BP_PARAMS_FACET, &params_facet},
        {BP_NODE_FACET, &node_facet},
    };
    /* Without a bucket another plugin's objects are not to be pushed aside. */
    if (strcmp(id, BP_OBJECTS_FACET) == 0 && !settings_str(&((struct aws *)inst)->settings, "bucket", "")[0])
        return NULL;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].id, id) == 0)
            return rows[i].table;
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
