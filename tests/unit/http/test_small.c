/* SPDX-License-Identifier: Apache-2.0 */
/* test_small.c - tenants, the rate limit. */
#include "http/rate.h"
#include "http/rig.h"
#include "http/tenants.h"

#include <stdio.h>

static struct tenants *load(const char *set, struct config **config, struct bp_err *err)
{
    const char *sets[] = {set};
    struct config_sources src = {.sets = sets, .n_sets = 1};

    *config = config_load(&src, err);
    return *config ? tenants_new(*config, "local-token", err) : NULL;
}

static void tokens_are_resolved_from_environment_and_file(void **state)
{
    struct bp_err err = {0};
    struct config *c;
    struct tenants *t;
    FILE *f = fopen("token", "w");

    (void)state;
    fputs("from-the-file\nmore\n", f);
    fclose(f);
    setenv("ACME_TOKEN", "from-the-environment", 1);
    t = load("tenants={\"acme\":{\"token\":\"env:ACME_TOKEN\"},\"beta\":{\"token\":\"file:token\"}}", &c, &err);
    assert_non_null(t);
    assert_string_equal(tenants_find(t, "from-the-environment"), "acme");
    assert_string_equal(tenants_find(t, "from-the-file"), "beta");
    assert_null(tenants_find(t, "local-token"));
    assert_null(tenants_find(t, "env:ACME_TOKEN"));
    assert_null(tenants_find(t, ""));
    tenants_free(t);
    config_free(c);
}

static void a_token_that_cannot_be_had_is_named(void **state)
{
    static const char *const bad[] = {
        "tenants={\"acme\":{\"token\":\"env:NO_SUCH_VARIABLE_HERE\"}}",
        "tenants={\"acme\":{\"token\":\"file:no/such/file\"}}",
        "tenants={\"acme\":{\"token\":\"short\"}}",
        "tenants={\"acme\":{}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bp_err err = {0};
        struct config *c;
        assert_null(load(bad[i], &c, &err));
        assert_int_equal(err.rc, BP_INVALID);
        assert_non_null(strstr(err.text, "tenants.acme"));
        config_free(c);
    }
}

static void what_else_a_tenant_has_is_checked_by_name(void **state)
{
    static const struct {
        const char *set, *part;
    } bad[] = {
        {"tenants={\"acme\":{\"wieght\":2}}", "did you mean weight"},
        {"tenants={\"acme\":{\"weight\":0}}", "tenants.acme.weight must be a whole number from 1 to 1000"},
        {"tenants={\"acme\":{\"maxPending\":-1}}", "tenants.acme.maxPending"},
        {"tenants={\"acme\":{\"maxRunning\":\"many\"}}", "tenants.acme.maxRunning"},
        {"tenants={\"acme\":{\"webhook\":\"ftp://x\"}}", "tenants.acme.webhook"},
        {"tenants={\"acme\":{\"token\":5}}", "tenants.acme.token must be text"},
        {"tenants={\"acme\":7}", "tenants.acme"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bp_err err = {0};
        struct config *c;
        assert_null(load(bad[i].set, &c, &err));
        assert_int_equal(err.rc, BP_INVALID);
        if (!strstr(err.text, bad[i].part))
            fail_msg("%s: %s", bad[i].set, err.text);
        config_free(c);
    }
}

/* Its tokens may be in the store: the local one stays while no setting has any. */
static void a_tenant_may_have_limits_and_no_token(void **state)
{
    struct bp_err err = {0};
    struct config *c;
    struct tenants *t = load("tenants={\"acme\":{\"weight\":2,\"maxPending\":0}}", &c, &err);

    (void)state;
    assert_non_null(t);
    assert_string_equal(tenants_find(t, "local-token"), "local");
    tenants_free(t);
    config_free(c);
}

static void without_tenants_there_is_the_local_one(void **state)
{
    struct bp_err err = {0};
    struct config *c;
    struct tenants *t = load("tenants={}", &c, &err);

    (void)state;
    assert_string_equal(tenants_find(t, "local-token"), "local");
    tenants_free(t);
    config_free(c);
}

static void a_minute_holds_so_many_per_address(void **state)
{
    struct rate *r = rate_new();

    (void)state;
    assert_int_equal(rate_take(r, "10.0.0.1", 2, 1000).remaining, 1);
    assert_int_equal(rate_take(r, "10.0.0.1", 2, 2000).remaining, 0);
    assert_int_equal(rate_take(r, "10.0.0.1", 2, 3000).retry_after_s, 58);
    assert_int_equal(rate_take(r, "10.0.0.2", 2, 3000).retry_after_s, 0);
    assert_int_equal(rate_take(r, "10.0.0.1", 2, 61000).retry_after_s, 0);
    rate_free(r);
}

static void an_ipv6_client_counts_with_its_network(void **state)
{
    struct rate *r = rate_new();

    (void)state;
    assert_int_equal(rate_take(r, "2001:db8::1", 1, 0).retry_after_s, 0);
    assert_true(rate_take(r, "2001:db8::2", 1, 0).retry_after_s > 0);
    assert_int_equal(rate_take(r, "2001:db8:0:1::1", 1, 0).retry_after_s, 0);
    rate_free(r);
}

static void ipv4_clients_of_an_ipv6_socket_count_one_by_one(void **state)
{
    struct rate *r = rate_new();

    (void)state;
    assert_int_equal(rate_take(r, "::ffff:10.0.0.1", 1, 0).retry_after_s, 0);
    assert_int_equal(rate_take(r, "::ffff:10.0.0.2", 1, 0).retry_after_s, 0);
    assert_true(rate_take(r, "10.0.0.1", 1, 0).retry_after_s > 0);
    rate_free(r);
}

static void many_addresses_need_no_more_memory(void **state)
{
    struct rate *r = rate_new();
    char ip[32];

    (void)state;
    for (int i = 0; i < 100000; i++) {
        snprintf(ip, sizeof(ip), "10.%d.%d.%d", i >> 16, (i >> 8) & 255, i & 255);
        assert_int_equal(rate_take(r, ip, 1, i).retry_after_s, 0);
    }
    rate_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_resolved_from_environment_and_file),
        cmocka_unit_test(a_token_that_cannot_be_had_is_named),
        cmocka_unit_test(what_else_a_tenant_has_is_checked_by_name),
        cmocka_unit_test(a_tenant_may_have_limits_and_no_token),
        cmocka_unit_test(without_tenants_there_is_the_local_one),
        cmocka_unit_test(a_minute_holds_so_many_per_address),
        cmocka_unit_test(an_ipv6_client_counts_with_its_network),
        cmocka_unit_test(ipv4_clients_of_an_ipv6_socket_count_one_by_one),
        cmocka_unit_test(many_addresses_need_no_more_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
