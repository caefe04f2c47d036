/* SPDX-License-Identifier: Apache-2.0 */
#include "services.h"

#include "err.h"
#include <stdio.h>
#include <string.h>

const struct aws_service_info aws_services[AWS_N_SERVICES] = {
    [AWS_AUTOSCALING] = {"auto_scaling", "autoscaling", "autoscaling", "2011-01-01", "", AWS_QUERY},
    [AWS_EC2] = {"ec2", "ec2", "ec2", "2016-11-15", "", AWS_EC2_QUERY},
    [AWS_CLOUDWATCH] = {"cloudwatch", "monitoring", "monitoring", "2010-08-01", "", AWS_QUERY},
    [AWS_LOGS] = {"cloudwatch_logs", "logs", "logs", "", "Logs_20140328", AWS_JSON_11},
    [AWS_S3] = {"s3", "s3", "s3", "2006-03-01", "", AWS_REST_XML},
    [AWS_SSM] = {"ssm", "ssm", "ssm", "", "AmazonSSM", AWS_JSON_11},
    [AWS_SECRETS] = {"secrets_manager", "secretsmanager", "secretsmanager", "", "secretsmanager", AWS_JSON_11},
    [AWS_SNS] = {"sns", "sns", "sns", "2010-03-31", "", AWS_QUERY},
    [AWS_STS] = {"sts", "sts", "sts", "2011-06-15", "", AWS_QUERY},
};

/* Regions of a partition begin alike; the first row that fits is it. */
static const struct partition {
    const char *region, *suffix, *dualstack;
} partitions[] = {
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"us-isob-", "sc2s.sgov.gov", NULL},
    {"us-isof-", "csp.hci.ic.gov", NULL},
    {"eu-isoe-", "cloud.adc-e.uk", NULL},
    {"us-iso-", "c2s.ic.gov", NULL},
    {"eusc-", "amazonaws.eu", NULL},
    {"", "amazonaws.com", "api.aws"},
};

static int is_region(const char *r)
{
    size_t n = r ? strlen(r) : 0;
    return n >= 4 && n <= 32 && strspn(r, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && r[0] != '-' &&
           r[n - 1] != '-';
}

static int use_override(const char *url, char *out, size_t size, struct bp_err *err)
{
    size_t n = strlen(url);
    if ((strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) || strcspn(url, " \t\r\n?#@") != n)
        return err_set(err, BP_INVALID, "the endpoint \"%.120s\" is no http:// or https:// URL of a server", url);
    while (n && url[n - 1] == '/')
        n--;
    if (n >= size)
        return err_set(err, BP_INVALID, "the endpoint \"%.120s\" is too long", url);
    memcpy(out, url, n);
    out[n] = '\0';
    return 0;
}

int aws_endpoint(const struct aws_endpoint_rules *r, enum aws_service s, char *out, size_t size, struct bp_err *err)
{
    const char *override = r->one[s] && r->one[s][0] ? r->one[s] : r->all && r->all[0] ? r->all : NULL;
    const struct partition *p = partitions;
    if (override)
        return use_override(override, out, size, err);
    if (!is_region(r->region))
        return err_set(err, BP_INVALID,
                       "\"%.40s\" is no AWS region; set plugin.aws.region or AWS_REGION, eu-central-1 say",
                       r->region ? r->region : "");
    while (strncmp(r->region, p->region, strlen(p->region)) != 0)
        p++;
    if (r->dualstack && !p->dualstack)
        return err_set(err, BP_INVALID, "there are no dual-stack endpoints in region %s", r->region);
    int s3_dual = s == AWS_S3 && r->dualstack;
    int n = snprintf(out, size, "https://%s%s%s.%s.%s", aws_services[s].prefix, r->fips ? "-fips" : "",
                     s3_dual ? ".dualstack" : "", r->region, r->dualstack && !s3_dual ? p->dualstack : p->suffix);
    return n > 0 && (size_t)n < size ? 0 : err_set(err, BP_NOSPACE, "an endpoint's URL is too long");
}
