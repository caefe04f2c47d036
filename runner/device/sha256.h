/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sha256.h - SHA-256 (FIPS 180-4). Our own, because a runner links no library that a plugin could bring in another
 * version, and starts sooner without.
 */
#ifndef RUNNER_DEVICE_SHA256_H
#define RUNNER_DEVICE_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t h[8];
    uint64_t bytes;
    uint8_t block[64];
};

void sha256_begin(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *bytes, size_t n);
void sha256_end(struct sha256 *s, uint8_t out[32]);

#endif
