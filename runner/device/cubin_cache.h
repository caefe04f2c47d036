/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cubin_cache.h - what the driver made of PTX, kept on disk: one file per GPU generation, driver and PTX.
 *
 * A file is whole or it is not there: it is written beside and renamed, so runners may share the directory without a
 * lock; and what is read is checked by its SHA-256, so damage costs one compilation. Keeping is a favour: what cannot
 * be kept is only compiled again, hence put and forget return nothing.
 */
#ifndef RUNNER_DEVICE_CUBIN_CACHE_H
#define RUNNER_DEVICE_CUBIN_CACHE_H

#include <bp/plugin.h>
#include <stddef.h>

struct cubin_cache;

/* The file's name: sm_86-12020-<40 hex digits>.cubin */
struct cubin_key {
    char name[80];
};

void cubin_key_make(struct cubin_key *key, int32_t major_cc, int32_t minor_cc, int driver_version, const char *ptx);

/* dir is made (0700) when absent. limit_bytes: of all files together, > 0. *out: cubin_cache_close(). BP_IO, BP_NOMEM.
 */
int32_t cubin_cache_open(const char *dir, int64_t limit_bytes, struct cubin_cache **out, struct bp_err *err);
/* Accepts NULL in it; sets it to NULL. */
void cubin_cache_close(struct cubin_cache **cache);
/* A copy of the cubin: free() it. NULL: there is none that is sound; a damaged file is removed. */
void *cubin_cache_get(struct cubin_cache *cache, const struct cubin_key *key);
void cubin_cache_put(struct cubin_cache *cache, const struct cubin_key *key, const void *cubin, size_t n);
void cubin_cache_forget(struct cubin_cache *cache, const struct cubin_key *key);

#endif
