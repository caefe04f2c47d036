/* SPDX-License-Identifier: Apache-2.0 */
#include "http/tenants.h"
#include "log/err.h"
#include "log/json.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

struct tenant {
    char *name;
    unsigned char digest[SHA256_DIGEST_LENGTH];
};

struct tenants {
    size_t n;
    struct tenant list[];
};

static void digest_of(const char *token, unsigned char *out)
{
    static EVP_MD *sha256; /* looked up once: SHA256() does it each time, and that is most of its time */

    if (!sha256)
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!sha256 || EVP_Digest(token, strlen(token), out, NULL, sha256, NULL) != 1)
        SHA256((const unsigned char *)token, strlen(token), out);
}

/* Reads the first line of a file. */
static int read_line(const char *path, char *out, size_t cap, const char *tenant, struct bp_err *err)
{
    FILE *f = fopen(path, "re");
    char *got;

    if (!f)
        return err_set(err, BP_INVALID, "tenants.%s.token: cannot open %s: %m; create it or correct the path", tenant,
                       path);
    got = fgets(out, (int)cap, f);
    fclose(f);
    if (!got)
        return err_set(err, BP_INVALID, "tenants.%s.token: %s is empty; write the token into it", tenant, path);
    out[strcspn(out, "\r\n")] = '\0';
    return 0;
}

/* The token a reference stands for: env:NAME, file:PATH, or the text itself. */
static int resolve(const char *tenant, const char *ref, char *out, size_t cap, struct bp_err *err)
{
    const char *value = ref;

    /* Never the text itself: whoever read the settings would be the tenant. */
    if (strncmp(ref, "param:", 6) == 0)
        return err_set(err, BP_INVALID,
                       "tenants.%s.token: a tenant's token cannot come from the params service; give env:NAME or "
                       "file:PATH, or make one with bpctl tenant token add",
                       tenant);
    if (strncmp(ref, "file:", 5) == 0)
        return read_line(ref + 5, out, cap, tenant, err);
    if (strncmp(ref, "env:", 4) == 0 && !(value = getenv(ref + 4)))
        return err_set(err, BP_INVALID, "tenants.%s.token: environment variable %s is not set; set it", tenant,
                       ref + 4);
    if (strlen(value) >= cap)
        return err_set(err, BP_INVALID, "tenants.%s.token is longer than %zu bytes", tenant, cap - 1);
    memcpy(out, value, strlen(value) + 1);
    return 0;
}

static int add(struct tenants *t, const char *name, const char *ref, struct bp_err *err)
{
    struct tenant *one = &t->list[t->n];
    char token[1025];
    int rc = resolve(name, ref, token, sizeof(token), err);

    if (rc)
        return rc;
    if (strlen(token) < 8)
        return err_set(err, BP_INVALID, "tenants.%s.token is shorter than 8 characters; use a long random one", name);
    one->name = strdup(name);
    if (!one->name)
        return err_set(err, BP_NOMEM, "tenants: no memory");
    digest_of(token, one->digest);
    OPENSSL_cleanse(token, sizeof(token));
    t->n++;
    return 0;
}

/* ---- what else the setting says: kept in the store, checked here, where a bad file can still be refused ---- */

static int check_number(const char *tenant, const char *key, struct json_object *v, int64_t min, int64_t max,
                        struct bp_err *err)
{
    int64_t n = json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : min - 1;

    if (n >= min && n <= max)
        return 0;
    return err_set(err, BP_INVALID, "tenants.%s.%s must be a whole number from %lld to %lld", tenant, key,
                   (long long)min, (long long)max);
}

static int check_text(const char *tenant, const char *key, struct json_object *v, struct bp_err *err)
{
    const char *s = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;

    if (!s)
        return err_set(err, BP_INVALID, "tenants.%s.%s must be text", tenant, key);
    if (strcmp(key, "webhook") == 0 && *s && strncmp(s, "http://", 7) != 0 && strncmp(s, "https://", 8) != 0)
        return err_set(err, BP_INVALID, "tenants.%s.webhook must be an http or https URL, or empty for none", tenant);
    return 0;
}

static const struct member {
    const char *key;
    int64_t min, max; /* of a number; both 0: text */
} members[] = {
    {"token", 0, 0}, {"webhook", 0, 0}, {"weight", 1, 1000}, {"maxPending", 0, INT32_MAX}, {"maxRunning", 0, INT32_MAX},
};
#define N_MEMBERS (sizeof(members) / sizeof(members[0]))

static int check_member(const char *tenant, const char *key, struct json_object *v, struct bp_err *err)
{
    const char *names[N_MEMBERS], *near;

    for (size_t i = 0; i < N_MEMBERS; i++) {
        names[i] = members[i].key;
        if (strcmp(key, members[i].key) != 0)
            continue;
        return members[i].max ? check_number(tenant, key, v, members[i].min, members[i].max, err)
                              : check_text(tenant, key, v, err);
    }
    near = nearest_name(key, names, N_MEMBERS);
    return err_set(err, BP_INVALID,
                   "tenants.%s.%s: unknown key%s%s%s; a tenant has token weight maxPending maxRunning webhook", tenant,
                   key, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static int check_one(const char *tenant, struct json_object *o, struct bp_err *err)
{
    if (!json_object_is_type(o, json_type_object) || json_object_object_length(o) == 0)
        return err_set(err, BP_INVALID, "tenants.%s has no token; give \"token\": \"env:NAME\" or \"file:PATH\"",
                       tenant);
    json_object_object_foreach(o, key, v)
    {
        int rc = check_member(tenant, key, v, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* A tenant without a token here may have some in the store. */
static int add_all(struct tenants *t, struct json_object *map, struct bp_err *err)
{
    if (!map)
        return 0;
    json_object_object_foreach(map, name, value)
    {
        int rc = check_one(name, value, err);
        const char *ref = json_str(value, "token", NULL);
        if (rc == 0 && ref)
            rc = add(t, name, ref, err);
        if (rc)
            return rc;
    }
    return 0;
}

struct tenants *tenants_new(const struct config *c, const char *local_token, struct bp_err *err)
{
    struct json_object *map = config_map(c, CONFIG_TENANTS);
    size_t n = map ? (size_t)json_object_object_length(map) : 0;
    struct tenants *t = calloc(1, sizeof(*t) + (n + 1) * sizeof(struct tenant));
    int rc;

    if (!t) {
        err_set(err, BP_NOMEM, "tenants: no memory");
        return NULL;
    }
    rc = add_all(t, map, err);
    if (rc == 0 && t->n == 0 && local_token && *local_token)
        rc = add(t, "local", local_token, err);
    if (rc) {
        tenants_free(t);
        return NULL;
    }
    return t;
}

void tenants_free(struct tenants *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++)
        free(t->list[i].name);
    free(t);
}

const char *tenants_find(const struct tenants *t, const char *token)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    const char *found = NULL;

    digest_of(token, digest);
    for (size_t i = 0; i < t->n; i++)
        if (CRYPTO_memcmp(digest, t->list[i].digest, sizeof(digest)) == 0)
            found = t->list[i].name;
    return found;
}
