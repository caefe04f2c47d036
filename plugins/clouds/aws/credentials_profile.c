/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_profile.c - what a profile says: keys, a role by way of another profile or source, a web identity, a
 * process. */
#include "credentials_priv.h"

#include "err.h"
#include "profile.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 8

/* ---- keys ---- */

/* Read anew for each set, for files are rotated under our feet. */
struct keys {
    struct source base;
    char profile[128];
    uint64_t stamp; /* of the files at the last fetch */
};

static int keys_fetch(struct source *s, struct aws_creds *out, struct bp_err *err)
{
    struct keys *x = (struct keys *)s;
    struct profiles p;
    int rc = profiles_open(&p, err);
    if (rc == 0) {
        const char *token = profiles_get(&p, x->profile, "aws_session_token");
        x->stamp = profiles_stamp(&p);
        if (!creds_copy(out->key_id, sizeof out->key_id, profiles_get(&p, x->profile, "aws_access_key_id")) ||
            !creds_copy(out->secret, sizeof out->secret, profiles_get(&p, x->profile, "aws_secret_access_key")) ||
            (token && !creds_copy(out->token, sizeof out->token, token)))
            rc = err_set(
                err, BP_DENIED,
                "profile %.80s has no whole set of aws_access_key_id and aws_secret_access_key any more, or one is "
                "too long",
                x->profile);
    }
    profiles_close(&p);
    return rc;
}

static int keys_changed(struct source *s)
{
    struct keys *x = (struct keys *)s;
    struct profiles p = {0};
    struct bp_err ignored;
    profiles_open(&p, &ignored);
    uint64_t now = profiles_stamp(&p);
    profiles_close(&p);
    return now != x->stamp;
}

static void keys_close(struct source *s)
{
    free(s);
}

static struct source *keys_source(struct aws *a, const struct profiles *p, const char *profile, struct bp_err *err)
{
    const char *id = profiles_get(p, profile, "aws_access_key_id");
    const char *secret = profiles_get(p, profile, "aws_secret_access_key");
    if (!id || !secret) {
        err_set(err, BP_DENIED, "profile %.80s has %s, but no %s; write both, or none", profile,
                id ? "aws_access_key_id" : "aws_secret_access_key", id ? "aws_secret_access_key" : "aws_access_key_id");
        return NULL;
    }
    struct keys *x = source_new(a, sizeof *x, err);
    if (!x)
        return NULL;
    x->base.fetch = keys_fetch;
    x->base.is_changed = keys_changed;
    x->base.close = keys_close;
    x->base.remedy = "write keys that are good into the profile; they are read again by themselves";
    snprintf(x->base.name, sizeof x->base.name, "profile %.80s", profile);
    snprintf(x->profile, sizeof x->profile, "%.127s", profile);
    return &x->base;
}

/* ---- roles ---- */

/* The profiles that were gone through, for a chain that comes back. */
struct trail {
    const char *names[DEPTH_MAX];
    int n;
};

static struct source *any_source(struct aws *a, const struct profiles *p, const char *profile, struct trail *t,
                                 struct bp_err *err);

static struct source *named_source(struct aws *a, const char *name, const char *profile, struct bp_err *err)
{
    static const struct {
        const char *name;
        struct source *(*make)(struct aws *a, struct bp_err *err);
    } known[] = {{"Environment", environment_source},
                 {"EcsContainer", container_source},
                 {"Ec2InstanceMetadata", instance_source}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) != 0)
            continue;
        struct source *s = known[i].make(a, err);
        if (!s && !err->rc)
            err_set(err, BP_DENIED, "profile %.60s has credential_source %s, but its variables are not set", profile,
                    name);
        return s;
    }
    err_set(
        err, BP_DENIED,
        "profile %.60s has credential_source \"%.40s\"; there are Environment, EcsContainer and Ec2InstanceMetadata",
        profile, name);
    return NULL;
}

/* Keys of the profile itself, when it is its own source. */
static struct source *by_profile(struct aws *a, const struct profiles *p, const char *profile, const char *source,
                                 struct trail *t, struct bp_err *err)
{
    if (strcmp(source, profile) == 0 && profiles_get(p, profile, "aws_access_key_id"))
        return keys_source(a, p, profile, err);
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->names[i], source) == 0) {
            err_set(err, BP_DENIED, "the profiles lead in a circle: source_profile of %.60s is %.60s again", profile,
                    source);
            return NULL;
        }
    if (!profiles_has(p, source)) {
        err_set(err, BP_DENIED, "profile %.60s has source_profile %.60s, but there is no such profile", profile,
                source);
        return NULL;
    }
    struct source *s = any_source(a, p, source, t, err);
    if (!s && !err->rc)
        err_set(err, BP_DENIED, "profile %.60s has source_profile %.60s, but that has no credentials", profile, source);
    return s;
}

static int duration_of(const struct profiles *p, const char *profile, int *out, struct bp_err *err)
{
    const char *text = profiles_get(p, profile, "duration_seconds");
    char *end = NULL;
    long s = text ? strtol(text, &end, 10) : 0;
    *out = (int)s;
    if (!text || (*end == '\0' && s >= 900 && s <= 43200))
        return 0;
    return err_set(err, BP_DENIED, "duration_seconds of profile %.60s must be 900 to 43200", profile);
}

static struct source *assumed(struct aws *a, const struct profiles *p, const char *profile, struct trail *t,
                              struct bp_err *err)
{
    const char *source = profiles_get(p, profile, "source_profile"),
               *kind = profiles_get(p, profile, "credential_source");
    struct role_spec r = {.role_arn = profiles_get(p, profile, "role_arn"),
                          .session_name = profiles_get(p, profile, "role_session_name"),
                          .external_id = profiles_get(p, profile, "external_id"),
                          .profile = profile};
    if (duration_of(p, profile, &r.duration_s, err) < 0)
        return NULL;
    if (profiles_get(p, profile, "mfa_serial"))
        err_set(err, BP_DENIED, "profile %.60s wants mfa_serial, which a daemon cannot be asked for; use another",
                profile);
    else if (!source == !kind)
        err_set(err, BP_DENIED, "profile %.60s has role_arn and %s source_profile and credential_source; name one",
                profile, source ? "both" : "neither");
    if (err->rc)
        return NULL;
    struct source *below = source ? by_profile(a, p, profile, source, t, err)
                           : kind ? named_source(a, kind, profile, err)
                                  : NULL;
    return below ? role_source(a, &r, below, err) : NULL;
}

static struct source *by_web(struct aws *a, const struct profiles *p, const char *profile, struct bp_err *err)
{
    char from[96];
    snprintf(from, sizeof from, "profile %.80s", profile);
    struct web_spec w = {.token_file = profiles_get(p, profile, "web_identity_token_file"),
                         .role_arn = profiles_get(p, profile, "role_arn"),
                         .session_name = profiles_get(p, profile, "role_session_name"),
                         .from = from};
    return duration_of(p, profile, &w.duration_s, err) < 0 ? NULL : web_source_new(a, &w, err);
}

/* ---- which of them ---- */

static struct source *any_source(struct aws *a, const struct profiles *p, const char *profile, struct trail *t,
                                 struct bp_err *err)
{
    const char *command = profiles_get(p, profile, "credential_process");
    if (t->n == DEPTH_MAX) {
        err_set(err, BP_DENIED, "more than %d profiles lean on each other, up to %.80s", DEPTH_MAX, profile);
        return NULL;
    }
    t->names[t->n++] = profile;
    if (profiles_get(p, profile, "web_identity_token_file"))
        return by_web(a, p, profile, err);
    if (profiles_get(p, profile, "role_arn"))
        return assumed(a, p, profile, t, err);
    if (profiles_get(p, profile, "aws_access_key_id") || profiles_get(p, profile, "aws_secret_access_key"))
        return keys_source(a, p, profile, err);
    if (command)
        return process_source(a, profile, command, err);
    if (profiles_get(p, profile, "sso_session") || profiles_get(p, profile, "sso_start_url"))
        err_set(
            err, BP_DENIED,
            "profile %.60s signs in by SSO, which bpd does not; use a role, keys or credential_process = aws configure "
            "export-credentials --profile %.40s",
            profile, profile);
    return NULL;
}

struct source *profile_source(struct aws *a, const struct profiles *p, const char *profile, struct bp_err *err)
{
    struct trail t = {.n = 0};
    return any_source(a, p, profile, &t, err);
}
