/* SPDX-License-Identifier: Apache-2.0 */
/* Plugin code that never comes back. What it may still touch is left behind on purpose, so leaks are no error here. */
#include "host/rig.h"
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default"), used))

VISIBLE const char *__asan_default_options(void);
VISIBLE const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

const char *__tsan_default_options(void)
{
    return "report_thread_leaks=0";
}

static void a_stop_leaves_behind_what_never_ends(void **state)
{
    static const char *const sets[] = {"shutdown.graceSeconds=0.1", NULL};
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, sets);
    rig_start(r);
    rig_put(r, "slow-start", "slow");
    rig_until_arrow(r, "slow 1 vetted>loaded");
    rig_free(r);
    usleep(2500000); /* it returns into a world that is gone, and does no harm */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_leaves_behind_what_never_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
