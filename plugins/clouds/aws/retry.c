/* SPDX-License-Identifier: Apache-2.0 */
#include "retry.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#define HINT_CAP_MS 3600000

void retry_init(struct retry *r)
{
    pthread_mutex_init(&r->mutex, NULL);
    for (int s = 0; s < AWS_N_SERVICES; s++)
        r->tokens[s] = RETRY_TOKENS;
}

void retry_end(struct retry *r)
{
    pthread_mutex_destroy(&r->mutex);
}

int retry_pay(struct retry *r, enum aws_service s, int lost)
{
    int cost = lost ? RETRY_COST_LOST : RETRY_COST;
    pthread_mutex_lock(&r->mutex);
    if (r->tokens[s] >= cost)
        r->tokens[s] -= cost;
    else
        cost = 0;
    pthread_mutex_unlock(&r->mutex);
    return cost;
}

void retry_earn(struct retry *r, enum aws_service s, int paid)
{
    pthread_mutex_lock(&r->mutex);
    r->tokens[s] += paid > 0 ? paid : 1;
    if (r->tokens[s] > RETRY_TOKENS)
        r->tokens[s] = RETRY_TOKENS;
    pthread_mutex_unlock(&r->mutex);
}

int64_t retry_rest_ms(int64_t base_ms, int tries, double share, int64_t hint_ms)
{
    int64_t most = base_ms;
    for (int i = 0; i < tries && most < RETRY_REST_MAX_MS; i++)
        most *= 2;
    if (most > RETRY_REST_MAX_MS)
        most = RETRY_REST_MAX_MS;
    int64_t ms = (int64_t)(share * (double)most);
    if (hint_ms > ms)
        ms = hint_ms < ms + RETRY_HINT_MAX_MS ? hint_ms : ms + RETRY_HINT_MAX_MS;
    return ms;
}

/* A whole number of 0 to HINT_CAP_MS / unit, times unit; -1: it is none. */
static int64_t number(const char *text, int64_t unit)
{
    char *end;
    if (!text || *text < '0' || *text > '9')
        return -1;
    long long n = strtoll(text, &end, 10);
    if (*end)
        return -1;
    return n > HINT_CAP_MS / unit ? HINT_CAP_MS : n * unit;
}

int64_t retry_hint_ms(const char *amz, const char *http, int64_t now_ms)
{
    int64_t ms = number(amz, 1);
    if (ms < 0)
        ms = number(http, 1000);
    if (ms >= 0)
        return ms;
    time_t at = http ? curl_getdate(http, NULL) : -1;
    int64_t left = at > 0 ? (int64_t)at * 1000 - now_ms : 0;
    return left < 0 ? 0 : left > HINT_CAP_MS ? HINT_CAP_MS : left;
}
