/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - what the worker and its runner say to each other over the socketpair: one JSON object a frame, after its
 * length as 4 bytes, least significant first.
 *
 * Neither side trusts the other: a frame is at most FRAME_MAX_BYTES, a JSON object of bounded depth, or the
 * conversation is over (BP_INVALID). Files are never sent, only their paths.
 *
 * Worker to runner:
 * - open: first, once: plugin (file), name, device ("auto" "cpu" "cuda"), state_dir, config {},
 *   kernels and kernels_bytes (directory of compiled kernels and its limit; optional)
 * - job: id, attempt, deadline_ms, params {}, inputs [{path, mime, name}], output, temp_dir, checkpoint_out, and
 *   checkpoint_in when an earlier attempt left one (paths); slug, settings {}, settings_dir and assets_dir of the
 * workflow
 * - stop: the running job's progress() answers BP_STOPPED from now on
 *
 * Runner to worker:
 * - ready: device, device_name, note (why there is no GPU), open (what of the sandbox this kernel cannot enforce)
 * - error: instead of ready, the last word: stage ("device" "plugin"), rc, text
 * - progress: fraction, text; at most ten a second
 * - checkpoint: bytes; the file checkpoint_out was replaced
 * - log: level, text
 * - result: rc, text, run_ms, spent (true: it can run no other job, its device is broken)
 */
#ifndef RUNNER_FRAME_H
#define RUNNER_FRAME_H

#include <bp/plugin.h>

struct json_object;

#define FRAME_MAX_BYTES  (4U * 1024U * 1024U)
#define FRAME_HEAD_BYTES 4U

/* Bytes received and not yet taken. Zeroed is empty; release with frame_buffer_clear. */
struct frame_buffer {
    unsigned char *bytes;
    size_t start, end, capacity;
};
void frame_buffer_clear(struct frame_buffer *b);
/* Copies n bytes to the end. BP_NOMEM. */
int frame_buffer_add(struct frame_buffer *b, const void *bytes, size_t n, struct bp_err *err);
/* Takes the first whole frame: *out is the caller's (json_object_put), NULL when none is complete yet. BP_INVALID: what
 * came is no frame, close the connection. */
int frame_buffer_take(struct frame_buffer *b, struct json_object **out, struct bp_err *err);

/* The bytes of one frame: *bytes is the caller's, free() it. BP_INVALID when it is too large, BP_NOMEM. */
int frame_encode(struct json_object *frame, unsigned char **bytes, size_t *n, struct bp_err *err);
/* Writes one frame to a blocking socket. BP_STOPPED: the other side is gone. BP_IO. */
int frame_send(int fd, struct json_object *frame, struct bp_err *err);
/* Waits up to wait_ms (< 0: for ever) for the next frame on a blocking socket. BP_OK with *out NULL: none came in time.
 * BP_STOPPED: the other side closed. BP_INVALID, BP_IO. *out: json_object_put. */
int frame_receive(int fd, struct frame_buffer *b, int wait_ms, struct json_object **out, struct bp_err *err);

#endif
