/* SPDX-License-Identifier: Apache-2.0 */
#include "credentials.h"

#include "aws.h"
#include "clock.h"
#include "err.h"
#include "imds.h"
#include "node_notice.h"
#include <json-c/json.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EARLY_MS 600000
#define ROLE     "/latest/meta-data/iam/security-credentials/"

struct credentials {
    struct aws *aws;
    int from_environment;
    pthread_mutex_t mutex; /* also: one flight */
    struct aws_creds now;
    int64_t tried_ms;
};

static int copy(char *to, size_t size, const char *from)
{
    return from && (size_t)snprintf(to, size, "%s", from) < size;
}

/* ---- the environment ---- */

static int read_environment(struct credentials *c, struct bp_err *err)
{
    const char *token = getenv("AWS_SESSION_TOKEN");
    struct aws_creds *s = &c->now;
    if (!copy(s->key_id, sizeof s->key_id, getenv("AWS_ACCESS_KEY_ID")) ||
        !copy(s->secret, sizeof s->secret, getenv("AWS_SECRET_ACCESS_KEY")) ||
        !copy(s->token, sizeof s->token, token ? token : ""))
        return err_set(err, BP_DENIED,
                       "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not, or one is too long");
    snprintf(s->source, sizeof s->source, "environment");
    s->serial++;
    return 0;
}

/* ---- the instance's role ---- */

static const char *text_of(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

static int take_role(struct credentials *c, const char *role, const char *body, struct bp_err *err)
{
    struct json_object *o = json_tokener_parse(body);
    struct aws_creds s = {.serial = c->now.serial + 1};
    const char *code = json_object_is_type(o, json_type_object) ? text_of(o, "Code") : NULL;
    int ok = code && strcmp(code, "Success") == 0 && copy(s.key_id, sizeof s.key_id, text_of(o, "AccessKeyId")) &&
             copy(s.secret, sizeof s.secret, text_of(o, "SecretAccessKey")) &&
             copy(s.token, sizeof s.token, text_of(o, "Token"));
    const char *end = ok ? text_of(o, "Expiration") : NULL;
    s.expires_ms = end ? notice_time(end, strlen(end)) : -1; /* -1: it says none, or no time */
    json_object_put(o);
    snprintf(s.source, sizeof s.source, "instance role %.70s", role);
    if (!ok || s.expires_ms <= wall_ms()) {
        explicit_bzero(&s, sizeof s);
        return err_set(err, BP_DENIED, "the instance metadata give no credentials for role %.80s (%.40s)", role,
                       code ? code : "no code");
    }
    c->now = s;
    explicit_bzero(&s, sizeof s);
    return 0;
}

static int read_role(struct credentials *c, struct bp_err *err)
{
    char role[160], path[256], body[8192];
    size_t n = 0;
    int rc = imds_get(c->aws->imds, ROLE, role, sizeof role, &n, err);
    if (rc < 0)
        return err_set(err, BP_DENIED,
                       "no AWS credentials: neither AWS_ACCESS_KEY_ID nor an instance role was found; set one");
    role[strcspn(role, "\r\n")] = '\0';
    snprintf(path, sizeof path, ROLE "%s", role);
    rc = imds_get(c->aws->imds, path, body, sizeof body, &n, err);
    if (rc == 0)
        rc = take_role(c, role, body, err);
    explicit_bzero(body, sizeof body);
    return rc;
}

static int read_source(struct credentials *c, struct bp_err *err)
{
    c->tried_ms = wall_ms();
    return c->from_environment ? read_environment(c, err) : read_role(c, err);
}

/* ---- the doors ---- */

struct credentials *creds_open(struct aws *aws, struct bp_err *err)
{
    struct credentials *c = calloc(1, sizeof *c);
    const char *id = getenv("AWS_ACCESS_KEY_ID");
    if (!c) {
        err_set(err, BP_NOMEM, "no memory for credentials");
        return NULL;
    }
    c->aws = aws;
    c->from_environment = id && id[0];
    pthread_mutex_init(&c->mutex, NULL);
    return c;
}

void creds_close(struct credentials *c)
{
    if (!c)
        return;
    pthread_mutex_destroy(&c->mutex);
    explicit_bzero(c, sizeof *c);
    free(c);
}

static int is_usable(const struct aws_creds *s, int64_t now)
{
    return s->key_id[0] && (!s->expires_ms || s->expires_ms > now);
}

int creds_get(struct credentials *c, struct aws_creds *out, struct bp_err *err)
{
    int rc = 0;
    pthread_mutex_lock(&c->mutex);
    int64_t now = wall_ms();
    int usable = is_usable(&c->now, now), early = c->now.expires_ms && c->now.expires_ms - EARLY_MS < now;
    if (!usable || (early && now - c->tried_ms > 30000))
        rc = read_source(c, err);
    if (rc < 0 && usable)
        rc = 0; /* the old set still works */
    if (rc == 0)
        *out = c->now;
    pthread_mutex_unlock(&c->mutex);
    return rc;
}

int creds_refresh(struct credentials *c, const struct aws_creds *used, struct bp_err *err)
{
    int rc = 0;
    pthread_mutex_lock(&c->mutex);
    if (c->now.serial == used->serial)
        rc = c->from_environment ? err_set(err, BP_DENIED, "the credentials in the environment have expired")
                                 : read_source(c, err);
    pthread_mutex_unlock(&c->mutex);
    return rc;
}

const char *creds_source(const struct credentials *c)
{
    return c->from_environment ? "environment" : "instance role";
}
