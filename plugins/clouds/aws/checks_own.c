/* SPDX-License-Identifier: Apache-2.0 */
/* checks_own.c - who we are and from which source, in which region and why, and by which clock. */
#include "checks.h"
#include "clock.h"
#include "credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKEW_WARN_MS 60000 /* AWS takes clocks that are 5 minutes off */

static void check_region(struct aws *a, struct checks *k)
{
    check_begin_own(k, "region", "%s", a->settings.region_from);
    if (a->settings.region[0])
        check_ok(k, "%s, from %s", a->settings.region, a->settings.region_from);
    else
        check_fail(k, "set plugin.aws.region or AWS_REGION, eu-central-1 say", "no region is set");
}

/* 1: there are some. */
static int check_credentials(struct aws *a, struct checks *k)
{
    struct aws_creds who;
    struct bp_err err = {0};
    check_begin_own(k, "credentials", "%s", creds_source(a->credentials));
    int rc = creds_get(a->credentials, &who, &err);
    if (rc < 0)
        check_fail(k, creds_remedy(a->credentials), "%s", err.text);
    else if (who.expires_ms)
        check_ok(k, "from %s, renewed by themselves, good for %lld min more", who.source,
                 (long long)((who.expires_ms - wall_ms()) / 60000));
    else
        check_ok(k, "from %s, good until they are revoked", who.source);
    explicit_bzero(&who, sizeof who);
    return rc == 0;
}

static void check_clock(struct checks *k, int64_t ahead_ms)
{
    check_begin_own(k, "clock", "the clock of this machine");
    if (llabs(ahead_ms) > SKEW_WARN_MS)
        check_warn(k, "set the clock of this machine, by NTP say",
                   "%lld s off that of AWS; requests are signed by theirs", (long long)(ahead_ms / 1000));
    else
        check_ok(k, "within a minute of that of AWS");
}

static void check_identity(struct aws *a, struct checks *k)
{
    struct reply r = {0};
    struct bp_err err = {0};
    check_begin(k, "identity", AWS_OP_STS_GET_CALLER_IDENTITY, "%s", creds_source(a->credentials));
    int rc = client_query(a->client, AWS_OP_STS_GET_CALLER_IDENTITY, NULL, "the caller", &r, &err);
    int64_t ahead_ms = r.date_ms > 0 ? wall_ms() - r.date_ms : 0;
    const struct xml *who = xml_result(r.xml);
    if (rc < 0)
        check_failed(k, rc, &r, &err);
    else
        check_ok(k, "%s, account %s", xml_text(who, "Arn"), xml_text(who, "Account"));
    if (r.date_ms > 0)
        check_clock(k, ahead_ms);
    reply_free(&r);
}

void own_checks(struct aws *a, struct checks *k)
{
    check_region(a, k);
    if (check_credentials(a, k))
        check_identity(a, k);
}
