/* SPDX-License-Identifier: Apache-2.0 */
/* What was read lately: its age, who gives way, and that no value is left behind. */
#include "cm.h"
#include "param_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t age_of(struct param_cache *c, const char *name, int64_t now, const char *value)
{
    char *copy;
    int64_t age = param_cache_get(c, name, now, &copy);
    if (age >= 0)
        assert_string_equal(copy, value);
    else
        assert_null(copy);
    param_cache_drop_copy(copy);
    return age;
}

static void a_value_has_its_age(void **state)
{
    (void)state;
    struct param_cache *c = param_cache_new(8);
    assert_int_equal(age_of(c, "/a", 100, ""), -1);
    param_cache_put(c, "/a", "one", 100);
    assert_int_equal(age_of(c, "/a", 100, "one"), 0);
    assert_int_equal(age_of(c, "/a", 160, "one"), 60);
    param_cache_put(c, "/a", "two", 200);
    assert_int_equal(age_of(c, "/a", 201, "two"), 1);
    param_cache_remove(c, "/a");
    param_cache_remove(c, "/a");
    assert_int_equal(age_of(c, "/a", 201, ""), -1);
    param_cache_free(c);
}

static void the_one_not_asked_for_the_longest_gives_way(void **state)
{
    (void)state;
    struct param_cache *c = param_cache_new(3);
    param_cache_put(c, "/a", "a", 1);
    param_cache_put(c, "/b", "b", 2);
    param_cache_put(c, "/c", "c", 3);
    age_of(c, "/a", 4, "a");
    param_cache_put(c, "/d", "d", 5);
    assert_int_equal(age_of(c, "/b", 6, ""), -1);
    assert_int_equal(age_of(c, "/a", 6, "a"), 5);
    assert_int_equal(age_of(c, "/c", 6, "c"), 3);
    assert_int_equal(age_of(c, "/d", 6, "d"), 1);
    param_cache_free(c);
}

#define SHADOWS_END 0x700000000000ul /* what a sanitizer keeps, and marks so too, lies below where mmap() puts ours */

/* Bytes of this process that are marked "do not dump" (dd). */
static unsigned long undumped(void)
{
    char line[512], flags[512];
    unsigned long from = 0, to = 0, sum = 0;
    FILE *f = fopen("/proc/self/smaps", "r");
    while (f && fgets(line, sizeof line, f)) {
        unsigned long a, b;
        if (sscanf(line, "%lx-%lx ", &a, &b) == 2 && strchr(line, '-') < strchr(line, ' '))
            from = a, to = b;
        if (sscanf(line, "VmFlags: %511[^\n]", flags) == 1 && strstr(flags, " dd") && from >= SHADOWS_END)
            sum += to - from;
    }
    if (f)
        fclose(f);
    return sum;
}

static void values_are_in_no_core_dump(void **state)
{
    (void)state;
    size_t n = 3 << 20;
    char *large = malloc(n);
    memset(large, 'x', n);
    large[n - 1] = '\0';
    struct param_cache *c = param_cache_new(3);
    unsigned long before = undumped();
    param_cache_put(c, "/a", large, 1);
    assert_true(undumped() >= before + n);
    param_cache_free(c);
    assert_true(undumped() < before + n);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_has_its_age),
        cmocka_unit_test(the_one_not_asked_for_the_longest_gives_way),
        cmocka_unit_test(values_are_in_no_core_dump),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
