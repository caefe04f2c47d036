/* SPDX-License-Identifier: Apache-2.0 */
#include "capacity.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The first row that is met somewhere in "CODE TEXT" decides, letters' case aside: narrow rows stand before wide ones.
 */
static const struct row {
    const char *words;
    enum failure_class cls;
} rows[] = {
    /* An encrypted disk whose key may not be used looks like an error of the launch itself. */
    {"Client.InternalError", FAILURE_DENIED},
    {"InvalidKMSKey", FAILURE_DENIED},
    {"KMSKeyNotAccessible", FAILURE_DENIED},
    {"UnauthorizedOperation", FAILURE_DENIED},
    {"AccessDenied", FAILURE_DENIED},
    {"access denied", FAILURE_DENIED},
    {"not authorized", FAILURE_DENIED},
    {"PassRole", FAILURE_DENIED},
    {"AuthFailure.ServiceLinkedRole", FAILURE_DENIED},
    {"service-linked role", FAILURE_DENIED},
    {"IAM instance profile", FAILURE_DENIED},
    {"OptInRequired", FAILURE_DENIED},
    {"PendingVerification", FAILURE_DENIED},

    {"MaxSpotInstanceCountExceeded", FAILURE_QUOTA},
    {"max spot instance count exceeded", FAILURE_QUOTA},
    {"VcpuLimitExceeded", FAILURE_QUOTA},
    {"vCPU limit", FAILURE_QUOTA},
    {"more vCPU capacity than your current", FAILURE_QUOTA},
    {"InstanceLimitExceeded", FAILURE_QUOTA},
    {"current instance limit", FAILURE_QUOTA},
    {"your quota allows for", FAILURE_QUOTA},
    {"SpotInstanceCountExceeded", FAILURE_QUOTA},
    {"VolumeLimitExceeded", FAILURE_QUOTA},
    {"maximum number of volumes", FAILURE_QUOTA},
    {"LimitExceeded", FAILURE_QUOTA},
    {"limit exceeded", FAILURE_QUOTA},

    {"InsufficientFreeAddresses", FAILURE_NETWORK},
    {"not enough free addresses", FAILURE_NETWORK},
    {"InvalidSubnet", FAILURE_NETWORK},
    {"subnet ID", FAILURE_NETWORK},
    {"InvalidGroup", FAILURE_NETWORK},
    {"InvalidSecurityGroup", FAILURE_NETWORK},
    {"security group", FAILURE_NETWORK},
    {"VPCIdNotSpecified", FAILURE_NETWORK},
    {"no default VPC", FAILURE_NETWORK},
    {"InvalidNetworkInterface", FAILURE_NETWORK},

    {"InvalidAMI", FAILURE_IMAGE},
    {"invalid AMI", FAILURE_IMAGE},
    {"image id", FAILURE_IMAGE},
    {"AMI ID", FAILURE_IMAGE},
    {"AMI is not", FAILURE_IMAGE},
    {"ParameterNotFound", FAILURE_IMAGE},
    {"Systems Manager parameter", FAILURE_IMAGE},
    {"resolve:ssm", FAILURE_IMAGE},
    {"InvalidSnapshot", FAILURE_IMAGE},

    {"InsufficientInstanceCapacity", FAILURE_CAPACITY},
    {"UnfulfillableCapacity", FAILURE_CAPACITY},
    {"InsufficientHostCapacity", FAILURE_CAPACITY},
    {"InsufficientCapacity", FAILURE_CAPACITY},
    {"InsufficientReservedInstanceCapacity", FAILURE_CAPACITY},
    {"ReservationCapacityExceeded", FAILURE_CAPACITY},
    {"do not have sufficient", FAILURE_CAPACITY},
    {"does not have sufficient", FAILURE_CAPACITY},
    {"insufficient capacity", FAILURE_CAPACITY},
    {"no Spot capacity available", FAILURE_CAPACITY},
    {"not supported in your requested Availability Zone", FAILURE_CAPACITY},
    {"requested configuration is currently not supported", FAILURE_CAPACITY},
    {"Availability Zone is no longer supported", FAILURE_CAPACITY},
    {"Availability Zone is currently constrained", FAILURE_CAPACITY},
    {"SpotMaxPriceTooLow", FAILURE_CAPACITY},
    {"lower than the minimum required Spot", FAILURE_CAPACITY},
    {"Spot request price", FAILURE_CAPACITY},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

/* What follows names where it might work instead. */
static const char *const elsewhere[] = {"by not specifying", "choosing ", "You can currently get"};
#define N_ELSEWHERE (sizeof elsewhere / sizeof elsewhere[0])

static const char *find(const char *text, const char *words)
{
    size_t n = strlen(words);
    for (const char *p = text; *p; p++)
        if (strncasecmp(p, words, n) == 0)
            return p;
    return NULL;
}

static enum failure_class class_of(const char *code, const char *text)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (find(code, rows[i].words) || find(text, rows[i].words))
            return rows[i].cls;
    return FAILURE_OTHER;
}

static int is_name_char(int c)
{
    return isalnum(c) || c == '-' || c == '.';
}

/* "g5.xlarge", "u-6tb1.112xlarge", "c7i.metal-24xl": a family with a digit, a dot, a size. */
static int is_type(const char *s, size_t n)
{
    static const char *const sizes[] = {"nano", "micro", "small", "medium", "large", "metal"};
    const char *dot = memchr(s, '.', n);
    if (!dot || dot == s || !islower((unsigned char)s[0]) || memchr(dot + 1, '.', n - (size_t)(dot + 1 - s)))
        return 0;
    int digit = 0;
    for (const char *p = s; p < dot; p++)
        digit |= isdigit((unsigned char)*p);
    const char *size = dot + 1;
    size_t left = n - (size_t)(size - s);
    while (left && (isdigit((unsigned char)*size) || (*size == 'x' && left > 1 && size[1] == 'l'))) {
        size++;
        left--;
    }
    for (size_t i = 0; digit && i < sizeof sizes / sizeof sizes[0]; i++)
        if (left >= strlen(sizes[i]) && strncmp(size, sizes[i], strlen(sizes[i])) == 0)
            return left == strlen(sizes[i]) || size[strlen(sizes[i])] == '-';
    return 0;
}

/* "us-east-1a", "us-gov-west-1b", "us-west-2-lax-1a": two letters, words, a digit with one letter at the end. */
static int is_zone(const char *s, size_t n)
{
    if (n < 7 || !islower((unsigned char)s[0]) || !islower((unsigned char)s[1]) || s[2] != '-')
        return 0;
    if (!islower((unsigned char)s[n - 1]) || !isdigit((unsigned char)s[n - 2]) || s[n - 3] != '-')
        return 0;
    for (size_t i = 3; i + 3 < n; i++)
        if (!islower((unsigned char)s[i]) && !isdigit((unsigned char)s[i]) && s[i] != '-')
            return 0;
    return islower((unsigned char)s[3]) != 0;
}

/* The first word of the text that `is` knows and that fits into out; out is left alone when it is set or there is none.
 */
static void take(const char *text, const char *end, int (*is)(const char *s, size_t n), char out[32])
{
    for (const char *p = text; p < end && !out[0];) {
        size_t n = 0;
        while (p + n < end && is_name_char((unsigned char)p[n]))
            n++;
        size_t word = n;
        while (word && (p[word - 1] == '.' || p[word - 1] == '-')) /* the end of a sentence */
            word--;
        if (word && word < 32 && is(p, word))
            snprintf(out, 32, "%.*s", (int)word, p);
        p += n ? n : 1;
    }
}

void failure_read(const char *code, const char *text, struct failure *out)
{
    code = code ? code : "";
    text = text ? text : "";
    const char *end = text + strlen(text);
    for (size_t i = 0; i < N_ELSEWHERE; i++) {
        const char *at = find(text, elsewhere[i]);
        end = at && at < end ? at : end;
    }
    out->cls = class_of(code, text);
    take(text, end, is_type, out->type);
    take(text, end, is_zone, out->zone);
    if (out->market != MARKET_SPOT && out->market != MARKET_ON_DEMAND)
        out->market = find(code, "spot") || find(text, "spot") ? MARKET_SPOT
                      : find(text, "on-demand")                ? MARKET_ON_DEMAND
                                                               : MARKET_ANY;
}

const char *failure_name(enum failure_class cls)
{
    static const char *const names[] = {"", "capacity", "quota", "image", "network", "denied", "other"};
    assert(cls >= FAILURE_CAPACITY && cls <= FAILURE_OTHER);
    return names[cls];
}

const char *failure_remedy(enum failure_class cls)
{
    static const char *const remedies[] = {
        "",
        "more instance types or subnets in other zones give the group more pools to choose from",
        "raise the account's EC2 quota for these instances (Service Quotas), or lower maxSize",
        "check amiSsmParameter or amiId: the AMI must exist in this region and be shared with the account",
        "check the group's subnets (free addresses) and security groups",
        "check the instance profile, iam:PassRole, the Auto Scaling service-linked role and the KMS key's policy",
        "see the group's activity history"};
    assert(cls >= FAILURE_CAPACITY && cls <= FAILURE_OTHER);
    return remedies[cls];
}

const char *market_name(enum market m)
{
    return m == MARKET_SPOT ? "spot" : m == MARKET_ON_DEMAND ? "on-demand" : "any";
}
