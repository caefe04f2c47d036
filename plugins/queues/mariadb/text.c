/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <string.h>

/* Bytes of the UTF-8 character at p, 0: it is none. */
static size_t character(const unsigned char *p)
{
    size_t n = *p < 0x80                 ? 1
               : *p >= 0xc2 && *p < 0xe0 ? 2
               : *p >= 0xe0 && *p < 0xf0 ? 3
               : *p >= 0xf0 && *p < 0xf5 ? 4
                                         : 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (n == 3 && p[0] == 0xe0 && p[1] < 0xa0) || (n == 4 && p[0] == 0xf0 && p[1] < 0x90);
    bool beyond = (n == 3 && p[0] == 0xed && p[1] > 0x9f) || (n == 4 && p[0] == 0xf4 && p[1] > 0x8f);
    return overlong || beyond ? 0 : n;
}

bool text_fits(const char *text, size_t max)
{
    const unsigned char *p = (const unsigned char *)text, *begin = p;
    while (p && *p) {
        size_t n = character(p);
        if (!n)
            return false;
        p += n;
    }
    return !p || (size_t)(p - begin) <= max;
}

const char *text_clean(struct mem *m, const char *text, size_t max)
{
    if (text_fits(text, max))
        return text;
    char *copy = mem_alloc(m, max + 1);
    if (!copy)
        return "";
    size_t at = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t n = character(p), take = n ? n : 1;
        if (at + take > max)
            break;
        if (n)
            memcpy(copy + at, p, n);
        else
            copy[at] = '?';
        at += take;
        p += take;
    }
    copy[at] = 0;
    return copy;
}
