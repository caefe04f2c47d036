/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_environment.c - AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for some, AWS_SESSION_TOKEN. */
#include "credentials_priv.h"

#include "err.h"
#include <stdio.h>
#include <stdlib.h>

static int is_set(const char *name)
{
    const char *v = getenv(name);
    return v && v[0];
}

static int fetch(struct source *s, struct aws_creds *out, struct bp_err *err)
{
    const char *token = getenv("AWS_SESSION_TOKEN");
    (void)s;
    if (creds_copy(out->key_id, sizeof out->key_id, getenv("AWS_ACCESS_KEY_ID")) &&
        creds_copy(out->secret, sizeof out->secret, getenv("AWS_SECRET_ACCESS_KEY")) &&
        (!token || !token[0] || creds_copy(out->token, sizeof out->token, token)))
        return 0;
    return err_set(err, BP_DENIED,
                   "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_SESSION_TOKEN is too long for a key");
}

static void close_source(struct source *s)
{
    free(s);
}

struct source *environment_source(struct aws *a, struct bp_err *err)
{
    int id = is_set("AWS_ACCESS_KEY_ID"), secret = is_set("AWS_SECRET_ACCESS_KEY");
    if (!id && !secret)
        return NULL;
    if (!id || !secret) {
        err_set(err, BP_DENIED, "%s is set, but %s is not; set both, or none",
                id ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY", id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
        return NULL;
    }
    struct source *s = source_new(a, sizeof *s, err);
    if (!s)
        return NULL;
    snprintf(s->name, sizeof s->name, "environment");
    s->remedy = "put keys that are good into the environment of bpd and restart it";
    s->fetch = fetch;
    s->close = close_source;
    return s;
}
