/* SPDX-License-Identifier: Apache-2.0 */
/* client_region.c - a bucket that turns out to be in another region than the settings say is asked there. */
#include "client_priv.h"

#include <stdio.h>
#include <string.h>

void client_bucket_place(struct client *c, const char *bucket, char endpoint[256], char region[40])
{
    pthread_mutex_lock(&c->mutex);
    int other = c->elsewhere.bucket[0] && strcmp(c->elsewhere.bucket, bucket) == 0;
    snprintf(endpoint, 256, "%s", other ? c->elsewhere.endpoint : c->endpoint[AWS_S3]);
    snprintf(region, 40, "%.39s", other ? c->elsewhere.region : c->aws->settings.region);
    pthread_mutex_unlock(&c->mutex);
}

/* S3's own endpoint of that region; one that was configured stays. 0: there is none. */
static int endpoint_there(const struct client *c, const char *region, char out[256])
{
    struct bp_err ignored;
    const struct aws_endpoint_rules rules = {.region = region, .fips = c->fips, .dualstack = c->dualstack};
    if (!c->overridden[AWS_S3])
        return aws_endpoint(&rules, AWS_S3, out, 256, &ignored) == 0;
    snprintf(out, 256, "%s", c->endpoint[AWS_S3]);
    return 1;
}

int client_bucket_learn(struct client *c, const char *bucket, const char *asked_region, const struct reply *r)
{
    char endpoint[256];
    size_t n = strlen(bucket);
    int news = r->status >= 300 && r->bucket_region[0] && strcmp(r->bucket_region, asked_region) != 0;
    if (!news || n >= sizeof c->elsewhere.bucket || !endpoint_there(c, r->bucket_region, endpoint))
        return 0;
    pthread_mutex_lock(&c->mutex);
    memcpy(c->elsewhere.bucket, bucket, n + 1);
    memcpy(c->elsewhere.region, r->bucket_region, sizeof c->elsewhere.region);
    memcpy(c->elsewhere.endpoint, endpoint, sizeof endpoint);
    pthread_mutex_unlock(&c->mutex);
    AWS_LOG(c->aws, BP_LOG_WARN, "bucket %.63s is in region %s, not %s: it is asked there; correct plugin.aws.region",
            bucket, r->bucket_region, asked_region);
    return 1;
}
