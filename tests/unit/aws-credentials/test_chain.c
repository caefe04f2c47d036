/* SPDX-License-Identifier: Apache-2.0 */
/* Which source it is, and that one that lacks something is it all the same. */
#include "cm.h"
#include "credentials_priv.h"
#include "rig.h"

#include <stdlib.h>
#include <string.h>

/* The source chosen, by its name; or, when none works, what is said about it. */
static void expect(const char *settings, const char *config, const char *credentials, const char *const *env,
                   const char *what)
{
    struct bp_err err = {0};
    rig_open(settings, config, credentials);
    for (; env && *env; env += 2)
        setenv(env[0], env[1], 1);
    settings_close(&rig.settings);
    assert_int_equal(settings_open(&rig.settings, settings, &err), 0); /* AWS_PROFILE is read here */
    struct credentials *c = creds_open(&rig, &err);
    assert_non_null(c);
    const char *got = c->source ? c->source->name : c->broken.text;
    if (!strstr(got, what))
        fail_msg("\"%s\" is not \"%s\"", got, what);
    if (!c->source) {
        struct aws_creds out;
        assert_int_equal(c->broken.rc, BP_DENIED);
        assert_int_equal(creds_get(c, &out, &err), BP_DENIED);
        assert_string_equal(err.text, c->broken.text);
    }
    creds_close(c);
    rig_close();
}

#define KEYS      "AWS_ACCESS_KEY_ID", "AKIA1", "AWS_SECRET_ACCESS_KEY", "secret-1"
#define PROFILE   "AWS_PROFILE", "p"
#define WEB       "AWS_WEB_IDENTITY_TOKEN_FILE", "/t", "AWS_ROLE_ARN", "arn:aws:iam::1:role/web"
#define CONTAINER "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x"
#define FILES                                                                                                          \
    "[default]\naws_access_key_id=D\naws_secret_access_key=d\n[p]\naws_access_key_id=P\naws_secret_access_key=p\n"

static void the_order(void **state)
{
    (void)state;
    const char *const all[] = {KEYS, PROFILE, WEB, CONTAINER, NULL}, *const no_keys[] = {PROFILE, WEB, CONTAINER, NULL},
                      *const no_profile[] = {WEB, CONTAINER, NULL}, *const container[] = {CONTAINER, NULL},
                      *const empty[] = {"AWS_ACCESS_KEY_ID", "", "AWS_SECRET_ACCESS_KEY", "", CONTAINER, NULL};
    expect("{}", NULL, FILES, all, "environment");
    expect("{\"profile\":\"p\"}", NULL, FILES, all, "profile p"); /* said to the plugin itself */
    expect("{}", NULL, FILES, no_keys, "profile p");
    expect("{}", NULL, FILES, no_profile, "profile default");
    expect("{}", "[default]\nregion=eu-west-1\n", NULL, no_profile, "web identity for role web");
    expect("{}", NULL, NULL, container, "container role");
    expect("{}", NULL, NULL, empty, "container role"); /* empty is not set */
    expect("{}", NULL, NULL, NULL, "instance role");
    expect("{\"profile\":\"p\"}", "[profile p]\nregion=eu-west-1\n", NULL, all, "web identity"); /* not the keys */
}

static void what_lacks_something_is_it_all_the_same(void **state)
{
    (void)state;
    const char *const half[] = {"AWS_ACCESS_KEY_ID", "AKIA1", CONTAINER, NULL};
    const char *const other_half[] = {"AWS_SECRET_ACCESS_KEY", "secret-1", CONTAINER, NULL};
    const char *const named[] = {PROFILE, CONTAINER, NULL};
    const char *const token_only[] = {"AWS_WEB_IDENTITY_TOKEN_FILE", "/t", CONTAINER, NULL};
    const char *const far[] = {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/creds", NULL};
    expect("{}", NULL, NULL, half, "AWS_SECRET_ACCESS_KEY is not; set both");
    expect("{}", NULL, NULL, other_half, "AWS_ACCESS_KEY_ID is not; set both");
    expect("{}", NULL, NULL, named, "there is no profile p");
    expect("{\"profile\":\"q\"}", NULL, FILES, NULL, "correct plugin.aws.profile");
    expect("{}", NULL, NULL, token_only, "no role; set AWS_ROLE_ARN");
    expect("{}", NULL, NULL, far, "it must be https, or http on loopback");
    expect("{}", NULL, "[p]\naws_access_key_id=P\n", named, "has aws_access_key_id, but no aws_secret_access_key");
    expect("{}", "[profile p]\nsso_session=x\n", NULL, named, "signs in by SSO");
}

static void profiles_that_take_roles(void **state)
{
    (void)state;
#define ROLE "[profile p]\nrole_arn=arn:aws:iam::1:role/deep\n"
    const char *const p[] = {PROFILE, NULL}, *const keys[] = {PROFILE, "AWS_ACCESS_KEY_ID", "", NULL};
    expect("{\"profile\":\"p\"}", ROLE "source_profile=q\n[profile q]\nrole_arn=r2\nsource_profile=default\n", FILES, p,
           "role deep of profile p");
    expect("{}", ROLE "source_profile=p\naws_access_key_id=P\naws_secret_access_key=p\n", NULL, p,
           "role deep of profile p");
    expect("{}", ROLE "credential_source=EcsContainer\n", NULL, p, "its variables are not set");
    expect("{}", ROLE "credential_source=Ec2InstanceMetadata\n", NULL, keys, "role deep");
    expect("{}", ROLE "credential_source=Sun\n", NULL, p, "there are Environment, EcsContainer");
    expect("{}", ROLE, NULL, p, "neither source_profile and credential_source");
    expect("{}", ROLE "source_profile=q\ncredential_source=Environment\n", NULL, p, "both source_profile");
    expect("{}", ROLE "source_profile=q\n", NULL, p, "but there is no such profile");
    expect("{}", ROLE "source_profile=q\n[profile q]\nregion=x\n", NULL, p, "has no credentials");
    expect("{}", ROLE "source_profile=q\n[profile q]\nrole_arn=r\nsource_profile=p\n", NULL, p, "lead in a circle");
    expect("{}", ROLE "source_profile=p\n", NULL, p, "lead in a circle");
    expect("{}", ROLE "source_profile=q\nmfa_serial=1\n", NULL, p, "wants mfa_serial");
    expect("{}", ROLE "source_profile=q\nduration_seconds=1\n", NULL, p, "must be 900 to 43200");
    expect("{}", ROLE "source_profile=p\naws_access_key_id=P\naws_secret_access_key=p\nrole_session_name=a b\n", NULL,
           p, "role_session_name of profile p must be");
    expect("{}", ROLE "web_identity_token_file=/t\n", NULL, p, "web identity for role deep");
    expect("{}", "[profile p]\ncredential_process=/bin/x\n", NULL, p, "credential_process of profile p");
}

static void where_containers_may_be_asked(void **state)
{
    (void)state;
    static const char *const good[] = {"http://127.0.0.1:80/x",   "http://127.9.9.9/",      "http://localhost:1/a?b",
                                       "http://169.254.170.2/v2", "http://169.254.170.23/", "http://[fd00:ec2::23]/v1",
                                       "http://[::1]:8080/",      "https://example.com/c",  "HTTP://LOCALHOST/"};
    static const char *const bad[] = {"http://169.254.169.254/",
                                      "http://example.com/",
                                      "ftp://127.0.0.1/",
                                      "http://127.0.0.1@example.com/",
                                      "http://127.0.0.1:80@example.com/",
                                      "http://127.0.0.1.example.com/",
                                      "http://localhost.example.com",
                                      "http://[::1].example.com/",
                                      "http://[::2]/",
                                      "http:///x",
                                      "https://",
                                      "http://127.0.0.1/a b",
                                      "http://127.0.0.1/\r\nx: y",
                                      "127.0.0.1",
                                      ""};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!container_url_ok(good[i]))
            fail_msg("%s is refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (container_url_ok(bad[i]))
            fail_msg("%s is taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order),
        cmocka_unit_test(what_lacks_something_is_it_all_the_same),
        cmocka_unit_test(profiles_that_take_roles),
        cmocka_unit_test(where_containers_may_be_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
