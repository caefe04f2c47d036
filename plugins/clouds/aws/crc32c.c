/* SPDX-License-Identifier: Apache-2.0 */
#include "crc32c.h"

#include "err.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define POLYNOMIAL 0x82f63b78U /* reflected */
#define PIECE      (72 * 1024) /* a multiple of three streams */

/* ---- a byte at a time, for processors without the instruction ---- */

static uint32_t table[256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_make(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ POLYNOMIAL : c >> 1;
        table[i] = c;
    }
}

static uint32_t by_table(uint32_t crc, const unsigned char *p, size_t n)
{
    pthread_once(&table_once, table_make);
    for (; n; n--)
        crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
    return crc;
}

/* ---- with it: three streams at once, since the instruction takes three cycles, but one may begin each cycle ---- */

#if defined(__x86_64__)
#define STREAM 8192 /* bytes of each of the three */

/* A checksum after STREAM zero bytes, by its four bytes. */
static uint32_t shifted[4][256];
static pthread_once_t shifted_once = PTHREAD_ONCE_INIT;

static void shifted_make(void)
{
    for (int byte = 0; byte < 4; byte++)
        for (uint32_t i = 0; i < 256; i++)
            shifted[byte][i] = crc32c_join(i << (8 * byte), 0, STREAM);
}

static uint32_t shift(uint32_t crc)
{
    return shifted[0][crc & 0xff] ^ shifted[1][crc >> 8 & 0xff] ^ shifted[2][crc >> 16 & 0xff] ^ shifted[3][crc >> 24];
}

static uint64_t word_at(const unsigned char *p)
{
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

__attribute__((target("sse4.2"))) static uint32_t three_streams(uint32_t crc, const unsigned char *p)
{
    uint64_t a = crc, b = 0, c = 0;
    for (const unsigned char *end = p + STREAM; p < end; p += 8) {
        a = __builtin_ia32_crc32di(a, word_at(p));
        b = __builtin_ia32_crc32di(b, word_at(p + STREAM));
        c = __builtin_ia32_crc32di(c, word_at(p + 2 * STREAM));
    }
    return shift(shift((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const unsigned char *p, size_t n)
{
    if (n >= 3 * STREAM)
        pthread_once(&shifted_once, shifted_make);
    for (; n >= 3 * STREAM; n -= 3 * STREAM, p += 3 * STREAM)
        crc = three_streams(crc, p);
    uint64_t c = crc;
    for (; n >= 8; n -= 8, p += 8)
        c = __builtin_ia32_crc32di(c, word_at(p));
    crc = (uint32_t)c;
    for (; n; n--)
        crc = __builtin_ia32_crc32qi(crc, *p++);
    return crc;
}

static uint32_t update(uint32_t crc, const unsigned char *p, size_t n)
{
    return __builtin_cpu_supports("sse4.2") ? by_instruction(crc, p, n) : by_table(crc, p, n);
}
#else
static uint32_t update(uint32_t crc, const unsigned char *p, size_t n)
{
    return by_table(crc, p, n);
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t n)
{
    return ~update(~crc, data, n);
}

/* ---- joining: a checksum's bits pass through 8 * b_bytes zero bits, by squaring that linear map ---- */

static uint32_t map_apply(const uint32_t map[32], uint32_t bits)
{
    uint32_t sum = 0;
    for (int i = 0; bits; i++, bits >>= 1)
        if (bits & 1)
            sum ^= map[i];
    return sum;
}

static void map_square(uint32_t to[32], const uint32_t from[32])
{
    for (int i = 0; i < 32; i++)
        to[i] = map_apply(from, from[i]);
}

uint32_t crc32c_join(uint32_t a, uint32_t b, uint64_t b_bytes)
{
    uint32_t map[32] = {POLYNOMIAL}, square[32]; /* one zero bit */
    for (int i = 1; i < 32; i++)
        map[i] = 1U << (i - 1);
    for (uint64_t bits = b_bytes * 8; bits; bits >>= 1) {
        if (bits & 1)
            a = map_apply(map, a);
        map_square(square, map);
        memcpy(map, square, sizeof map);
    }
    return a ^ b;
}

int crc32c_file(int fd, int64_t offset, int64_t bytes, uint32_t *out, struct bp_err *err)
{
    unsigned char piece[PIECE];
    *out = 0;
    while (bytes > 0) {
        size_t want = bytes < (int64_t)sizeof piece ? (size_t)bytes : sizeof piece;
        ssize_t n = pread(fd, piece, want, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "read", "the file to send", errno);
        if (n == 0)
            return err_set(err, BP_IO, "the file to send became shorter while it was read; send it again");
        *out = crc32c(*out, piece, (size_t)n);
        offset += n;
        bytes -= n;
    }
    return 0;
}

void crc32c_text(uint32_t crc, char out[9])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint64_t bits = (uint64_t)crc << 16; /* 32 bits and 16 of padding: eight letters, the last two are '=' */
    for (int i = 0; i < 8; i++)
        out[i] = letters[bits >> (42 - 6 * i) & 63];
    out[6] = out[7] = '=';
    out[8] = '\0';
}
