/* SPDX-License-Identifier: Apache-2.0 */
/* User data: what is in it, what is not, and when there is none. */
#include "fake_client.h"
#include "fleet_ensure.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct aws *a;
static struct fleets fleets;
static struct bp_err err;
static const struct bp_fleet_spec spec = {.size = sizeof spec, .slug = "photo", .stage = "prod"};

static int tear_down(void **state)
{
    (void)state;
    fake_aws_free(a);
    return 0;
}

/* The script by these settings, NULL with err. free() it. */
static char *script(const char *settings)
{
    struct ensuring e = {.f = &fleets, .spec = &spec, .name = "asg-prod-photo"};
    memset(&err, 0, sizeof err);
    memset(&fleets, 0, sizeof fleets);
    a = fake_aws(settings);
    fleets.aws = a;
    assert_int_equal(fleet_settings_read(&fleets.set, a, &err), 0);
    char *text = user_data_make(&e, &err);
    if (!text)
        return NULL;
    char *out = calloc(1, strlen(text) + 1);
    assert_true(EVP_DecodeBlock((unsigned char *)out, (unsigned char *)text, (int)strlen(text)) > 0);
    free(text);
    return out;
}

static void settings_stand_in_one_line_whatever_they_hold(void **state)
{
    (void)state;
    char *text = script("{\"_bpd\":{\"stage\":\"prod\",\"url\":\"https://bp\"},\"region\":\"eu-central-1\",\"fleet\":"
                        "{\"workerSettings\":{\"log\":{\"path\":\"a\\nBPD_WORKER_SETTINGS\\n$(reboot)'\"}}}}");
    assert_non_null(text);
    const char *begin = strstr(text, "<<'BPD_WORKER_SETTINGS'\n{"), *end = strstr(text, "}\nBPD_WORKER_SETTINGS\n");
    assert_true(begin && end && begin < end);
    assert_ptr_equal(strstr(strchr(begin, '{'), "\n"), end + 1);
    assert_non_null(strstr(text, "\"fleetSecret\":\"param:/bp/prod/fleet-secret\""));
    free(text);
}

static void a_controller_on_loopback_is_told_apart(void **state)
{
    static const char *const lost[] = {"http://127.0.0.1:80", "http://localhost:80", "http://[::1]:80",
                                       "http://0.0.0.0:80", ""};
    char settings[200];
    (void)state;
    for (size_t i = 0; i < sizeof lost / sizeof lost[0]; i++) {
        snprintf(settings, sizeof settings, "{\"_bpd\":{\"stage\":\"prod\",\"url\":\"%s\"}}", lost[i]);
        assert_null(script(settings));
        assert_int_equal(err.rc, BP_INVALID);
        assert_non_null(strstr(err.text, "plugin.aws.fleet.controllerUrl"));
        if (i + 1 < sizeof lost / sizeof lost[0])
            fake_aws_free(a);
    }
}

static void a_script_that_ec2_would_not_take_is_refused(void **state)
{
    FILE *out = fopen("own", "w");
    (void)state;
    assert_non_null(out);
    for (int i = 0; i < 16000; i++)
        fputc('x', out);
    fputs("@SETTINGS@@SETTINGS@", out);
    fclose(out);
    assert_null(script("{\"_bpd\":{\"stage\":\"prod\",\"url\":\"https://bp\"},\"fleet\":{\"userDataFile\":\"own\"}}"));
    assert_int_equal(err.rc, BP_TOOLARGE);
    fake_aws_free(a);
    assert_null(script("{\"_bpd\":{\"stage\":\"prod\",\"url\":\"https://bp\"},\"fleet\":{\"userDataFile\":\"none\"}}"));
    assert_int_equal(err.rc, BP_INVALID);
    assert_non_null(strstr(err.text, "none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(settings_stand_in_one_line_whatever_they_hold, tear_down),
        cmocka_unit_test_teardown(a_controller_on_loopback_is_told_apart, tear_down),
        cmocka_unit_test_teardown(a_script_that_ec2_would_not_take_is_refused, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
