/* SPDX-License-Identifier: Apache-2.0 */
/* client_endpoints.c - where each service is reached: the plugin's settings, then the environment, then the profile. */
#include "client_priv.h"

#include "profile.h"
#include <ctype.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *filled(const char *text)
{
    return text && text[0] ? text : NULL;
}

static int is_true(const char *text)
{
    return text && strcasecmp(text, "true") == 0;
}

static const char *of_environment(enum aws_service s)
{
    char name[64] = "AWS_ENDPOINT_URL_";
    size_t n = strlen(name);
    for (const char *c = aws_services[s].name; *c && n + 1 < sizeof name; c++)
        name[n++] = (char)toupper((unsigned char)*c);
    name[n] = '\0';
    const char *one = filled(getenv(name));
    return one ? one : filled(getenv("AWS_ENDPOINT_URL"));
}

static const char *of_settings(const struct settings *set, enum aws_service s)
{
    struct json_object *v = NULL;
    struct json_object *all = settings_member(set, "endpoints");
    if (json_object_is_type(all, json_type_object))
        json_object_object_get_ex(all, aws_services[s].name, &v);
    const char *one = json_object_is_type(v, json_type_string) ? filled(json_object_get_string(v)) : NULL;
    return one ? one : filled(settings_str(set, "endpoint", ""));
}

static int use_switch(const struct client *c, const char *setting, const char *variable)
{
    return settings_bool(&c->aws->settings, setting, 0) || is_true(getenv(variable));
}

/* The endpoint that was configured for s, or NULL. Borrowed of the settings, the environment and p. */
static const char *configured(const struct client *c, enum aws_service s, const struct profiles *p)
{
    const struct settings *set = &c->aws->settings;
    const char *profile = filled(set->profile) ? set->profile : "default";
    const char *url = of_settings(set, s);
    if (url || is_true(getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) || profiles_ignores_endpoints(p, profile))
        return url;
    if ((url = of_environment(s)))
        return url;
    return profiles_endpoint(p, profile, aws_services[s].name);
}

void client_find_endpoints(struct client *c)
{
    struct profiles profiles;
    struct bp_err ignored; /* who needs these files for more than endpoints says what is wrong with them */
    struct aws_endpoint_rules rules = {.region = c->aws->settings.region,
                                       .fips = use_switch(c, "fips", "AWS_USE_FIPS_ENDPOINT"),
                                       .dualstack = use_switch(c, "dualstack", "AWS_USE_DUALSTACK_ENDPOINT")};
    c->fips = rules.fips;
    c->dualstack = rules.dualstack;
    profiles_open(&profiles, &ignored);
    for (int i = 0; i < AWS_N_SERVICES; i++) {
        enum aws_service s = (enum aws_service)i;
        struct bp_err err = {0};
        rules.one[s] = configured(c, s, &profiles);
        c->overridden[s] = rules.one[s] != NULL;
        if (aws_endpoint(&rules, s, c->endpoint[s], sizeof c->endpoint[s], &err) < 0) {
            c->endpoint[s][0] = '\0';
            snprintf(c->why[s], sizeof c->why[s], "%.199s", err.text);
        }
        rules.one[s] = NULL;
    }
    profiles_close(&profiles);
}
