/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/frame.h"

#include "log/err.h"
#include "log/json.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void frame_buffer_clear(struct frame_buffer *b)
{
    free(b->bytes);
    memset(b, 0, sizeof(*b));
}

/* Room for n more bytes at the end, by moving what is there to the front or by growing. */
static int reserve(struct frame_buffer *b, size_t n, struct bp_err *err)
{
    size_t held = b->end - b->start;
    if (b->start > 0) {
        memmove(b->bytes, b->bytes + b->start, held);
        b->start = 0;
        b->end = held;
    }
    if (n <= b->capacity - held)
        return BP_OK;
    size_t want = b->capacity ? b->capacity : 4096;
    while (want < held + n)
        want *= 2;
    unsigned char *grown = realloc(b->bytes, want);
    if (!grown)
        return err_set(err, BP_NOMEM, "no memory for %zu bytes of frames", want);
    b->bytes = grown;
    b->capacity = want;
    return BP_OK;
}

int frame_buffer_add(struct frame_buffer *b, const void *bytes, size_t n, struct bp_err *err)
{
    if (n == 0)
        return BP_OK;
    if (n > b->capacity - b->end && reserve(b, n, err) < 0)
        return BP_NOMEM;
    memcpy(b->bytes + b->end, bytes, n);
    b->end += n;
    return BP_OK;
}

static uint32_t head_decode(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

int frame_buffer_take(struct frame_buffer *b, struct json_object **out, struct bp_err *err)
{
    *out = NULL;
    size_t held = b->end - b->start;
    if (held < FRAME_HEAD_BYTES)
        return BP_OK;
    uint32_t n = head_decode(b->bytes + b->start);
    if (n == 0 || n > FRAME_MAX_BYTES)
        return err_set(err, BP_INVALID, "a frame of %u bytes; 1 to %u are allowed", n, FRAME_MAX_BYTES);
    if (held - FRAME_HEAD_BYTES < n)
        return BP_OK;
    struct json_object *frame = json_parse((const char *)b->bytes + b->start + FRAME_HEAD_BYTES, n, err);
    if (!frame) {
        err_prefix(err, "a frame that is no JSON: ");
        return BP_INVALID;
    }
    if (!json_object_is_type(frame, json_type_object)) {
        json_object_put(frame);
        return err_set(err, BP_INVALID, "a frame that is no JSON object");
    }
    b->start += FRAME_HEAD_BYTES + n;
    if (b->start == b->end)
        b->start = b->end = 0;
    *out = frame;
    return BP_OK;
}

int frame_encode(struct json_object *frame, unsigned char **bytes, size_t *n, struct bp_err *err)
{
    *bytes = NULL;
    size_t len = 0;
    const char *text =
        json_object_to_json_string_length(frame, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    if (!text || len == 0 || len > FRAME_MAX_BYTES)
        return err_set(err, BP_INVALID, "cannot send a frame of %zu bytes; 1 to %u are allowed", len, FRAME_MAX_BYTES);
    unsigned char *p = malloc(FRAME_HEAD_BYTES + len);
    if (!p)
        return err_set(err, BP_NOMEM, "no memory for a frame of %zu bytes", len);
    for (unsigned i = 0; i < FRAME_HEAD_BYTES; i++)
        p[i] = (unsigned char)(len >> (8 * i) & 0xff);
    memcpy(p + FRAME_HEAD_BYTES, text, len);
    *bytes = p;
    *n = FRAME_HEAD_BYTES + len;
    return BP_OK;
}

int frame_send(int fd, struct json_object *frame, struct bp_err *err)
{
    unsigned char *bytes;
    size_t n = 0;
    int rc = frame_encode(frame, &bytes, &n, err);
    for (size_t sent = 0; rc == BP_OK && sent < n;) {
        ssize_t k = send(fd, bytes + sent, n - sent, MSG_NOSIGNAL);
        if (k >= 0)
            sent += (size_t)k;
        else if (errno == EPIPE || errno == ECONNRESET)
            rc = err_set(err, BP_STOPPED, "the other side closed the connection");
        else if (errno != EINTR)
            rc = err_set(err, BP_IO, "send a frame: %s", strerror(errno));
    }
    free(bytes);
    return rc;
}

/* Receives what there is, after waiting for it. BP_LATER: nothing within wait_ms. */
static int receive_some(int fd, struct frame_buffer *b, int wait_ms, struct bp_err *err)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int ready = poll(&p, 1, wait_ms);
    if (ready == 0 || (ready < 0 && errno == EINTR))
        return BP_LATER;
    unsigned char part[16384];
    ssize_t n = ready < 0 ? -1 : recv(fd, part, sizeof(part), MSG_DONTWAIT);
    if (n > 0)
        return frame_buffer_add(b, part, (size_t)n, err);
    if (n == 0 || errno == ECONNRESET)
        return err_set(err, BP_STOPPED, "the other side closed the connection");
    if (errno == EAGAIN || errno == EINTR)
        return BP_LATER;
    return err_set(err, BP_IO, "receive a frame: %s", strerror(errno));
}

int frame_receive(int fd, struct frame_buffer *b, int wait_ms, struct json_object **out, struct bp_err *err)
{
    for (;;) {
        int rc = frame_buffer_take(b, out, err);
        if (rc < 0 || *out)
            return rc;
        rc = receive_some(fd, b, wait_ms, err);
        if (rc == BP_LATER && wait_ms >= 0)
            return BP_OK;
        if (rc < 0 && rc != BP_LATER)
            return rc;
    }
}
