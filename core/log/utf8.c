/* SPDX-License-Identifier: Apache-2.0 */
#include "log/utf8.h"

#include <stdint.h>
#include <string.h>

/* Length by the first byte, and the narrower range some first bytes demand of the second. */
static size_t lead(unsigned char c, unsigned char *low, unsigned char *high)
{
    *low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    *high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (c < 0x80)
        return 1;
    if (c >= 0xc2 && c <= 0xdf)
        return 2;
    if (c >= 0xe0 && c <= 0xef)
        return 3;
    return c >= 0xf0 && c <= 0xf4 ? 4 : 0;
}

size_t utf8_sequence(const char *s, size_t bytes)
{
    const unsigned char *u = (const unsigned char *)s;
    unsigned char low, high;
    size_t n = lead(u[0], &low, &high);
    if (n > bytes)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if (u[i] < (i == 1 ? low : 0x80) || u[i] > (i == 1 ? high : 0xbf))
            return 0;
    }
    return n;
}

size_t utf8_cut(const char *s, size_t bytes, size_t max)
{
    if (bytes <= max)
        return bytes;
    while (max > 0 && ((unsigned char)s[max] & 0xc0) == 0x80)
        max--;
    return max;
}

void utf8_make_harmless(char *s)
{
    for (unsigned char *p = (unsigned char *)s; *p; p++) {
        if (*p < 0x20 || *p == 0x7f)
            *p = ' ';
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
            p[0] = p[1] = ' ';
    }
}

void utf8_repair(char *s)
{
    size_t left = strlen(s);
    while (left > 0) {
        size_t n = utf8_sequence(s, left);
        if (n == 0) {
            *s = '?';
            n = 1;
        }
        s += n;
        left -= n;
    }
}
