/* SPDX-License-Identifier: Apache-2.0 */
/* peer.h - a bp-runner spoken to as a worker does, but by hand. */
#ifndef TEST_RUNNER_PEER_H
#define TEST_RUNNER_PEER_H

#include "log/json.h"
#include "runner/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

struct peer {
    pid_t pid;
    int fd, verdict_fd;
    struct frame_buffer in;
    char verdict[512]; /* after peer_finish() */
};

/* A file of the build tree; in one of four static buffers. */
const char *peer_built(const char *name);
/* rules: more options, NULL-terminated. */
void peer_start(struct peer *p, const char *const *rules);
void peer_tell(struct peer *p, const char *json);
/* The next frame of that type; others but "error" are passed over. json_object_put() it. */
struct json_object *peer_hear(struct peer *p, const char *type);
/* The next frame whatever it is, NULL when the runner is gone. */
struct json_object *peer_hear_any(struct peer *p);
/* Closes the conversation (unless fd is -1 already) and waits for its end: exit status, or minus the signal. */
int peer_finish(struct peer *p);

#endif
