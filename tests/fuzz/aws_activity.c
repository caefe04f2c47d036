/* SPDX-License-Identifier: Apache-2.0 */
/* Scaling activities, as AWS or anybody may send them: each is told once at most, every text ends, every failure has a
 * class, and the box and the ring keep their bounds. */
#include "activity_log.h"

#include <stdlib.h>
#include <string.h>

#define NOW 1800000000000LL

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok)
        abort();
}

static void check_activity(const struct bp_activity *a)
{
    check(strnlen(a->instance, sizeof a->instance) < sizeof a->instance);
    check(strnlen(a->type, sizeof a->type) < sizeof a->type);
    check(strnlen(a->text, sizeof a->text) < sizeof a->text);
    check(a->reason[0] && strnlen(a->reason, sizeof a->reason) < sizeof a->reason);
}

static void check_box(const struct penalty_box *b)
{
    check(b->n <= PENALTY_POOLS);
    for (uint32_t i = 0; i < b->n; i++) {
        const struct penalty *p = &b->list[i];
        check(failure_name(p->cls)[0] && failure_remedy(p->cls)[0] && market_name(p->market)[0]);
        check(strnlen(p->type, sizeof p->type) < sizeof p->type && strnlen(p->zone, sizeof p->zone) < sizeof p->zone);
        check(p->count > 0 && (!p->until_ms || p->until_ms <= NOW + PENALTY_CAP_MS));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bp_err err = {0};
    struct bp_activity told[8];
    struct xml *x = xml_parse((const char *)data, size, &err);
    struct activity_log *l = calloc(1, sizeof *l);
    check(l != NULL);
    for (int twice = 0; x && twice < 2; twice++)
        for (const struct xml *m = xml_first(xml_result(x), "Activities/member"); m; m = xml_next(m)) {
            uint32_t before = l->n;
            (void)activity_log_take(l, m, 1, NOW);
            check(l->n <= before + 1 && (!twice || l->n == before));
        }
    uint32_t n = activity_log_list(l, "asg-prod-up", 0, told, 8);
    for (uint32_t i = 0; i < n; i++) {
        check_activity(&told[i]);
        check(i == 0 || told[i].at_ms < told[i - 1].at_ms);
    }
    check_box(&l->box);
    check(activity_log_waiting(l, NOW) <= ACTIVITY_OPEN);
    xml_free(x);
    free(l);
    return 0;
}
