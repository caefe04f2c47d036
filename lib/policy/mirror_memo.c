/* SPDX-License-Identifier: Apache-2.0 */
/* mirror_memo.c - a fleet in thought as text that outlives the process, and back. */
#include "policy/mirror.h"

#include "policy/number.h"
#include <string.h>

#define WAITING_KEPT 256 /* of more, the latest are taken to have come together */

/* Times go as milliseconds after the last step, negative before it: short, and right whatever clock reads them. */
static void add_int(struct json_object *list, int64_t n)
{
    json_object_array_add(list, json_object_new_int64(n));
}

struct json_object *mirror_memo(const struct mirror *m)
{
    struct json_object *o = json_object_new_object(), *live = json_object_new_array();
    struct json_object *waiting = json_object_new_array(), *buckets = json_object_new_array();
    uint32_t told = m->waiting < WAITING_KEPT ? m->waiting : WAITING_KEPT;
    for (int32_t k = 0; k < m->live; k++)
        add_int(live, m->free_ms[k] - m->at_ms);
    for (uint32_t k = 0; k < told; k++)
        add_int(waiting, m->waiting_ms[(m->first + k) % MIRROR_WAITING] - m->at_ms);
    for (uint32_t k = 0; m->jobs && k < MIRROR_BUCKETS; k++)
        add_int(buckets, m->buckets[k]);
    number_put(o, "instance_s", m->instance_s);
    number_put(o, "wait_s", m->wait_s);
    json_object_object_add(o, "buckets", buckets);
    json_put_int(o, "run", m->run);
    json_object_object_add(o, "free_ms", live);
    json_object_object_add(o, "waiting_ms", waiting);
    json_put_int(o, "crowd", (int64_t)m->crowd + m->waiting - told);
    return o;
}

static size_t length_of(struct json_object *list, size_t most)
{
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    return n < most ? n : most;
}

static uint32_t count_of(struct json_object *o, const char *key)
{
    int64_t n = json_int(o, key, 0);
    return n > 0 ? (uint32_t)n : 0;
}

/* A time of the list, at most a month away from at_ms. */
static int64_t time_in(struct json_object *list, size_t k, int64_t at_ms)
{
    const double month_ms = 30 * 86400000.0, v = json_object_get_double(json_object_array_get_idx(list, k));
    return at_ms + (int64_t)number_within(v, -month_ms, month_ms);
}

void mirror_memo_take(struct mirror *m, struct json_object *o, int64_t at_ms)
{
    struct json_object *live = json_member(o, "free_ms"), *waiting = json_member(o, "waiting_ms"),
                       *buckets = json_member(o, "buckets");
    memset(m, 0, sizeof *m);
    m->at_ms = at_ms;
    m->instance_s = number_within(json_num(o, "instance_s", 0), 0, 1e15);
    m->wait_s = number_within(json_num(o, "wait_s", 0), 0, 1e15);
    m->run = count_of(o, "run");
    for (size_t k = 0; k < length_of(buckets, MIRROR_BUCKETS); k++) {
        int64_t n = json_object_get_int64(json_object_array_get_idx(buckets, k));
        m->buckets[k] = n > 0 && n < UINT32_MAX ? (uint32_t)n : 0;
        m->jobs += m->buckets[k];
    }
    m->live = (int32_t)length_of(live, MIRROR_INSTANCES);
    for (int32_t k = 0; k < m->live; k++)
        m->free_ms[k] = time_in(live, (size_t)k, at_ms);
    m->waiting = (uint32_t)length_of(waiting, WAITING_KEPT);
    for (uint32_t k = 0; k < m->waiting; k++)
        m->waiting_ms[k] = time_in(waiting, k, at_ms);
    m->crowd = m->waiting ? count_of(o, "crowd") : 0;
}
