/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - where the database is and how to reach it. */
#ifndef MARIADB_SETTINGS_H
#define MARIADB_SETTINGS_H

#include <bp/plugin.h>
#include <stdbool.h>

struct json_object;

struct settings {
    char *host, *socket, *user, *password, *database, *tls, *tls_ca, *tls_cert, *tls_key; /* never NULL; "": not set */
    unsigned int port, connect_timeout_s, query_timeout_s, lock_timeout_s, pool_timeout_s;
    bool create_database, auto_migrate;
    char where[200]; /* "user@host:port/database" for messages */
};

/* Reads the plugin's settings. Free with settings_free in any case. */
int32_t settings_read(struct settings *s, const char *json, struct bp_err *err);
/* The same from an object; what it does not have is as in `base`. */
int32_t settings_of(struct settings *s, struct json_object *o, const struct settings *base, struct bp_err *err);
/* Do both lead to the same server and account? */
bool settings_same_server(const struct settings *a, const struct settings *b);
void settings_free(struct settings *s);

#endif
