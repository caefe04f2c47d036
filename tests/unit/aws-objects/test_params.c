/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters: what is asked of AWS and when, what an outage means, and that no value gets out. */
#include "client.h"
#include "err.h"
#include "fake_aws.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECRET "s3cret-value"

/* ---- the client, as far as params ask it ---- */

static struct aws *a;
static struct bp_err err;
static int calls, fail_rc;
static enum aws_op last_op;
static char last_request[2048], answer[512];

int client_json(struct client *c, enum aws_op op, struct json_object *in, const char *what, struct reply *r,
                struct bp_err *e)
{
    (void)c;
    calls++;
    last_op = op;
    memset(r, 0, sizeof *r);
    snprintf(last_request, sizeof last_request, "%s", json_object_to_json_string_ext(in, JSON_C_TO_STRING_PLAIN));
    if (fail_rc)
        return err_set(e, fail_rc, "cannot read %s", what);
    r->status = 200;
    r->body = strdup(answer);
    r->n_body = strlen(answer);
    r->json = json_tokener_parse(answer);
    return 0;
}

void reply_free(struct reply *r)
{
    json_object_put(r->json);
    free(r->body);
    memset(r, 0, sizeof *r);
}

/* ---- */

static void ssm_says(const char *value)
{
    snprintf(answer, sizeof answer, "{\"Parameter\":{\"Name\":\"x\",\"Value\":\"%s\",\"Version\":3}}", value);
}

static int begin(const char *settings)
{
    memset(&err, 0, sizeof err);
    calls = fail_rc = 0;
    a = fake_aws(settings);
    a->params = params_open(a, &err);
    assert_non_null(a->params);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return begin("{\"paramCacheSeconds\":3600}");
}

static int tear_down(void **state)
{
    (void)state;
    assert_null(strstr(fake_log(), SECRET));
    assert_null(strstr(err.text, SECRET));
    params_close(a->params);
    fake_aws_free(a);
    return 0;
}

static void expect(const char *name, const char *value)
{
    char *got = NULL;
    if (params_facet.get(a, name, &got, &err) < 0)
        fail_msg("%s: %s", name, err.text);
    assert_string_equal(got, value);
    free(got);
}

static int get_rc(const char *name)
{
    char *got = NULL;
    int rc = params_facet.get(a, name, &got, &err);
    free(got);
    return rc;
}

static void a_parameter_is_read_decrypted_and_cached(void **state)
{
    (void)state;
    ssm_says(SECRET);
    expect("/bp/prod/fleet-secret", SECRET);
    assert_int_equal(last_op, AWS_OP_SSM_GET_PARAMETER);
    assert_string_equal(last_request, "{\"Name\":\"\\/bp\\/prod\\/fleet-secret\",\"WithDecryption\":true}");
    ssm_says("other");
    expect("/bp/prod/fleet-secret", SECRET);
    assert_int_equal(calls, 1);
    expect("/bp/prod/other", "other");
    assert_int_equal(calls, 2);
}

static void fresh_means_past_the_cache_and_is_cached_itself(void **state)
{
    (void)state;
    char *got = NULL;
    ssm_says("old");
    expect("/p", "old");
    ssm_says("new");
    assert_int_equal(params_facet.get_fresh(a, "/p", &got, &err), 0);
    assert_string_equal(got, "new");
    free(got);
    expect("/p", "new");
    assert_int_equal(calls, 2);
}

static void after_its_time_it_is_read_again(void **state)
{
    (void)state;
    tear_down(state);
    begin("{\"paramCacheSeconds\":0}");
    ssm_says("old");
    expect("/p", "old");
    ssm_says("new");
    expect("/p", "new");
    assert_int_equal(calls, 2);
}

static void an_outage_leaves_the_value_in_use_and_is_told_once(void **state)
{
    (void)state;
    tear_down(state);
    begin("{\"paramCacheSeconds\":0}");
    ssm_says(SECRET);
    expect("/p", SECRET);
    fail_rc = BP_LATER;
    expect("/p", SECRET);
    expect("/p", SECRET);
    assert_non_null(strstr(fake_log(), "the value read before is used: cannot read parameter /p"));
    assert_null(strstr(strstr(fake_log(), "is used") + 1, "is used"));
    assert_int_equal(get_rc("/q"), BP_LATER); /* never read */
}

static void what_is_gone_or_forbidden_is_not_served_from_before(void **state)
{
    (void)state;
    tear_down(state);
    begin("{\"paramCacheSeconds\":0}");
    ssm_says(SECRET);
    expect("/p", SECRET);
    fail_rc = BP_NOTFOUND;
    assert_int_equal(get_rc("/p"), BP_NOTFOUND);
    fail_rc = BP_LATER;
    assert_int_equal(get_rc("/p"), BP_LATER); /* forgotten by then */
    fail_rc = BP_DENIED;
    assert_int_equal(get_rc("/p"), BP_DENIED);
}

static void an_outage_that_lasts_too_long_is_one(void **state)
{
    (void)state;
    tear_down(state);
    begin("{\"paramCacheSeconds\":0,\"paramStaleSeconds\":0}");
    ssm_says("old");
    expect("/p", "old");
    fail_rc = BP_LATER;
    assert_int_equal(get_rc("/p"), BP_LATER);
}

static void secrets_manager_by_prefix_or_arn_and_by_member(void **state)
{
    (void)state;
    snprintf(answer, sizeof answer,
             "{\"Name\":\"x\",\"SecretString\":\"{\\\"user\\\":\\\"bp\\\",\\\"password\\\":\\\"pw\\\"}\"}");
    expect("secretsmanager:prod/db", "{\"user\":\"bp\",\"password\":\"pw\"}");
    assert_int_equal(last_op, AWS_OP_SECRETS_GET_SECRET_VALUE);
    assert_string_equal(last_request, "{\"SecretId\":\"prod\\/db\"}");
    expect("secretsmanager:prod/db#password", "pw");
    assert_string_equal(last_request, "{\"SecretId\":\"prod\\/db\"}");
    expect("arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf#user", "bp");
    assert_string_equal(last_request,
                        "{\"SecretId\":\"arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf\"}");
    assert_int_equal(get_rc("secretsmanager:prod/db#none"), BP_NOTFOUND);
    ssm_says("v");
    expect("arn:aws:ssm:eu-central-1:123456789012:parameter/bp/x", "v");
    assert_int_equal(last_op, AWS_OP_SSM_GET_PARAMETER);
}

static void what_holds_no_text_is_refused_without_showing_it(void **state)
{
    (void)state;
    snprintf(answer, sizeof answer, "{\"Name\":\"x\",\"SecretBinary\":\"" SECRET "\"}");
    assert_int_equal(get_rc("secretsmanager:binary"), BP_INVALID);
    snprintf(answer, sizeof answer, "{\"Name\":\"x\",\"SecretString\":\"" SECRET "\"}");
    assert_int_equal(get_rc("secretsmanager:plain#member"), BP_INVALID);
    snprintf(answer, sizeof answer, "{}");
    assert_int_equal(get_rc("/nothing"), BP_INVALID);
    snprintf(answer, sizeof answer, "[\"" SECRET "\"]");
    assert_int_equal(get_rc("/list"), BP_INVALID);
}

static void names_that_are_none_are_refused_unasked(void **state)
{
    (void)state;
    static const char *const names[] = {
        "", "secretsmanager:", "secretsmanager:#m", "secretsmanager:x#", "a b", "a\"b", "a\nb"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(get_rc(names[i]), BP_INVALID);
    assert_int_equal(calls, 0);
}

static void a_secret_is_written_encrypted_and_the_cache_forgets_it(void **state)
{
    (void)state;
    ssm_says("old");
    expect("/p", "old");
    assert_int_equal(params_facet.put(a, "/p", SECRET, 1, &err), 0);
    assert_int_equal(last_op, AWS_OP_SSM_PUT_PARAMETER);
    assert_string_equal(last_request,
                        "{\"Name\":\"\\/p\",\"Value\":\"" SECRET "\",\"Type\":\"SecureString\",\"Overwrite\":true}");
    ssm_says("new");
    expect("/p", "new");
    assert_int_equal(params_facet.put(a, "/p", "plain", 0, &err), 0);
    assert_non_null(strstr(last_request, "\"Type\":\"String\""));
}

static void only_what_ssm_holds_is_written(void **state)
{
    (void)state;
    char large[8200];
    memset(large, 'x', sizeof large);
    large[8193] = '\0';
    assert_int_equal(params_facet.put(a, "/p", large, 1, &err), BP_TOOLARGE);
    assert_int_equal(params_facet.put(a, "/p", "", 1, &err), BP_INVALID);
    assert_int_equal(params_facet.put(a, "secretsmanager:x", SECRET, 1, &err), BP_UNSUPPORTED);
    assert_int_equal(calls, 0);
    large[5000] = '\0';
    assert_int_equal(params_facet.put(a, "/p", large, 0, &err), 0);
    assert_int_equal(calls, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_parameter_is_read_decrypted_and_cached),
        TEST(fresh_means_past_the_cache_and_is_cached_itself),
        TEST(after_its_time_it_is_read_again),
        TEST(an_outage_leaves_the_value_in_use_and_is_told_once),
        TEST(what_is_gone_or_forbidden_is_not_served_from_before),
        TEST(an_outage_that_lasts_too_long_is_one),
        TEST(secrets_manager_by_prefix_or_arn_and_by_member),
        TEST(what_holds_no_text_is_refused_without_showing_it),
        TEST(names_that_are_none_are_refused_unasked),
        TEST(a_secret_is_written_encrypted_and_the_cache_forgets_it),
        TEST(only_what_ssm_holds_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
