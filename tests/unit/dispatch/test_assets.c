/* SPDX-License-Identifier: Apache-2.0 */
/* Assets: URLs for the workers of a workflow, a place for an operator's file, and who says that it lacks them. */
#include "dispatch/rig.h"
#include "host/host.h"

#include <stdio.h>
#include <string.h>

#define SHA  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define LIST "[{'name':'m.bin','object':'assets/key','sha256':'" SHA "','bytes':3}]"

/* The workflow noop lists an asset. */
static void list_one(void)
{
    json_object_object_add(host_workflow(NULL, "noop")->manifest, "assets", js(LIST));
}

static void a_worker_gets_urls_of_its_own_workflows_assets(void **state)
{
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    (void)state;
    list_one();
    struct worker_auth *w = worker_in(r, "w", "noop");
    do_worker(r, dispatch_worker_assets, w, "{'worker_id':'w','workflow':'noop'}", &a);
    assert_int_equal(a.rc, BP_OK);
    struct json_object *one = json_object_array_get_idx(json_member(a.data, "assets"), 0);
    assert_string_equal(json_str(one, "sha256", ""), SHA);
    assert_int_equal(json_int(one, "bytes", 0), 3);
    assert_non_null(strstr(json_str(one, "url", ""), "assets/key"));
    do_worker(r, dispatch_worker_assets, w, "{'worker_id':'w','workflow':'photo'}", &a);
    assert_int_equal(a.rc, BP_CONFLICT);
    do_worker(r, dispatch_worker_assets, w, "{'worker_id':'w'}", &a);
    assert_int_equal(a.rc, BP_INVALID);
    atomic_store(&r->presign_fail, 1);
    do_worker(r, dispatch_worker_assets, w, "{'worker_id':'w','workflow':'noop'}", &a);
    assert_int_not_equal(a.rc, BP_OK);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void an_operator_puts_a_file_under_its_sha(void **state)
{
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    (void)state;
    struct json_object *body = js("{'sha256':'" SHA "','bytes':3}"), *wrong = js("{'sha256':'XY','bytes':0}");
    dispatch_asset_upload(r->d, body, answer_keep, &a);
    rig_wait(r, &a);
    assert_string_equal(json_str(a.data, "object", ""), "assets/" SHA);
    assert_non_null(strstr(json_str(a.data, "upload_url", ""), SHA));
    answer_reset(&a);
    dispatch_asset_upload(r->d, wrong, answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_INVALID);
    assert_true(field_message(&a, "sha256")[0] && field_message(&a, "bytes")[0]);
    answer_reset(&a);
    json_object_put(body);
    json_object_put(wrong);
    rig_free(r);
}

static void it_is_said_whether_the_objects_are_there(void **state)
{
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    (void)state;
    list_one();
    atomic_store(&r->head_missing, 1);
    dispatch_assets_check(r->d, "noop", answer_keep, &a);
    rig_wait(r, &a);
    struct json_object *one = json_object_array_get_idx(json_member(a.data, "assets"), 0);
    assert_string_equal(json_str(one, "state", ""), "missing: bpctl asset put FILE");
    answer_reset(&a);
    atomic_store(&r->head_missing, 0);
    dispatch_assets_check(r->d, "noop", answer_keep, &a); /* the double's objects have another size */
    rig_wait(r, &a);
    one = json_object_array_get_idx(json_member(a.data, "assets"), 0);
    assert_non_null(strstr(json_str(one, "state", ""), "wrong: the object has"));
    answer_reset(&a);
    atomic_store(&r->head_fail, BP_TIMEOUT);
    dispatch_assets_check(r->d, "noop", answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_TIMEOUT);
    answer_reset(&a);
    rig_free(r);
}

#define LACKS(why) "{'worker_id':'w','except':['noop'],'capabilities':{'assets':{'noop':'" why "'}}}"

static void a_worker_that_lacks_them_is_told_of_once_and_known_until_it_has_them(void **state)
{
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    const char *worker = NULL, *why = NULL;
    (void)state;
    do_worker(r, dispatch_worker_register, NULL, "{'worker_id':'w','workflow_slugs':['noop','photo']}", &a);
    char token[128];
    snprintf(token, sizeof token, "%s", json_str(a.data, "token", ""));
    struct worker_auth *w = worker_with_token(r, token);
    submit_ok(r, "{'workflow':'noop'}");
    do_worker(r, dispatch_worker_poll, w, LACKS("no object"), &a);
    assert_null(json_member(a.data, "job"));
    assert_int_equal(r->events[EVENT_WORKER_ASSETS_MISSING], 1);
    assert_int_equal(dispatch_lacking(r->d, "noop", &worker, &why), 1);
    assert_string_equal(worker, "w");
    assert_string_equal(why, "no object");
    assert_int_equal(dispatch_lacking(r->d, "photo", &worker, &why), 0);
    worker_auth_free(w);
    w = worker_with_token(r, token);
    do_worker(r, dispatch_worker_poll, w, LACKS("no object"), &a);
    assert_int_equal(r->events[EVENT_WORKER_ASSETS_MISSING], 1);
    do_worker(r, dispatch_worker_poll, w, LACKS("another SHA-256"), &a);
    assert_int_equal(r->events[EVENT_WORKER_ASSETS_MISSING], 2);
    answer_reset(&a);
    dispatch_worker_list(r->d, answer_keep, &a);
    rig_wait(r, &a);
    assert_string_equal(json_str(json_object_array_get_idx(json_member(a.data, "workers"), 0), "fault", ""),
                        "no job of noop: another SHA-256");
    answer_reset(&a);
    worker_auth_free(w);
    w = worker_with_token(r, token);
    do_worker(r, dispatch_worker_poll, w, "{'worker_id':'w','capabilities':{}}", &a);
    assert_non_null(json_member(a.data, "job"));
    assert_int_equal(r->events[EVENT_WORKER_ASSETS_READY], 1);
    assert_int_equal(dispatch_lacking(r->d, "noop", &worker, &why), 0);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

/* Capabilities are a worker's own words: none of these is a list of what it lacks. */
static void other_shapes_are_passed_over(void **state)
{
    static const char *const shapes[] = {"[]", "[\"assets\"]", "{\"assets\":[]}", "{\"assets\":\"x\"}",
                                         "{\"assets\":{}}"};
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    char body[256];
    const char *worker, *why;
    (void)state;
    struct worker_auth *w = worker_in(r, "w", "noop");
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        snprintf(body, sizeof body, "{\"worker_id\":\"w\",\"capabilities\":%s}", shapes[i]);
        do_worker(r, dispatch_worker_poll, w, body, &a);
        assert_int_equal(a.rc, BP_OK);
        assert_int_equal(dispatch_lacking(r->d, "noop", &worker, &why), 0);
    }
    assert_int_equal(r->events[EVENT_WORKER_ASSETS_MISSING], 0);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_gets_urls_of_its_own_workflows_assets),
        cmocka_unit_test(an_operator_puts_a_file_under_its_sha),
        cmocka_unit_test(it_is_said_whether_the_objects_are_there),
        cmocka_unit_test(a_worker_that_lacks_them_is_told_of_once_and_known_until_it_has_them),
        cmocka_unit_test(other_shapes_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
