/* SPDX-License-Identifier: Apache-2.0 */
/* Images and instance refreshes: what is asked of AWS, what is refused, and what is made of the answers. */
#include "fake_client.h"
#include "fleet.h"
#include "rollout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AMI_1 "ami-0123456789abcdef0"
#define AMI_2 "ami-0fedcba9876543210"

static struct aws *a;
static struct fleets fleets;
static struct bp_err err;
static char *out;

static int set_up(void **state)
{
    (void)state;
    fake_client_reset();
    memset(&err, 0, sizeof err);
    a = fake_aws("{\"region\":\"eu-central-1\",\"rolloutMinHealthyPercent\":80,\"_bpd\":{\"stage\":\"prod\"}}");
    a->params = params_open(a, &err);
    fleets.aws = a;
    a->fleets = &fleets;
    assert_int_equal(fleet_settings_read(&fleets.set, a, &err), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(out);
    out = NULL;
    params_close(a->params);
    fake_aws_free(a);
    return 0;
}

static int has(const char *text, const char *part)
{
    if (!strstr(text, part))
        print_message("\"%s\" is not in: %s\n", part, text);
    return strstr(text, part) != NULL;
}

static void image(const char *id, const char *state)
{
    char text[1024];
    snprintf(text, sizeof text,
             "<DescribeImagesResponse><imagesSet><item><imageId>%s</imageId><name>gpu-42</name><imageState>%s"
             "</imageState><architecture>x86_64</architecture><creationDate>2026-10-01T00:00:00.000Z</creationDate>"
             "</item></imagesSet></DescribeImagesResponse>",
             id, state);
    fake_answer(text, "", 0);
}

static void parameter(const char *value)
{
    char text[256];
    snprintf(text, sizeof text, "{\"Parameter\":{\"Name\":\"/bp/ami\",\"Value\":\"%s\"}}", value);
    fake_answer(text, "", 0);
}

static const struct bp_fleet_spec with_parameter = {
    .size = sizeof with_parameter, .slug = "upscale", .stage = "prod", .ami_parameter = "/bp/ami"};

/* ---- images ---- */

static void the_image_in_use_is_told_with_what_ec2_says_of_it(void **state)
{
    (void)state;
    parameter(AMI_1);
    image(AMI_1, "available");
    assert_int_equal(fleet_image(a, &with_parameter, NULL, 0, &out, &err), 0);
    assert_true(has(out, "\"ami\":\"" AMI_1 "\"") && has(out, "\"found\":true") && has(out, "\"name\":\"gpu-42\""));
    assert_true(has(fake_calls[1].form, "ImageId.1=" AMI_1));
}

static void an_image_that_is_not_there_is_told_as_that(void **state)
{
    (void)state;
    parameter(AMI_1);
    fake_answer("", "InvalidAMIID.NotFound", BP_INVALID);
    assert_int_equal(fleet_image(a, &with_parameter, NULL, 0, &out, &err), 0);
    assert_true(has(out, "\"found\":false"));
}

static void setting_one_writes_the_parameter_and_tells_the_former(void **state)
{
    (void)state;
    image(AMI_2, "available");
    parameter(AMI_1);
    fake_answer("{\"Version\":2}", "", 0);
    assert_int_equal(fleet_image(a, &with_parameter, AMI_2, 0, &out, &err), 0);
    assert_true(has(out, "\"before\":\"" AMI_1 "\"") && has(out, "\"changed\":true"));
    assert_int_equal(fake_n_calls, 3);
    assert_int_equal(fake_calls[2].op, AWS_OP_SSM_PUT_PARAMETER);
    assert_true(has(fake_calls[2].form, "\"Value\":\"" AMI_2 "\"") && has(fake_calls[2].form, "\"Name\":\"/bp/ami\""));
    assert_true(has(fake_calls[2].form, "\"Overwrite\":true"));
}

static void the_same_one_again_writes_nothing_and_a_first_one_has_no_former(void **state)
{
    (void)state;
    image(AMI_1, "available");
    parameter(AMI_1);
    assert_int_equal(fleet_image(a, &with_parameter, AMI_1, 0, &out, &err), 0);
    assert_true(has(out, "\"changed\":false"));
    free(out);
    image(AMI_1, "available");
    fake_answer("", "ParameterNotFound", BP_NOTFOUND);
    fake_answer("{\"Version\":1}", "", 0);
    assert_int_equal(fleet_image(a, &with_parameter, AMI_1, 0, &out, &err), 0);
    assert_true(has(out, "\"before\":null") && has(out, "\"changed\":true"));
}

static void one_of_another_region_is_refused_unless_forced(void **state)
{
    (void)state;
    fake_answer("", "InvalidAMIID.NotFound", BP_INVALID);
    assert_int_equal(fleet_image(a, &with_parameter, AMI_2, 0, &out, &err), BP_NOTFOUND);
    assert_true(has(err.text, "eu-central-1") && has(err.text, "--force"));
    assert_int_equal(fake_n_calls, 1);
    fake_answer("", "InvalidAMIID.NotFound", BP_INVALID);
    parameter(AMI_1);
    fake_answer("{\"Version\":2}", "", 0);
    assert_int_equal(fleet_image(a, &with_parameter, AMI_2, 1, &out, &err), 0);
    assert_true(has(out, "\"warning\""));
}

static void one_that_is_not_ready_is_refused(void **state)
{
    (void)state;
    image(AMI_2, "pending");
    assert_int_equal(fleet_image(a, &with_parameter, AMI_2, 0, &out, &err), BP_CONFLICT);
    assert_true(has(err.text, "is pending"));
}

static void what_cannot_be_set_is_refused_before_anything_is_asked(void **state)
{
    struct bp_fleet_spec fixed = with_parameter, public = with_parameter;
    static const char *const wrong[] = {
        "", "ami-", "ami-xyz", "ami-0123", "AMI-0123456789abcdef0", AMI_1 "0", AMI_1 " ", "i-0123456789abcdef0"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(fleet_image(a, &with_parameter, wrong[i], 1, &out, &err), BP_INVALID);
    fixed.ami_parameter = NULL;
    fixed.ami_id = AMI_1;
    assert_int_equal(fleet_image(a, &fixed, AMI_2, 1, &out, &err), BP_CONFLICT);
    assert_true(has(err.text, "workflows.upscale.amiSsmParameter"));
    public.ami_parameter = "/aws/service/ami-amazon-linux-latest/x";
    assert_int_equal(fleet_image(a, &public, AMI_2, 1, &out, &err), BP_CONFLICT);
    assert_int_equal(fake_n_calls, 0);
    assert_null(out);
}

static void an_outage_of_ec2_sets_nothing(void **state)
{
    (void)state;
    fake_answer("", "", BP_LATER);
    assert_int_equal(fleet_image(a, &with_parameter, AMI_2, 1, &out, &err), BP_LATER);
    assert_int_equal(fake_n_calls, 1);
}

/* ---- roll-outs ---- */

static void a_refresh_passes_protected_instances_over(void **state)
{
    (void)state;
    fake_answer("<StartInstanceRefreshResponse><StartInstanceRefreshResult><InstanceRefreshId>r-1</InstanceRefreshId>"
                "</StartInstanceRefreshResult></StartInstanceRefreshResponse>",
                "", 0);
    assert_int_equal(fleet_rollout(a, "upscale", BP_ROLLOUT_START, &out, &err), 0);
    assert_true(has(out, "\"id\":\"r-1\"") && has(out, "\"running\":true"));
    assert_true(has(fake_calls[0].form, "AutoScalingGroupName=asg-prod-upscale"));
    assert_true(has(fake_calls[0].form, "Preferences.ScaleInProtectedInstances=Ignore"));
    assert_true(has(fake_calls[0].form, "Preferences.MinHealthyPercentage=80"));
    assert_null(strstr(fake_calls[0].form, "ScaleInProtectedInstances=Refresh"));
}

static void a_second_one_is_told_of_the_first(void **state)
{
    (void)state;
    fake_answer("", "InstanceRefreshInProgress", BP_INVALID);
    assert_int_equal(fleet_rollout(a, "upscale", BP_ROLLOUT_START, &out, &err), BP_CONFLICT);
    assert_true(has(err.text, "--follow") && has(err.text, "asg-prod-upscale"));
}

static void each_state_of_a_refresh_has_its_word(void **state)
{
    static const struct {
        const char *aws, *word;
        int running;
    } rows[] = {{"Pending", "pending", 1},
                {"InProgress", "running", 1},
                {"Cancelling", "cancelling", 1},
                {"RollbackInProgress", "rolling-back", 1},
                {"Successful", "successful", 0},
                {"Failed", "failed", 0},
                {"Cancelled", "cancelled", 0},
                {"RollbackSuccessful", "rolled-back", 0},
                {"Novel", "Novel", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[1024], wanted[64];
        snprintf(text, sizeof text,
                 "<R><DescribeInstanceRefreshesResult><InstanceRefreshes><member><InstanceRefreshId>r-1"
                 "</InstanceRefreshId><Status>%s</Status><StatusReason>because</StatusReason><PercentageComplete>40"
                 "</PercentageComplete><InstancesToUpdate>3</InstancesToUpdate><StartTime>2026-10-01T00:00:00Z"
                 "</StartTime></member></InstanceRefreshes></DescribeInstanceRefreshesResult></R>",
                 rows[i].aws);
        fake_client_reset();
        fake_answer(text, "", 0);
        assert_int_equal(fleet_rollout(a, "upscale", BP_ROLLOUT_STATUS, &out, &err), 0);
        snprintf(wanted, sizeof wanted, "\"status\":\"%s\",\"running\":%s", rows[i].word,
                 rows[i].running ? "true" : "false");
        assert_true(has(out, wanted) && has(out, "\"percent\":40,\"left\":3") && has(out, "\"reason\":\"because\""));
        free(out);
        out = NULL;
    }
}

static void a_group_that_had_none_says_so(void **state)
{
    (void)state;
    fake_answer("<R><DescribeInstanceRefreshesResult><InstanceRefreshes/></DescribeInstanceRefreshesResult></R>", "",
                0);
    assert_int_equal(fleet_rollout(a, "upscale", BP_ROLLOUT_STATUS, &out, &err), 0);
    assert_true(has(out, "\"status\":\"none\",\"running\":false"));
    fake_answer("", "ActiveInstanceRefreshNotFound", BP_INVALID);
    free(out);
    assert_int_equal(fleet_rollout(a, "upscale", BP_ROLLOUT_ABORT, &out, &err), BP_NOTFOUND);
    assert_int_equal(fleet_rollout(a, "upscale", 7, &out, &err), BP_UNSUPPORTED);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(the_image_in_use_is_told_with_what_ec2_says_of_it),
        T(an_image_that_is_not_there_is_told_as_that),
        T(setting_one_writes_the_parameter_and_tells_the_former),
        T(the_same_one_again_writes_nothing_and_a_first_one_has_no_former),
        T(one_of_another_region_is_refused_unless_forced),
        T(one_that_is_not_ready_is_refused),
        T(what_cannot_be_set_is_refused_before_anything_is_asked),
        T(an_outage_of_ec2_sets_nothing),
        T(a_refresh_passes_protected_instances_over),
        T(a_second_one_is_told_of_the_first),
        T(each_state_of_a_refresh_has_its_word),
        T(a_group_that_had_none_says_so),
    };
    return cmocka_run_group_tests_name("aws_rollout", tests, NULL, NULL);
}
