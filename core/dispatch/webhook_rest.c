/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/webhook_rest.h"

#include "log/hash.h"
#include <stddef.h>

#define REST_MIN_MS 1000
#define REST_MAX_MS 60000

/* URLs that meet share a rest, which costs a delay and nothing else. */
static uint64_t hash(const char *url)
{
    uint64_t h = hash_text(HASH_START, url);
    return h ? h : 1;
}

static const struct webhook_rest *find(const struct webhook_rests *r, uint64_t url)
{
    for (size_t i = 0; i < WEBHOOK_RESTS; i++)
        if (r->entry[i].url == url)
            return &r->entry[i];
    return NULL;
}

/* Its entry, else a free one, else the one whose rest ends first. */
static struct webhook_rest *place(struct webhook_rests *r, uint64_t url)
{
    struct webhook_rest *best = &r->entry[0];
    for (size_t i = 0; i < WEBHOOK_RESTS; i++) {
        struct webhook_rest *e = &r->entry[i];
        if (e->url == url)
            return e;
        if (best->url && (!e->url || e->until_ms < best->until_ms))
            best = e;
    }
    *best = (struct webhook_rest){.url = url};
    return best;
}

int64_t webhook_rest_left(const struct webhook_rests *r, const char *url, int64_t now_ms)
{
    const struct webhook_rest *e = find(r, hash(url));
    return e && e->until_ms > now_ms ? e->until_ms - now_ms : 0;
}

void webhook_rest_failed(struct webhook_rests *r, const char *url, int64_t now_ms)
{
    struct webhook_rest *e = place(r, hash(url));
    int64_t rest_ms = REST_MIN_MS;
    for (uint32_t i = 0; i < e->failures && rest_ms < REST_MAX_MS; i++)
        rest_ms *= 2;
    e->failures++;
    e->until_ms = now_ms + (rest_ms < REST_MAX_MS ? rest_ms : REST_MAX_MS);
}

void webhook_rest_over(struct webhook_rests *r, const char *url)
{
    uint64_t h = hash(url);
    for (size_t i = 0; i < WEBHOOK_RESTS; i++)
        if (r->entry[i].url == h)
            r->entry[i] = (struct webhook_rest){0};
}
