/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_role.c - a role that is taken by other credentials: those of the source below it, fetched anew each time.
 */
#include "credentials_priv.h"

#include "client.h"
#include "err.h"
#include "form.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct role {
    struct source base;
    struct source *below;
    char role_arn[512], session_name[65], external_id[1225];
    int duration_s;
};

static int ask(struct role *x, const struct aws_creds *by, struct aws_creds *out, struct bp_err *err)
{
    struct reply r = {0};
    char what[200];
    struct form *f = form_new();
    if (!f)
        return err_set(err, BP_NOMEM, "no memory to take the role %.150s", x->role_arn);
    form_put(f, x->role_arn, "RoleArn");
    form_put(f, x->session_name, "RoleSessionName");
    form_put(f, x->external_id[0] ? x->external_id : NULL, "ExternalId");
    if (x->duration_s)
        form_put_int(f, x->duration_s, "DurationSeconds");
    snprintf(what, sizeof what, "%.190s", x->role_arn);
    int rc = client_query_as(x->base.aws->client, AWS_OP_STS_ASSUME_ROLE, f, what, by, &r, err);
    if (rc == 0)
        rc = creds_from_sts(&r, out, err);
    form_free(f);
    reply_wipe(&r);
    return rc;
}

static int fetch(struct source *s, struct aws_creds *out, struct bp_err *err)
{
    struct role *x = (struct role *)s;
    struct aws_creds by = {0};
    int rc = x->below->fetch(x->below, &by, err);
    if (rc == 0) {
        if (!by.source[0])
            snprintf(by.source, sizeof by.source, "%s", x->below->name);
        rc = ask(x, &by, out, err);
    }
    explicit_bzero(&by, sizeof by);
    return rc;
}

static int is_changed(struct source *s)
{
    struct source *below = ((struct role *)s)->below;
    return below->is_changed && below->is_changed(below);
}

static void close_source(struct source *s)
{
    source_close(((struct role *)s)->below);
    free(s);
}

static int take_spec(struct role *x, const struct role_spec *spec, struct bp_err *err)
{
    if (!creds_copy(x->role_arn, sizeof x->role_arn, spec->role_arn))
        return err_set(err, BP_DENIED, "role_arn of profile %.60s is longer than %zu bytes", spec->profile,
                       sizeof x->role_arn - 1);
    if (spec->external_id && !creds_copy(x->external_id, sizeof x->external_id, spec->external_id))
        return err_set(err, BP_DENIED, "external_id of profile %.60s is longer than %zu bytes", spec->profile,
                       sizeof x->external_id - 1);
    creds_session_name(x->base.aws, x->session_name);
    if (spec->session_name) {
        if (!creds_session_name_ok(spec->session_name))
            return err_set(err, BP_DENIED, "role_session_name of profile %.60s must be 2 to 64 of A-Z a-z 0-9 _+=,.@-",
                           spec->profile);
        snprintf(x->session_name, sizeof x->session_name, "%s", spec->session_name);
    }
    x->duration_s = spec->duration_s;
    return 0;
}

struct source *role_source(struct aws *a, const struct role_spec *spec, struct source *below, struct bp_err *err)
{
    struct role *x = source_new(a, sizeof *x, err);
    if (!x) {
        source_close(below);
        return NULL;
    }
    x->below = below;
    x->base.fetch = fetch;
    x->base.is_changed = is_changed;
    x->base.close = close_source;
    x->base.remedy = "allow sts:AssumeRole on the role to its source, and let the role trust that";
    if (take_spec(x, spec, err) < 0) {
        close_source(&x->base);
        return NULL;
    }
    const char *slash = strrchr(x->role_arn, '/');
    snprintf(x->base.name, sizeof x->base.name, "role %.50s of profile %.20s", slash ? slash + 1 : x->role_arn,
             spec->profile);
    return &x->base;
}
