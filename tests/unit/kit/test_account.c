/* SPDX-License-Identifier: Apache-2.0 */
/* bp/test.h finds what a plugin does wrong. */
#include "probe.h"

static void what_is_left_on_the_device_is_told(void **state)
{
    (void)state;
    struct bp_image out;
    struct bp_test *t = probe_open();
    assert_int_equal(probe_run(t, "{\"mode\": \"leak\"}", &out), BP_OK);
    bp_image_free(&out);
    assert_int_equal(bp_test_close(&t, &err), BP_FAIL);
    assert_non_null(strstr(err.text, "of the device 1 buffers, 0 page-locked"));
    assert_null(t);

    t = probe_open();
    assert_int_equal(probe_run(t, "{\"mode\": \"queue-left\"}", &out), BP_OK);
    bp_image_free(&out);
    assert_int_equal(bp_test_close(&t, &err), BP_FAIL);
    assert_non_null(strstr(err.text, "0 buffers, 1 page-locked blocks, 0 modules, 1 queues, 1 events"));
}

/* Every call of a job fails once: it is never taken for a success. */
static int64_t fail_each(const char *params)
{
    int64_t n = 1;
    for (int32_t rc = BP_FAIL; rc != BP_OK; n++) {
        struct bp_image out;
        struct bp_test *t = probe_open();
        bp_test_fail(t, n);
        rc = probe_run(t, params, &out);
        assert_true(bp_test_failed(t) == (rc != BP_OK));
        assert_true(rc == BP_OK || rc == BP_NOMEM || rc == BP_IO);
        if (rc != BP_OK)
            assert_non_null(strstr(err.text, "because the test asked for it"));
        bp_image_free(&out);
        struct bp_err ignored;
        assert_int_equal(bp_test_close(&t, &ignored), BP_OK);
    }
    return n - 2; /* calls that can fail */
}

static void each_call_of_the_device_can_be_made_to_fail(void **state)
{
    (void)state;
    /* module_load, kernel_get of 2, alloc of 2, upload, launch, download */
    assert_int_equal(fail_each("{\"mode\": \"copy\"}"), 8);
    /* the launch is one of nine calls in the queue */
    assert_int_equal(fail_each("{\"mode\": \"queue\"}"), 7 + 9);
}

static void a_failure_comes_once(void **state)
{
    (void)state;
    struct bp_image out;
    struct bp_test *t = probe_open();
    bp_test_fail(t, 1);
    assert_int_equal(probe_run(t, "{\"mode\": \"copy\"}", &out), BP_NOMEM);
    assert_int_equal(probe_run(t, "{\"mode\": \"copy\"}", &out), BP_OK);
    bp_image_free(&out);
    assert_int_equal(bp_test_close(&t, &err), BP_OK);
}

static void a_job_gets_what_its_workflow_says(void **state)
{
    (void)state;
    struct bp_test *t = probe_open();
    struct bp_test_job job = {
        .inputs = {"in.png"}, .output = "out.png", .slug = "other", .settings = "{\"x\":1}", .settings_dir = "/etc"};
    assert_int_equal(bp_test_run(t, &job, &err), BP_OK);
    assert_string_equal(bp_test_log(t), "{\"x\":1} of other in /etc\n");
    assert_true(job.n_progress >= 2 && job.fraction > 0 && job.text[0]);
    job = (struct bp_test_job){.inputs = {"in.png"}, .output = "out.png"};
    assert_int_equal(bp_test_run(t, &job, &err), BP_OK);
    assert_non_null(strstr(bp_test_log(t), "{} of kit-probe in \n"));
    assert_int_equal(bp_test_close(&t, &err), BP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_on_the_device_is_told),
        cmocka_unit_test(each_call_of_the_device_can_be_made_to_fail),
        cmocka_unit_test(a_failure_comes_once),
        cmocka_unit_test(a_job_gets_what_its_workflow_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
