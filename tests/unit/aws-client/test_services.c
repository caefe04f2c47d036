/* SPDX-License-Identifier: Apache-2.0 */
/* Where each service is reached. */
#include "cm.h"
#include "services.h"

static void expect(struct aws_endpoint_rules r, enum aws_service s, const char *want)
{
    char url[256];
    struct bp_err err = {0};
    if (aws_endpoint(&r, s, url, sizeof url, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(url, want);
}

static void by_region_and_partition(void **state)
{
    (void)state;
    struct aws_endpoint_rules r = {.region = "eu-central-1"};
    expect(r, AWS_S3, "https://s3.eu-central-1.amazonaws.com");
    expect(r, AWS_CLOUDWATCH, "https://monitoring.eu-central-1.amazonaws.com");
    r.fips = 1;
    expect(r, AWS_SSM, "https://ssm-fips.eu-central-1.amazonaws.com");
    r.dualstack = 1;
    expect(r, AWS_S3, "https://s3-fips.dualstack.eu-central-1.amazonaws.com");
    expect(r, AWS_EC2, "https://ec2-fips.eu-central-1.api.aws");
    r = (struct aws_endpoint_rules){.region = "cn-north-1"};
    expect(r, AWS_STS, "https://sts.cn-north-1.amazonaws.com.cn");
    r.region = "us-gov-west-1";
    expect(r, AWS_STS, "https://sts.us-gov-west-1.amazonaws.com");
    r.region = "us-isob-east-1";
    expect(r, AWS_LOGS, "https://logs.us-isob-east-1.sc2s.sgov.gov");
}

static void by_override(void **state)
{
    (void)state;
    struct aws_endpoint_rules r = {.region = "", .all = "http://127.0.0.1:5000/"};
    expect(r, AWS_S3, "http://127.0.0.1:5000");
    r.one[AWS_S3] = "https://store.example:9000/base";
    expect(r, AWS_S3, "https://store.example:9000/base");
    expect(r, AWS_SSM, "http://127.0.0.1:5000");
}

static void nonsense_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const regions[] = {"", NULL, "eu", "Frankfurt", "eu-central-1.evil.example", "eu central"};
    static const char *const urls[] = {"ftp://x", "127.0.0.1:5000", "http://a b", "http://u@h", "http://h/?x"};
    char url[256];
    struct bp_err err;
    for (size_t i = 0; i < sizeof regions / sizeof regions[0]; i++) {
        struct aws_endpoint_rules r = {.region = regions[i]};
        assert_int_equal(aws_endpoint(&r, AWS_S3, url, sizeof url, &err), BP_INVALID);
    }
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct aws_endpoint_rules r = {.region = "eu-central-1", .all = urls[i]};
        assert_int_equal(aws_endpoint(&r, AWS_S3, url, sizeof url, &err), BP_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_region_and_partition),
        cmocka_unit_test(by_override),
        cmocka_unit_test(nonsense_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
