/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile.h - the profiles of the shared files: AWS_CONFIG_FILE (else ~/.aws/config) with its sections [profile x] and
 * [services x], and AWS_SHARED_CREDENTIALS_FILE (else ~/.aws/credentials) with its sections [x], which wins where both
 * say something. Read once; not shared between threads.
 */
#ifndef AWS_PROFILE_H
#define AWS_PROFILE_H

#include <bp/plugin.h>
#include <stddef.h>
#include <stdint.h>

struct ini;

struct profiles {
    struct ini *config, *credentials;             /* NULL: there is none, or it cannot be read */
    char config_path[512], credentials_path[512]; /* "": nobody says where */
};

/* Reads both. A file that is not there is empty; for one that cannot be read 0 is not returned, but an error with its
 * path, and the other is read all the same. profiles_close() in every case. */
int profiles_open(struct profiles *p, struct bp_err *err);
void profiles_close(struct profiles *p);
int profiles_has(const struct profiles *p, const char *profile);
/* A setting of a profile, NULL when it is not there or empty. Borrowed. */
const char *profiles_get(const struct profiles *p, const char *profile, const char *name);
/* Another number after a change of either file. */
uint64_t profiles_stamp(const struct profiles *p);

/*
 * The endpoint of a service ("s3", "auto_scaling") that the profile names: in its services section, else its
 * endpoint_url. NULL: none is named. Borrowed.
 */
const char *profiles_endpoint(const struct profiles *p, const char *profile, const char *service);
/* 1: the profile says ignore_configured_endpoint_urls, which counts for those of the environment too. */
int profiles_ignores_endpoints(const struct profiles *p, const char *profile);

#endif
