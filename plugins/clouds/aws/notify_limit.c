/* SPDX-License-Identifier: Apache-2.0 */
#include "notify_limit.h"

#include <stdio.h>
#include <string.h>

void notify_limit_init(struct notify_limit *l, int64_t per_minute, int64_t dedup_ms)
{
    memset(l, 0, sizeof *l);
    l->dedup_ms = dedup_ms;
    l->per_minute = l->tokens = (double)per_minute;
}

/* The key's entry when it counts at now_ms, or NULL. A clock that was set back does not make it count longer. */
static const struct notify_key *find(const struct notify_limit *l, const char *key, int64_t now_ms)
{
    for (int i = 0; key[0] && i < NOTIFY_KEYS; i++) {
        const struct notify_key *k = &l->keys[i];
        if (k->at_ms && strcmp(k->key, key) == 0)
            return now_ms >= k->at_ms && now_ms - k->at_ms < l->dedup_ms ? k : NULL;
    }
    return NULL;
}

int notify_limit_is_repeat(const struct notify_limit *l, const char *key, int64_t now_ms)
{
    const struct notify_key *k = find(l, key, now_ms);
    return k && !k->unsure;
}

int notify_limit_is_unsure(const struct notify_limit *l, const char *key, int64_t now_ms)
{
    const struct notify_key *k = find(l, key, now_ms);
    return k && k->unsure;
}

int notify_limit_take(struct notify_limit *l, int64_t now_ms)
{
    if (now_ms > l->filled_ms && l->filled_ms)
        l->tokens += (double)(now_ms - l->filled_ms) * l->per_minute / 60000;
    if (l->tokens > l->per_minute)
        l->tokens = l->per_minute;
    l->filled_ms = now_ms;
    if (l->tokens < 1)
        return 0;
    l->tokens -= 1;
    return 1;
}

void notify_limit_went(struct notify_limit *l, const char *key, int64_t now_ms, int unsure)
{
    struct notify_key *to = &l->keys[0];
    if (!key[0])
        return;
    for (int i = 0; i < NOTIFY_KEYS; i++) {
        struct notify_key *k = &l->keys[i];
        if (k->at_ms && strcmp(k->key, key) == 0) {
            to = k;
            break;
        }
        if (k->at_ms < to->at_ms)
            to = k;
    }
    snprintf(to->key, sizeof to->key, "%s", key);
    to->at_ms = now_ms;
    to->unsure = unsure;
}
