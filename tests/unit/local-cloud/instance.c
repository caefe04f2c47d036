/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet_view.h"
#include "main.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define T fleet_facet

static struct fake *ready(void **state, const char *settings, int n)
{
    struct fake *f = *state;
    assert_int_equal(fake_start(f, settings), 0);
    toy_make(f, 4, n);
    WAIT_FOR(toy_up(f, n));
    return f;
}

static char *instance_file(struct fake *f, const char *id, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "instances/%s/%s", id, name);
    return fake_read(f, path);
}

static int has_line(const char *text, const char *line)
{
    size_t n = strlen(line);
    for (const char *p = text; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        if (strncmp(p, line, n) == 0 && (p[n] == '\n' || !p[n]))
            return 1;
    return 0;
}

/* ---- beginning ---- */

static void a_worker_is_started_with_what_it_must_know(void **state)
{
    struct fake *f = ready(state, QUICK ",\"workerArgs\":[\"worker.waitSeconds=1\"],\"device\":\"cpu\"", 1);
    struct bp_instance i = toy_instance(f, BP_INSTANCE_RUNNING, 0);
    char line[1400];
    char *argv = instance_file(f, i.id, "argv.txt"), *identity = instance_file(f, i.id, "instance.json");
    assert_true(has_line(argv, "--role"));
    assert_true(has_line(argv, "worker"));
    assert_true(has_line(argv, "/a/plugins"));
    assert_true(has_line(argv, "worker.url=http://127.0.0.1:1"));
    assert_true(has_line(argv, "worker.fleet=toy"));
    assert_true(has_line(argv, "worker.device=cpu"));
    assert_true(has_line(argv, "worker.waitSeconds=1"));
    snprintf(line, sizeof line, "worker.id=%s", i.id);
    assert_true(has_line(argv, line));
    snprintf(line, sizeof line, "worker.fleetSecret=file:%s/fleet.secret", f->dir);
    assert_true(has_line(argv, line));
    snprintf(line, sizeof line, "state.dir=%s/instances/%s", f->dir, i.id);
    assert_true(has_line(argv, line));
    assert_non_null(strstr(identity, i.id));
    assert_non_null(strstr(identity, "\"spot\""));
    assert_true(i.running_ms >= i.launched_ms);
    free(argv);
    free(identity);
}

static void no_secret_of_the_daemons_environment_reaches_a_worker(void **state)
{
    setenv("ACME_TOKEN", "hush", 1);
    setenv("BPD_HTTP_LISTEN", "0.0.0.0:1", 1);
    setenv("NOTIFY_SOCKET", "/run/x", 1);
    struct fake *f = ready(state, QUICK, 1);
    char *env = instance_file(f, toy_instance(f, BP_INSTANCE_RUNNING, 0).id, "env.txt");
    assert_non_null(env);
    assert_non_null(strstr(env, "PATH="));
    assert_null(strstr(env, "ACME_TOKEN"));
    assert_null(strstr(env, "BPD_"));
    assert_null(strstr(env, "NOTIFY_SOCKET"));
    free(env);
}

static void what_a_worker_prints_is_in_its_log(void **state)
{
    struct fake *f = ready(state, QUICK, 1);
    char name[128];
    snprintf(name, sizeof name, "instances/%s.log", toy_instance(f, BP_INSTANCE_RUNNING, 0).id);
    char *log = fake_read(f, name);
    assert_string_equal(log, "a word on standard output\n");
    free(log);
}

static void a_worker_has_a_session_of_its_own_and_no_signal_blocked(void **state)
{
    struct fake *f = *state;
    sigset_t usr;
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &usr, NULL), 0);
    ready(state, QUICK, 1);
    pid_t pid = toy_pid(f, toy_instance(f, BP_INSTANCE_RUNNING, 0).id);
    assert_int_equal(getsid(pid), pid);
    assert_int_equal(kill(pid, SIGUSR1), 0); /* deadly unless blocked */
    WAIT_FOR(is_gone(pid));
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &usr, NULL), 0);
}

/* ---- ending ---- */

static void terminate_ends_that_instance_and_lowers_desired(void **state)
{
    struct fake *f = ready(state, QUICK, 2);
    struct bp_instance i = toy_instance(f, BP_INSTANCE_RUNNING, 0);
    pid_t pid = toy_pid(f, i.id);
    assert_int_equal(T.terminate(f->inst, "toy", i.id, &f->err), 0);
    assert_int_equal(toy_desired(f), 1);
    assert_int_equal(T.terminate(f->inst, "toy", i.id, &f->err), BP_NOTFOUND);
    WAIT_FOR(toy_count(f, BP_INSTANCE_TERMINATED) == 1);
    assert_true(is_gone(pid));
    assert_string_equal(toy_instance(f, BP_INSTANCE_TERMINATED, 0).id, i.id);
    assert_int_equal(toy_count(f, BP_INSTANCE_RUNNING), 1);
    assert_int_equal(toy_count(f, 0), 2);
    assert_int_equal(toy_activities(f, "exit", 0), 0);
}

static void a_worker_that_ignores_sigterm_is_killed_after_the_grace(void **state)
{
    struct fake *f =
        ready(state, "\"bootDelaySeconds\":0,\"terminateGraceSeconds\":0.2,\"workerArgs\":[\"behave=stubborn\"]", 1);
    struct bp_instance i = toy_instance(f, BP_INSTANCE_RUNNING, 0);
    pid_t pid = toy_pid(f, i.id);
    int64_t before = real_ms();
    assert_int_equal(T.terminate(f->inst, "toy", i.id, &f->err), 0);
    assert_int_equal(toy_count(f, BP_INSTANCE_TERMINATING), 1);
    WAIT_FOR(toy_count(f, BP_INSTANCE_TERMINATED) == 1);
    assert_true(real_ms() - before >= 200);
    assert_true(is_gone(pid));
}

static void the_end_of_a_worker_is_the_end_of_its_children(void **state)
{
    struct fake *f = ready(state, QUICK ",\"workerArgs\":[\"behave=parent\"]", 1);
    struct bp_instance i = toy_instance(f, BP_INSTANCE_RUNNING, 0);
    char *text = NULL;
    WAIT_FOR((text = instance_file(f, i.id, "child")) != NULL);
    pid_t child = (pid_t)strtol(text, NULL, 10);
    free(text);
    assert_false(is_gone(child));
    assert_int_equal(T.terminate(f->inst, "toy", i.id, &f->err), 0);
    WAIT_FOR(toy_count(f, BP_INSTANCE_TERMINATED) == 1);
    WAIT_FOR(is_gone(child));
}

static void protection_is_shown_and_terminate_ends_a_protected_instance(void **state)
{
    struct fake *f = ready(state, QUICK, 1);
    struct bp_instance i = toy_instance(f, BP_INSTANCE_RUNNING, 0);
    assert_int_equal(i.is_protected, 0);
    assert_int_equal(T.protect(f->inst, "toy", i.id, 1, &f->err), 0);
    assert_int_equal(toy_instance(f, BP_INSTANCE_RUNNING, 0).is_protected, 1);
    assert_int_equal(T.protect(f->inst, "toy", i.id, 0, &f->err), 0);
    assert_int_equal(toy_instance(f, BP_INSTANCE_RUNNING, 0).is_protected, 0);
    assert_int_equal(T.protect(f->inst, "toy", i.id, 1, &f->err), 0);
    assert_int_equal(T.terminate(f->inst, "toy", i.id, &f->err), 0);
    WAIT_FOR(toy_count(f, BP_INSTANCE_TERMINATED) == 1);
    assert_int_equal(T.protect(f->inst, "toy", i.id, 1, &f->err), BP_NOTFOUND);
}

static void nothing_of_an_ended_instance_stays_but_its_log(void **state)
{
    struct fake *f = ready(state, QUICK ",\"endedReportSeconds\":0.1", 1);
    struct bp_instance i = toy_instance(f, BP_INSTANCE_RUNNING, 0);
    char name[128];
    assert_int_equal(T.terminate(f->inst, "toy", i.id, &f->err), 0);
    WAIT_FOR(toy_count(f, 0) == 0);
    snprintf(name, sizeof name, "instances/%s", i.id);
    assert_false(fake_exists(f, name));
    snprintf(name, sizeof name, "instances/%s.log", i.id);
    assert_true(fake_exists(f, name));
    WAIT_FOR(has_no_child());
}

/* ---- accidents ---- */

static void a_killed_instance_is_replaced(void **state)
{
    struct fake *f = ready(state, QUICK, 2);
    struct bp_instance i = toy_instance(f, BP_INSTANCE_RUNNING, 0);
    pid_t pid = toy_pid(f, i.id);
    assert_int_equal(T.inject(f->inst, "toy", "kill", i.id, &f->err), 0);
    WAIT_FOR(toy_count(f, 0) == 3 && toy_up(f, 2));
    assert_true(is_gone(pid));
    assert_int_equal(toy_desired(f), 2);
    assert_int_equal(toy_activities(f, "exit", 0), 1);
    assert_int_equal(toy_activities(f, "launch", 0), 3);
}

static void a_worker_killed_by_somebody_else_is_replaced_too(void **state)
{
    struct fake *f = ready(state, QUICK, 1);
    pid_t pid = toy_pid(f, toy_instance(f, BP_INSTANCE_RUNNING, 0).id);
    assert_int_equal(kill(pid, SIGKILL), 0);
    WAIT_FOR(toy_count(f, 0) == 2 && toy_up(f, 1));
    assert_int_not_equal(toy_pid(f, toy_instance(f, BP_INSTANCE_RUNNING, 0).id), pid);
}

static void workers_that_end_at_once_are_not_started_without_rest(void **state)
{
    struct fake *f = *state;
    int64_t began = real_ms();
    assert_int_equal(
        fake_start(f, "\"bootDelaySeconds\":0,\"launchRetrySeconds\":0.1,\"workerArgs\":[\"behave=short\"]"), 0);
    toy_make(f, 1, 1);
    WAIT_FOR(toy_activities(f, "exit", 0) == 3);
    assert_true(real_ms() - began >= 300); /* 0.1 s, then 0.2 s */
    assert_true(fake_logged("exit status 3"));
}

static void an_interruption_gives_notice_and_then_ends_the_instance(void **state)
{
    struct fake *f = ready(state, QUICK ",\"noticeSeconds\":0.3", 1);
    struct bp_instance i = toy_instance(f, BP_INSTANCE_RUNNING, 0);
    int64_t before = real_ms();
    assert_int_equal(T.inject(f->inst, "toy", "interrupt", i.id, &f->err), 0);
    char *notice = instance_file(f, i.id, "notice.json");
    assert_non_null(strstr(notice, "\"interruption\""));
    assert_int_equal(toy_instance(f, BP_INSTANCE_RUNNING, 0).interrupting, 1);
    free(notice);
    assert_int_equal(T.inject(f->inst, "toy", "interrupt", i.id, &f->err), 0); /* once is enough */
    WAIT_FOR(toy_count(f, BP_INSTANCE_TERMINATED) == 1);
    assert_true(real_ms() - before >= 300);
    WAIT_FOR(toy_up(f, 1));
    assert_int_equal(toy_desired(f), 1);
    assert_int_equal(toy_activities(f, "interruption", 0), 2);
    assert_int_equal(toy_activities(f, "exit", 0), 0);
}

static void a_worker_that_heeds_the_notice_leaves_its_machine_until_it_is_ended(void **state)
{
    struct fake *f = ready(state, QUICK ",\"noticeSeconds\":3000,\"workerArgs\":[\"behave=polite\"]", 1);
    struct bp_instance i = toy_instance(f, BP_INSTANCE_RUNNING, 0);
    pid_t pid = toy_pid(f, i.id);
    assert_int_equal(T.inject(f->inst, "toy", "interrupt", NULL, &f->err), 0);
    WAIT_FOR(kill(pid, 0) < 0);
    assert_int_equal(toy_count(f, BP_INSTANCE_RUNNING), 1);
    assert_int_equal(T.terminate(f->inst, "toy", i.id, &f->err), 0);
    assert_int_equal(toy_count(f, BP_INSTANCE_TERMINATED), 1);
    assert_int_equal(toy_desired(f), 0); /* nothing takes its place: whoever ended it has seen to that */
    assert_int_equal(toy_activities(f, "launch", 0), 1);
}

static void a_machine_that_nobody_ends_is_taken_in_its_time(void **state)
{
    struct fake *f = ready(state, QUICK ",\"noticeSeconds\":0.3,\"workerArgs\":[\"behave=polite\"]", 1);
    assert_int_equal(T.inject(f->inst, "toy", "interrupt", NULL, &f->err), 0);
    WAIT_FOR(toy_count(f, BP_INSTANCE_TERMINATED) == 1);
    assert_int_equal(toy_activities(f, "interruption", 0), 2);
    WAIT_FOR(toy_up(f, 1));
}

static void on_demand_instances_are_not_interrupted(void **state)
{
    struct fake *f = ready(state, QUICK ",\"spot\":false", 1);
    assert_int_equal(T.inject(f->inst, "toy", "interrupt", NULL, &f->err), BP_CONFLICT);
    assert_int_equal(toy_instance(f, BP_INSTANCE_RUNNING, 0).interrupting, 0);
}

static void somebody_elses_children_are_not_reaped(void **state)
{
    struct fake *f = *state;
    pid_t child = fork();
    if (child == 0)
        _exit(7);
    ready(state, QUICK, 1);
    assert_int_equal(T.inject(f->inst, "toy", "kill", NULL, &f->err), 0);
    WAIT_FOR(toy_count(f, BP_INSTANCE_TERMINATED) == 1);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_worker_is_started_with_what_it_must_know),
        TEST(no_secret_of_the_daemons_environment_reaches_a_worker),
        TEST(what_a_worker_prints_is_in_its_log),
        TEST(a_worker_has_a_session_of_its_own_and_no_signal_blocked),
        TEST(terminate_ends_that_instance_and_lowers_desired),
        TEST(a_worker_that_ignores_sigterm_is_killed_after_the_grace),
        TEST(the_end_of_a_worker_is_the_end_of_its_children),
        TEST(protection_is_shown_and_terminate_ends_a_protected_instance),
        TEST(nothing_of_an_ended_instance_stays_but_its_log),
        TEST(a_killed_instance_is_replaced),
        TEST(a_worker_killed_by_somebody_else_is_replaced_too),
        TEST(workers_that_end_at_once_are_not_started_without_rest),
        TEST(an_interruption_gives_notice_and_then_ends_the_instance),
        TEST(a_worker_that_heeds_the_notice_leaves_its_machine_until_it_is_ended),
        TEST(a_machine_that_nobody_ends_is_taken_in_its_time),
        TEST(on_demand_instances_are_not_interrupted),
        TEST(somebody_elses_children_are_not_reaped),
    };
    return RUN(tests);
}
