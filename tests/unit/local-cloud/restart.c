/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet_view.h"
#include "main.h"
#include "process.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define T    fleet_facet
#define KEEP ",\"stopInstancesOnExit\":false"

/* Runs a controller in another process until n workers are up; then it is gone as if killed. */
static void killed_controller(struct fake *f, const char *settings, int n)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        alarm(100);
        if (fake_start(f, settings) != 0)
            _exit(1);
        toy_make(f, 4, n);
        while (!toy_up(f, n))
            fake_nap();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- clean ends ---- */

static void a_clean_stop_ends_every_instance_and_leaves_no_zombie(void **state)
{
    struct fake *f = *state;
    pid_t pids[3];
    assert_int_equal(fake_start(f, QUICK), 0);
    toy_make(f, 3, 3);
    WAIT_FOR(toy_up(f, 3));
    for (int i = 0; i < 3; i++)
        pids[i] = toy_pid(f, toy_instance(f, BP_INSTANCE_RUNNING, i).id);
    fake_stop(f);
    for (int i = 0; i < 3; i++)
        assert_true(is_gone(pids[i]));
    assert_true(has_no_child());
    assert_int_equal(fake_start(f, QUICK), 0);
    assert_int_equal(toy_desired(f), 0);
    assert_int_equal(toy_count(f, BP_INSTANCE_TERMINATED), 3);
}

static void a_stop_kills_what_does_not_heed_it(void **state)
{
    struct fake *f = *state;
    assert_int_equal(
        fake_start(f, "\"bootDelaySeconds\":0,\"stopGraceSeconds\":0.1,\"workerArgs\":[\"behave=stubborn\"]"), 0);
    toy_make(f, 3, 1);
    WAIT_FOR(toy_up(f, 1));
    pid_t pid = toy_pid(f, toy_instance(f, BP_INSTANCE_RUNNING, 0).id);
    fake_stop(f);
    assert_true(is_gone(pid));
    assert_true(has_no_child());
}

static void leave_ends_the_instances_while_the_plugin_goes_on(void **state)
{
    struct fake *f = *state;
    assert_int_equal(
        fake_start(f, "\"bootDelaySeconds\":0,\"stopGraceSeconds\":0.2,\"workerArgs\":[\"behave=stubborn\"]"), 0);
    toy_make(f, 3, 2);
    WAIT_FOR(toy_up(f, 2));
    assert_int_equal(T.leave(f->inst, &f->err), 0);
    assert_int_equal(toy_count(f, BP_INSTANCE_TERMINATED), 2);
    assert_int_equal(toy_desired(f), 0);
    assert_true(has_no_child());
}

static void instances_may_outlive_a_clean_stop(void **state)
{
    struct fake *f = *state;
    assert_int_equal(fake_start(f, QUICK KEEP), 0);
    toy_make(f, 3, 1);
    WAIT_FOR(toy_up(f, 1));
    struct bp_instance i = toy_instance(f, BP_INSTANCE_RUNNING, 0);
    pid_t pid = toy_pid(f, i.id);
    assert_int_equal(T.leave(f->inst, &f->err), 0);
    fake_stop(f);
    assert_false(is_gone(pid));
    assert_int_equal(fake_start(f, QUICK), 0);
    assert_string_equal(toy_instance(f, BP_INSTANCE_RUNNING, 0).id, i.id);
    assert_int_equal(toy_desired(f), 1);
    fake_stop(f);
    assert_true(is_gone(pid));
}

/* ---- crashes ---- */

static void workers_of_a_killed_controller_are_adopted(void **state)
{
    struct fake *f = *state;
    killed_controller(f, QUICK, 2);
    assert_int_equal(fake_start(f, QUICK), 0);
    assert_int_equal(toy_count(f, BP_INSTANCE_RUNNING), 2);
    assert_int_equal(toy_count(f, 0), 2);
    assert_int_equal(toy_desired(f), 2);
    assert_true(toy_activities(f, "launch", 0) == 2);
    struct bp_instance i = toy_instance(f, BP_INSTANCE_RUNNING, 0);
    pid_t first = toy_pid(f, i.id), second = toy_pid(f, toy_instance(f, BP_INSTANCE_RUNNING, 1).id);
    assert_int_equal(T.terminate(f->inst, "toy", i.id, &f->err), 0);
    WAIT_FOR(toy_count(f, BP_INSTANCE_TERMINATED) == 1);
    assert_true(is_gone(first));
    assert_int_equal(kill(second, SIGKILL), 0);
    WAIT_FOR(toy_count(f, 0) == 3 && toy_up(f, 1));
}

static void a_worker_that_calls_an_old_address_is_replaced(void **state)
{
    struct fake *f = *state;
    killed_controller(f, QUICK ",\"url\":\"http://127.0.0.1:2\"", 1);
    assert_int_equal(fake_start(f, QUICK), 0);
    WAIT_FOR(toy_count(f, BP_INSTANCE_TERMINATED) == 1 && toy_up(f, 1));
    assert_int_equal(toy_desired(f), 1);
    assert_int_equal(toy_activities(f, "exit", 0), 0);
    assert_true(fake_logged("calls http://127.0.0.1:2, this daemon is at http://127.0.0.1:1"));
}

static void a_worker_that_died_meanwhile_is_replaced(void **state)
{
    struct fake *f = *state;
    killed_controller(f, QUICK, 1);
    /* Its number is in the file of the fleet, and in the directory of the instance. */
    char *text = fake_read(f, "fleets/toy.json");
    pid_t pid = (pid_t)strtol(strstr(text, "\"pid\":") + 6, NULL, 10);
    free(text);
    assert_int_equal(kill(pid, SIGKILL), 0);
    WAIT_FOR(is_gone(pid));
    assert_int_equal(fake_start(f, QUICK), 0);
    WAIT_FOR(toy_count(f, 0) == 2 && toy_up(f, 1));
    assert_int_equal(toy_activities(f, "exit", 0), 1);
}

/* Replaces the number after a member's name in the fleet's file. */
static void edit(struct fake *f, const char *member, const char *value)
{
    char *text = fake_read(f, "fleets/toy.json"), *out = NULL;
    char *at = strstr(text, member) + strlen(member);
    char *rest = at + strcspn(at, ",\n");
    assert_true(asprintf(&out, "%.*s%s%s", (int)(at - text), text, value, rest) > 0);
    fake_write(f, "fleets/toy.json", out);
    free(out);
    free(text);
}

static void a_process_with_a_reused_number_is_left_alone(void **state)
{
    struct fake *f = *state;
    char pid[32];
    pid_t bystander = fork();
    if (bystander == 0) {
        pause();
        _exit(0);
    }
    killed_controller(f, QUICK, 1);
    char *text = fake_read(f, "fleets/toy.json");
    pid_t worker = (pid_t)strtol(strstr(text, "\"pid\":") + 6, NULL, 10);
    free(text);
    assert_int_equal(kill(worker, SIGKILL), 0);
    snprintf(pid, sizeof pid, "%d", (int)bystander);
    edit(f, "\"pid\":", pid);
    assert_int_equal(fake_start(f, QUICK), 0);
    WAIT_FOR(toy_count(f, BP_INSTANCE_TERMINATED) == 1);
    fake_stop(f);
    assert_int_equal(waitpid(bystander, NULL, WNOHANG), 0); /* it lives */
    assert_int_equal(kill(bystander, SIGKILL), 0);
    assert_int_equal(waitpid(bystander, NULL, 0), bystander);
}

static void a_worker_started_but_not_written_down_is_found(void **state)
{
    struct fake *f = *state;
    killed_controller(f, QUICK, 1);
    char *text = fake_read(f, "fleets/toy.json");
    pid_t worker = (pid_t)strtol(strstr(text, "\"pid\":") + 6, NULL, 10);
    free(text);
    edit(f, "\"state\":", "1");
    edit(f, "\"pid\":", "0");
    edit(f, "\"start\":", "0");
    assert_int_equal(fake_start(f, QUICK), 0);
    assert_int_equal(toy_count(f, 0), 1);
    assert_int_equal(toy_pid(f, toy_instance(f, BP_INSTANCE_RUNNING, 0).id), worker);
    fake_stop(f);
    assert_true(is_gone(worker));
}

static void a_damaged_file_is_left_out_and_told(void **state)
{
    struct fake *f = *state;
    assert_int_equal(fake_start(f, QUICK), 0);
    fake_stop(f);
    fake_write(f, "fleets/bad.json", "{\"slug\":");
    fake_write(f, "fleets/odd.json", "{\"slug\":\"toy\",\"max\":2,\"instances\":[{\"id\":\"../..\",\"state\":2},7]}");
    assert_int_equal(fake_start(f, QUICK), 0);
    assert_int_equal(toy_count(f, 0), 0);
    assert_true(fake_logged("bad.json"));
    assert_true(fake_logged("makes no sense"));
}

static void directories_without_instance_are_removed(void **state)
{
    struct fake *f = *state;
    char path[1024];
    assert_int_equal(fake_start(f, QUICK), 0);
    fake_stop(f);
    snprintf(path, sizeof path, "%s/instances/i-00000000000000001", f->dir);
    assert_int_equal(file_make_dirs(path, NULL), 0);
    fake_write(f, "instances/i-00000000000000001/left", "over");
    assert_int_equal(fake_start(f, QUICK), 0);
    WAIT_FOR(!fake_exists(f, "instances/i-00000000000000001"));
}

/* ---- generations ---- */

static void *disturb(void *arg)
{
    struct fake *f = arg;
    const char *slug = "toy";
    for (int k = 0; k < 60; k++) {
        struct bp_err err;
        struct bp_fleet_state s = {.size = sizeof s};
        if (T.describe(f->inst, &slug, 1, &s, &err) < 0)
            return arg;
        if (s.n_instances) {
            const struct bp_instance *i = &s.instances[(uint32_t)k % s.n_instances];
            T.protect(f->inst, slug, i->id, k & 1, &err);
            T.inject(f->inst, slug, k == 30 ? "kill" : "interrupt", i->id, &err);
            if (k % 5 == 0)
                T.terminate(f->inst, slug, i->id, &err);
        }
        T.grow(f->inst, slug, 1 + k % 4, &err);
        free(s.memory);
    }
    return NULL;
}

static void calls_of_many_threads_leave_a_sound_fleet(void **state)
{
    struct fake *f = *state;
    pthread_t threads[4];
    void *bad;
    assert_int_equal(fake_start(f, "\"bootDelaySeconds\":0,\"launchRetrySeconds\":0.01,\"noticeSeconds\":0.01"), 0);
    toy_make(f, 4, 2);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, disturb, f), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
    int32_t desired = toy_desired(f);
    assert_in_range(desired, 0, 4);
    WAIT_FOR(toy_count(f, BP_INSTANCE_TERMINATING) == 0 && toy_up(f, desired));
    fake_stop(f);
    assert_true(has_no_child());
}

static void a_new_generation_takes_the_fleets_and_the_old_one_ends_nothing(void **state)
{
    struct fake *f = *state, next;
    assert_int_equal(fake_start(f, QUICK), 0);
    toy_make(f, 3, 2);
    WAIT_FOR(toy_up(f, 2));
    struct bp_instance i = toy_instance(f, BP_INSTANCE_RUNNING, 0);
    pid_t pid = toy_pid(f, i.id);
    next = *f;
    next.config = NULL;
    assert_int_equal(fake_start(&next, QUICK), 0);
    assert_int_equal(T.grow(f->inst, "toy", 3, &f->err), BP_LATER);
    assert_int_equal(T.terminate(f->inst, "toy", i.id, &f->err), BP_LATER);
    fake_stop(f);
    assert_false(is_gone(pid));
    assert_true(toy_up(&next, 2));
    assert_int_equal(toy_count(&next, 0), 2);
    assert_int_equal(T.inject(next.inst, "toy", "kill", i.id, &next.err), 0);
    WAIT_FOR(toy_count(&next, 0) == 3 && toy_up(&next, 2));
    fake_free(&next);
    assert_true(has_no_child());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_clean_stop_ends_every_instance_and_leaves_no_zombie),
        TEST(a_stop_kills_what_does_not_heed_it),
        TEST(leave_ends_the_instances_while_the_plugin_goes_on),
        TEST(instances_may_outlive_a_clean_stop),
        TEST(workers_of_a_killed_controller_are_adopted),
        TEST(a_worker_that_calls_an_old_address_is_replaced),
        TEST(a_worker_that_died_meanwhile_is_replaced),
        TEST(a_process_with_a_reused_number_is_left_alone),
        TEST(a_worker_started_but_not_written_down_is_found),
        TEST(a_damaged_file_is_left_out_and_told),
        TEST(directories_without_instance_are_removed),
        TEST(calls_of_many_threads_leave_a_sound_fleet),
        TEST(a_new_generation_takes_the_fleets_and_the_old_one_ends_nothing),
    };
    return RUN(tests);
}
