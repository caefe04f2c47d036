/* SPDX-License-Identifier: Apache-2.0 */
/* What each text and code of a failed launch is taken for: class, market, type and zone. */
#include "../cm.h"

#include "capacity.h"
#include <string.h>

struct row {
    const char *code, *text;
    enum failure_class cls;
    enum market market;
    const char *type, *zone;
};

static const struct row rows[] = {
    {"",
     "We currently do not have sufficient g5.xlarge capacity in the Availability Zone you requested (us-east-1a). Our "
     "system will be working on provisioning additional capacity. You can currently get g5.xlarge capacity by not "
     "specifying an Availability Zone in your request or choosing us-east-1b, us-east-1c. Launching EC2 instance "
     "failed.",
     FAILURE_CAPACITY, MARKET_ANY, "g5.xlarge", "us-east-1a"},
    {"",
     "Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available that matches "
     "your request. Launching EC2 instance failed.",
     FAILURE_CAPACITY, MARKET_SPOT, "", ""},
    {"",
     "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity due to your request "
     "configuration. Please adjust your request and try again. Launching EC2 instance failed.",
     FAILURE_CAPACITY, MARKET_SPOT, "", ""},
    {"",
     "Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have sufficient "
     "p4d.24xlarge capacity in zones with support for 'gp3' volumes.",
     FAILURE_CAPACITY, MARKET_ON_DEMAND, "p4d.24xlarge", ""},
    {"",
     "Your requested instance type (g6.2xlarge) is not supported in your requested Availability Zone (us-east-1e). "
     "Please retry your request by not specifying an Availability Zone or choosing us-east-1a, us-east-1b.",
     FAILURE_CAPACITY, MARKET_ANY, "g6.2xlarge", "us-east-1e"},
    {"",
     "Your Spot request price of 0.1 is lower than the minimum required Spot request fulfillment price of 0.2. "
     "Launching EC2 instance failed.",
     FAILURE_CAPACITY, MARKET_SPOT, "", ""},
    {"InsufficientInstanceCapacity", "", FAILURE_CAPACITY, MARKET_ANY, "", ""},
    {"InsufficientCapacityOnHost", "", FAILURE_CAPACITY, MARKET_ANY, "", ""},
    {"UnfulfillableCapacity", "", FAILURE_CAPACITY, MARKET_ANY, "", ""},
    {"SpotMaxPriceTooLow", "", FAILURE_CAPACITY, MARKET_SPOT, "", ""},
    {"Unsupported", "The requested configuration is currently not supported. Please check the documentation.",
     FAILURE_CAPACITY, MARKET_ANY, "", ""},
    {"", "Server.InsufficientInstanceCapacity: Insufficient capacity to satisfy instance request", FAILURE_CAPACITY,
     MARKET_ANY, "", ""},

    {"", "Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count exceeded.",
     FAILURE_QUOTA, MARKET_SPOT, "", ""},
    {"VcpuLimitExceeded", "", FAILURE_QUOTA, MARKET_ANY, "", ""},
    {"",
     "You have requested more vCPU capacity than your current vCPU limit of 0 allows for the instance bucket that the "
     "specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an "
     "adjustment to this limit. Launching EC2 instance failed.",
     FAILURE_QUOTA, MARKET_ANY, "", ""},
    {"", "Your quota allows for 0 more running instance(s). You requested at least 1.", FAILURE_QUOTA, MARKET_ANY, "",
     ""},
    {"InstanceLimitExceeded", "", FAILURE_QUOTA, MARKET_ANY, "", ""},

    {"", "The image id '[ami-0123456789abcdef0]' does not exist. Launching EC2 instance failed.", FAILURE_IMAGE,
     MARKET_ANY, "", ""},
    {"InvalidAMIID.NotFound", "", FAILURE_IMAGE, MARKET_ANY, "", ""},
    {"InvalidAMIID.Unavailable", "", FAILURE_IMAGE, MARKET_ANY, "", ""},
    {"", "AMI ID ami-0123456789abcdef0 is not in region us-east-1", FAILURE_IMAGE, MARKET_ANY, "", ""},
    {"", "Systems Manager parameter '/bp/ami/x' was not found. Launching EC2 instance failed.", FAILURE_IMAGE,
     MARKET_ANY, "", ""},
    {"ParameterNotFound", "", FAILURE_IMAGE, MARKET_ANY, "", ""},

    {"", "There are not enough free addresses in subnet 'subnet-1' to satisfy the requested number of instances.",
     FAILURE_NETWORK, MARKET_ANY, "", ""},
    {"InsufficientFreeAddressesInSubnet", "", FAILURE_NETWORK, MARKET_ANY, "", ""},
    {"", "The subnet ID 'subnet-1' does not exist. Launching EC2 instance failed.", FAILURE_NETWORK, MARKET_ANY, "",
     ""},
    {"", "The security group 'sg-1' does not exist in VPC 'vpc-1'. Launching EC2 instance failed.", FAILURE_NETWORK,
     MARKET_ANY, "", ""},
    {"InvalidSubnetID.NotFound", "", FAILURE_NETWORK, MARKET_ANY, "", ""},

    {"", "You are not authorized to perform this operation. Encoded authorization failure message: abc", FAILURE_DENIED,
     MARKET_ANY, "", ""},
    {"UnauthorizedOperation", "", FAILURE_DENIED, MARKET_ANY, "", ""},
    {"", "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: iam:PassRole on resource: y",
     FAILURE_DENIED, MARKET_ANY, "", ""},
    {"", "Invalid IAM Instance Profile name. Launching EC2 instance failed.", FAILURE_DENIED, MARKET_ANY, "", ""},
    {"",
     "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: "
     "Client.InternalError: Client error on launch",
     FAILURE_DENIED, MARKET_ANY, "", ""},

    {"", "The moon is in the wrong house.", FAILURE_OTHER, MARKET_ANY, "", ""},
    {"", "", FAILURE_OTHER, MARKET_ANY, "", ""},
    {NULL, NULL, FAILURE_OTHER, MARKET_ANY, "", ""},
};

static void each_text_has_its_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct failure f = {0};
        failure_read(rows[i].code, rows[i].text, &f);
        if (f.cls != rows[i].cls || f.market != rows[i].market || strcmp(f.type, rows[i].type) != 0 ||
            strcmp(f.zone, rows[i].zone) != 0)
            fail_msg("row %zu (%s, %.60s): %s %s \"%s\" \"%s\"", i, rows[i].code, rows[i].text, failure_name(f.cls),
                     market_name(f.market), f.type, f.zone);
        assert_true(strlen(failure_remedy(f.cls)) > 0);
    }
}

static void what_members_say_is_not_overruled_by_the_text(void **state)
{
    (void)state;
    struct failure f = {.type = "g4dn.xlarge", .zone = "eu-central-1b", .market = MARKET_ON_DEMAND};
    failure_read("", rows[0].text, &f);
    assert_string_equal(f.type, "g4dn.xlarge");
    assert_string_equal(f.zone, "eu-central-1b");
    assert_int_equal(f.market, MARKET_ON_DEMAND);
    assert_int_equal(f.cls, FAILURE_CAPACITY);
}

static void odd_names_of_types_and_zones_are_found(void **state)
{
    static const struct {
        const char *text, *type, *zone;
    } odd[] = {{"no c7i.metal-24xl in us-gov-west-1b.", "c7i.metal-24xl", "us-gov-west-1b"},
               {"(u-6tb1.112xlarge) us-west-2-lax-1a", "u-6tb1.112xlarge", "us-west-2-lax-1a"},
               {"t3.micro,ap-southeast-2c", "t3.micro", "ap-southeast-2c"},
               {"see www.example.large and e.g. this", "", ""},
               {"region us-east-1 has none", "", ""}};
    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        struct failure f = {0};
        failure_read("", odd[i].text, &f);
        assert_string_equal(f.type, odd[i].type);
        assert_string_equal(f.zone, odd[i].zone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_text_has_its_class),
                                       cmocka_unit_test(what_members_say_is_not_overruled_by_the_text),
                                       cmocka_unit_test(odd_names_of_types_and_zones_are_found)};
    return cmocka_run_group_tests_name("capacity", tests, NULL, NULL);
}
