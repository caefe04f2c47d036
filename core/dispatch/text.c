/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/text.h"

#include "log/utf8.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char HEX[] = "0123456789abcdef";

/* A system without random numbers can hand out no token: that is a bug of the machine, not of a request. */
static void random_bytes(unsigned char *out, int n)
{
    int ok = RAND_bytes(out, n);
    assert(ok == 1);
    (void)ok;
}

static void hex_write(const unsigned char *in, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = HEX[in[i] >> 4];
        out[2 * i + 1] = HEX[in[i] & 15];
    }
    out[2 * n] = '\0';
}

static void uuid_write(unsigned char r[16], char out[UUID_SIZE])
{
    char hex[33];
    r[6] = (unsigned char)((r[6] & 0x0f) | 0x40);
    r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
    hex_write(r, 16, hex);
    char *o = out;
    for (int i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            *o++ = '-';
        *o++ = hex[i];
    }
    *o = '\0';
}

void uuids_make(char (*out)[UUID_SIZE], size_t n)
{
    unsigned char r[32][16];
    for (size_t done = 0; done < n; done += sizeof r / sizeof *r) {
        size_t now = n - done < sizeof r / sizeof *r ? n - done : sizeof r / sizeof *r;
        random_bytes(r[0], (int)(now * sizeof *r));
        for (size_t i = 0; i < now; i++)
            uuid_write(r[i], out[done + i]);
    }
}

void uuid_make(char out[UUID_SIZE])
{
    uuids_make((char(*)[UUID_SIZE])out, 1);
}

void token_make(char out[TOKEN_SIZE])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t n = 0;
    while (n < TOKEN_SIZE - 1) {
        unsigned char r[96];
        random_bytes(r, sizeof r);
        for (size_t i = 0; i < sizeof r && n < TOKEN_SIZE - 1; i++) {
            if (r[i] < 248) /* 4 * 62: the rest would favour the first letters */
                out[n++] = letters[r[i] % 62];
        }
    }
    out[n] = '\0';
}

void digest_make(const void *bytes, size_t n, char out[DIGEST_SIZE])
{
    static EVP_MD *sha256; /* looked up once: SHA256() does it for each digest, and that is most of its time */
    unsigned char md[SHA256_DIGEST_LENGTH];
    if (!sha256)
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!sha256 || EVP_Digest(bytes, n, md, NULL, sha256, NULL) != 1)
        SHA256(bytes, n, md);
    hex_write(md, sizeof md, out);
}

double random_fraction(void)
{
    uint32_t r;
    random_bytes((unsigned char *)&r, sizeof r);
    return (double)r / 4294967296.0;
}

void text_repair(char *s)
{
    utf8_repair(s);
}

void time_iso(int64_t ms, char out[TIME_SIZE])
{
    size_t n = moment_second(ms, out);
    snprintf(out + n, TIME_SIZE - n, "+00:00");
}

/* Milliseconds of ".123" (any number of digits); *p moves behind them. */
static int64_t fraction_read(const char **p)
{
    int64_t ms = 0, unit = 100;
    if (**p != '.')
        return 0;
    for ((*p)++; **p >= '0' && **p <= '9'; (*p)++) {
        ms += (**p - '0') * unit;
        unit /= 10;
    }
    return ms;
}

/* Minutes east of UTC of "Z", "+00:00" or nothing; -1 in *ok when it is something else. */
static int64_t zone_read(const char *p, int *ok)
{
    unsigned h, m;
    int n = 0;
    if (*p == '\0' || strcmp(p, "Z") == 0)
        return 0;
    if ((*p == '+' || *p == '-') && sscanf(p + 1, "%2u:%2u%n", &h, &m, &n) == 2 && p[1 + n] == '\0' && h < 24 && m < 60)
        return (int64_t)(h * 60 + m) * (*p == '-' ? -1 : 1);
    *ok = 0;
    return 0;
}

int time_parse(const char *text, int64_t *ms)
{
    struct tm t = {0};
    int ok = 1;
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &t);
    if (!rest)
        rest = strptime(text, "%Y-%m-%d %H:%M:%S", &t);
    if (!rest)
        return 0;
    int64_t part = fraction_read(&rest);
    int64_t east = zone_read(rest, &ok);
    if (!ok)
        return 0;
    *ms = ((int64_t)timegm(&t) - east * 60) * 1000 + part;
    return 1;
}
