/* SPDX-License-Identifier: Apache-2.0 */
/* rig.h - a running HTTP door on a free port in a thread of its own, its doubles, and a plain client. */
#ifndef TEST_HTTP_RIG_H
#define TEST_HTTP_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app.h"
#include "http/http.h"

#define TENANT_TOKEN "tenant-token-0123456789"
#define FLEET_SECRET "fleet-secret"

#define HELD_JOB 7777 /* who asks for it waits, see doubles.c */

struct rig {
    struct app app;
    struct http *http;
    uint16_t port;
    atomic_int job_status; /* what the double says of every job */
    atomic_int abandoned, held;
    int others; /* controllers beside this one */
    void *thread;
};

/* Starts the door with "key=value" settings (NULL at the end) beside the defaults of the tests. */
struct rig *rig_start(const char *first, ...);
void rig_stop(struct rig *r);
/* Runs fn on the door's thread and waits for its end. */
void rig_do(struct rig *r, void (*fn)(struct rig *r, void *arg), void *arg);
/* Answers the polls that wait. */
void rig_release_polls(struct rig *r);
/* Waits until *counter is at least n; fails the test after 10 s. */
void rig_await(atomic_int *counter, int n);
/* For doubles: the rig that runs (one at a time in a process). */
extern struct rig *rig_now;
void doubles_release(struct rig *r, void *unused);
/* What dispatch_objects_origin() says. */
extern const char *doubles_objects_origin;

/* ---- client ---- */

struct client {
    int fd;
    void *ssl;   /* NULL: plain */
    char *bytes; /* received and not used yet */
    size_t n;
};

struct reply {
    int status;
    char *head; /* status line and headers */
    char *body; /* NUL-terminated; chunks joined */
    size_t n;
    int closed; /* no whole reply came before the end of the connection */
};

struct client *client_open(struct rig *r);
struct client *client_open_tls(struct rig *r);
void client_close(struct client *c);
void client_send(struct client *c, const char *text, size_t n);
void client_puts(struct client *c, const char *text);
/* Reads one reply; for_head: it has no body. Fails the test after 20 s without one. */
struct reply *client_read(struct client *c, int for_head);
/* Reads until `what` is there (returns 1; what came until then stays readable in c->bytes) or the end (0). */
int client_until(struct client *c, const char *what);
void reply_free(struct reply *r);
/* Value of a header, "" when absent; borrowed until the next call. */
const char *reply_header(struct reply *r, const char *name);
/* One request on a connection of its own. headers: complete lines with CR LF. body NULL: none. */
struct reply *ask(struct rig *r, const char *method_path, const char *headers, const char *body);

#define BEARER(token) "Authorization: Bearer " token "\r\n"
#define TENANT        BEARER(TENANT_TOKEN)
#define WORKER        BEARER("good-worker")
#define JSON_TYPE     "Content-Type: application/json\r\n"

#endif
