/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/rig.h"

#include <string.h>

static const char PHOTO[] = "{'workflow':'photo','input':{'key':'tenants/acme/uploads/u/p.jpg','mime':'image/jpeg'}}";

static void accepted_job_is_told_as_stored(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    do_submit(r, PHOTO, &a);
    assert_int_equal(a.rc, BP_OK);
    assert_string_equal(json_str(a.data, "status", ""), "queued");
    assert_float_equal(json_num(json_member(a.data, "params"), "duration", 0), 5, 1e-9);
    assert_string_equal(json_str(json_member(a.data, "params"), "move", ""), "push");
    do_get(r, json_int(a.data, "id", 0), &b);
    struct json_object_iterator it = json_object_iter_begin(a.data), end = json_object_iter_end(a.data);
    for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
        const char *key = json_object_iter_peek_name(&it);
        struct json_object *stored = NULL;
        assert_true(json_object_object_get_ex(b.data, key, &stored));
        if (strcmp(key, "updated_at") != 0 && !json_object_equal(stored, json_object_iter_peek_value(&it)))
            fail_msg("%s: answered %s, stored %s", key, json_text(json_object_iter_peek_value(&it)), json_text(stored));
    }
    assert_int_equal(json_object_array_length(json_member(b.data, "timeline")), 1);
    assert_int_equal(r->events[EVENT_JOB_SUBMITTED], 1);
    answer_reset(&a);
    answer_reset(&b);
    rig_free(r);
}

static void unknown_workflow_is_404_with_the_nearest_name(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    do_submit(r, "{'workflow':'phoot'}", &a);
    assert_int_equal(a.rc, BP_NOTFOUND);
    assert_non_null(strstr(a.message, "\"photo\""));
    do_submit(r, "{'workflow':'gone'}", &a);
    assert_int_equal(a.rc, BP_CONFLICT);
    answer_reset(&a);
    rig_free(r);
}

static void every_wrong_field_is_named_at_once(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    do_submit(r,
              "{'workflow':'photo','params':{'duration':99,'moov':1},'priority':'high','colour':1,"
              "'inputs':[{'key':'tenants/acme/x','mime':'text/plain','size':3},5]}",
              &a);
    assert_int_equal(a.rc, BP_INVALID);
    assert_non_null(strstr(field_message(&a, "params.duration"), "between 1 and 30"));
    assert_non_null(strstr(field_message(&a, "params.moov"), "Did you mean move"));
    assert_non_null(strstr(field_message(&a, "priority"), "integer"));
    assert_non_null(strstr(field_message(&a, "colour"), "Allowed: workflow"));
    assert_non_null(strstr(field_message(&a, "inputs.0.mime"), "image/png"));
    assert_non_null(strstr(field_message(&a, "inputs.0.size"), "Unknown"));
    assert_non_null(strstr(field_message(&a, "inputs.1"), "object"));
    do_submit(r, "{}", &a);
    assert_non_null(strstr(field_message(&a, "workflow"), "required"));
    do_submit(r, "{'workflow':5}", &a);
    assert_non_null(strstr(field_message(&a, "workflow"), "string"));
    do_submit(r, "{'workflow':'photo'}", &a);
    assert_non_null(strstr(field_message(&a, "inputs"), "at least one of image/jpeg, image/png"));
    assert_int_equal(r->events[EVENT_JOB_SUBMITTED], 0);
    answer_reset(&a);
    rig_free(r);
}

static void input_that_was_not_uploaded_is_refused_by_name(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    atomic_store(&r->head_missing, 1);
    do_submit(r, PHOTO, &a);
    assert_int_equal(a.rc, BP_INVALID);
    assert_non_null(strstr(field_message(&a, "input.key"), "POST /api/uploads"));
    do_submit(r,
              "{'workflow':'photo','inputs':[{'key':'tenants/acme/a','mime':'image/png'},"
              "{'key':'tenants/acme/b','mime':'image/png'}]}",
              &a);
    assert_int_equal(a.rc, BP_INVALID);
    assert_non_null(strstr(field_message(&a, "inputs.0.key"), "POST /api/uploads"));
    assert_non_null(strstr(field_message(&a, "inputs.1.key"), "POST /api/uploads"));
    assert_int_equal(r->events[EVENT_JOB_SUBMITTED], 0);
    assert_int_equal(atomic_load(&r->heads), 3);
    answer_reset(&a);
    rig_free(r);
}

static void object_store_that_cannot_say_delays_the_submit(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    atomic_store(&r->head_fail, BP_IO);
    do_submit(r, PHOTO, &a);
    assert_int_equal(a.rc, BP_LATER);
    assert_true(a.retry_after_s > 0);
    assert_non_null(strstr(a.message, "object store"));
    atomic_store(&r->head_fail, 0);
    bus_route(r->bus, "objects", NULL, NULL, NULL);
    do_submit(r, PHOTO, &a);
    assert_int_equal(a.rc, BP_LATER);
    assert_int_equal(r->events[EVENT_JOB_SUBMITTED], 0);
    submit_ok(r, "{'workflow':'noop'}"); /* asks nobody */
    assert_int_equal(atomic_load(&r->heads), 1);
    answer_reset(&a);
    rig_free(r);
}

static void store_without_a_head_call_is_believed(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    atomic_store(&r->head_fail, BP_UNSUPPORTED);
    submit_ok(r, PHOTO);
    rig_free(r);
}

static void input_of_another_tenant_is_refused(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    const char *const keys[] = {"tenants/other/uploads/x", "tenants/acme/../other/x", "tenants/acme//x", "/etc/passwd",
                                "tenants/acme/",           "tenants/acmee/x"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char body[300];
        snprintf(body, sizeof body, "{'workflow':'photo','input':{'key':'%s','mime':'image/png'}}", keys[i]);
        do_submit(r, body, &a);
        assert_int_equal(a.rc, BP_INVALID);
        assert_non_null(strstr(field_message(&a, "input.key"), "upload of yours"));
    }
    answer_reset(&a);
    rig_free(r);
}

static void repeating_a_submit_gives_the_same_job(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    int64_t id = submit_ok(r, "{'workflow':'noop','params':{'a':1,'b':2},'idempotency_key':'k1'}");
    do_submit(r, "{'idempotency_key':'k1','params':{'b':2,'a':1},'workflow':'noop'}", &a);
    assert_int_equal(a.rc, BP_OK);
    assert_int_equal(json_int(a.data, "id", 0), id);
    assert_true(json_truth(a.data, "replayed", 0));
    do_submit(r, "{'workflow':'noop','params':{'a':2},'idempotency_key':'k1'}", &a);
    assert_int_equal(a.rc, BP_CONFLICT);
    assert_int_equal(r->events[EVENT_JOB_SUBMITTED], 1);
    answer_reset(&a);
    rig_free(r);
}

static void effect_lays_its_params_under_the_tenants(void **state)
{
    (void)state;
    const char *sets[] = {"effects={\"pull\":{\"workflow\":\"photo\",\"params\":{\"move\":\"pull\",\"duration\":9},"
                          "\"locked\":[\"move\"],\"id\":7}}",
                          NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0};
#define WITH(params) "{'effect':'pull','params':" params ",'input':{'key':'tenants/acme/a','mime':'image/png'}}"
    do_submit(r, WITH("{'duration':3}"), &a);
    assert_int_equal(a.rc, BP_OK);
    assert_string_equal(json_str(a.data, "workflow", ""), "photo");
    assert_string_equal(json_str(a.data, "effect", ""), "pull");
    assert_string_equal(json_str(json_member(a.data, "params"), "move", ""), "pull");
    assert_float_equal(json_num(json_member(a.data, "params"), "duration", 0), 3, 1e-9);
    do_submit(r, WITH("{'move':'push'}"), &a);
    assert_int_equal(a.rc, BP_INVALID);
    assert_non_null(strstr(field_message(&a, "params.move"), "fixed by the effect"));
    do_submit(r, "{'effect':'pulll'}", &a);
    assert_int_equal(a.rc, BP_NOTFOUND);
    assert_non_null(strstr(a.message, "\"pull\""));
    do_submit(r, "{'effect':'pull','workflow':'photo'}", &a);
    assert_int_equal(a.rc, BP_INVALID);
    answer_reset(&a);
    rig_free(r);
}

static void failures_of_the_queue_become_sentences(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    atomic_store(&r->queue_fail, BP_NOSPACE);
    do_submit(r, "{'workflow':'noop'}", &a);
    assert_int_equal(a.rc, BP_NOSPACE);
    assert_int_equal(a.retry_after_s, 10);
    assert_non_null(strstr(a.message, "disk is full"));
    atomic_store(&r->queue_fail, 0);
    bus_route(r->bus, "queue", NULL, NULL, NULL);
    do_submit(r, "{'workflow':'noop'}", &a);
    assert_int_equal(a.rc, BP_LATER);
    assert_non_null(strstr(a.message, "the queue service is not running"));
    assert_true(a.retry_after_s > 0);
    assert_int_equal(r->events[EVENT_JOB_SUBMITTED], 0);
    answer_reset(&a);
    rig_free(r);
}

static void full_mailbox_is_an_answer_not_a_wait(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a[400] = {0};
    struct json_object *body = js("{'workflow':'noop'}");
    rig_hold_queue(r); /* so that no batch makes room in between */
    for (size_t i = 0; i < 400; i++)
        dispatch_submit(r->d, "acme", "tenant:acme", body, answer_keep, &a[i]);
    rig_wait(r, &a[399]);
    assert_int_equal(a[399].rc, BP_LATER);
    assert_int_equal(a[399].retry_after_s, 1);
    rig_release_queue(r);
    unsigned accepted = 0;
    for (size_t i = 0; i < 400; i++) {
        rig_wait(r, &a[i]);
        assert_true(a[i].rc == BP_OK || a[i].rc == BP_LATER);
        accepted += a[i].rc == BP_OK;
        answer_reset(&a[i]);
    }
    assert_int_equal(r->events[EVENT_JOB_SUBMITTED], accepted);
    assert_true(accepted >= 48); /* of 64: the engine itself asks for something now and then */
    json_object_put(body);
    rig_free(r);
}

static void draining_engine_takes_no_submit(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    dispatch_drain(r->d);
    do_submit(r, "{'workflow':'noop'}", &a);
    assert_int_equal(a.rc, BP_STOPPED);
    answer_reset(&a);
    rig_free(r);
}

static void tenant_sees_only_its_own_jobs(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    dispatch_job_get(r->d, "other", id, 0, answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_NOTFOUND);
    answer_reset(&a);
    dispatch_job_cancel(r->d, "other", "tenant:other", id, answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_NOTFOUND);
    char text[64];
    snprintf(text, sizeof text, "Job %lld not found.", (long long)id);
    assert_string_equal(a.message, text);
    answer_reset(&a);
    dispatch_job_list(r->d, &(struct dispatch_list){.tenant = "other"}, answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(json_object_array_length(json_member(a.data, "jobs")), 0);
    answer_reset(&a);
    dispatch_job_list(r->d, &(struct dispatch_list){.tenant = "acme", .limit = 1}, answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(json_object_array_length(json_member(a.data, "jobs")), 1);
    answer_reset(&a);
    rig_free(r);
}

static void cancel_then_retry_brings_a_queued_job_back(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    dispatch_job_cancel(r->d, "acme", "tenant:acme", id, answer_keep, &a);
    rig_wait(r, &a);
    assert_string_equal(json_str(a.data, "status", ""), "cancelled");
    assert_int_equal(r->events[EVENT_JOB_CANCELLED], 1);
    answer_reset(&a);
    dispatch_job_cancel(r->d, "acme", "tenant:acme", id, answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_CONFLICT);
    answer_reset(&a);
    dispatch_job_retry(r->d, "acme", "tenant:acme", id, answer_keep, &a);
    rig_wait(r, &a);
    assert_string_equal(json_str(a.data, "status", ""), "queued");
    answer_reset(&a);
    dispatch_job_retry(r->d, "acme", "tenant:acme", id, answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_CONFLICT);
    answer_reset(&a);
    rig_free(r);
}

static void upload_key_is_below_the_tenant_and_safe(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct json_object *body = js("{'name':'../../my photo;rm.jpg','mime':'image/jpeg','bytes':12}");
    dispatch_upload(r->d, "acme", body, answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_OK);
    const char *key = json_str(a.data, "key", "");
    assert_int_equal(strncmp(key, "tenants/acme/uploads/", 21), 0);
    assert_string_equal(strrchr(key, '/'), "/my_photo_rm.jpg");
    assert_non_null(strstr(json_str(a.data, "upload_url", ""), "m=PUT"));
    assert_string_equal(json_str(json_member(a.data, "headers"), "Content-Type", ""), "image/jpeg");
    answer_reset(&a);
    json_object_put(body);
    body = js("{'nmae':'x','mime':'nonsense'}");
    dispatch_upload(r->d, "acme", body, answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_INVALID);
    assert_non_null(strstr(field_message(&a, "nmae"), "Did you mean name"));
    assert_non_null(strstr(field_message(&a, "mime"), "image/jpeg"));
    answer_reset(&a);
    json_object_put(body);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_job_is_told_as_stored),
        cmocka_unit_test(unknown_workflow_is_404_with_the_nearest_name),
        cmocka_unit_test(every_wrong_field_is_named_at_once),
        cmocka_unit_test(input_that_was_not_uploaded_is_refused_by_name),
        cmocka_unit_test(object_store_that_cannot_say_delays_the_submit),
        cmocka_unit_test(store_without_a_head_call_is_believed),
        cmocka_unit_test(input_of_another_tenant_is_refused),
        cmocka_unit_test(repeating_a_submit_gives_the_same_job),
        cmocka_unit_test(effect_lays_its_params_under_the_tenants),
        cmocka_unit_test(failures_of_the_queue_become_sentences),
        cmocka_unit_test(full_mailbox_is_an_answer_not_a_wait),
        cmocka_unit_test(draining_engine_takes_no_submit),
        cmocka_unit_test(tenant_sees_only_its_own_jobs),
        cmocka_unit_test(cancel_then_retry_brings_a_queued_job_back),
        cmocka_unit_test(upload_key_is_below_the_tenant_and_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
