/* SPDX-License-Identifier: Apache-2.0 */
/* profile.h - endpoints in the shared config file (AWS_CONFIG_FILE, else ~/.aws/config). */
#ifndef AWS_PROFILE_H
#define AWS_PROFILE_H

#include <stddef.h>

/*
 * The endpoint of a service ("s3", "auto_scaling") that the profile names: in its services section, else its
 * endpoint_url. 1: it is in out; 0: none is named, there is no such profile or file, or the profile says
 * ignore_configured_endpoint_urls.
 */
int profile_endpoint(const char *profile, const char *service, char *out, size_t size);

#endif
