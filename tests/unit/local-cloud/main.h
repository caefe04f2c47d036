/* SPDX-License-Identifier: Apache-2.0 */
/* main.h - each test gets a fake host of its own in *state. */
#ifndef TEST_MAIN_H
#define TEST_MAIN_H

#include "fake_host.h"
#include <stdlib.h>

static int host_make(void **state)
{
    struct fake *f = calloc(1, sizeof *f);
    assert_non_null(f);
    fake_init(f);
    *state = f;
    return 0;
}

static int host_end(void **state)
{
    fake_free(*state);
    free(*state);
    return 0;
}

#define TEST(name)                                                                                                     \
    {                                                                                                                  \
#name, name, host_make, host_end, NULL                                                                         \
    }
#define RUN(tests) cmocka_run_group_tests(tests, NULL, NULL)

#endif
