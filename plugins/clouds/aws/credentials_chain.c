/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credentials_chain.c - which source it is. The order is that of AWS's own tools: a profile that the settings name,
 * keys in the environment, the profile, a web identity, the container, the instance. The first that is configured is
 * it, also when it lacks something or does not work: a weaker one would be another identity, in silence.
 */
#include "credentials_priv.h"

#include "err.h"
#include "profile.h"
#include <stdlib.h>
#include <string.h>

void *source_new(struct aws *a, size_t size, struct bp_err *err)
{
    struct source *s = calloc(1, size);
    if (!s) {
        err_set(err, BP_NOMEM, "no memory for credentials");
        return NULL;
    }
    s->aws = a;
    s->remedy = "see docs/aws.md, \"Who bpd is\"";
    return s;
}

void source_close(struct source *s)
{
    if (s)
        s->close(s);
}

/* The profile of the settings or of the environment; the profile default may be missing, one that was named may not. */
static struct source *of_profile(struct aws *a, struct bp_err *err)
{
    struct profiles p;
    struct source *s = NULL;
    const char *named = a->settings.profile && a->settings.profile[0] ? a->settings.profile : NULL;
    int rc = profiles_open(&p, err);
    if (rc == 0 && named && !profiles_has(&p, named))
        err_set(err, BP_DENIED, "there is no profile %.60s in %.70s or %.70s; make it, or correct %s", named,
                p.config_path[0] ? p.config_path : "~/.aws/config",
                p.credentials_path[0] ? p.credentials_path : "~/.aws/credentials",
                a->settings.profile_chosen ? "plugin.aws.profile" : "AWS_PROFILE");
    else if (rc == 0)
        s = profile_source(a, &p, named ? named : "default", err);
    profiles_close(&p);
    return s;
}

/* The first that is there, or that says what it lacks. */
struct source *source_choose(struct aws *a, struct bp_err *err)
{
    static struct source *(*const order[])(struct aws * a, struct bp_err * err) = {
        of_profile, environment_source, of_profile, web_source, container_source, instance_source};
    struct source *s = NULL;
    memset(err, 0, sizeof *err);
    for (size_t i = a->settings.profile_chosen ? 0 : 1; i < sizeof order / sizeof order[0] && !s && !err->rc; i++) {
        if (a->settings.profile_chosen && (i == 1 || i == 2))
            continue; /* a profile without keys is no reason to take those of the environment instead */
        s = order[i](a, err);
    }
    if (!s && !err->rc)
        err_set(err, BP_DENIED, "no AWS credentials were found");
    return s;
}
