/* SPDX-License-Identifier: Apache-2.0 */
/* rig.h - a host with a real loop, bus and config on a temporary directory, and what its tests ask of it. */
#ifndef TEST_HOST_RIG_H
#define TEST_HOST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/host.h"
#include "host/queue_call.h"
#include "log/json.h"
#include <stdio.h>
#include <string.h>

struct rig {
    struct loop *loop;
    struct bus *bus;
    struct config *config;
    struct host *host;
    struct loop_timer *tick;
    char dir[512], plugins[600], workflows[600], state[600], runner[600];
    char arrows[65536]; /* "name number from>to reason\n" of each plugin.state */
    int settled, done, timed_out;
    struct bp_err outcome; /* of host_load, _reload, _retire */
    int (*until)(struct rig *r, const void *arg);
    const void *until_arg;
    int64_t until_ms;
};

/* A rig whose config has these "key=value" settings (NULL-terminated). */
struct rig *rig_new(enum host_role role, const char *const *sets);
/* Starts the host and waits until it has settled. */
void rig_start(struct rig *r);
/* Stops the host, waits for it, frees everything. */
void rig_free(struct rig *r);
/* Installs the test plugin t-<file>.so as <as>.so in the plugins directory, by rename. */
void rig_put(struct rig *r, const char *file, const char *as);
/* The same, byte by byte in place: n bytes of it (0: all). */
void rig_write(struct rig *r, const char *file, const char *as, size_t n);
void rig_remove(struct rig *r, const char *as);
/* Writes workflows.d/<slug>.json, by rename; makes the directory when there is none. NULL: removes the file. */
void rig_define(struct rig *r, const char *slug, const char *text);
/* Path of <as>.so in the plugins directory, in a static buffer. */
const char *rig_path(struct rig *r, const char *as);
/* Runs the loop until the condition holds; fails the test after 30 s. */
void rig_until(struct rig *r, int (*condition)(struct rig *r, const void *arg), const void *arg);
/* Until the arrows contain this text. */
void rig_until_arrow(struct rig *r, const char *text);
/* Runs the loop for so long. */
void rig_pause(struct rig *r, int64_t ms);
int rig_has_arrow(const struct rig *r, const char *text);
void rig_assert_arrow(const struct rig *r, const char *text);
/* Until a log line contains this text. */
void rig_until_log(struct rig *r, const char *text);
/* Waits for a host_done given rig_done and this rig; returns its rc. */
void rig_done(const struct bp_err *err, void *rig);
int rig_outcome(struct rig *r);
/* A member of a plugin's entry of host_describe, in that state (NULL: any); "" when there is none. Static buffer. */
const char *rig_entry(struct rig *r, const char *name, const char *state, const char *member);
/* params.get(name) through the bus, in a static buffer; "error: ..." when it fails. */
const char *rig_param(struct rig *r, const char *name);
/* Puts that request on its way without waiting; the answer is copied to out (256 bytes) when it comes. */
void rig_param_send(struct rig *r, const char *name, char *out);

#endif
