/* SPDX-License-Identifier: Apache-2.0 */
/*
 * params.c - facet bp.params/1: SSM parameters and Secrets Manager secrets, cached for a short while.
 *
 * "/bp/prod/x" (or an SSM ARN) is a parameter; "secretsmanager:NAME", "secretsmanager:ARN" or a secret's ARN is a
 * secret, "#member" behind it picks one member of a secret that is a JSON object. No value stands in a log or an error.
 */
#include "aws.h"
#include "client.h"
#include "err.h"
#include "param_cache.h"

#include <json-c/json.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAME_MAX_BYTES  2048
#define VALUE_MAX_BYTES 65536 /* of a secret; SSM's are smaller */
#define SSM_STANDARD    4096
#define SSM_ADVANCED    8192
#define CACHED_MAX      256
#define SECRET_PREFIX   "secretsmanager:"

struct params {
    struct aws *aws;
    struct param_cache *cache;
    int64_t ttl_ms, stale_ms;
    const char *kms_key;
    atomic_int stale_told;
};

/* What a name means. */
struct target {
    const char *name;            /* as given, for messages */
    int secret;                  /* of Secrets Manager */
    char id[NAME_MAX_BYTES + 1]; /* there */
    const char *member;          /* inside id's buffer, NULL: the whole */
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int is_arn_of(const char *name, const char *service)
{
    const char *partition = has_prefix(name, "arn:") ? strchr(name + 4, ':') : NULL;
    size_t n = strlen(service);
    return partition && strncmp(partition + 1, service, n) == 0 && partition[1 + n] == ':';
}

static int read_name(struct target *t, const char *name, struct bp_err *err)
{
    size_t n = name ? strlen(name) : 0;
    if (n < 1 || n > NAME_MAX_BYTES || strcspn(name, " \t\r\n\"\\") != n)
        return err_set(err, BP_INVALID, "a parameter's name has 1 to %d bytes without spaces and quotes",
                       NAME_MAX_BYTES);
    t->name = name;
    t->member = NULL;
    t->secret = has_prefix(name, SECRET_PREFIX) || is_arn_of(name, "secretsmanager");
    snprintf(t->id, sizeof t->id, "%s", has_prefix(name, SECRET_PREFIX) ? name + strlen(SECRET_PREFIX) : name);
    char *hash = t->secret ? strchr(t->id, '#') : NULL;
    if (hash) {
        *hash = '\0';
        t->member = hash + 1;
    }
    if (t->id[0] && (!t->member || t->member[0]))
        return 0;
    return err_set(err, BP_INVALID, "%.150s names no parameter; write /PATH/NAME or secretsmanager:NAME[#MEMBER]",
                   name);
}

/* ---- reading ---- */

static const char *text_member(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

static char *copy_checked(const struct target *t, const char *text, struct bp_err *err)
{
    size_t n = text ? strlen(text) : 0;
    char *copy = text && n <= VALUE_MAX_BYTES ? strdup(text) : NULL;
    if (!text)
        err_set(err, BP_INVALID, "%.150s holds no text; bpd takes text, not bytes", t->name);
    else if (n > VALUE_MAX_BYTES)
        err_set(err, BP_TOOLARGE, "%.150s has more than %d bytes", t->name, VALUE_MAX_BYTES);
    else if (!copy)
        err_set(err, BP_NOMEM, "no memory to read %.150s", t->name);
    return copy;
}

/* One member of a secret that is a JSON object, as the console of Secrets Manager makes them. */
static char *pick_member(const struct target *t, const char *text, struct bp_err *err)
{
    struct json_object *o = text ? json_tokener_parse(text) : NULL;
    struct json_object *v = NULL;
    char *copy = NULL;
    if (!json_object_is_type(o, json_type_object))
        err_set(err, BP_INVALID, "%.150s is no JSON object: name it without #%.50s", t->name, t->member);
    else if (!json_object_object_get_ex(o, t->member, &v))
        err_set(err, BP_NOTFOUND, "%.150s has no member %.50s", t->name, t->member);
    else
        copy = copy_checked(t, json_object_get_string(v), err);
    json_object_put(o);
    return copy;
}

static char *value_of(const struct target *t, struct json_object *answer, struct bp_err *err)
{
    struct json_object *p = NULL;
    if (t->secret) {
        const char *text = text_member(answer, "SecretString");
        return t->member ? pick_member(t, text, err) : copy_checked(t, text, err);
    }
    json_object_object_get_ex(answer, "Parameter", &p);
    return copy_checked(t, text_member(p, "Value"), err);
}

static int ask(const struct params *p, const struct target *t, char **value, struct bp_err *err)
{
    struct reply r = {0};
    char what[192];
    struct json_object *in = json_object_new_object();
    snprintf(what, sizeof what, "%s %.150s", t->secret ? "secret" : "parameter", t->id);
    json_object_object_add(in, t->secret ? "SecretId" : "Name", json_object_new_string(t->id));
    if (!t->secret)
        json_object_object_add(in, "WithDecryption", json_object_new_boolean(1));
    int rc = client_json(p->aws->client, t->secret ? AWS_OP_SECRETS_GET_SECRET_VALUE : AWS_OP_SSM_GET_PARAMETER, in,
                         what, &r, err);
    json_object_put(in);
    *value = rc == 0 ? value_of(t, r.json, err) : NULL;
    if (rc == 0 && !*value)
        rc = err->rc < 0 ? err->rc : BP_FAIL;
    if (r.body)
        explicit_bzero(r.body, r.n_body);
    reply_free(&r);
    return rc;
}

/* What AWS cannot say now, it said a while ago. */
static int is_outage(int rc)
{
    return rc == BP_LATER || rc == BP_TIMEOUT || rc == BP_FAIL;
}

static void tell_stale(struct params *p, const char *name, const struct bp_err *err)
{
    if (!atomic_exchange(&p->stale_told, 1))
        AWS_LOG(p->aws, BP_LOG_WARN, "%.150s: the value read before is used: %s", name, err->text);
}

/* *value: param_cache_drop_copy() it. */
static int read_through(struct params *p, const struct target *t, int fresh, char **value, struct bp_err *err)
{
    char *known = NULL;
    int64_t age = param_cache_get(p->cache, t->name, now_ms(), &known);
    if (age >= 0 && age < p->ttl_ms && !fresh) {
        *value = known;
        return 0;
    }
    int rc = ask(p, t, value, err);
    if (rc == 0) {
        param_cache_put(p->cache, t->name, *value, now_ms());
        atomic_store(&p->stale_told, 0);
    } else if (known && is_outage(rc) && age < p->stale_ms) {
        tell_stale(p, t->name, err);
        *value = known;
        return 0;
    } else if (!is_outage(rc)) {
        param_cache_remove(p->cache, t->name);
    }
    param_cache_drop_copy(known);
    return rc;
}

static int32_t get_value(void *inst, const char *name, int fresh, char **value, struct bp_err *err)
{
    struct aws *a = inst;
    struct target t = {0};
    char *text = NULL;
    int rc = read_name(&t, name, err);
    if (rc < 0 || (rc = read_through(a->params, &t, fresh, &text, err)) < 0)
        return rc;
    *value = aws_text(a, text);
    param_cache_drop_copy(text);
    return *value ? 0 : err_set(err, BP_NOMEM, "no memory to read %.150s", name);
}

static int32_t get(void *inst, const char *name, char **value, struct bp_err *err)
{
    return get_value(inst, name, 0, value, err);
}

static int32_t get_fresh(void *inst, const char *name, char **value, struct bp_err *err)
{
    return get_value(inst, name, 1, value, err);
}

/* ---- writing ---- */

static struct json_object *put_request(const struct params *p, const struct target *t, const char *value, int secret)
{
    struct json_object *in = json_object_new_object();
    json_object_object_add(in, "Name", json_object_new_string(t->id));
    json_object_object_add(in, "Value", json_object_new_string(value));
    json_object_object_add(in, "Type", json_object_new_string(secret ? "SecureString" : "String"));
    json_object_object_add(in, "Overwrite", json_object_new_boolean(1));
    if (secret && p->kms_key[0])
        json_object_object_add(in, "KeyId", json_object_new_string(p->kms_key));
    if (strlen(value) > SSM_STANDARD)
        json_object_object_add(in, "Tier", json_object_new_string("Advanced"));
    return in;
}

static int32_t put(void *inst, const char *name, const char *value, int32_t secret, struct bp_err *err)
{
    struct params *p = ((struct aws *)inst)->params;
    struct target t = {0};
    struct reply r = {0};
    char what[192];
    int rc = read_name(&t, name, err);
    if (rc < 0)
        return rc;
    if (t.secret)
        return err_set(err, BP_UNSUPPORTED, "%.150s is kept in Secrets Manager, which bpd only reads; write it there",
                       name);
    if (!value || !value[0] || strlen(value) > SSM_ADVANCED)
        return err_set(err, value && value[0] ? BP_TOOLARGE : BP_INVALID, "a parameter's value has 1 to %d bytes",
                       SSM_ADVANCED);
    struct json_object *in = put_request(p, &t, value, secret);
    snprintf(what, sizeof what, "parameter %.150s", t.id);
    rc = client_json(p->aws->client, AWS_OP_SSM_PUT_PARAMETER, in, what, &r, err);
    json_object_put(in);
    reply_free(&r);
    param_cache_remove(p->cache, name);
    return rc;
}

/* ---- life ---- */

struct params *params_open(struct aws *a, struct bp_err *err)
{
    struct params *p = calloc(1, sizeof *p);
    if (p)
        p->cache = param_cache_new(CACHED_MAX);
    if (!p || !p->cache) {
        free(p);
        err_set(err, BP_NOMEM, "no memory for params");
        return NULL;
    }
    p->aws = a;
    p->ttl_ms = (int64_t)(settings_num(&a->settings, "paramCacheSeconds", 60) * 1000);
    p->stale_ms = (int64_t)(settings_num(&a->settings, "paramStaleSeconds", 86400) * 1000);
    p->kms_key = settings_str(&a->settings, "paramKmsKey", "");
    return p;
}

void params_close(struct params *p)
{
    if (p)
        param_cache_free(p->cache);
    free(p);
}

const struct bp_params params_facet = {
    .size = sizeof(struct bp_params), .get = get, .put = put, .get_fresh = get_fresh};
