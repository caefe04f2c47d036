/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a member of an object without a JSON library, so that a plugin needs none. The text was validated before it
 * came here; whatever it is, nothing is read past its end.
 */
#include <bp/sdk.h>

#include <locale.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_space(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

/* p at the opening quote; returns behind the closing one, or at the text's end. */
static const char *skip_string(const char *p)
{
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && p[1])
            p++;
    return *p ? p + 1 : p;
}

/* Behind the value at p; objects and arrays by counting brackets outside strings. */
static const char *skip_value(const char *p)
{
    int32_t depth = 0;
    do {
        if (*p == '"') {
            p = skip_string(p);
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        if (*p == '}' || *p == ']')
            depth--;
        if (depth < 0 || (depth == 0 && *p == ','))
            return p;
        if (*p)
            p++;
    } while (*p && (depth > 0 || (*p != ',' && *p != '}')));
    return p;
}

/* The value of a member of the object `text`, NULL: none. Names with escapes are never found: a schema has none. */
static const char *member(const char *text, const char *name)
{
    size_t n = strlen(name);
    const char *p = skip_space(text ? text : "");
    if (*p != '{')
        return NULL;
    p = skip_space(p + 1);
    while (*p == '"') {
        const char *key = p + 1;
        p = skip_space(skip_string(p));
        if (*p != ':')
            return NULL;
        const char *value = skip_space(p + 1);
        if (strncmp(key, name, n) == 0 && key[n] == '"')
            return value;
        p = skip_space(skip_value(value));
        if (*p != ',')
            return NULL;
        p = skip_space(p + 1);
    }
    return NULL;
}

/* strtod with a dot, whatever locale the process has. */
static double number(const char *value, const char **end)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    char *stop = NULL;
    double d = c ? strtod_l(value, &stop, c) : strtod(value, &stop);
    if (c)
        freelocale(c);
    *end = stop;
    return d;
}

double bp_json_f(const char *json, const char *name, double fallback)
{
    const char *value = member(json, name), *end;
    if (!value || !strchr("-0123456789", *value) || !*value)
        return fallback;
    double d = number(value, &end);
    return end == value ? fallback : d;
}

int64_t bp_json_i(const char *json, const char *name, int64_t fallback)
{
    double d = bp_json_f(json, name, (double)fallback);
    if (!(d > -9.0e18 && d < 9.0e18))
        return fallback;
    return (int64_t)d;
}

int32_t bp_json_b(const char *json, const char *name, int32_t fallback)
{
    const char *value = member(json, name);
    if (value && strncmp(value, "true", 4) == 0)
        return 1;
    if (value && strncmp(value, "false", 5) == 0)
        return 0;
    return fallback;
}

/* Four hex digits at p; -1 when they are not. */
static int32_t hex4(const char *p)
{
    int32_t v = 0;
    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *d = p[i] ? strchr(digits, p[i] | 0x20) : NULL;
        if (!d)
            return -1;
        v = v * 16 + (int32_t)(d - digits);
    }
    return v;
}

/* UTF-8 of code point c to out (room for 4 bytes); returns how many bytes. */
static uint32_t utf8(uint32_t c, char *out)
{
    uint32_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (uint32_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(n == 1 ? c : lead[n] | c);
    return n;
}

/* One character of a string, escapes decoded; *p moves behind it. Returns its bytes in out[4]. */
static uint32_t next_char(const char **p, char out[4])
{
    static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
    if (**p != '\\' || !(*p)[1]) {
        out[0] = *(*p)++;
        return 1;
    }
    char e = (*p)[1];
    *p += 2;
    int32_t unit = e == 'u' ? hex4(*p) : -1;
    if (unit < 0) {
        const char *at = strchr(names, e);
        out[0] = at ? values[at - names] : e;
        return 1;
    }
    *p += 4;
    if (unit >= 0xd800 && unit < 0xdc00 && (*p)[0] == '\\' && (*p)[1] == 'u') {
        int32_t low = hex4(*p + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            *p += 6;
            unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return utf8((uint32_t)unit, out);
}

const char *bp_json_s(const char *json, const char *name, char *out, uint32_t n)
{
    const char *p = member(json, name);
    uint32_t used = 0;
    if (p && *p == '"') {
        p++;
        while (*p && *p != '"') {
            char c[4];
            uint32_t k = next_char(&p, c);
            if (used + k >= n)
                break;
            memcpy(out + used, c, k);
            used += k;
        }
    }
    out[used] = 0;
    return out;
}
