/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - bpctl's side of the admin socket: one JSON-RPC request, one answer. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <bp/plugin.h>
#include <stdio.h>

struct json_object;
struct client; /* one connection */

/* path NULL: BPCTL_SOCKET, BPD_ADMIN_SOCKET, then the places a daemon puts it. NULL with err that says what to do. */
struct client *client_open(const char *path, struct bp_err *err);
void client_close(struct client *c);
/* Sends a request and waits for its answer. The result (json_object_put() it), or NULL with err; *fields, if asked for,
 * is the error's data (json_object_put() it) or NULL. params is consumed. */
struct json_object *client_call(struct client *c, const char *method, struct json_object *params,
                                struct json_object **fields, struct bp_err *err);
/* The next line the daemon sends by itself ({"method":"event",...}); NULL when the connection ended. json_object_put()
 * it. */
struct json_object *client_next(struct client *c);
/* One line a wrong field: "  name: message". fields may be NULL. */
void client_print_fields(struct json_object *fields, FILE *out);

#endif
