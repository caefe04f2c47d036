/* SPDX-License-Identifier: Apache-2.0 */
/* A server that accepts and never answers holds nobody longer than the settings say. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cm.h"
#include "database.h"
#include "proxy.h"

#define LIMITS ",\"connectTimeoutSeconds\":1,\"queryTimeoutSeconds\":2,\"lockTimeoutSeconds\":1"

static int fresh(void **state)
{
    (void)state;
    database_fresh();
    proxy_start(database_socket());
    proxy_freeze(0);
    return 0;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void a_start_gives_up_and_says_why(void **state)
{
    struct bp_err err = {0};
    (void)state;
    double begun = now_s();
    proxy_freeze(1);
    assert_null(queue_start(proxy_start(database_socket()), LIMITS, &err));
    print_message("start: %.1f s: %s\n", now_s() - begun, err.text);
    assert_int_equal(err.rc, BP_LATER);
    assert_non_null(strstr(err.text, "proxy.sock"));
}

static void a_batch_gives_up_and_the_next_one_works(void **state)
{
    struct bp_err err = {0};
    (void)state;
    struct fake_host *h = queue_start(proxy_start(database_socket()), LIMITS, &err);
    if (!h)
        fail_msg("start: %s", err.text);
    double begun = now_s();
    proxy_freeze(1);
    int32_t rc = queue_submit(h, "key", NULL, &err);
    print_message("batch: %.1f s: %s\n", now_s() - begun, err.text);
    assert_true(rc == BP_LATER || rc == BP_TIMEOUT);
    assert_non_null(strstr(err.text, "proxy.sock"));
    proxy_freeze(0);
    for (rc = BP_LATER; rc == BP_LATER;)
        rc = queue_submit(h, "key", NULL, &err);
    assert_int_equal(rc, BP_OK);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches"), 1);
    begun = now_s();
    proxy_freeze(1);
    fake_host_stop(h);
    print_message("stop: %.1f s\n", now_s() - begun);
}

static void a_row_held_elsewhere_is_waited_for_within_the_limit(void **state)
{
    struct bp_err err = {0};
    (void)state;
    struct fake_host *h = queue_start(NULL, LIMITS, &err);
    int64_t id;
    queue_worker(h, "w");
    assert_int_equal(queue_submit(h, NULL, &id, &err), BP_OK);
    database_hold("LOCK TABLES DB.ai_job_dispatches WRITE");
    double begun = now_s();
    assert_int_equal(queue_submit(h, "key", NULL, &err), BP_LATER);
    print_message("lock: %.1f s: %s\n", now_s() - begun, err.text);
    database_release();
    assert_int_equal(queue_submit(h, "key", NULL, &err), BP_OK);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches"), 2);
    fake_host_stop(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_start_gives_up_and_says_why, fresh),
        cmocka_unit_test_setup(a_batch_gives_up_and_the_next_one_works, fresh),
        cmocka_unit_test_setup(a_row_held_elsewhere_is_waited_for_within_the_limit, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
