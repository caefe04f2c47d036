/* SPDX-License-Identifier: Apache-2.0 */
#include "http/rate.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SLOTS  4096 /* a power of two */
#define PROBES 8
#define MINUTE 60000

struct slot {
    uint64_t who; /* 0: free */
    int64_t since_ms;
    uint32_t count;
};

struct rate {
    uint64_t seed; /* so that nobody can choose addresses that share a slot */
    struct slot slots[SLOTS];
};

struct rate *rate_new(void)
{
    struct rate *r = calloc(1, sizeof(*r));

    if (r && getrandom(&r->seed, sizeof(r->seed), GRND_NONBLOCK) != (ssize_t)sizeof(r->seed))
        r->seed = (uint64_t)(uintptr_t)r;
    return r;
}

void rate_free(struct rate *r)
{
    free(r);
}

/* A 64-bit mix (the finalizer of MurmurHash3). */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    return x ^ x >> 33;
}

static uint64_t who_is(const struct rate *r, const char *ip)
{
    struct in_addr v4;
    struct in6_addr v6;
    uint64_t key = 0;

    if (inet_pton(AF_INET, ip, &v4) == 1)
        key = v4.s_addr;
    else if (inet_pton(AF_INET6, ip, &v6) == 1 && IN6_IS_ADDR_V4MAPPED(&v6))
        memcpy(&key, &v6.s6_addr[12], sizeof(v4)); /* as a socket for both kinds tells it */
    else if (inet_pton(AF_INET6, ip, &v6) == 1)
        memcpy(&key, &v6, sizeof(key));
    key = mix(key ^ r->seed);
    return key ? key : 1;
}

static struct slot *find_slot(struct rate *r, uint64_t who)
{
    struct slot *oldest = NULL;

    for (unsigned i = 0; i < PROBES; i++) {
        struct slot *s = &r->slots[(who + i) & (SLOTS - 1)];
        if (s->who == who)
            return s;
        if (!oldest || s->since_ms < oldest->since_ms)
            oldest = s;
    }
    *oldest = (struct slot){.who = who};
    return oldest;
}

struct rate_verdict rate_take(struct rate *r, const char *ip, uint32_t limit, int64_t now_ms)
{
    struct slot *s = find_slot(r, who_is(r, ip));
    struct rate_verdict v = {0};

    if (s->count == 0 || now_ms - s->since_ms >= MINUTE || now_ms < s->since_ms) {
        s->since_ms = now_ms;
        s->count = 0;
    }
    if (s->count >= limit) {
        v.retry_after_s = (int)((MINUTE - (now_ms - s->since_ms) + 999) / 1000);
        return v;
    }
    s->count++;
    v.remaining = limit - s->count;
    return v;
}
