/* SPDX-License-Identifier: Apache-2.0 */
/* objects_check.c - is the bucket there, where the settings say, and may we use it? */
#include "checks.h"
#include "credentials.h"
#include "objects.h"

#include <stdio.h>
#include <string.h>

void objects_checks(struct aws *a, struct checks *k)
{
    struct reply r = {0};
    struct bp_err err = {0};
    const char *bucket = a->objects->bucket;
    check_begin(k, "bucket", AWS_OP_S3_HEAD_BUCKET, "bucket %s", bucket[0] ? bucket : "(none)");
    if (!bucket[0]) {
        check_fail(k, "set plugin.aws.bucket, or let another plugin keep objects: services.objects",
                   "no bucket is set");
        return;
    }
    const struct s3_request q = {.method = "HEAD", .bucket = bucket};
    char what[128];
    snprintf(what, sizeof what, "bucket %.100s", bucket);
    int rc = client_s3(a->client, AWS_OP_S3_HEAD_BUCKET, &q, what, &r, &err);
    if (rc < 0)
        check_failed(k, rc, &r, &err);
    else if (r.bucket_region[0] && strcmp(r.bucket_region, a->settings.region) != 0)
        check_warn(k, "correct plugin.aws.region, or use a bucket of its region",
                   "it is in region %s, not in %s: it is asked there", r.bucket_region, a->settings.region);
    else
        check_ok(k, "it is there, in %s", r.bucket_region[0] ? r.bucket_region : a->settings.region);
    reply_free(&r);
}
