/* Runs the plugin's .so as bpd does. What every queue must do is in the conformance suite (see CMakeLists.txt); here is
 * what is this queue's own. bp/test.h says what there is. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <bp/queue.h>
#include <bp/test.h>
#include <string.h>

static struct bp_err err;

static struct bp_test *open_with(const char *settings)
{
    struct bp_test *t;
    assert_int_equal(bp_test_open(BP_TEST_PLUGIN, settings, &t, &err), BP_OK);
    return t;
}

/* One batch of one operation; its own return code. */
static int32_t apply(struct bp_test *t, struct bp_op *op, int32_t kind)
{
    const struct bp_queue *queue = bp_test_facet(t, BP_QUEUE_FACET);
    op->size = sizeof *op;
    op->kind = kind;
    op->now_ms = 1700000000000;
    assert_int_equal(queue->apply(bp_test_inst(t), &op, 1, &err), BP_OK);
    return op->err.rc;
}

static int32_t submit(struct bp_test *t, const char *unique_key)
{
    struct bp_op op = {.u.submit = {.tenant = "acme", .workflow = "a", .who = "test", .unique_key = unique_key}};
    return apply(t, &op, BP_OP_SUBMIT);
}

static void a_full_queue_says_so_and_takes_no_more(void **state)
{
    (void)state;
    struct bp_test *t = open_with("{\"maxJobs\": 2}");
    assert_int_equal(submit(t, NULL), BP_OK);
    assert_int_equal(submit(t, NULL), BP_OK);
    assert_int_equal(submit(t, NULL), BP_NOSPACE);
    struct bp_op op = {.u.list = {.limit = 10}};
    assert_int_equal(apply(t, &op, BP_OP_LIST), BP_OK);
    assert_int_equal(op.u.list.count, 2);
    bp_test_free(t, op.u.list.memory);
    assert_int_equal(bp_test_close(&t, &err), BP_OK);
}

static void what_it_does_not_offer_is_refused_not_ignored(void **state)
{
    (void)state;
    struct bp_test *t = open_with(NULL);
    struct bp_op op = {.u.lead = {.id = "me", .ttl_ms = 1000}};
    assert_int_equal(submit(t, "only-one"), BP_UNSUPPORTED);
    assert_int_equal(apply(t, &op, BP_OP_LEAD), BP_UNSUPPORTED);
    assert_int_equal(bp_test_close(&t, &err), BP_OK);
}

static void its_start_warns_that_nothing_is_kept(void **state)
{
    (void)state;
    struct bp_test *t = open_with(NULL);
    assert_non_null(strstr(bp_test_log(t), "in memory only"));
    assert_int_equal(bp_test_close(&t, &err), BP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_says_so_and_takes_no_more),
        cmocka_unit_test(what_it_does_not_offer_is_refused_not_ignored),
        cmocka_unit_test(its_start_warns_that_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
