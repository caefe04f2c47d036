/* SPDX-License-Identifier: Apache-2.0 */
/* Instances whose worker found their device broken: replaced, one at a time. */
#include "fleet/fixture.h"

#include <string.h>

#define BROKEN "{\"health\":{\"ok\":false,\"text\":\"Xid 79: it fell off the bus\"}}"
#define SOUND  "{\"health\":{\"ok\":true,\"text\":\"\"}}"

static int is_known(struct rig *r, const void *arg)
{
    struct fleet_counts c;
    (void)r;
    return fleet_counts((struct fleets *)(uintptr_t)arg, "photo", &c) == 0;
}

/* Instances that run with these workers; NULL ends the list. */
static void begin_with(struct fixture *f, const char *setting, const char *const *capabilities, int mark_fails)
{
    static const char *const ids[] = {"i-1", "i-2", "i-3"};
    f->rig = rig_new((const char *const[]){"scale.tickMilliseconds=50", setting, NULL});
    for (int i = 0; capabilities[i]; i++) {
        rig_machine(f->rig, ids[i], 8000);
        f->rig->machines[i].capabilities = capabilities[i];
    }
    atomic_store(&f->rig->mark_fails, mark_fails);
    f->fleets = fleets_new(f->rig->bus, NULL, f->rig->config);
    fleets_start(f->fleets);
    rig_until(f->rig, is_known, f->fleets);
}

static void one_with_a_broken_device_is_ended_and_told(void **state)
{
    struct fixture f;
    (void)state;
    begin_with(&f, "scale.replaceUnhealthy=true", (const char *const[]){SOUND, BROKEN, NULL}, 0);
    rig_until_call(f.rig, "terminate photo i-2");
    rig_assert_order(f.rig, "drain i-2", "workers", "terminate photo i-2");
    assert_int_equal(rig_calls(f.rig, "drain i-1"), 0);
    assert_non_null(strstr(shown(&f, "activities"), "Xid 79"));
    assert_string_equal(shown(&f, "launch_failures"), "0"); /* no launch failed */
    end(&f);
}

static void they_are_replaced_one_at_a_time(void **state)
{
    struct fixture f;
    (void)state;
    begin_with(&f, "scale.replaceUnhealthy=true", (const char *const[]){BROKEN, BROKEN, BROKEN, NULL},
               1000); /* the first one's drain does not come further */
    rig_until_call(f.rig, "drain");
    rig_turn(f.rig, 300);
    assert_int_equal(rig_calls(f.rig, "drain i-1") + rig_calls(f.rig, "drain i-2") + rig_calls(f.rig, "drain i-3"),
                     rig_calls(f.rig, "drain"));
    int drained =
        (rig_calls(f.rig, "drain i-1") > 0) + (rig_calls(f.rig, "drain i-2") > 0) + (rig_calls(f.rig, "drain i-3") > 0);
    assert_int_equal(drained, 1);
    end(&f);
}

static void by_wish_they_are_kept_and_shown(void **state)
{
    struct fixture f;
    (void)state;
    begin_with(&f, "scale.replaceUnhealthy=false", (const char *const[]){BROKEN, NULL}, 0);
    rig_turn(f.rig, 300);
    assert_int_equal(rig_calls(f.rig, "drain"), 0);
    assert_non_null(strstr(shown(&f, "instances"), "Xid 79"));
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_with_a_broken_device_is_ended_and_told),
        cmocka_unit_test(they_are_replaced_one_at_a_time),
        cmocka_unit_test(by_wish_they_are_kept_and_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
