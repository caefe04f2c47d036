/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.h - the operator's socket: JSON-RPC 2.0, one request a line, and plain words for hands. All commands come from
 * one table (admin/commands.c). Mode 0660, peer credentials checked for every request. All [loop].
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "app.h"

struct admin;
struct admin *admin_new(struct app *app,
                        struct bp_err *err); /* binds the socket; BP_CONFLICT when another bpd serves it */
void admin_free(struct admin *a);            /* removes the socket */

#endif
