/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/rig.h"

#include "dispatch/tenants.h"
#include "log/err.h"

#include <string.h>

#define STAYS                                                                                                          \
    {                                                                                                                  \
        .weight = -1, .max_pending = -1, .max_running = -1, .disabled = -1                                             \
    }

static void do_put(struct rig *r, const struct dispatch_tenant *t, int how, struct answer *a)
{
    answer_reset(a);
    dispatch_tenant_put(r->d, t, how, "operator:0", answer_keep, a);
    assert_int_equal(a->done, 0);
    rig_wait(r, a);
}

static void add(struct rig *r, const char *name)
{
    struct answer a = {0};
    struct dispatch_tenant t = STAYS;
    t.name = name;
    do_put(r, &t, TENANT_ADD, &a);
    if (a.rc != BP_OK)
        fail_msg("add %s: %s", name, a.message);
    answer_reset(&a);
}

static void do_token(struct rig *r, const char *tenant, int64_t days, struct answer *a)
{
    struct dispatch_token t = {tenant, "for the test", days};
    answer_reset(a);
    dispatch_token_add(r->d, &t, "operator:0", answer_keep, a);
    rig_wait(r, a);
}

/* ---- whose token is it ---- */

struct whose {
    int done, rc;
    char tenant[64], message[256];
};

static void keep(const struct dispatch_answer *a, const char *tenant, void *arg)
{
    struct whose *w = arg;
    assert_int_equal(w->done, 0);
    w->done = 1;
    w->rc = a->rc;
    snprintf(w->tenant, sizeof w->tenant, "%s", tenant ? tenant : "");
    snprintf(w->message, sizeof w->message, "%s", a->message ? a->message : "");
}

static struct whose ask_in(struct rig *r, struct dispatch *d, const char *token)
{
    struct whose w = {0};
    dispatch_tenant_authenticate(d, token, keep, &w);
    for (int i = 0; !w.done; i++) {
        if (i >= 20000)
            fail_msg("no answer within 20 s");
        rig_turn(r, 1);
    }
    return w;
}

static struct whose ask(struct rig *r, const char *token)
{
    return ask_in(r, r->d, token);
}

static void tenant_is_added_changed_and_shown(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct dispatch_tenant t = {"acme", 3, 100, 5, -1, "https://acme.example/hook"};
    do_put(r, &t, TENANT_SET, &a);
    assert_int_equal(a.rc, BP_NOTFOUND);
    assert_non_null(strstr(a.message, "bpctl tenant add"));
    do_put(r, &t, TENANT_ADD, &a);
    assert_int_equal(a.rc, BP_OK);
    assert_int_equal(json_int(a.data, "weight", 0), 3);
    assert_int_equal(json_int(a.data, "max_pending", 0), 100);
    assert_string_equal(json_str(a.data, "webhook", ""), "https://acme.example/hook");
    do_put(r, &t, TENANT_ADD, &a);
    assert_int_equal(a.rc, BP_CONFLICT);
    struct dispatch_tenant more = STAYS;
    more.name = "acme";
    more.max_running = 9;
    more.webhook = "";
    do_put(r, &more, TENANT_SET, &a);
    assert_int_equal(json_int(a.data, "max_running", 0), 9);
    assert_int_equal(json_int(a.data, "weight", 0), 3); /* what is not given stays */
    assert_null(json_member(a.data, "webhook"));
    submit_ok(r, "{'workflow':'noop'}");
    answer_reset(&a);
    dispatch_tenant_list(r->d, answer_keep, &a);
    rig_wait(r, &a);
    struct json_object *row = json_object_array_get_idx(json_member(a.data, "tenants"), 0);
    assert_int_equal(json_int(row, "queued", 0), 1);
    assert_int_equal(r->events[EVENT_TENANT_CHANGED], 2);
    answer_reset(&a);
    rig_free(r);
}

static void wrong_tenants_are_refused_in_words(void **state)
{
    static const struct {
        struct dispatch_tenant t;
        const char *part;
    } rows[] = {
        {{"a/b", -1, -1, -1, -1, NULL}, "slash"},      {{"", -1, -1, -1, -1, NULL}, "1 to 200"},
        {{"..", -1, -1, -1, -1, NULL}, "slash"},       {{"a", 0, -1, -1, -1, NULL}, "weight"},
        {{"a", 1001, -1, -1, -1, NULL}, "weight"},     {{"a", -1, -2, -1, -1, NULL}, "0 (unlimited)"},
        {{"a", -1, -1, -1, -1, "ftp://x"}, "webhook"}, {{"a", -1, -1, -1, -1, "http://a b"}, "webhook"},
    };
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        do_put(r, &rows[i].t, TENANT_ADD, &a);
        assert_int_equal(a.rc, BP_INVALID);
        if (!strstr(a.message, rows[i].part))
            fail_msg("%s: %s", rows[i].t.name, a.message);
    }
    answer_reset(&a);
    rig_free(r);
}

static void token_is_shown_once_and_void_when_removed(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    do_token(r, "acme", 0, &a);
    assert_int_equal(a.rc, BP_NOTFOUND); /* no such tenant yet */
    add(r, "acme");
    do_token(r, "acme", 0, &a);
    const char *token = json_str(a.data, "token", "");
    int64_t id = json_int(a.data, "id", 0);
    assert_int_equal(strlen(token), 64);
    assert_string_equal(ask(r, token).tenant, "acme");
    dispatch_token_list(r->d, "acme", answer_keep, &b);
    rig_wait(r, &b);
    assert_int_equal(json_object_array_length(json_member(b.data, "tokens")), 1);
    assert_null(strstr(json_text(b.data), token));
    answer_reset(&b);
    dispatch_token_remove(r->d, "acme", id + 1, "operator:0", answer_keep, &b);
    rig_wait(r, &b);
    assert_int_equal(b.rc, BP_NOTFOUND);
    answer_reset(&b);
    dispatch_token_remove(r->d, "acme", id, "operator:0", answer_keep, &b);
    rig_wait(r, &b);
    assert_int_equal(b.rc, BP_OK);
    struct whose w = ask(r, token); /* at once, though it was cached */
    assert_int_equal(w.rc, BP_DENIED);
    assert_string_equal(w.message, TENANT_UNKNOWN);
    answer_reset(&a);
    answer_reset(&b);
    rig_free(r);
}

static unsigned lookups(struct rig *r)
{
    return atomic_load(&r->scripted);
}

static int count_lookups(struct rig *r, struct bp_op *op)
{
    if (op->kind == BP_OP_TOKEN_AUTH)
        atomic_fetch_add(&r->scripted, 1);
    return 0;
}

static void tokens_and_guesses_are_cached(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    add(r, "acme");
    do_token(r, "acme", 0, &a);
    r->script = count_lookups;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask(r, json_str(a.data, "token", "")).rc, BP_OK);
        assert_int_equal(ask(r, "a guess").rc, BP_DENIED);
    }
    assert_int_equal(lookups(r), 2);
    assert_int_equal(ask(r, "").rc, BP_DENIED);
    assert_int_equal(lookups(r), 2);
    answer_reset(&a);
    rig_free(r);
}

static void guesses_do_not_push_good_tokens_out(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    char guess[32];
    add(r, "acme");
    do_token(r, "acme", 0, &a);
    assert_int_equal(ask(r, json_str(a.data, "token", "")).rc, BP_OK);
    for (int i = 0; i < 300; i++) {
        snprintf(guess, sizeof guess, "guess %d", i);
        assert_int_equal(ask(r, guess).rc, BP_DENIED);
    }
    r->script = count_lookups;
    assert_int_equal(ask(r, json_str(a.data, "token", "")).rc, BP_OK);
    assert_int_equal(lookups(r), 0);
    answer_reset(&a);
    rig_free(r);
}

static void look_ups_on_their_way_are_bounded(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct whose w[200] = {0};
    char guess[32];
    int busy = 0;
    rig_hold_queue(r);
    for (int i = 0; i < 200; i++) {
        snprintf(guess, sizeof guess, "guess %d", i);
        dispatch_tenant_authenticate(r->d, guess, keep, &w[i]);
    }
    rig_release_queue(r);
    for (int i = 0; i < 200; i++) {
        for (int k = 0; !w[i].done && k < 20000; k++)
            rig_turn(r, 1);
        assert_int_equal(w[i].done, 1);
        busy += w[i].rc == BP_LATER;
    }
    assert_true(busy >= 200 - 64);
    rig_free(r);
}

static void many_calls_with_one_token_ask_the_store_once(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct whose w[200] = {0};
    add(r, "acme");
    do_token(r, "acme", 0, &a);
    unsigned before = atomic_load(&r->asked[BP_OP_TOKEN_AUTH]);
    rig_hold_queue(r);
    for (int i = 0; i < 200; i++)
        dispatch_tenant_authenticate(r->d, json_str(a.data, "token", ""), keep, &w[i]);
    rig_release_queue(r);
    for (int i = 0; i < 200; i++) {
        for (int k = 0; !w[i].done && k < 20000; k++)
            rig_turn(r, 1);
        assert_int_equal(w[i].rc, BP_OK);
        assert_string_equal(w[i].tenant, "acme");
    }
    assert_int_equal(atomic_load(&r->asked[BP_OP_TOKEN_AUTH]) - before, 1);
    answer_reset(&a);
    rig_free(r);
}

static void engine_that_ends_first_answers_no_look_up(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct whose w[2] = {0};
    rig_hold_queue(r);
    dispatch_tenant_authenticate(r->d, "a guess", keep, &w[0]);
    dispatch_tenant_authenticate(r->d, "a guess", keep, &w[1]);
    dispatch_free(r->d);
    rig_release_queue(r);
    rig_turn(r, 20);
    assert_int_equal(w[0].done + w[1].done, 0);
    r->d = dispatch_new(r->bus, NULL, r->config);
    rig_free(r);
}

static void disabled_tenant_is_refused_at_once_and_taken_again(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0}, b = {0};
    struct dispatch_tenant t = STAYS;
    t.name = "acme";
    add(r, "acme");
    do_token(r, "acme", 0, &a);
    assert_int_equal(ask(r, json_str(a.data, "token", "")).rc, BP_OK);
    t.disabled = 1;
    do_put(r, &t, TENANT_SET, &b);
    struct whose w = ask(r, json_str(a.data, "token", ""));
    assert_int_equal(w.rc, BP_DENIED);
    assert_non_null(strstr(w.message, "disabled"));
    do_submit(r, "{'workflow':'noop'}", &b);
    assert_int_equal(b.rc, BP_DENIED);
    t.disabled = 0;
    do_put(r, &t, TENANT_SET, &b);
    assert_int_equal(ask(r, json_str(a.data, "token", "")).rc, BP_OK);
    submit_ok(r, "{'workflow':'noop'}");
    answer_reset(&a);
    answer_reset(&b);
    rig_free(r);
}

/* Another controller on the same store. */
static void token_made_elsewhere_is_known_here(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    struct dispatch *other = dispatch_new(r->bus, NULL, r->config);
    add(r, "acme");
    do_token(r, "acme", 0, &a);
    assert_string_equal(ask_in(r, other, json_str(a.data, "token", "")).tenant, "acme");
    dispatch_free(other);
    answer_reset(&a);
    rig_free(r);
}

static void expired_token_is_nobodys(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    add(r, "acme");
    do_token(r, "acme", 1, &a);
    assert_non_null(json_member(a.data, "expires_at"));
    rig_sleep(r, 86400001);
    assert_int_equal(ask(r, json_str(a.data, "token", "")).rc, BP_DENIED);
    do_token(r, "acme", -1, &a);
    assert_int_equal(a.rc, BP_INVALID);
    answer_reset(&a);
    rig_free(r);
}

static void limits_of_the_settings_hold(void **state)
{
    (void)state;
    const char *sets[] = {"tenants={\"acme\":{\"token\":\"12345678\",\"maxPending\":2,\"weight\":7}}", NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0};
    dispatch_tenant_show(r->d, "acme", answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(json_int(a.data, "weight", 0), 7);
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    submit_ok(r, "{'workflow':'noop'}");
    do_submit(r, "{'workflow':'noop'}", &a);
    assert_int_equal(a.rc, BP_LATER);
    assert_int_equal(a.over_limit, 1);
    assert_non_null(strstr(a.message, "2"));
    answer_reset(&a);
    dispatch_job_cancel(r->d, "acme", "tenant:acme", id, answer_keep, &a);
    rig_wait(r, &a);
    submit_ok(r, "{'workflow':'noop'}");
    answer_reset(&a);
    rig_free(r);
}

/* The line of a workflow whose jobs all wait for their tenant's limit looks empty; an end makes room. */
static void waiting_worker_gets_the_next_job_of_a_tenant_at_its_limit(void **state)
{
    (void)state;
    const char *sets[] = {"tenants={\"acme\":{\"maxRunning\":1}}", "dispatch.sweepMilliseconds=60000", NULL};
    struct rig *r = rig_new(sets);
    struct answer a = {0}, b = {0}, c = {0};
    struct worker_auth *one = worker_in(r, "one", "noop"), *two = worker_in(r, "two", "noop");
    submit_ok(r, "{'workflow':'noop'}");
    int64_t second = submit_ok(r, "{'workflow':'noop'}");
    struct json_object *job = poll_job(r, one, &a);
    begin_worker(r, dispatch_worker_poll, two, "{'worker_id':'two','wait_seconds':30}", &b);
    rig_waits(r, 1);
    assert_int_equal(b.done, 0);
    do_worker(r, dispatch_worker_complete, one, lease_body(job, ""), &c);
    rig_wait(r, &b);
    assert_int_equal(json_int(json_member(b.data, "job"), "dispatch_id", 0), second);
    answer_reset(&a);
    answer_reset(&b);
    answer_reset(&c);
    worker_auth_free(one);
    worker_auth_free(two);
    rig_free(r);
}

static void settings_are_stored_again_with_a_reload(void **state)
{
    (void)state;
    const char *none[] = {NULL}, *sets[] = {"tenants={\"acme\":{\"weight\":5}}", "workers.staleSeconds=10", NULL};
    struct rig *r = rig_new(none);
    struct answer a = {0};
    struct bp_err err = {0};
    struct config_sources src = {.sets = sets, .n_sets = 2};
    struct config *c = config_load(&src, &err), *old = r->config;
    assert_non_null(c);
    dispatch_reconfigure(r->d, c);
    r->config = c;
    config_free(old);
    dispatch_tenant_show(r->d, "acme", answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(json_int(a.data, "weight", 0), 5);
    answer_reset(&a);
    rig_free(r);
}

static void settings_the_queue_did_not_take_are_stored_later(void **state)
{
    (void)state;
    const char *none[] = {NULL}, *sets[] = {"tenants={\"acme\":{\"weight\":5}}"};
    struct rig *r = rig_new(none);
    struct answer a = {0};
    struct bp_err err = {0};
    struct config_sources src = {.sets = sets, .n_sets = 1};
    struct config *c = config_load(&src, &err), *old = r->config;
    assert_non_null(c);
    atomic_store(&r->queue_fail, BP_IO);
    dispatch_reconfigure(r->d, c);
    r->config = c;
    config_free(old);
    for (int i = 0; !r->d->tenants_unstored && i < 20000; i++)
        rig_turn(r, 1);
    atomic_store(&r->queue_fail, 0);
    tenant_settings_again(r->d); /* what the house does every minute */
    dispatch_tenant_show(r->d, "acme", answer_keep, &a);
    rig_wait(r, &a);
    assert_int_equal(json_int(a.data, "weight", 0), 5);
    assert_int_equal(r->d->tenants_unstored, 0);
    answer_reset(&a);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tenant_is_added_changed_and_shown),
        cmocka_unit_test(wrong_tenants_are_refused_in_words),
        cmocka_unit_test(token_is_shown_once_and_void_when_removed),
        cmocka_unit_test(tokens_and_guesses_are_cached),
        cmocka_unit_test(guesses_do_not_push_good_tokens_out),
        cmocka_unit_test(look_ups_on_their_way_are_bounded),
        cmocka_unit_test(many_calls_with_one_token_ask_the_store_once),
        cmocka_unit_test(engine_that_ends_first_answers_no_look_up),
        cmocka_unit_test(disabled_tenant_is_refused_at_once_and_taken_again),
        cmocka_unit_test(token_made_elsewhere_is_known_here),
        cmocka_unit_test(expired_token_is_nobodys),
        cmocka_unit_test(limits_of_the_settings_hold),
        cmocka_unit_test(waiting_worker_gets_the_next_job_of_a_tenant_at_its_limit),
        cmocka_unit_test(settings_are_stored_again_with_a_reload),
        cmocka_unit_test(settings_the_queue_did_not_take_are_stored_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
