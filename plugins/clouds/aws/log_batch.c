/* SPDX-License-Identifier: Apache-2.0 */
#include "log_batch.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK_MAX 48

/* ---- text ---- */

/* Bytes of the character at p, 0: it is no UTF-8 (overlong, surrogate, beyond Unicode or cut off). The end is a NUL. */
static size_t utf8_bytes(const unsigned char *p)
{
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

/* As many whole characters as fit into room bytes. */
static size_t copy_clean(const char *text, char *out, size_t room)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t n = 0;
    while (*p) {
        size_t k = utf8_bytes(p);
        if (n + (k ? k : 1) > room)
            break;
        if (k)
            memcpy(out + n, p, k);
        else
            out[n] = '?';
        n += k ? k : 1;
        p += k ? k : 1;
    }
    out[n] = '\0';
    return n;
}

size_t log_text_clean(const char *text, char *out)
{
    size_t n = text ? strlen(text) : 0;
    if (n == 0)
        return copy_clean(" ", out, 1);
    if (n <= LOG_EVENT_MAX)
        return copy_clean(text, out, LOG_EVENT_MAX);
    size_t kept = copy_clean(text, out, LOG_EVENT_MAX - MARK_MAX);
    return kept + (size_t)snprintf(out + kept, MARK_MAX, " ... [cut: %zu bytes]", n);
}

/* ---- one call ---- */

uint32_t log_batch_fit(const struct log_record *r, uint32_t n, uint32_t most)
{
    int64_t first = r->at_ms, last = first;
    size_t bytes = 0;
    uint32_t k = 0;
    for (; k < n && k < most && k < LOG_BATCH_EVENTS; k++) {
        int64_t min = r[k].at_ms < first ? r[k].at_ms : first, max = r[k].at_ms > last ? r[k].at_ms : last;
        bytes += r[k].n_text + LOG_EVENT_OVERHEAD;
        if (k && (bytes > LOG_BATCH_BYTES || max - min >= LOG_BATCH_SPAN_MS || strcmp(r[k].stream, r->stream) != 0 ||
                  strcmp(r[k].group, r->group) != 0))
            break;
        first = min;
        last = max;
    }
    return k;
}

static int by_time(const void *a, const void *b)
{
    const struct log_record *x = *(const struct log_record *const *)a, *y = *(const struct log_record *const *)b;
    int order = (x->at_ms > y->at_ms) - (x->at_ms < y->at_ms);
    return order ? order : (x > y) - (x < y);
}

static struct json_object *event(const struct log_record *r)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "timestamp", json_object_new_int64(r->at_ms));
    json_object_object_add(o, "message", json_object_new_string_len(r->text, (int)r->n_text));
    return o;
}

struct json_object *log_batch_events(const struct log_record *r, uint32_t n, int64_t now_ms, uint32_t *late)
{
    const struct log_record **order = malloc((n ? n : 1) * sizeof *order);
    struct json_object *list = order ? json_object_new_array() : NULL;
    uint32_t k = 0;
    for (uint32_t i = 0; list && i < n; i++)
        if (r[i].at_ms >= now_ms - LOG_PAST_MS && r[i].at_ms <= now_ms + LOG_FUTURE_MS)
            order[k++] = &r[i];
    if (list && k)
        qsort(order, k, sizeof(const struct log_record *), by_time);
    for (uint32_t i = 0; list && i < k; i++)
        json_object_array_add(list, event(order[i]));
    *late = n - k;
    free(order);
    return list;
}

static int64_t index_of(struct json_object *info, const char *name, int64_t otherwise)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(info, name, &v);
    return json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : otherwise;
}

uint32_t log_batch_rejected(struct json_object *answer, uint32_t n)
{
    struct json_object *info = NULL;
    if (json_object_is_type(answer, json_type_object))
        json_object_object_get_ex(answer, "rejectedLogEventsInfo", &info);
    if (!json_object_is_type(info, json_type_object))
        return 0;
    int64_t old = index_of(info, "tooOldLogEventEndIndex", 0), expired = index_of(info, "expiredLogEventEndIndex", 0);
    int64_t from = index_of(info, "tooNewLogEventStartIndex", n);
    int64_t gone = (expired > old ? expired : old) + (n - from);
    return gone < 0 ? 0 : gone > n ? n : (uint32_t)gone;
}
