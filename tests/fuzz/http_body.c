/* SPDX-License-Identifier: Apache-2.0 */
/* http_body.c - what the HTTP door reads by itself: heads, query strings, tokens, ranges, hosts. */
#include "wire/head.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void pair(const char *key, const char *value, void *arg)
{
    size_t *sum = arg;

    assert(*key);
    *sum += strlen(key) + strlen(value);
}

static int within(const char *p, size_t n, const char *text, size_t size)
{
    return !p || (p >= text && p + n <= text + size);
}

/* The end is the same whether the bytes come at once or one by one. */
static size_t find_end(const char *text, size_t size)
{
    size_t from = 0, end = head_end(text, size, &from), steps = 0, at = 0;

    if (size > 4096)
        return end;
    for (size_t i = 1; i <= size && steps == 0; i++)
        steps = head_end(text, i, &at);
    assert(steps == end);
    return end;
}

static void read_head(const char *text, size_t size)
{
    size_t end = find_end(text, size);
    const char *why = NULL;
    struct head h;

    if (head_parse(text, end ? end : size, &h, &why)) {
        assert(why);
        return;
    }
    assert(h.method && h.target_len >= 1 && h.path_len <= h.target_len && *h.target == '/');
    assert(within(h.target, h.target_len, text, size) && within(h.host, h.host_len, text, size));
    assert(within(h.content_type, h.content_type_len, text, size));
    assert(h.content_length >= -1 && !(h.chunked && h.content_length >= 0));
}

static void read_texts(const char *text)
{
    char out[64];
    size_t sum = 0;
    int64_t first = 0, last = 0;

    query_each(text, pair, &sum);
    assert(sum <= strlen(text));
    assert(query_get(text, "a", out, sizeof(out)) < (int)sizeof(out));
    assert(bearer_token(text, out, sizeof(out)) < sizeof(out));
    if (range_parse(text, 1000, &first, &last) == 1)
        assert(first >= 0 && first <= last && last < 1000);
    host_is_local(text, "bpd.example:8443");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    memcpy(text, data, size);
    text[size] = '\0';
    read_head(text, size);
    read_texts(text);
    free(text);
    return 0;
}
