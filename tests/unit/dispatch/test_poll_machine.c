/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine of a worker has to do with the jobs that it gets: its risk, its life, its device. */
#include "dispatch/lane.h"
#include "dispatch/rig.h"

#include <math.h>
#include <string.h>

#define POLL "{'worker_id':'w'}"
#define WAIT "{'worker_id':'w','wait_seconds':30}"

static int64_t photo_in(struct rig *r)
{
    return submit_ok(r, "{'workflow':'photo','params':{'duration':2},"
                        "'input':{'key':'tenants/acme/uploads/u/p.jpg','mime':'image/jpeg','name':'p.jpg'}}");
}

#define RISKY "{'worker_id':'w','at_risk':true}"

static void worker_at_risk_gets_no_long_job_and_any_once_the_risk_is_over(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    do_worker(r, dispatch_worker_register, NULL,
              "{'worker_id':'w','workflow_slugs':['noop','photo'],'max_concurrency':4}", &a);
    struct worker_auth *both = worker_with_token(r, json_str(a.data, "token", "")), *one = worker_in(r, "v", "photo");
    int64_t photo = photo_in(r), noop = submit_ok(r, "{'workflow':'noop'}"); /* timeouts of 600 and 60 s */
    do_worker(r, dispatch_worker_poll, one, RISKY, &a);
    assert_string_equal(a.message, "Worker at risk");
    do_worker(r, dispatch_worker_poll, both, RISKY, &a);
    assert_int_equal(json_int(json_member(a.data, "job"), "dispatch_id", 0), noop);
    do_worker(r, dispatch_worker_complete, both, lease_body(json_member(a.data, "job"), ""), &a);
    do_worker(r, dispatch_worker_poll, both, POLL, &a);
    assert_int_equal(json_int(json_member(a.data, "job"), "dispatch_id", 0), photo);
    /* what was measured goes before the timeout: photos take no time at all */
    do_worker(r, dispatch_worker_complete, both, lease_body(json_member(a.data, "job"), ""), &a);
    assert_int_equal(a.rc, BP_OK);
    photo = photo_in(r);
    do_worker(r, dispatch_worker_poll, one, RISKY, &a);
    assert_int_equal(json_int(json_member(a.data, "job"), "dispatch_id", 0), photo);
    answer_reset(&a);
    worker_auth_free(both);
    worker_auth_free(one);
    rig_free(r);
}

/* w1 is about to be taken away, w2 is not; w3 is of nobody's fleet. */
static double life_s(void *arg, const char *workflow, const char *worker)
{
    (void)arg;
    assert_string_equal(workflow, "noop");
    return strcmp(worker, "w1") == 0 ? 60 : strcmp(worker, "w2") == 0 ? 36000 : INFINITY;
}

static void a_job_goes_to_the_machine_that_lives_longest(void **state)
{
    (void)state;
    const char *sets[] = {"dispatch.sweepMilliseconds=60000", NULL};
    struct rig *r = rig_new(sets);
    struct answer a[3] = {0};
    struct worker_auth *w[3];
    const char *const names[] = {"w1", "w2", "w3"};
    dispatch_set_lives(r->d, life_s, NULL);
    lane_ran(lane_get(r->d, "noop"), 30000);
    for (int i = 0; i < 3; i++) {
        w[i] = worker_in(r, names[i], "noop");
        begin_worker(r, dispatch_worker_poll, w[i], WAIT, &a[i]);
        rig_waits(r, (uint32_t)i + 1);
    }
    for (int i = 2; i >= 0; i--) {
        submit_ok(r, "{'workflow':'noop'}");
        rig_wait(r, &a[i]);
        for (int k = 0; k < i; k++)
            assert_int_equal(a[k].done, 0);
    }
    for (int i = 0; i < 3; i++) {
        answer_reset(&a[i]);
        worker_auth_free(w[i]);
    }
    rig_free(r);
}

#define BROKEN "{'worker_id':'w','capabilities':{'health':{'ok':false,'text':'Xid 79'}}}"
#define SOUND  "{'worker_id':'w','capabilities':{'health':{'ok':true,'text':''}}}"

/* A worker that begins anew with its token has nothing but what was written down of it. */
static struct worker_auth *begins(struct rig *r, char token[128])
{
    struct answer a = {0};
    do_worker(r, dispatch_worker_register, NULL, "{'worker_id':'w','workflow_slugs':['noop']}", &a);
    snprintf(token, 128, "%s", json_str(a.data, "token", ""));
    answer_reset(&a);
    return worker_with_token(r, token);
}

static void worker_with_a_broken_device_gets_no_job_until_it_is_sound(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    char token[128];
    struct worker_auth *w = begins(r, token);
    submit_ok(r, "{'workflow':'noop'}");
    do_worker(r, dispatch_worker_poll, w, BROKEN, &a);
    assert_string_equal(a.message, "Worker unhealthy");
    assert_null(json_member(a.data, "job"));
    assert_int_equal(r->events[EVENT_WORKER_UNHEALTHY], 1);
    worker_auth_free(w);
    w = worker_with_token(r, token); /* what it said was written down */
    do_worker(r, dispatch_worker_poll, w, POLL, &a);
    assert_string_equal(a.message, "Worker unhealthy");
    do_worker(r, dispatch_worker_poll, w, BROKEN, &a);
    assert_int_equal(r->events[EVENT_WORKER_UNHEALTHY], 1); /* told once */
    do_worker(r, dispatch_worker_poll, w, SOUND, &a);
    assert_non_null(json_member(a.data, "job"));
    assert_int_equal(r->events[EVENT_WORKER_HEALTHY], 1);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void a_device_that_was_checked_and_is_sound_is_told_once(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    char token[128];
    struct worker_auth *w = begins(r, token);
    do_worker(r, dispatch_worker_poll, w, POLL, &a);
    assert_int_equal(r->events[EVENT_WORKER_READY], 0); /* it has not checked it yet */
    do_worker(r, dispatch_worker_poll, w, SOUND, &a);
    assert_int_equal(r->events[EVENT_WORKER_READY], 1);
    worker_auth_free(w);
    w = worker_with_token(r, token);
    do_worker(r, dispatch_worker_poll, w, SOUND, &a);
    assert_int_equal(r->events[EVENT_WORKER_READY], 1);
    assert_int_equal(r->events[EVENT_WORKER_HEALTHY], 0);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worker_at_risk_gets_no_long_job_and_any_once_the_risk_is_over),
        cmocka_unit_test(a_job_goes_to_the_machine_that_lives_longest),
        cmocka_unit_test(worker_with_a_broken_device_gets_no_job_until_it_is_sound),
        cmocka_unit_test(a_device_that_was_checked_and_is_sound_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
