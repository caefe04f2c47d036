/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int polls_again(struct rig *r)
{
    return rig_polls(r);
}

static struct rig *begin(const char *params, const char *const *settings)
{
    struct rig *r = rig_new(settings);
    fake_add_job(r->fake, 7, params, 1);
    worker_start(r->worker);
    return r;
}

static void a_job_is_fetched_run_uploaded_and_completed(void **state)
{
    (void)state;
    struct rig *r = begin("{\"steps\":4,\"step_ms\":100}", NULL);
    rig_until(r, polls_again);
    struct fake_object *out = fake_object(r->fake, "output");
    assert_non_null(out);
    assert_string_equal(out->bytes, "the bytes of a photo");
    assert_string_equal(out->type, "application/x-copy");
    struct json_object *done = fake_last(r->fake, "complete");
    assert_int_equal(json_int(done, "dispatch_id", 0), 7);
    assert_string_equal(json_str(done, "lease_token", ""), "11111111-2222-4333-8444-555555555555");
    assert_int_equal(json_int(json_member(done, "output"), "size", 0), 20);
    assert_int_equal(fake_count(r->fake, "complete"), 1);
    assert_int_equal(fake_count(r->fake, "fail"), 0);
    rig_free(r);
}

static void heartbeats_and_progress_go_on_while_the_job_runs(void **state)
{
    (void)state;
    struct rig *r = begin("{\"steps\":30,\"step_ms\":50}", NULL);
    rig_until(r, rig_completed);
    assert_true(fake_count(r->fake, "heartbeat") >= 3);
    assert_true(fake_count(r->fake, "progress") >= 1);
    double fraction = json_num(fake_last(r->fake, "progress"), "progress", -1);
    assert_true(fraction > 0 && fraction <= 1);
    assert_non_null(strstr(json_str(fake_last(r->fake, "progress"), "text", ""), "of 30"));
    /* Ten a second come out of the runner, one a second goes on. */
    assert_true(fake_tried(r->fake, "progress") <= 1 + 60);
    rig_free(r);
}

static void progress_that_says_nothing_new_is_told_less_often(void **state)
{
    (void)state;
    struct rig *r = begin("{\"misbehave\":\"repeat\"}", NULL);
    rig_until(r, rig_completed);
    /* Once the first, once the last, which is another; in between 2.5 s of the same. */
    assert_true(fake_count(r->fake, "progress") <= 2);
    rig_free(r);
}

static void params_inputs_and_attempt_reach_the_job(void **state)
{
    (void)state;
    struct rig *r = begin("{\"steps\":1,\"report\":true}", NULL);
    rig_until(r, rig_completed);
    struct json_object *o = rig_report(r);
    assert_true(json_truth(json_member(o, "params"), "report", 0));
    assert_int_equal(json_int(o, "inputs", 0), 1);
    assert_string_equal(json_str(o, "mime", ""), "image/jpeg");
    assert_string_equal(json_str(o, "name", ""), "holiday.jpg");
    assert_int_equal(json_int(o, "attempt", 0), 1);
    assert_int_equal(json_int(o, "id", 0), 7);
    assert_string_equal(json_str(o, "slug", ""), "test-copy");
    assert_string_equal(json_text(json_member(o, "settings")), "{\"command\":[\"true\",7]}");
    assert_string_equal(json_str(o, "settings_dir", ""), "/srv/workflows.d");
    assert_true(json_int(o, "deadline_ms", 0) > loop_now_ms(r->loop));
    rig_free(r);
}

static void the_runner_has_no_secret_no_network_and_no_file_of_ours(void **state)
{
    (void)state;
    setenv("AWS_SECRET_ACCESS_KEY", "not-for-jobs", 1);
    struct rig *r = begin("{\"report\":true}", NULL);
    rig_until(r, rig_completed);
    struct fake_object *out = fake_object(r->fake, "output");
    assert_null(strstr(out->bytes, "s3cret"));
    assert_null(strstr(out->bytes, "token-1"));
    assert_null(strstr(out->bytes, "not-for-jobs"));
    assert_null(strstr(out->bytes, "AWS_"));
    struct json_object *o = rig_report(r);
    assert_int_not_equal(json_int(o, "inet", 0), 0);
    assert_int_not_equal(json_int(o, "inet6", 0), 0);
    assert_int_not_equal(json_int(o, "netlink", 0), 0);
    assert_int_not_equal(json_int(o, "unix", 0), 0);
    assert_int_equal(json_int(o, "no_new_privs", 0), 1);
    assert_int_equal(json_int(o, "core", -1), 0);
    assert_int_equal(json_int(o, "group", 0), 1);
    assert_int_equal(json_object_array_length(json_member(o, "files")), 4);
    rig_free(r);
}

static int two_completed(struct rig *r)
{
    return fake_count(r->fake, "complete") == 2;
}

static int three_completed(struct rig *r)
{
    return fake_count(r->fake, "complete") == 3;
}

static void a_second_job_gets_the_same_runner(void **state)
{
    (void)state;
    struct rig *r = begin("{\"report\":true}", NULL);
    rig_until(r, polls_again);
    int64_t pid = json_int(rig_report(r), "pid", 0);
    fake_add_job(r->fake, 8, "{\"report\":true}", 1);
    fake_wake(r->fake);
    rig_until(r, two_completed);
    assert_int_equal(json_int(rig_report(r), "pid", 0), pid);
    rig_free(r);
}

static void the_next_job_comes_with_the_answer_to_the_first(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    r->fake->takes = 1;
    for (int id = 7; id <= 9; id++)
        fake_add_job(r->fake, id, "{\"report\":true}", 1);
    worker_start(r->worker);
    rig_until(r, three_completed);
    int64_t pid = json_int(rig_report(r), "pid", 0);
    assert_int_equal(fake_tried(r->fake, "poll"), 1);
    struct json_object *poll = json_member(fake_last(r->fake, "complete"), "poll");
    assert_int_equal(json_int(poll, "max_concurrency", 0), 1);
    assert_null(json_member(poll, "wait_seconds"));
    assert_true(pid > 0);
    rig_until(r, rig_polls); /* there was none behind the last: it waits for one as ever */
    assert_int_equal(fake_tried(r->fake, "poll"), 2);
    rig_free(r);
}

static void a_failed_job_takes_none_along(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    r->fake->takes = 1;
    fake_add_job(r->fake, 7, "{\"misbehave\":\"bad_input\"}", 1);
    fake_add_job(r->fake, 8, "{}", 1);
    worker_start(r->worker);
    rig_until(r, rig_completed);
    assert_null(json_member(fake_last(r->fake, "fail"), "poll"));
    assert_int_equal(fake_count(r->fake, "poll"), 2);
    rig_free(r);
}

static int a_runner_has_a_home(struct rig *r)
{
    (void)r;
    return system("ls state/work 2>/dev/null | grep -q '^runner'") == 0;
}

static void a_runner_is_started_before_there_is_a_job(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    worker_start(r->worker);
    rig_until(r, a_runner_has_a_home);
    fake_add_job(r->fake, 7, "{}", 1); /* ready or not, it is the one that serves */
    rig_until(r, rig_polls);
    fake_wake(r->fake);
    rig_until(r, rig_completed);
    assert_int_equal(system("test $(find state/work -maxdepth 1 -type d -name 'runner*' | wc -l) = 1"), 0);
    rig_free(r);
}

static void bad_input_fails_for_good_in_the_workflows_words(void **state)
{
    (void)state;
    struct rig *r = begin("{\"misbehave\":\"bad_input\"}", NULL);
    rig_until(r, rig_failed);
    struct json_object *f = fake_last(r->fake, "fail");
    assert_string_equal(json_str(f, "error_message", ""), "the photo is not a photo");
    assert_false(json_truth(f, "retryable", 1));
    assert_int_equal(rig_faults(), 0);
    rig_free(r);
}

static void any_other_error_may_be_retried(void **state)
{
    (void)state;
    struct rig *r = begin("{\"misbehave\":\"fail\"}", NULL);
    rig_until(r, rig_failed);
    struct json_object *f = fake_last(r->fake, "fail");
    assert_string_equal(json_str(f, "error_message", ""), "the device had a bad day");
    assert_true(json_truth(f, "retryable", 0));
    rig_free(r);
}

static void a_crash_fails_that_job_only_and_the_next_gets_a_fresh_runner(void **state)
{
    (void)state;
    struct rig *r = begin("{\"report\":true}", NULL);
    rig_until(r, polls_again);
    int64_t pid = json_int(rig_report(r), "pid", 0);
    fake_add_job(r->fake, 8, "{\"misbehave\":\"crash\"}", 1);
    fake_add_job(r->fake, 9, "{\"report\":true}", 1);
    fake_wake(r->fake);
    rig_until(r, two_completed);
    struct json_object *f = fake_last(r->fake, "fail");
    assert_int_equal(json_int(f, "dispatch_id", 0), 8);
    assert_true(json_truth(f, "retryable", 0));
    assert_non_null(strstr(json_str(f, "error_message", ""), "signal 9"));
    assert_true(json_truth(f, "fault", 0));
    assert_string_equal(json_str(f, "plugin_sha256", ""), "5ha");
    assert_int_equal(rig_faults(), 1);
    assert_int_not_equal(json_int(rig_report(r), "pid", 0), pid);
    rig_free(r);
}

/* The heap may have been written over by the job before. */
static void a_job_does_not_pay_for_a_runner_that_served_others(void **state)
{
    (void)state;
    struct rig *r = begin("{\"report\":true}", NULL);
    rig_until(r, polls_again);
    int64_t pid = json_int(rig_report(r), "pid", 0);
    char params[128];
    snprintf(params, sizeof(params), "{\"report\":true,\"misbehave\":\"crash\",\"only_pid\":%lld}", (long long)pid);
    fake_add_job(r->fake, 8, params, 1);
    fake_wake(r->fake);
    rig_until(r, two_completed);
    assert_int_equal(fake_tried(r->fake, "fail"), 0);
    assert_int_equal(fake_tried(r->fake, "requeue"), 0);
    assert_int_not_equal(json_int(rig_report(r), "pid", 0), pid);
    assert_int_equal(json_int(rig_report(r), "attempt", 0), 1);
    assert_int_equal(rig_faults(), 1); /* it is a fault all the same */
    rig_free(r);
}

static int says_except(struct rig *r)
{
    struct json_object *poll = fake_last(r->fake, "poll");
    return rig_polls(r) && json_member(poll, "except") != NULL;
}

static int says_no_except(struct rig *r)
{
    return rig_polls(r) && !says_except(r);
}

static void a_workflow_in_quarantine_here_is_not_asked_for_until_it_is_released(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    rig_quarantine("it crashed too often");
    fake_add_job(r->fake, 7, "{}", 1); /* of a controller that does not know "except" */
    worker_start(r->worker);
    rig_until(r, rig_requeued);
    assert_non_null(strstr(json_str(fake_last(r->fake, "requeue"), "reason", ""), "quarantine"));
    rig_until(r, says_except);
    assert_string_equal(json_text(json_member(fake_last(r->fake, "poll"), "except")), "[\"test-copy\"]");
    r->fake->released_ms = 1234567;
    fake_wake(r->fake);
    rig_until(r, says_no_except);
    fake_add_job(r->fake, 8, "{}", 1);
    fake_wake(r->fake);
    rig_until(r, rig_completed);
    rig_free(r);
}

static void an_exit_in_the_middle_is_a_crash_too(void **state)
{
    (void)state;
    struct rig *r = begin("{\"misbehave\":\"exit\"}", NULL);
    rig_until(r, rig_failed);
    assert_true(json_truth(fake_last(r->fake, "fail"), "retryable", 0));
    assert_non_null(strstr(json_str(fake_last(r->fake, "fail"), "error_message", ""), "status 7"));
    assert_int_equal(rig_faults(), 1);
    rig_free(r);
}

static void a_hang_is_ended_at_the_jobs_limit(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct json_object *job = fake_add_job(r->fake, 7, "{\"misbehave\":\"hang\"}", 1);
    json_put_num(json_member(job, "input_payload"), "timeout_seconds", 0.5);
    fake_add_job(r->fake, 8, "{}", 1);
    worker_start(r->worker);
    rig_until(r, rig_completed);
    assert_int_equal(json_int(fake_last(r->fake, "fail"), "dispatch_id", 0), 7);
    assert_non_null(strstr(json_str(fake_last(r->fake, "fail"), "error_message", ""), "limit"));
    assert_int_equal(json_int(fake_last(r->fake, "complete"), "dispatch_id", 0), 8);
    rig_free(r);
}

static void a_flood_of_log_lines_does_not_hinder_the_job(void **state)
{
    (void)state;
    struct rig *r = begin("{\"misbehave\":\"flood\"}", NULL);
    rig_until(r, rig_completed);
    rig_free(r);
}

static void success_without_an_output_is_no_success(void **state)
{
    (void)state;
    struct rig *r = begin("{\"misbehave\":\"no_output\"}", NULL);
    rig_until(r, rig_failed);
    assert_int_equal(fake_tried(r->fake, "complete"), 0);
    rig_free(r);
}

static void an_input_that_is_gone_fails_for_good(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    fake_object(r->fake, "photo")->key[0] = 'x';
    fake_add_job(r->fake, 7, "{}", 1);
    worker_start(r->worker);
    rig_until(r, rig_failed);
    assert_false(json_truth(fake_last(r->fake, "fail"), "retryable", 1));
    rig_free(r);
}

static void an_input_that_is_too_large_fails_for_good(void **state)
{
    (void)state;
    struct rig *r = begin("{}", (const char *const[]){"worker.maxInputBytes=10", NULL});
    rig_until(r, rig_failed);
    assert_false(json_truth(fake_last(r->fake, "fail"), "retryable", 1));
    assert_non_null(strstr(json_str(fake_last(r->fake, "fail"), "error_message", ""), "too large"));
    rig_free(r);
}

static void an_object_store_that_stumbles_is_asked_again(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    r->fake->store_down = 2;
    fake_add_job(r->fake, 7, "{}", 1);
    worker_start(r->worker);
    rig_until(r, rig_completed);
    rig_free(r);
}

static int was_fetched(struct rig *r)
{
    return fake_object(r->fake, "photo")->gets > 0;
}

static void urls_that_ran_out_during_the_run_are_renewed(void **state)
{
    (void)state;
    struct rig *r = begin("{\"steps\":10,\"step_ms\":50}", NULL);
    rig_until(r, was_fetched);
    r->fake->url_version = 2; /* what the worker has is refused with 403 from here on */
    rig_until(r, rig_completed);
    assert_int_equal(fake_object(r->fake, "output")->puts, 1);
    rig_free(r);
}

static void an_input_url_that_ran_out_is_renewed(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    fake_add_job(r->fake, 7, "{}", 1);
    r->fake->url_version = 2;
    worker_start(r->worker);
    rig_until(r, rig_completed);
    rig_free(r);
}

static void a_job_without_inputs_runs(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    fake_add_job(r->fake, 7, "{\"report\":true}", 0);
    worker_start(r->worker);
    rig_until(r, rig_completed);
    assert_int_equal(json_int(rig_report(r), "inputs", -1), 0);
    rig_free(r);
}

static void a_job_resumes_from_the_checkpoint_of_an_earlier_attempt(void **state)
{
    (void)state;
    char url[128];
    struct rig *r = rig_new(NULL);
    struct json_object *job = fake_add_job(r->fake, 7, "{\"steps\":5,\"report\":true}", 1);
    fake_put_object(r->fake, "old", "3");
    snprintf(url, sizeof(url), "%s/objects/old?v=1", r->fake->url);
    json_put_str(json_member(job, "input_payload"), "checkpoint_url", url);
    worker_start(r->worker);
    rig_until(r, rig_completed);
    assert_int_equal(json_int(rig_report(r), "resumed", 0), 3);
    rig_free(r);
}

static void a_checkpoint_that_is_gone_only_costs_time(void **state)
{
    (void)state;
    char url[128];
    struct rig *r = rig_new(NULL);
    struct json_object *job = fake_add_job(r->fake, 7, "{\"report\":true}", 1);
    snprintf(url, sizeof(url), "%s/objects/never?v=1", r->fake->url);
    json_put_str(json_member(job, "input_payload"), "checkpoint_url", url);
    worker_start(r->worker);
    rig_until(r, rig_completed);
    assert_int_equal(json_int(rig_report(r), "resumed", -1), 0);
    rig_free(r);
}

static int key_told(struct rig *r)
{
    for (int i = 0; i < r->fake->n_calls; i++)
        if (!strcmp(r->fake->calls[i].name, "progress") && json_str(r->fake->calls[i].body, "checkpoint_key", NULL))
            return 1;
    return 0;
}

static void a_changed_checkpoint_is_uploaded_now_and_then(void **state)
{
    (void)state;
    struct rig *r = begin("{\"steps\":100000,\"step_ms\":20,\"checkpoint\":true}",
                          (const char *const[]){"worker.checkpointSeconds=0.1", NULL});
    rig_until(r, key_told);
    assert_true(fake_object(r->fake, "checkpoint")->puts >= 1);
    assert_true(atoi(fake_object(r->fake, "checkpoint")->bytes) >= 1);
    rig_free(r);
}

static void a_job_of_a_workflow_that_is_not_here_keeps_its_attempts(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    json_put_str(fake_add_job(r->fake, 7, "{}", 1), "workflow", "never-heard-of");
    fake_add_job(r->fake, 8, "{}", 1);
    worker_start(r->worker);
    rig_until(r, rig_completed);
    assert_int_equal(json_int(fake_last(r->fake, "requeue"), "dispatch_id", 0), 7);
    assert_non_null(strstr(json_str(fake_last(r->fake, "requeue"), "reason", ""), "never-heard-of"));
    assert_int_equal(fake_tried(r->fake, "fail"), 0);
    rig_free(r);
}

static void nothing_of_a_job_stays_on_disk(void **state)
{
    (void)state;
    struct stat st;
    struct rig *r = begin("{}", NULL);
    rig_until(r, polls_again);
    assert_int_not_equal(system("ls -A state/work/jobs | grep -q ."), 0);
    rig_free(r);
    assert_int_not_equal(stat("state/work", &st), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_fetched_run_uploaded_and_completed),
        cmocka_unit_test(heartbeats_and_progress_go_on_while_the_job_runs),
        cmocka_unit_test(progress_that_says_nothing_new_is_told_less_often),
        cmocka_unit_test(params_inputs_and_attempt_reach_the_job),
        cmocka_unit_test(the_runner_has_no_secret_no_network_and_no_file_of_ours),
        cmocka_unit_test(a_second_job_gets_the_same_runner),
        cmocka_unit_test(the_next_job_comes_with_the_answer_to_the_first),
        cmocka_unit_test(a_failed_job_takes_none_along),
        cmocka_unit_test(a_runner_is_started_before_there_is_a_job),
        cmocka_unit_test(bad_input_fails_for_good_in_the_workflows_words),
        cmocka_unit_test(any_other_error_may_be_retried),
        cmocka_unit_test(a_crash_fails_that_job_only_and_the_next_gets_a_fresh_runner),
        cmocka_unit_test(a_job_does_not_pay_for_a_runner_that_served_others),
        cmocka_unit_test(a_workflow_in_quarantine_here_is_not_asked_for_until_it_is_released),
        cmocka_unit_test(an_exit_in_the_middle_is_a_crash_too),
        cmocka_unit_test(a_hang_is_ended_at_the_jobs_limit),
        cmocka_unit_test(a_flood_of_log_lines_does_not_hinder_the_job),
        cmocka_unit_test(success_without_an_output_is_no_success),
        cmocka_unit_test(an_input_that_is_gone_fails_for_good),
        cmocka_unit_test(an_input_that_is_too_large_fails_for_good),
        cmocka_unit_test(an_object_store_that_stumbles_is_asked_again),
        cmocka_unit_test(urls_that_ran_out_during_the_run_are_renewed),
        cmocka_unit_test(an_input_url_that_ran_out_is_renewed),
        cmocka_unit_test(a_job_without_inputs_runs),
        cmocka_unit_test(a_job_resumes_from_the_checkpoint_of_an_earlier_attempt),
        cmocka_unit_test(a_checkpoint_that_is_gone_only_costs_time),
        cmocka_unit_test(a_changed_checkpoint_is_uploaded_now_and_then),
        cmocka_unit_test(a_job_of_a_workflow_that_is_not_here_keeps_its_attempts),
        cmocka_unit_test(nothing_of_a_job_stays_on_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
