/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in a spool of log lines: reading ends, stays inside, and gives terminated texts; with and without a
 * checksum that fits. And lines as they come: what goes to CloudWatch is UTF-8 of a bounded length. */
#include "crc32c.h"
#include "log_segment.h"

#include <stdlib.h>
#include <string.h>

#define HEAD     32
#define CRC_AT   4
#define CRC_FROM 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok)
        abort();
}

static void walk(const char *bytes, size_t n)
{
    for (size_t at = 0; at < n;) {
        struct log_record r;
        size_t k = log_segment_parse(bytes + at, n - at, &r);
        if (k) {
            check(k <= n - at && strlen(r.group) <= LOG_GROUP_MAX && strlen(r.stream) <= LOG_STREAM_MAX);
            check(strlen(r.text) <= r.n_text && r.n_text <= LOG_EVENT_MAX);
        } else {
            k = log_segment_next(bytes + at, n - at);
            check(k > 0 && k <= n - at);
        }
        at += k;
    }
}

/* The same bytes as a record whose checksum is right for `n` of them. */
static void seal(char *bytes, size_t n)
{
    uint32_t crc;
    if (n < HEAD)
        return;
    memcpy(bytes, "BPL1", 4);
    crc = crc32c(0, bytes + CRC_FROM, n - CRC_FROM);
    memcpy(bytes + CRC_AT, &crc, sizeof crc);
}

static void clean(const char *text)
{
    char *out = malloc(LOG_EVENT_MAX + 1), *again = malloc(LOG_EVENT_MAX + 1);
    size_t n = log_text_clean(text, out);
    check(n >= 1 && n <= LOG_EVENT_MAX && strlen(out) == n);
    check(log_text_clean(out, again) == n && strcmp(out, again) == 0); /* clean is clean */
    free(again);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size ? size : 1), *text = malloc(size + 1); /* of exactly these sizes, for the sanitizer */
    if (size) {
        memcpy(bytes, data, size);
        memcpy(text, data, size);
    }
    text[size] = '\0';
    clean(text);
    walk(bytes, size);
    seal(bytes, size);
    walk(bytes, size);
    free(text);
    free(bytes);
    return 0;
}
