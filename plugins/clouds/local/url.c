/* SPDX-License-Identifier: Apache-2.0 */
#include "url.h"

#include <string.h>

static int is_plain(char c, int keep_slash)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~' || (keep_slash && c == '/');
}

int url_encode(const char *text, int keep_slash, char *out, size_t n)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t used = 0;
    for (; *text; text++) {
        size_t need = is_plain(*text, keep_slash) ? 1 : 3;
        if (used + need >= n)
            return -1;
        if (need == 1) {
            out[used++] = *text;
            continue;
        }
        unsigned char byte = (unsigned char)*text;
        out[used++] = '%';
        out[used++] = hex[byte >> 4];
        out[used++] = hex[byte & 15];
    }
    if (used >= n)
        return -1;
    out[used] = 0;
    return (int)used;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int url_decode(const char *text, size_t length, char *out, size_t n)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            int high = i + 2 < length ? hex_value(text[i + 1]) : -1;
            int low = i + 2 < length ? hex_value(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -1;
            c = high * 16 + low;
            i += 2;
        }
        if (!c || used + 1 >= n)
            return -1;
        out[used++] = (char)c;
    }
    if (used >= n)
        return -1;
    out[used] = 0;
    return (int)used;
}

int url_query(const char *query, const char *name, char *out, size_t n)
{
    size_t name_length = strlen(name);
    int found = -1;
    for (const char *p = query; *p;) {
        size_t length = strcspn(p, "&");
        if (length > name_length && memcmp(p, name, name_length) == 0 && p[name_length] == '=') {
            if (found >= 0)
                return -1;
            found = url_decode(p + name_length + 1, length - name_length - 1, out, n);
            if (found < 0)
                return -1;
        }
        p += length + (p[length] == '&');
    }
    return found;
}
