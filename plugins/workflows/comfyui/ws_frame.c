/* SPDX-License-Identifier: Apache-2.0 */
#include "ws_frame.h"

#include <bp/workflow.h>
#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define OP_CONTINUE 0x0
#define OP_TEXT     0x1
#define OP_BINARY   0x2
#define OP_CLOSE    0x8
#define OP_PING     0x9
#define OP_PONG     0xa

#define CODE_NONE 1005

/* ---- reading ---- */

/* Bytes the head will have, as far as its first two say. */
static uint32_t head_bytes(const uint8_t *head)
{
    uint8_t n = head[1] & 0x7f;
    return n == 127 ? 10 : n == 126 ? 4 : 2;
}

static uint64_t payload_bytes(const uint8_t *head)
{
    uint8_t n = head[1] & 0x7f;
    uint64_t v = 0;
    if (n < 126)
        return n;
    for (uint32_t i = 2; i < head_bytes(head); i++)
        v = v << 8 | head[i];
    return v;
}

static int32_t wrong(const char *what, struct bp_err *err)
{
    return bp_error(err, BP_INVALID, "the WebSocket of ComfyUI sent %s", what);
}

static int32_t check_control(const struct ws_reader *r, struct bp_err *err)
{
    if (r->opcode > OP_PONG)
        return wrong("a frame of an unknown kind", err);
    if (!r->fin || r->left > WS_CONTROL_MAX)
        return wrong("a control frame in parts, or a long one", err);
    if (r->opcode == OP_CLOSE && r->left == 1)
        return wrong("a close frame with half a code", err);
    return BP_OK;
}

static int32_t check_data(struct ws_reader *r, struct bp_err *err)
{
    if (r->opcode > OP_BINARY)
        return wrong("a frame of an unknown kind", err);
    if ((r->opcode == OP_CONTINUE) != (r->message != 0))
        return wrong(r->message ? "a message within another" : "the end of a message without its beginning", err);
    if (r->opcode != OP_CONTINUE) {
        r->message = r->opcode;
        r->n_text = 0;
    }
    if (r->message == OP_TEXT && r->left > WS_TEXT_MAX - r->n_text)
        return bp_error(err, BP_TOOLARGE, "the WebSocket of ComfyUI sent a text of more than %u bytes", WS_TEXT_MAX);
    return BP_OK;
}

/* The head is whole: what kind of frame begins. */
static int32_t begin_frame(struct ws_reader *r, struct bp_err *err)
{
    if (r->head[0] & 0x70)
        return wrong("a frame with bits of an extension", err);
    if (r->head[1] & 0x80)
        return wrong("a masked frame", err);
    r->fin = r->head[0] >> 7;
    r->opcode = r->head[0] & 0x0f;
    r->left = payload_bytes(r->head);
    r->in_frame = 1;
    r->n_head = 0;
    if (r->left > WS_FRAME_MAX)
        return bp_error(err, BP_TOOLARGE, "the WebSocket of ComfyUI sent a frame of more than %u bytes", WS_FRAME_MAX);
    if (r->opcode < OP_CLOSE)
        return check_data(r, err);
    r->n_control = 0;
    return check_control(r, err);
}

static size_t take_head(struct ws_reader *r, const char *bytes, size_t n)
{
    size_t used = 0;
    while (used < n && (r->n_head < 2 || r->n_head < head_bytes(r->head)))
        r->head[r->n_head++] = (uint8_t)bytes[used++];
    return used;
}

static int grow(struct ws_reader *r, size_t n)
{
    if (r->n_text + n + 1 <= r->room)
        return 1;
    size_t room = (r->n_text + n) * 2 + 1024;
    char *text = realloc(r->text, room);
    if (!text)
        return 0;
    r->text = text;
    r->room = room;
    return 1;
}

static int32_t take_payload(struct ws_reader *r, const char *bytes, size_t n, struct bp_err *err)
{
    r->left -= n;
    if (r->opcode >= OP_CLOSE) {
        memcpy(r->control + r->n_control, bytes, n);
        r->n_control += n;
        r->control[r->n_control] = '\0';
        return BP_OK;
    }
    if (r->message != OP_TEXT)
        return BP_OK;
    if (!grow(r, n))
        return bp_error(err, BP_NOMEM, "no memory for a message of %zu bytes", r->n_text + n);
    memcpy(r->text + r->n_text, bytes, n);
    r->n_text += n;
    r->text[r->n_text] = '\0';
    return BP_OK;
}

static void end_control(struct ws_reader *r, struct ws_event *out)
{
    r->control[r->n_control] = '\0';
    *out = (struct ws_event){.bytes = r->control, .n = r->n_control};
    out->kind = r->opcode == OP_PING ? WS_PING : r->opcode == OP_PONG ? WS_PONG : WS_CLOSE;
    if (out->kind != WS_CLOSE)
        return;
    out->code = CODE_NONE;
    if (r->n_control >= 2) {
        out->code = (uint16_t)((uint8_t)r->control[0] << 8 | (uint8_t)r->control[1]);
        out->bytes += 2;
        out->n -= 2;
    }
}

/* The frame is whole: out is what that makes whole. */
static int32_t end_frame(struct ws_reader *r, struct ws_event *out, struct bp_err *err)
{
    r->in_frame = 0;
    if (r->opcode >= OP_CLOSE) {
        end_control(r, out);
        return BP_OK;
    }
    if (!r->fin)
        return BP_OK;
    int text = r->message == OP_TEXT;
    r->message = 0;
    if (text && !grow(r, 0))
        return bp_error(err, BP_NOMEM, "no memory for a message");
    if (text)
        r->text[r->n_text] = '\0';
    *out = text ? (struct ws_event){.kind = WS_TEXT, .bytes = r->text, .n = r->n_text}
                : (struct ws_event){.kind = WS_BINARY};
    return BP_OK;
}

int32_t ws_read(struct ws_reader *r, const char *bytes, size_t n, size_t *used, struct ws_event *out,
                struct bp_err *err)
{
    *out = (struct ws_event){.kind = WS_NOTHING};
    *used = 0;
    for (;;) {
        int32_t rc = BP_OK;
        if (!r->in_frame) {
            *used += take_head(r, bytes + *used, n - *used);
            if (r->n_head < 2 || r->n_head < head_bytes(r->head))
                return BP_OK;
            rc = begin_frame(r, err);
        }
        size_t part = r->left < n - *used ? (size_t)r->left : n - *used;
        if (rc == BP_OK)
            rc = take_payload(r, bytes + *used, part, err);
        if (rc < 0)
            return rc;
        *used += part;
        if (r->left > 0)
            return BP_OK;
        rc = end_frame(r, out, err);
        if (rc < 0 || out->kind != WS_NOTHING)
            return rc;
    }
}

void ws_reader_free(struct ws_reader *r)
{
    free(r->text);
    memset(r, 0, sizeof *r);
}

/* ---- writing ---- */

size_t ws_write_control(enum ws_kind kind, const uint8_t mask[4], const char *bytes, size_t n, uint8_t *out)
{
    if (n > WS_CONTROL_MAX)
        n = WS_CONTROL_MAX;
    out[0] = (uint8_t)(0x80 | (kind == WS_PING ? OP_PING : kind == WS_PONG ? OP_PONG : OP_CLOSE));
    out[1] = (uint8_t)(0x80 | n);
    memcpy(out + 2, mask, 4);
    for (size_t i = 0; i < n; i++)
        out[6 + i] = (uint8_t)bytes[i] ^ mask[i % 4];
    return 6 + n;
}

/* ---- the handshake ---- */

void ws_key(const uint8_t random[16], char out[WS_KEY_CHARS + 1])
{
    EVP_EncodeBlock((unsigned char *)out, random, 16);
}

/* Copies the value of a header to out; false: it is not there, or too long. */
static int header(const char *head, const char *name, char *out, size_t n)
{
    size_t k = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        const char *at = line + 2, *end = strstr(at, "\r\n");
        if (strncasecmp(at, name, k) != 0 || at[k] != ':')
            continue;
        if (!end)
            end = at + strlen(at);
        for (at += k + 1; at < end && isspace((unsigned char)*at); at++)
            ;
        while (end > at && isspace((unsigned char)end[-1]))
            end--;
        return (size_t)snprintf(out, n, "%.*s", (int)(end - at), at) < n;
    }
    return 0;
}

static void expected_accept(const char *key, char out[32])
{
    char text[WS_KEY_CHARS + 40];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    int k = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    out[0] = '\0';
    if (EVP_Digest(text, (size_t)k, digest, &n, EVP_sha1(), NULL) && n == 20)
        EVP_EncodeBlock((unsigned char *)out, digest, 20);
}

int32_t ws_accepted(const char *head, const char *key, struct bp_err *err)
{
    char value[64], want[32];
    const char *space = strchr(head, ' ');
    if (strncmp(head, "HTTP/1.1 ", 9) != 0 || !space)
        return wrong("no HTTP answer to the handshake", err);
    if (strncmp(space + 1, "101", 3) != 0)
        return bp_error(err, BP_FAIL, "ComfyUI answers %.3s to a WebSocket's handshake", space + 1);
    expected_accept(key, want);
    if (!header(head, "Upgrade", value, sizeof value) || strcasecmp(value, "websocket") != 0 ||
        !header(head, "Connection", value, sizeof value) || !strcasestr(value, "upgrade"))
        return wrong("an answer that upgrades to no WebSocket", err);
    if (!header(head, "Sec-WebSocket-Accept", value, sizeof value) || !*want || strcmp(value, want) != 0)
        return wrong("a wrong Sec-WebSocket-Accept", err);
    if (header(head, "Sec-WebSocket-Extensions", value, sizeof value))
        return wrong("an extension nobody asked for", err);
    return BP_OK;
}
