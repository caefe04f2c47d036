/* SPDX-License-Identifier: Apache-2.0 */
/* A name leads to what has it, whatever came and went in between. */
#include "cm.h"

#include "log/name_map.h"
#include <stdio.h>

#define NAMES 500

static char names[NAMES][16];

static void an_empty_one_has_nothing(void **state)
{
    (void)state;
    struct name_map m = {0};
    assert_null(name_map_get(&m, "a"));
    name_map_remove(&m, "a");
    name_map_free(&m);
}

/* Against a plain list of what is in it, over many steps in a mixed order. */
static void what_was_put_is_found_until_it_is_removed(void **state)
{
    (void)state;
    struct name_map m = {0};
    int in[NAMES] = {0};
    uint32_t dice = 1, n = 0;
    for (int i = 0; i < NAMES; i++)
        snprintf(names[i], sizeof names[i], "workflow-%d", i);
    for (int step = 0; step < 20000; step++) {
        dice = dice * 1664525u + 1013904223u;
        uint32_t i = (dice >> 8) % NAMES;
        if (in[i])
            name_map_remove(&m, names[i]);
        else
            assert_true(name_map_put(&m, names[i], names[i]));
        in[i] = !in[i];
        n += in[i] ? 1u : -1u;
        assert_int_equal(m.n, n);
        if (step % 50 == 0)
            for (uint32_t k = 0; k < NAMES; k++)
                assert_ptr_equal(name_map_get(&m, names[k]), in[k] ? names[k] : NULL);
    }
    name_map_remove(&m, "nothing");
    assert_int_equal(m.n, n);
    name_map_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_has_nothing),
        cmocka_unit_test(what_was_put_is_found_until_it_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
