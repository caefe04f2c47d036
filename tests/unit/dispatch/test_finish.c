/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/rig.h"

#include "dispatch/finish.h"

#include <string.h>

static int64_t photo_in(struct rig *r)
{
    return submit_ok(r, "{'workflow':'photo','input':{'key':'tenants/acme/uploads/u/p.jpg','mime':'image/jpeg'}}");
}

static void completed_job_has_its_output(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "photo");
    int64_t id = photo_in(r);
    struct json_object *job = poll_job(r, w, &a);
    do_worker(
        r, dispatch_worker_complete, w,
        lease_body(job, "'provider_job_id':'p-1','output':{'size':1,'mime_type':'video/mp4','metadata':{'fps':25}}"),
        &b);
    assert_int_equal(b.rc, BP_OK);
    assert_string_equal(b.message, "Job completed");
    assert_int_equal(json_int(b.data, "job_id", 0), id);
    assert_int_equal(r->events[EVENT_JOB_COMPLETED], 1);
    do_get(r, id, &b);
    struct json_object *output = json_member(b.data, "output");
    assert_string_equal(json_str(b.data, "status", ""), "completed");
    assert_string_equal(json_str(output, "key", ""), json_str(json_member(job, "output_file"), "path", "-"));
    assert_int_equal(json_int(output, "size", 0), 4711); /* what the object store says, not what the worker claims */
    assert_non_null(strstr(json_str(output, "url", ""), "m=GET"));
    assert_int_equal(json_int(json_member(output, "metadata"), "fps", 0), 25);
    assert_string_equal(json_str(b.data, "provider_job_id", ""), "p-1");
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void completing_twice_has_one_effect(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "photo");
    photo_in(r);
    struct json_object *job = poll_job(r, w, &a);
    for (int i = 0; i < 3; i++) {
        do_worker(r, dispatch_worker_complete, w, lease_body(job, "'output':{'size':1}"), &b);
        assert_int_equal(b.rc, BP_OK);
        assert_string_equal(b.message, "Job completed");
    }
    assert_int_equal(r->events[EVENT_JOB_COMPLETED], 1);
    struct dispatch_counters n;
    dispatch_counters(r->d, &n);
    assert_int_equal(n.completed, 1);
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void complete_without_the_object_is_422_and_the_lease_lives(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "photo");
    int64_t id = photo_in(r);
    struct json_object *job = poll_job(r, w, &a);
    atomic_store(&r->head_missing, 1);
    do_worker(r, dispatch_worker_complete, w, lease_body(job, ""), &b);
    assert_int_equal(b.rc, BP_INVALID);
    assert_non_null(strstr(field_message(&b, "output"), "not uploaded"));
    assert_string_equal(status_of(r, id), "leased");
    atomic_store(&r->head_missing, 0);
    do_worker(r, dispatch_worker_complete, w, lease_body(job, ""), &b);
    assert_int_equal(b.rc, BP_OK);
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void lease_of_another_is_404_whatever_is_tried(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop"), *thief = worker_in(r, "thief", "noop");
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    struct json_object *job = poll_job(r, w, &a);
    const worker_door doors[] = {dispatch_worker_complete, dispatch_worker_fail, dispatch_worker_heartbeat,
                                 dispatch_worker_progress, dispatch_worker_requeue};
    for (size_t i = 0; i < 5; i++) {
        do_worker(r, doors[i], thief, lease_body(job, "'worker_id':'w','progress':0.5,'reason':'x'"), &b);
        assert_int_equal(b.rc, BP_NOTFOUND);
        assert_string_equal(b.message, i == 4 ? "Invalid dispatch or lease token." : "Lease not found.");
        do_worker(r, doors[i], w, "{'dispatch_id':1,'lease_token':'wrong','progress':0.5,'reason':'x'}", &b);
        assert_int_equal(b.rc, BP_NOTFOUND);
        do_worker(r, doors[i], w, "{'dispatch_id':999,'lease_token':'wrong','progress':0.5,'reason':'x'}", &b);
        assert_int_equal(b.rc, BP_NOTFOUND);
    }
    assert_string_equal(status_of(r, id), "leased");
    struct dispatch_counters n;
    dispatch_counters(r->d, &n);
    assert_int_equal(n.stale, 15);
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    worker_auth_free(thief);
    rig_free(r);
}

static void fail_is_terminal_unless_said_otherwise(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    struct json_object *job = poll_job(r, w, &a);
    do_worker(r, dispatch_worker_fail, w, lease_body(job, "'error_message':'out of cheese\\nline two'"), &b);
    assert_int_equal(b.rc, BP_OK);
    assert_string_equal(b.message, "Job failed");
    assert_int_equal(json_int(b.data, "dispatch_id", 0), id);
    assert_int_equal(r->events[EVENT_JOB_FAILED], 1);
    do_worker(r, dispatch_worker_fail, w, lease_body(job, "'error_message':'again'"), &b);
    assert_int_equal(b.rc, BP_OK);
    assert_int_equal(r->events[EVENT_JOB_FAILED], 1);
    do_get(r, id, &b);
    assert_string_equal(json_str(b.data, "status", ""), "failed");
    assert_string_equal(json_str(b.data, "error", ""), "out of cheese");
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void retryable_failure_comes_back_after_its_delay_until_attempts_are_used_up(void **state)
{
    (void)state;
    const char *sets[] = {"dispatch.retryBaseSeconds=60", "dispatch.sweepMilliseconds=50", "dispatch.maxAttempts=2",
                          NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    struct json_object *job = poll_job(r, w, &a);
    do_worker(r, dispatch_worker_fail, w, lease_body(job, "'error_message':'boom','retryable':true"), &b);
    assert_string_equal(json_str(b.data, "status", ""), "scheduled");
    assert_int_equal(r->events[EVENT_JOB_RETRY], 1);
    do_worker(r, dispatch_worker_poll, w, "{'worker_id':'w'}", &b);
    assert_null(json_member(b.data, "job"));
    struct answer waiting = {0};
    begin_worker(r, dispatch_worker_poll, w, "{'worker_id':'w','wait_seconds':30}", &waiting);
    rig_sleep(r, 61000);
    rig_wait(r, &waiting);
    assert_int_equal(r->events[EVENT_JOB_DUE], 1);
    assert_int_equal(r->events[EVENT_JOB_EXPIRED], 0);
    job = json_member(waiting.data, "job");
    assert_int_equal(json_int(job, "attempt", 0), 2);
    do_worker(r, dispatch_worker_fail, w, lease_body(job, "'error_message':'boom','retryable':true"), &b);
    assert_string_equal(json_str(b.data, "status", ""), "failed");
    assert_string_equal(status_of(r, id), "failed");
    answer_reset(&a);
    answer_reset(&b);
    answer_reset(&waiting);
    worker_auth_free(w);
    rig_free(r);
}

static void interruption_costs_no_attempt_and_goes_to_the_front(void **state)
{
    (void)state;
    const char *sets[] = {"dispatch.maxRequeues=2", NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    submit_ok(r, "{'workflow':'noop'}");
    for (int i = 0; i < 3; i++) {
        struct json_object *job = poll_job(r, w, &a);
        assert_int_equal(json_int(job, "dispatch_id", 0), id);
        assert_int_equal(json_int(job, "attempt", 0), 1);
        do_worker(r, dispatch_worker_requeue, w, lease_body(job, "'reason':'spot_interruption'"), &b);
        assert_int_equal(b.rc, BP_OK);
        assert_string_equal(b.message, "Job requeued");
        assert_null(b.data);
    }
    assert_int_equal(r->events[EVENT_JOB_REQUEUED], 2);
    assert_int_equal(r->events[EVENT_JOB_FAILED], 1); /* the third was one too many */
    do_worker(r, dispatch_worker_requeue, w, "{'dispatch_id':1,'lease_token':'x'}", &b);
    assert_string_equal(field_message(&b, "reason"), "The reason field is required.");
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void checkpoint_must_be_the_jobs_own(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "photo");
    photo_in(r);
    struct json_object *job = poll_job(r, w, &a);
    char more[600];
    const char *const bad[] = {"tenants/acme/jobs/2/x/checkpoint", "tenants/acme/jobs/1/../checkpoint", "secret",
                               "tenants/acme/jobs/1/x/y/checkpoint", "tenants/acme/jobs/1/x/output.mp4"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(more, sizeof more, "'reason':'r','checkpoint_key':'%s'", bad[i]);
        do_worker(r, dispatch_worker_requeue, w, lease_body(job, more), &b);
        assert_int_equal(b.rc, BP_INVALID);
        assert_non_null(json_member(b.fields, "checkpoint_key"));
    }
    snprintf(more, sizeof more, "'reason':'r','checkpoint_key':'%s'",
             json_str(json_member(job, "input_payload"), "checkpoint_key", ""));
    do_worker(r, dispatch_worker_requeue, w, lease_body(job, more), &b);
    assert_int_equal(b.rc, BP_OK);
    struct json_object *again = poll_job(r, w, &b), *input = json_member(again, "input_payload");
    const char *old = json_str(json_member(job, "input_payload"), "checkpoint_key", "");
    assert_non_null(strstr(json_str(input, "checkpoint_url", ""), old));
    assert_null(strstr(json_str(input, "checkpoint_upload_url", ""), old)); /* each attempt writes to its own */
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void late_complete_of_a_re_leased_job_changes_nothing(void **state)
{
    (void)state;
    const char *sets[] = {"dispatch.leaseTtlSeconds=10", "dispatch.sweepMilliseconds=50", NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0}, b = {0}, c = {0};
    struct worker_auth *w = worker_in(r, "w", "photo"), *x = worker_in(r, "x", "photo");
    int64_t id = photo_in(r);
    struct json_object *old = poll_job(r, w, &a);
    begin_worker(r, dispatch_worker_poll, x, "{'worker_id':'x','wait_seconds':30}", &b);
    rig_sleep(r, 11000);
    rig_wait(r, &b);
    assert_string_equal(b.message, "Job leased");
    unsigned heads = atomic_load(&r->heads);
    do_worker(r, dispatch_worker_complete, w, lease_body(old, ""), &c);
    assert_int_equal(c.rc, BP_NOTFOUND);
    assert_string_equal(status_of(r, id), "leased");
    assert_int_equal(atomic_load(&r->heads), heads);
    do_worker(r, dispatch_worker_complete, x, lease_body(json_member(b.data, "job"), ""), &c);
    assert_int_equal(c.rc, BP_OK);
    assert_int_equal(r->events[EVENT_JOB_COMPLETED], 1);
    answer_reset(&a);
    answer_reset(&b);
    answer_reset(&c);
    worker_auth_free(w);
    worker_auth_free(x);
    rig_free(r);
}

static void lease_outlives_the_controller(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "photo");
    photo_in(r);
    struct json_object *job = poll_job(r, w, &a);
    dispatch_free(r->d); /* all that was remembered is lost */
    r->d = dispatch_new(r->bus, NULL, r->config);
    dispatch_start(r->d);
    atomic_store(&r->head_missing, 1);
    do_worker(r, dispatch_worker_complete, w, lease_body(job, ""), &b);
    assert_int_equal(b.rc, BP_INVALID);
    atomic_store(&r->head_missing, 0);
    do_worker(r, dispatch_worker_complete, w, lease_body(job, ""), &b);
    assert_int_equal(b.rc, BP_OK);
    assert_non_null(strstr(r->last_event, "\"workflow\":\"photo\""));
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void error_texts_are_one_line_for_the_tenant(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *text;
    } rows[] = {
        {NULL, "Processing failed. Try another input."},
        {"", "Processing failed."},
        {"  \n", "Processing failed."},
        {"  CUDA out of memory \nTraceback ...", "CUDA out of memory"},
        {"{\"exception_message\":\"bad node\",\"error_message\":\"x\"}", "bad node"},
        {"{\"error_message\":\"only this\\nnot this\"}", "only this"},
        {"{\"other\":1}", "{\"other\":1}"},
        {"ComfyUI said {'exception_message': 'no model', 'x': 1}", "no model"},
        {"HTTP 500: {\"exception_message\": \"say \\\"hi\\\"\"", "say \"hi\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[1024];
        error_text(rows[i].raw, out);
        assert_string_equal(out, rows[i].text);
    }
    char longest[5000], out[1024];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    error_text(longest, out);
    assert_int_equal(strlen(out), 1000);
}

static void wrong_fields_of_an_ending_are_named(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    do_worker(
        r, dispatch_worker_complete, w,
        "{'dispatch_id':'x','lease_token':7,'provider_job_id':[],'output':{'size':-1,'mime_type':3,'metadata':'m'}}",
        &a);
    assert_string_equal(field_message(&a, "dispatch_id"), "The dispatch id field must be an integer.");
    assert_string_equal(field_message(&a, "lease_token"), "The lease token field must be a string.");
    assert_string_equal(field_message(&a, "provider_job_id"), "The provider job id field must be a string.");
    assert_string_equal(field_message(&a, "output.size"), "The output.size field must be at least 0.");
    assert_string_equal(field_message(&a, "output.mime_type"), "The output.mime type field must be a string.");
    assert_string_equal(field_message(&a, "output.metadata"), "The output.metadata field must be an array.");
    do_worker(r, dispatch_worker_fail, w, "{'dispatch_id':'5 ','lease_token':'  '}", &a);
    assert_null(json_member(a.fields, "dispatch_id")); /* "5 " is an integer */
    assert_string_equal(field_message(&a, "lease_token"), "The lease token field is required.");
    do_worker(r, dispatch_worker_fail, w,
              "{'dispatch_id':5.5,'lease_token':'12345678901234567890123456789012345678901234567890123456789012345'}",
              &a);
    assert_string_equal(field_message(&a, "dispatch_id"), "The dispatch id field must be an integer.");
    assert_string_equal(field_message(&a, "lease_token"),
                        "The lease token field must not be greater than 64 characters.");
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(completed_job_has_its_output),
        cmocka_unit_test(completing_twice_has_one_effect),
        cmocka_unit_test(complete_without_the_object_is_422_and_the_lease_lives),
        cmocka_unit_test(lease_of_another_is_404_whatever_is_tried),
        cmocka_unit_test(fail_is_terminal_unless_said_otherwise),
        cmocka_unit_test(retryable_failure_comes_back_after_its_delay_until_attempts_are_used_up),
        cmocka_unit_test(interruption_costs_no_attempt_and_goes_to_the_front),
        cmocka_unit_test(checkpoint_must_be_the_jobs_own),
        cmocka_unit_test(late_complete_of_a_re_leased_job_changes_nothing),
        cmocka_unit_test(lease_outlives_the_controller),
        cmocka_unit_test(error_texts_are_one_line_for_the_tenant),
        cmocka_unit_test(wrong_fields_of_an_ending_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
