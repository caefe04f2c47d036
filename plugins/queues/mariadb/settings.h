/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - where the database is and how to reach it. */
#ifndef MARIADB_SETTINGS_H
#define MARIADB_SETTINGS_H

#include <bp/plugin.h>
#include <stdbool.h>

struct settings {
    char *host, *socket, *user, *password, *database, *tls, *tls_ca, *tls_cert, *tls_key; /* never NULL; "": not set */
    unsigned int port, connect_timeout_s, query_timeout_s, lock_timeout_s;
    bool create_database, auto_migrate;
    char where[200]; /* "user@host:port/database" for messages */
};

/* Reads the plugin's settings. Free with settings_free in any case. */
int32_t settings_read(struct settings *s, const char *json, struct bp_err *err);
void settings_free(struct settings *s);

#endif
