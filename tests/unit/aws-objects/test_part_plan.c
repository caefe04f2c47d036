/* SPDX-License-Identifier: Apache-2.0 */
/* How a file is cut: every byte once, within S3's limits. */
#include "cm.h"
#include "part_plan.h"

#define MIB (1LL << 20)

/* Every byte once, in order, no part outside S3's limits. */
static void check(int64_t bytes, int64_t part_bytes, uint32_t n)
{
    struct part_plan p;
    struct bp_err err = {0};
    int64_t at = 0;
    assert_int_equal(part_plan_make(&p, bytes, part_bytes, &err), 0);
    assert_int_equal(p.n, n);
    assert_in_range(p.n, 1, PARTS_MAX);
    for (uint32_t i = 1; i <= p.n; i++) {
        struct part part = part_plan_at(&p, i);
        assert_int_equal(part.number, i);
        assert_int_equal(part.offset, at);
        assert_true(part.bytes <= PART_BYTES_MAX);
        assert_true(i == p.n || part.bytes >= PART_BYTES_MIN);
        assert_true(i < p.n || part.bytes > 0 || bytes == 0);
        at += part.bytes;
    }
    assert_int_equal(at, bytes);
}

static void every_byte_is_in_one_part(void **state)
{
    (void)state;
    check(0, 8 * MIB, 1);
    check(1, 8 * MIB, 1);
    check(8 * MIB, 8 * MIB, 1);
    check(8 * MIB + 1, 8 * MIB, 2);
    check(20 * MIB, 8 * MIB, 3);
    check(1024 * MIB, 32 * MIB, 32);
}

static void parts_are_never_smaller_or_larger_than_s3_takes(void **state)
{
    (void)state;
    check(20 * MIB, 1, 4); /* 5 MiB each */
    check(20 * MIB, -7, 4);
    check(11LL << 30, 100LL << 30, 3); /* 5 GiB each */
}

static void a_huge_file_gets_larger_parts_not_more(void **state)
{
    (void)state;
    struct part_plan p;
    struct bp_err err = {0};
    int64_t tebibyte = 1LL << 40;
    assert_int_equal(part_plan_make(&p, tebibyte, 32 * MIB, &err), 0);
    assert_int_equal(p.part_bytes % MIB, 0);
    check(tebibyte, 32 * MIB, p.n);
    check(PART_BYTES_MAX * PARTS_MAX, 5 * MIB, PARTS_MAX);
}

static void more_than_s3_holds_is_refused(void **state)
{
    (void)state;
    struct part_plan p;
    struct bp_err err = {0};
    assert_int_equal(part_plan_make(&p, PART_BYTES_MAX * PARTS_MAX + 1, 8 * MIB, &err), BP_TOOLARGE);
    assert_int_equal(part_plan_make(&p, -1, 8 * MIB, &err), BP_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_is_in_one_part),
        cmocka_unit_test(parts_are_never_smaller_or_larger_than_s3_takes),
        cmocka_unit_test(a_huge_file_gets_larger_parts_not_more),
        cmocka_unit_test(more_than_s3_holds_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
