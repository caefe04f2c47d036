/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/rig.h"

#include <ctype.h>
#include <string.h>

static void both_forms_of_register_are_served(void **state)
{
    (void)state;
    const char *sets[] = {"fleets={\"gpu-a\":[\"photo\",\"noop\"]}", NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0};
    do_worker(r, dispatch_worker_register, NULL,
              "{'worker_id':'i-1','display_name':null,'capabilities':{'gpu':1},'max_concurrency':null,"
              "'fleet_slug':'gpu-a','stage':'staging','capacity_type':'spot','instance_type':'g4dn.xlarge'}",
              &a);
    assert_int_equal(a.rc, BP_OK);
    assert_string_equal(a.message, "Worker registered");
    assert_string_equal(json_str(a.data, "worker_id", ""), "i-1");
    const char *token = json_str(a.data, "token", "");
    assert_int_equal(strlen(token), 64);
    for (const char *c = token; *c; c++)
        assert_true(isalnum((unsigned char)*c));
    assert_string_equal(json_text(json_member(a.data, "workflows_assigned")), "[\"photo\",\"noop\"]");
    assert_string_equal(json_str(a.data, "fleet_slug", ""), "gpu-a");
    assert_string_equal(json_str(a.data, "stage", ""), "staging");
    do_worker(r, dispatch_worker_register, NULL, "{'worker_id':'old','workflow_slugs':['noop','gone','noop']}", &a);
    assert_int_equal(a.rc, BP_OK);
    assert_string_equal(json_text(json_member(a.data, "workflows_assigned")), "[\"noop\"]");
    assert_null(json_member(a.data, "fleet_slug"));
    assert_int_equal(r->events[EVENT_WORKER_REGISTERED], 2);
    answer_reset(&a);
    rig_free(r);
}

static void register_refuses_in_the_fields_words(void **state)
{
    (void)state;
    const char *sets[] = {"fleets={\"empty\":[\"gone\"]}", NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0};
    do_worker(r, dispatch_worker_register, NULL, NULL, &a);
    assert_int_equal(a.rc, BP_INVALID);
    assert_string_equal(field_message(&a, "worker_id"), "The worker id field is required.");
    assert_string_equal(field_message(&a, "fleet_slug"), "The fleet slug field is required.");
    do_worker(r, dispatch_worker_register, NULL, "{'worker_id':'w','workflow_slugs':['noop','nope',5]}", &a);
    assert_string_equal(field_message(&a, "workflow_slugs.1"), "The selected workflow_slugs.1 is invalid.");
    assert_string_equal(field_message(&a, "workflow_slugs.2"), "The workflow_slugs.2 field must be a string.");
    do_worker(r, dispatch_worker_register, NULL, "{'worker_id':'w','workflow_slugs':['gone']}", &a);
    assert_int_equal(a.rc, BP_INVALID);
    assert_string_equal(a.message, "No valid active workflows found for provided slugs.");
    do_worker(r, dispatch_worker_register, NULL, "{'worker_id':'w','workflow_slugs':[]}", &a);
    assert_string_equal(field_message(&a, "workflow_slugs"), "The workflow slugs field is required.");
    do_worker(r, dispatch_worker_register, NULL, "{'worker_id':'w','fleet_slug':'nowhere'}", &a);
    assert_int_equal(a.rc, BP_NOTFOUND);
    assert_string_equal(a.message, "Fleet not found.");
    do_worker(r, dispatch_worker_register, NULL, "{'worker_id':'w','fleet_slug':'empty'}", &a);
    assert_string_equal(a.message, "No active workflows assigned to this fleet.");
    do_worker(r, dispatch_worker_register, NULL, "{'worker_id':'w','fleet_slug':'noop','stage':'moon'}", &a);
    assert_int_equal(a.rc, BP_INVALID);
    do_worker(r, dispatch_worker_register, NULL, "{'worker_id':'w','fleet_slug':'noop','max_concurrency':0}", &a);
    assert_string_equal(field_message(&a, "max_concurrency"), "The max concurrency field must be at least 1.");
    do_worker(r, dispatch_worker_register, NULL, "{'worker_id':'w','fleet_slug':'noop','capacity_type':'free'}", &a);
    assert_non_null(strstr(field_message(&a, "capacity_type"), "spot, on-demand"));
    answer_reset(&a);
    rig_free(r);
}

static void worker_limit_is_403(void **state)
{
    (void)state;
    const char *sets[] = {"workers.maxFleetWorkers=2", NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0};
    worker_auth_free(worker_in(r, "a", "noop"));
    worker_auth_free(worker_in(r, "b", "noop"));
    do_worker(r, dispatch_worker_register, NULL, "{'worker_id':'c','fleet_slug':'noop'}", &a);
    assert_int_equal(a.rc, BP_DENIED);
    assert_string_equal(a.message, "Fleet worker limit reached.");
    worker_auth_free(worker_in(r, "b", "noop")); /* one that comes back is not one more */
    answer_reset(&a);
    rig_free(r);
}

static void registering_again_replaces_the_worker_and_frees_its_leases(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "i-1", "noop");
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    struct json_object *job = poll_job(r, w, &a);
    struct worker_auth *again = worker_in(r, "i-1", "noop");
    do_get(r, id, &b);
    assert_string_equal(json_str(b.data, "status", ""), "queued");
    assert_int_equal(json_int(b.data, "attempts", -1), 0);
    do_worker(r, dispatch_worker_complete, w, lease_body(job, ""), &b);
    assert_int_equal(b.rc, BP_NOTFOUND);
    poll_job(r, again, &b);
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    worker_auth_free(again);
    rig_free(r);
}

static void tokens_are_known_or_401(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    do_worker(r, dispatch_worker_register, NULL, "{'worker_id':'w','fleet_slug':'noop'}", &a);
    char token[80];
    snprintf(token, sizeof token, "%s", json_str(a.data, "token", ""));
    struct worker_auth *w = worker_with_token(r, token);
    assert_string_equal(worker_auth_id(w), "w");
    unsigned before = atomic_load(&r->ops);
    worker_auth_free(w);
    for (int i = 0; i < 100; i++)
        worker_auth_free(worker_with_token(r, token));
    assert_true(atomic_load(&r->ops) - before < 50); /* cached */
    assert_null(worker_with_token(r, "wrong"));
    assert_null(worker_with_token(r, ""));
    assert_null(worker_with_token(r, NULL));
    answer_reset(&a);
    rig_free(r);
}

static void revoking_takes_effect_at_once(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, waiting = {0};
    do_worker(r, dispatch_worker_register, NULL, "{'worker_id':'w','fleet_slug':'noop'}", &a);
    char token[80];
    snprintf(token, sizeof token, "%s", json_str(a.data, "token", ""));
    struct worker_auth *w = worker_with_token(r, token);
    begin_worker(r, dispatch_worker_poll, w, "{'worker_id':'w','wait_seconds':30}", &waiting);
    rig_waits(r, 1);
    answer_reset(&a);
    dispatch_worker_change(r->d, "w", "revoke", "operator:0", answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_OK);
    rig_wait(r, &waiting);
    assert_null(json_member(waiting.data, "job"));
    assert_null(worker_with_token(r, token));
    answer_reset(&a);
    dispatch_worker_change(r->d, "w", "approve", "operator:0", answer_keep, &a);
    rig_wait(r, &a);
    worker_auth_free(w);
    w = worker_with_token(r, token);
    assert_non_null(w);
    assert_int_equal(r->events[EVENT_WORKER_CHANGED], 2);
    answer_reset(&a);
    dispatch_worker_change(r->d, "nobody", "drain", "operator:0", answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_NOTFOUND);
    answer_reset(&a);
    dispatch_worker_change(r->d, "w", "paint", "operator:0", answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(a.rc, BP_INVALID);
    answer_reset(&a);
    answer_reset(&waiting);
    worker_auth_free(w);
    rig_free(r);
}

static void rotated_token_replaces_the_old_one_at_once(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    do_worker(r, dispatch_worker_register, NULL, "{'worker_id':'w','fleet_slug':'noop'}", &a);
    struct worker_auth *w = worker_with_token(r, json_str(a.data, "token", ""));
    submit_ok(r, "{'workflow':'noop'}");
    struct json_object *job = poll_job(r, w, &b);
    char body[256];
    snprintf(body, sizeof body, "%s", lease_body(job, ""));
    answer_reset(&b);
    dispatch_worker_change(r->d, "w", "rotate-token", "operator:0", answer_keep, &b);
    rig_wait(r, &b);
    assert_int_equal(b.rc, BP_OK);
    assert_null(worker_with_token(r, json_str(a.data, "token", "")));
    worker_auth_free(w);
    w = worker_with_token(r, json_str(b.data, "token", ""));
    assert_non_null(w);
    assert_string_equal(worker_auth_id(w), "w");
    do_worker(r, dispatch_worker_heartbeat, w, body, &a); /* what it holds stays its own */
    assert_int_equal(a.rc, BP_OK);
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void do_add(struct rig *r, const char *id, const char *workflows, int32_t most, struct answer *a)
{
    struct json_object *list = js(workflows);
    struct dispatch_worker w = {id, NULL, list, most};
    answer_reset(a);
    dispatch_worker_add(r->d, &w, "operator:0", answer_keep, a);
    assert_int_equal(a->done, 0);
    json_object_put(list);
    rig_wait(r, a);
}

static void worker_made_by_hand_works_with_its_token(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    do_add(r, "hand", "['noop']", 2, &a);
    assert_int_equal(a.rc, BP_OK);
    struct worker_auth *w = worker_with_token(r, json_str(a.data, "token", ""));
    assert_non_null(w);
    submit_ok(r, "{'workflow':'noop'}");
    poll_job(r, w, &b);
    do_add(r, "hand", "['noop']", 1, &a);
    assert_int_equal(a.rc, BP_CONFLICT); /* it would lose its lease */
    assert_non_null(strstr(a.message, "rotate-token"));
    do_add(r, "other", "['nop']", 1, &a);
    assert_int_equal(a.rc, BP_NOTFOUND);
    assert_non_null(strstr(a.message, "did you mean noop"));
    do_add(r, "other", "[]", 1, &a);
    assert_int_equal(a.rc, BP_INVALID);
    do_add(r, "other", "['noop']", 0, &a);
    assert_int_equal(a.rc, BP_INVALID);
    do_add(r, "", "['noop']", 1, &a);
    assert_int_equal(a.rc, BP_INVALID);
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void drained_worker_is_told_so_while_it_waits(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    begin_worker(r, dispatch_worker_poll, w, "{'worker_id':'w','wait_seconds':30}", &a);
    rig_turn(r, 20);
    dispatch_worker_change(r->d, "w", "drain", "operator:0", answer_keep, &b);
    rig_wait(r, &a);
    rig_wait(r, &b);
    assert_string_equal(a.message, "Worker draining");
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void leaving_gives_leases_back(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop"), *x = worker_in(r, "x", "noop");
    submit_ok(r, "{'workflow':'noop'}");
    poll_job(r, w, &a);
    begin_worker(r, dispatch_worker_poll, x, "{'worker_id':'x','wait_seconds':30}", &b);
    rig_turn(r, 20);
    struct answer c = {0};
    do_worker(r, dispatch_worker_deregister, w, "{'reason':'sigterm'}", &c);
    assert_string_equal(c.message, "Worker deregistered");
    assert_null(c.data);
    rig_wait(r, &b);
    assert_string_equal(b.message, "Job leased");
    assert_int_equal(json_int(json_member(b.data, "job"), "attempt", 0), 1);
    assert_int_equal(r->events[EVENT_WORKER_GONE], 1);
    answer_reset(&a);
    answer_reset(&b);
    answer_reset(&c);
    dispatch_worker_list(r->d, answer_keep, &a);
    rig_wait(r, &a);
    struct json_object *list = json_member(a.data, "workers");
    assert_int_equal(json_object_array_length(list), 1);
    assert_string_equal(json_str(json_object_array_get_idx(list, 0), "worker_id", ""), "x");
    assert_int_equal(json_int(json_object_array_get_idx(list, 0), "live_leases", 0), 1);
    answer_reset(&a);
    worker_auth_free(w);
    worker_auth_free(x);
    rig_free(r);
}

static void what_a_poll_says_of_the_worker_is_kept(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    do_worker(r, dispatch_worker_poll, w,
              "{'worker_id':'someone else','display_name':'Box 1','capabilities':{'vram':24},'max_concurrency':2}", &a);
    answer_reset(&a);
    dispatch_worker_list(r->d, answer_keep, &a);
    rig_wait(r, &a);
    struct json_object *one = json_object_array_get_idx(json_member(a.data, "workers"), 0);
    assert_string_equal(json_str(one, "worker_id", ""), "w"); /* the token says who it is */
    assert_string_equal(json_str(one, "display_name", ""), "Box 1");
    assert_int_equal(json_int(one, "max_concurrency", 0), 2);
    assert_int_equal(json_int(json_member(one, "capabilities"), "vram", 0), 24);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_of_register_are_served),
        cmocka_unit_test(register_refuses_in_the_fields_words),
        cmocka_unit_test(worker_limit_is_403),
        cmocka_unit_test(registering_again_replaces_the_worker_and_frees_its_leases),
        cmocka_unit_test(tokens_are_known_or_401),
        cmocka_unit_test(revoking_takes_effect_at_once),
        cmocka_unit_test(rotated_token_replaces_the_old_one_at_once),
        cmocka_unit_test(worker_made_by_hand_works_with_its_token),
        cmocka_unit_test(drained_worker_is_told_so_while_it_waits),
        cmocka_unit_test(leaving_gives_leases_back),
        cmocka_unit_test(what_a_poll_says_of_the_worker_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
