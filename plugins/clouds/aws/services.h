/* SPDX-License-Identifier: Apache-2.0 */
/* services.h - the AWS services the plugin speaks to: names on the wire, protocol, and where each is reached. */
#ifndef AWS_SERVICES_H
#define AWS_SERVICES_H

#include <bp/plugin.h>
#include <stddef.h>

enum aws_service {
    AWS_AUTOSCALING,
    AWS_EC2,
    AWS_CLOUDWATCH,
    AWS_LOGS,
    AWS_S3,
    AWS_SSM,
    AWS_SECRETS,
    AWS_SNS,
    AWS_STS,
    AWS_N_SERVICES
};

enum aws_protocol { AWS_QUERY, AWS_EC2_QUERY, AWS_JSON_11, AWS_REST_XML };

struct aws_service_info {
    const char *name;    /* "autoscaling", as in messages and in AWS_ENDPOINT_URL_<NAME> (upper case, '_' for ' ') */
    const char *prefix;  /* host name's first label: "monitoring" for CloudWatch */
    const char *signing; /* of the credential scope */
    const char *version; /* API version of query protocols, else "" */
    const char *target;  /* X-Amz-Target prefix of JSON protocols, else "" */
    enum aws_protocol protocol;
};
extern const struct aws_service_info aws_services[AWS_N_SERVICES];

/* How endpoints are chosen; strings borrowed for its life. */
struct aws_endpoint_rules {
    const char *region; /* "eu-central-1" */
    int fips, dualstack;
    const char *all; /* override for every service, or NULL (AWS_ENDPOINT_URL, profile's endpoint_url) */
    const char *one[AWS_N_SERVICES]; /* override for that service, or NULL; wins over `all` */
};

/* "https://host[:port][/base]" of a service in `out`; partitions aws, aws-cn, aws-us-gov, aws-iso*. BP_INVALID names
 * the region or the override. */
int aws_endpoint(const struct aws_endpoint_rules *r, enum aws_service s, char *out, size_t size, struct bp_err *err);

#endif
