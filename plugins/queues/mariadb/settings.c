/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json_object *member(struct json_object *o, const char *key, enum json_type type)
{
    struct json_object *v;
    return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, type) ? v : NULL;
}

static char *text_of(struct json_object *o, const char *key, const char *fallback)
{
    struct json_object *v = member(o, key, json_type_string);
    return strdup(v ? json_object_get_string(v) : fallback);
}

static unsigned int number_of(struct json_object *o, const char *key, unsigned int fallback)
{
    struct json_object *v = member(o, key, json_type_int);
    int64_t n = v ? json_object_get_int64(v) : 0;
    return n >= 1 && n <= 65535 ? (unsigned int)n : fallback;
}

static bool flag_of(struct json_object *o, const char *key, bool fallback)
{
    struct json_object *v = member(o, key, json_type_boolean);
    return v ? json_object_get_boolean(v) : fallback;
}

static void read_all(struct settings *s, struct json_object *o, const struct settings *base)
{
    s->host = text_of(o, "host", base->host);
    s->socket = text_of(o, "socket", base->socket);
    s->user = text_of(o, "user", base->user);
    s->password = text_of(o, "password", base->password);
    s->database = text_of(o, "database", base->database);
    s->tls = text_of(o, "tls", base->tls);
    s->tls_ca = text_of(o, "tlsCa", base->tls_ca);
    s->tls_cert = text_of(o, "tlsCert", base->tls_cert);
    s->tls_key = text_of(o, "tlsKey", base->tls_key);
    s->port = number_of(o, "port", base->port);
    s->connect_timeout_s = number_of(o, "connectTimeoutSeconds", base->connect_timeout_s);
    s->query_timeout_s = number_of(o, "queryTimeoutSeconds", base->query_timeout_s);
    s->lock_timeout_s = number_of(o, "lockTimeoutSeconds", base->lock_timeout_s);
    s->pool_timeout_s = number_of(o, "poolTimeoutSeconds", base->pool_timeout_s);
    s->create_database = flag_of(o, "createDatabase", base->create_database);
    s->auto_migrate = flag_of(o, "autoMigrate", base->auto_migrate);
}

static int32_t refuse(struct bp_err *err, int32_t rc, const char *why)
{
    err->rc = rc;
    snprintf(err->text, sizeof err->text, "%s", why);
    return rc;
}

int32_t settings_of(struct settings *s, struct json_object *o, const struct settings *base, struct bp_err *err)
{
    read_all(s, o, base);
    if (!s->host || !s->socket || !s->user || !s->password || !s->database || !s->tls || !s->tls_ca || !s->tls_cert ||
        !s->tls_key)
        return refuse(err, BP_NOMEM, "out of memory starting the queue");
    if (strcmp(s->tls, "off") != 0 && strcmp(s->tls, "required") != 0 && strcmp(s->tls, "verify") != 0)
        return refuse(err, BP_INVALID, "tls must be off, required or verify");
    if (!*s->database || strlen(s->database) > 64)
        return refuse(err, BP_INVALID, "database must be a name of 1 to 64 bytes");
    if (*s->host)
        snprintf(s->where, sizeof s->where, "%.40s@%.80s:%u/%.60s", s->user, s->host, s->port, s->database);
    else
        snprintf(s->where, sizeof s->where, "%.40s@%.80s/%.60s", s->user, *s->socket ? s->socket : "localhost",
                 s->database);
    return BP_OK;
}

int32_t settings_read(struct settings *s, const char *json, struct bp_err *err)
{
    static char none[] = "", user[] = "bpd", off[] = "off";
    const struct settings base = {.host = none,
                                  .socket = none,
                                  .user = user,
                                  .password = none,
                                  .database = user,
                                  .tls = off,
                                  .tls_ca = none,
                                  .tls_cert = none,
                                  .tls_key = none,
                                  .port = 3306,
                                  .connect_timeout_s = 5,
                                  .query_timeout_s = 30,
                                  .lock_timeout_s = 5,
                                  .pool_timeout_s = 5,
                                  .auto_migrate = false};
    struct json_object *o = json && *json ? json_tokener_parse(json) : json_object_new_object();
    int32_t rc = settings_of(s, o, &base, err);
    json_object_put(o);
    return rc;
}

bool settings_same_server(const struct settings *a, const struct settings *b)
{
    bool here = strcmp(a->host, b->host) == 0 && strcmp(a->user, b->user) == 0;
    return here && (*a->host ? a->port == b->port : strcmp(a->socket, b->socket) == 0);
}

void settings_free(struct settings *s)
{
    if (s->password)
        explicit_bzero(s->password, strlen(s->password));
    char *all[] = {s->host, s->socket, s->user, s->password, s->database, s->tls, s->tls_ca, s->tls_cert, s->tls_key};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
    *s = (struct settings){0};
}
