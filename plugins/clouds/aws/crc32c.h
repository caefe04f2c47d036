/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c.h - the checksum that S3 verifies an upload by: CRC-32 with Castagnoli's polynomial (RFC 3720, B.4). Any
 * thread. */
#ifndef AWS_CRC32C_H
#define AWS_CRC32C_H

#include <bp/plugin.h>
#include <stddef.h>
#include <stdint.h>

/* Of n bytes that follow others with checksum `crc` (0 at the beginning). */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);
/* Of a + b, from both checksums and b's length. */
uint32_t crc32c_join(uint32_t a, uint32_t b, uint64_t b_bytes);
/* Of `bytes` bytes of a file from offset. BP_IO when it cannot be read or ends before. */
int crc32c_file(int fd, int64_t offset, int64_t bytes, uint32_t *out, struct bp_err *err);
/* As S3's headers have it: base64 of the four bytes, greatest first; 8 letters and a NUL. */
void crc32c_text(uint32_t crc, char out[9]);

#endif
