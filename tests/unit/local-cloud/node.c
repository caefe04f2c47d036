/* SPDX-License-Identifier: Apache-2.0 */
#include "main.h"

#include <string.h>

#define T node_facet

static void without_a_notice_there_is_none(void **state)
{
    struct fake *f = *state;
    int32_t kind = 9;
    int64_t deadline = 9;
    assert_int_equal(fake_start(f, ""), 0);
    assert_int_equal(T.notice(f->inst, &kind, &deadline, &f->err), 0);
    assert_int_equal(kind, BP_NOTICE_NONE);
    assert_int_equal(deadline, 0);
}

static void a_notice_file_is_read(void **state)
{
    static const struct {
        const char *text;
        int32_t rc, kind;
        int64_t deadline;
    } rows[] = {
        {"{\"kind\":\"interruption\",\"deadline_ms\":1234567890123}", 0, BP_NOTICE_INTERRUPTION, 1234567890123},
        {"{\"kind\":\"rebalance\"}", 0, BP_NOTICE_REBALANCE, 0},
        {"{\"kind\":\"termination\",\"deadline_ms\":5}", 0, BP_NOTICE_TERMINATION, 5},
        {"{\"kind\":\"holiday\"}", BP_INVALID, BP_NOTICE_NONE, 0},
        {"{\"kin", BP_INVALID, BP_NOTICE_NONE, 0},
        {"[]", BP_INVALID, BP_NOTICE_NONE, 0},
    };
    struct fake *f = *state;
    assert_int_equal(fake_start(f, ""), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int32_t kind = 9;
        int64_t deadline = 9;
        fake_write(f, "notice.json", rows[i].text);
        assert_int_equal(T.notice(f->inst, &kind, &deadline, &f->err), rows[i].rc);
        assert_int_equal(kind, rows[i].kind);
        assert_int_equal(deadline, rows[i].deadline);
    }
}

static void identity_comes_from_the_instances_directory(void **state)
{
    struct fake *f = *state;
    struct bp_node_identity id;
    assert_int_equal(fake_start(f, ""), 0);
    assert_int_equal(T.identity(f->inst, &id, &f->err), BP_NOTFOUND);
    fake_write(f, "instance.json",
               "{\"id\":\"i-0123\",\"type\":\"g5.xlarge\",\"zone\":\"local-a\",\"capacity_type\":\"spot\"}");
    assert_int_equal(T.identity(f->inst, &id, &f->err), 0);
    assert_string_equal(id.instance_id, "i-0123");
    assert_string_equal(id.instance_type, "g5.xlarge");
    assert_string_equal(id.zone, "local-a");
    assert_string_equal(id.capacity_type, "spot");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_notice_there_is_none),
        TEST(a_notice_file_is_read),
        TEST(identity_comes_from_the_instances_directory),
    };
    return RUN(tests);
}
