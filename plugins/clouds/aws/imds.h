/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imds.h - the instance metadata service, version 2 alone: one token for everybody, renewed before it is over and once
 * when it is refused. Never through a proxy. Any thread.
 */
#ifndef AWS_IMDS_H
#define AWS_IMDS_H

#include <bp/plugin.h>
#include <stddef.h>

struct aws;
struct imds;

/* No network. NULL with err. */
struct imds *imds_open(struct aws *a, struct bp_err *err);
void imds_close(struct imds *m);
/* The page at path ("/latest/meta-data/instance-id") in out, NUL-terminated, its length in *n. BP_NOTFOUND: 404;
 * BP_TIMEOUT: nothing answered in time; BP_DENIED: no token is to be had (hop limit, turned off); BP_TOOLARGE;
 * BP_UNSUPPORTED: AWS_EC2_METADATA_DISABLED; BP_FAIL: any other status, no connection. */
int imds_get(struct imds *m, const char *path, char *out, size_t size, size_t *n, struct bp_err *err);

#endif
