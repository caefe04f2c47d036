/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ws_frame.h - WebSocket frames (RFC 6455) as a client reads and writes them: no I/O, no extension.
 *
 * Text messages are put together whole, up to WS_TEXT_MAX; binary ones (ComfyUI's previews) are passed over without
 * being kept. Anything the RFC forbids a server is an error, after which the connection is of no more use.
 */
#ifndef COMFYUI_WS_FRAME_H
#define COMFYUI_WS_FRAME_H

#include <bp/plugin.h>

#define WS_TEXT_MAX    (4U << 20)   /* bytes of a text message */
#define WS_FRAME_MAX   (256U << 20) /* bytes of any frame */
#define WS_CONTROL_MAX 125U
#define WS_HEAD_MAX    14U
#define WS_KEY_CHARS   24U /* of Sec-WebSocket-Key */

enum ws_kind { WS_NOTHING = 1, WS_TEXT, WS_BINARY, WS_PING, WS_PONG, WS_CLOSE };

/* What a reader found. bytes is NUL-terminated and borrowed until the next call; NULL for WS_BINARY. */
struct ws_event {
    enum ws_kind kind;
    const char *bytes;
    size_t n;
    uint16_t code; /* of WS_CLOSE; 1005: none was given */
};

/* All zero at the start. */
struct ws_reader {
    uint8_t head[WS_HEAD_MAX];
    uint32_t n_head;
    int in_frame; /* the head is whole and the payload is not */
    uint8_t opcode, fin;
    uint8_t message; /* opcode of the message whose fragments come, 0: none */
    uint64_t left;   /* of the frame's payload */
    char *text;      /* the message so far */
    size_t n_text, room;
    char control[WS_CONTROL_MAX + 1];
    size_t n_control;
};

/* Reads from n bytes until something is whole: *used says how many went in, out->kind is WS_NOTHING when all did and
 * more are needed. BP_INVALID: no WebSocket frames; BP_TOOLARGE; BP_NOMEM. */
int32_t ws_read(struct ws_reader *r, const char *bytes, size_t n, size_t *used, struct ws_event *out,
                struct bp_err *err);
void ws_reader_free(struct ws_reader *r);

/* Writes a masked control frame of up to WS_CONTROL_MAX bytes to out (room for WS_CONTROL_MAX + 6); returns its size.
 */
size_t ws_write_control(enum ws_kind kind, const uint8_t mask[4], const char *bytes, size_t n, uint8_t *out);

/* Base64 of 16 random bytes: the key of a handshake. */
void ws_key(const uint8_t random[16], char out[WS_KEY_CHARS + 1]);
/* Whether the head of an answer, up to and without its empty line, accepts the handshake of this key. */
int32_t ws_accepted(const char *head, const char *key, struct bp_err *err);

#endif
