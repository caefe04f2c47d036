/* SPDX-License-Identifier: Apache-2.0 */
#include "log_segment.h"

#include "crc32c.h"
#include <string.h>

/* Followed by the texts of group, stream and line, each with its NUL. Of this machine's byte order: it never leaves it.
 */
struct head {
    char magic[4];
    uint32_t crc; /* of all that follows it */
    int64_t at_ms;
    uint32_t n_group, n_stream, n_text; /* without the NULs */
    uint32_t zero;
};
static const char magic[4] = {'B', 'P', 'L', '1'};
#define CRC_FROM offsetof(struct head, at_ms)

size_t log_segment_bytes(const struct log_record *r)
{
    return sizeof(struct head) + strlen(r->group) + strlen(r->stream) + r->n_text + 3;
}

size_t log_segment_encode(const struct log_record *r, char *out)
{
    size_t n = log_segment_bytes(r);
    struct head h = {.at_ms = r->at_ms,
                     .n_group = (uint32_t)strlen(r->group),
                     .n_stream = (uint32_t)strlen(r->stream),
                     .n_text = r->n_text};
    memcpy(h.magic, magic, sizeof magic);
    char *p = out + sizeof h;
    memcpy(p, r->group, h.n_group + 1);
    memcpy(p += h.n_group + 1, r->stream, h.n_stream + 1);
    memcpy(p += h.n_stream + 1, r->text, h.n_text);
    p[h.n_text] = '\0';
    memcpy(out, &h, sizeof h);
    h.crc = crc32c(0, out + CRC_FROM, n - CRC_FROM);
    memcpy(out, &h, sizeof h);
    return n;
}

size_t log_segment_parse(const char *at, size_t n, struct log_record *out)
{
    struct head h;
    if (n < sizeof h)
        return 0;
    memcpy(&h, at, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) != 0 || h.n_group > LOG_GROUP_MAX || h.n_stream > LOG_STREAM_MAX ||
        h.n_text > LOG_EVENT_MAX)
        return 0;
    size_t bytes = sizeof h + (size_t)h.n_group + h.n_stream + h.n_text + 3;
    if (bytes > n || crc32c(0, at + CRC_FROM, bytes - CRC_FROM) != h.crc)
        return 0;
    *out = (struct log_record){.at_ms = h.at_ms, .group = at + sizeof h, .n_text = h.n_text};
    out->stream = out->group + h.n_group + 1;
    out->text = out->stream + h.n_stream + 1;
    return out->stream[-1] || out->text[-1] || out->text[h.n_text] ? 0 : bytes;
}

size_t log_segment_next(const char *at, size_t n)
{
    struct log_record ignored;
    for (size_t from = 1; from < n;) {
        const char *p = memmem(at + from, n - from, magic, sizeof magic);
        if (!p)
            return n;
        if (log_segment_parse(p, n - (size_t)(p - at), &ignored))
            return (size_t)(p - at);
        from = (size_t)(p - at) + 1;
    }
    return n;
}
