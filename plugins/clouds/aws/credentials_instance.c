/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_instance.c - the role of the EC2 instance, by its metadata. */
#include "credentials_priv.h"

#include "err.h"
#include "imds.h"
#include "wipe.h"
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROLE "/latest/meta-data/iam/security-credentials/"

/* "Success", or why there are none: 200 may carry an error. */
static void read_code(const char *body, char code[60])
{
    struct json_object *o = json_tokener_parse(body);
    struct json_object *v = NULL;
    if (json_object_is_type(o, json_type_object))
        json_object_object_get_ex(o, "Code", &v);
    snprintf(code, 60, "%.59s", json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "no code");
    json_wipe(o);
    json_object_put(o);
}

static int take_role(const char *role, const char *body, struct aws_creds *out, struct bp_err *err)
{
    char code[60];
    struct bp_err why = {0};
    read_code(body, code);
    snprintf(out->source, sizeof out->source, "instance role %.70s", role);
    if (strcmp(code, "Success") != 0)
        return err_set(err, BP_DENIED, "the instance metadata give no credentials for role %.80s (%s)", role, code);
    if (creds_from_json(body, "Token", out, &why) < 0)
        return err_set(err, BP_DENIED, "the instance metadata give no credentials for role %.80s: %.80s", role,
                       why.text);
    snprintf(out->source, sizeof out->source, "instance role %.70s", role);
    if (out->expires_ms && out->token[0])
        return 0;
    explicit_bzero(out, sizeof *out);
    return err_set(err, BP_DENIED, "the credentials for role %.80s in the instance metadata have no end", role);
}

static int no_role(int rc, struct bp_err *err)
{
    char why[sizeof err->text];
    snprintf(why, sizeof why, "%s", err->text);
    if (rc == BP_NOTFOUND)
        return err_set(err, BP_DENIED, "the instance has no role to take credentials from");
    return err_set(err, rc == BP_UNSUPPORTED ? BP_DENIED : rc,
                   "no AWS credentials: none are set, and no instance role was found: %.170s", why);
}

static int fetch(struct source *s, struct aws_creds *out, struct bp_err *err)
{
    char role[160], path[256], body[8192];
    size_t n = 0;
    int rc = imds_get(s->aws->imds, ROLE, role, sizeof role, &n, err);
    if (rc < 0)
        return no_role(rc, err);
    role[strcspn(role, "\r\n")] = '\0';
    if (!role[0])
        return no_role(BP_NOTFOUND, err);
    snprintf(path, sizeof path, ROLE "%s", role);
    rc = imds_get(s->aws->imds, path, body, sizeof body, &n, err);
    if (rc == 0)
        rc = take_role(role, body, out, err);
    explicit_bzero(body, sizeof body);
    return rc;
}

static void close_source(struct source *s)
{
    free(s);
}

struct source *instance_source(struct aws *a, struct bp_err *err)
{
    struct source *s = source_new(a, sizeof *s, err);
    if (!s)
        return NULL;
    snprintf(s->name, sizeof s->name, "instance role");
    s->remedy = "give the instance a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile";
    s->fetch = fetch;
    s->close = close_source;
    s->may_be_late = 1;
    return s;
}
