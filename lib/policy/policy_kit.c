/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_kit.h"

int32_t plan_empty(const struct bp_view *v, struct bp_plan *p)
{
    double idle = v->empty_since_ms ? since_s(v, v->empty_since_ms) : 0;
    p->desired = v->desired;
    if (v->desired == 0) {
        SAY(p, "no jobs");
    } else if (idle >= v->scale_to_zero_s) {
        p->desired = 0;
        SAY(p, "no jobs for %.0f s (limit %.0f s)", idle, v->scale_to_zero_s);
    } else {
        SAY(p, "no jobs for %.0f s; to zero after %.0f s", idle, v->scale_to_zero_s);
    }
    return 0;
}

int32_t window_high(struct window_memory *m, const struct bp_view *v, double window_s, int32_t now)
{
    int64_t slot_ms = (int64_t)(window_s * 1000 / WINDOW_SLOTS);
    if (slot_ms < 1)
        return now;
    int64_t slot = v->now_ms / slot_ms;
    int64_t passed = m->slot && slot >= m->slot ? slot - m->slot : WINDOW_SLOTS;
    for (int64_t i = 1; i <= passed && i <= WINDOW_SLOTS; i++)
        m->high[(m->slot + i) % WINDOW_SLOTS] = 0;
    m->slot = slot;
    int32_t high = now;
    if (m->high[slot % WINDOW_SLOTS] < now)
        m->high[slot % WINDOW_SLOTS] = now;
    for (int i = 0; i < WINDOW_SLOTS; i++)
        if (m->high[i] > high)
            high = m->high[i];
    return high;
}
