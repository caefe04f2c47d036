/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include "ini.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define DEFAULT "default"

static void find_file(const char *variable, const char *name, char out[512])
{
    const char *given = getenv(variable), *home = getenv("HOME");
    int n = given && given[0] ? snprintf(out, 512, "%s", given)
            : home && home[0] ? snprintf(out, 512, "%s/.aws/%s", home, name)
                              : 0;
    if (n <= 0 || n >= 512)
        out[0] = '\0';
}

static struct ini *read_file(const char *path, int *rc, struct bp_err *err)
{
    struct bp_err why = {0};
    struct ini *i = path[0] ? ini_read(path, &why) : NULL;
    if (why.rc < 0 && why.rc != BP_NOTFOUND) {
        *err = why;
        *rc = why.rc;
    }
    return i;
}

int profiles_open(struct profiles *p, struct bp_err *err)
{
    int rc = 0;
    memset(p, 0, sizeof *p);
    find_file("AWS_CONFIG_FILE", "config", p->config_path);
    find_file("AWS_SHARED_CREDENTIALS_FILE", "credentials", p->credentials_path);
    p->config = read_file(p->config_path, &rc, err);
    p->credentials = read_file(p->credentials_path, &rc, err);
    return rc;
}

void profiles_close(struct profiles *p)
{
    ini_free(p->config);
    ini_free(p->credentials);
    memset(p, 0, sizeof *p);
}

/* The profile default may stand without the word profile; with it, it goes before. */
static const char *kind_of(const struct profiles *p, const char *profile)
{
    return strcmp(profile, DEFAULT) == 0 && !ini_has(p->config, "profile", DEFAULT) ? "" : "profile";
}

int profiles_has(const struct profiles *p, const char *profile)
{
    return ini_has(p->credentials, "", profile) || ini_has(p->config, kind_of(p, profile), profile);
}

static const char *filled(const char *text)
{
    return text && text[0] ? text : NULL;
}

const char *profiles_get(const struct profiles *p, const char *profile, const char *name)
{
    const char *v = filled(ini_get(p->credentials, "", profile, NULL, name));
    return v ? v : filled(ini_get(p->config, kind_of(p, profile), profile, NULL, name));
}

static uint64_t stamp(const char *path, uint64_t h)
{
    struct stat st = {0};
    if (path[0] && stat(path, &st) < 0)
        st.st_ino = 1;
    h = h * 1099511628211U + (uint64_t)st.st_ino;
    h = h * 1099511628211U + (uint64_t)st.st_size;
    h = h * 1099511628211U + (uint64_t)st.st_mtim.tv_sec;
    return h * 1099511628211U + (uint64_t)st.st_mtim.tv_nsec;
}

uint64_t profiles_stamp(const struct profiles *p)
{
    return stamp(p->credentials_path, stamp(p->config_path, 14695981039346656037U));
}

const char *profiles_endpoint(const struct profiles *p, const char *profile, const char *service)
{
    const char *section = profiles_get(p, profile, "services");
    const char *one = section ? filled(ini_get(p->config, "services", section, service, "endpoint_url")) : NULL;
    return one ? one : profiles_get(p, profile, "endpoint_url");
}

int profiles_ignores_endpoints(const struct profiles *p, const char *profile)
{
    const char *v = profiles_get(p, profile, "ignore_configured_endpoint_urls");
    return v && strcasecmp(v, "true") == 0;
}
