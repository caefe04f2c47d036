/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/zone.h"

#include "log/err.h"
#include "policy/zone_rule.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FOLDER          "/usr/share/zoneinfo"
#define FILE_MAX        (256 * 1024)
#define TRANSITIONS_MAX 4096
#define HEADER          44
#define OFFSET_MOST     (26 * 3600) /* of what there ever was, and to spare */

struct zone {
    uint32_t n;
    int64_t *at_s; /* moments from which on offset_s[i] counts */
    int32_t *offset_s;
    int32_t before_s; /* before the first of them */
    int has_rule;     /* after the last of them */
    struct zone_rule rule;
};

/* The six counts of a header, and where its data begins and ends. */
struct block {
    uint32_t utc, std, leaps, times, types, chars;
    const unsigned char *data, *end;
};

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t be64(const unsigned char *p)
{
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

/* wide: bytes of a moment, 4 in the first block and 8 in the second. */
static int read_block(const unsigned char *p, const unsigned char *end, unsigned wide, struct block *b)
{
    if (end - p < HEADER || memcmp(p, "TZif", 4) != 0)
        return 0;
    *b = (struct block){be32(p + 20), be32(p + 24), be32(p + 28), be32(p + 32),
                        be32(p + 36), be32(p + 40), p + HEADER,   NULL};
    if (b->times > TRANSITIONS_MAX || b->types == 0 || b->types > 256 || b->chars > 1024 || b->leaps > 1024 ||
        b->utc > 256 || b->std > 256)
        return 0;
    size_t n = (size_t)b->times * (wide + 1) + (size_t)b->types * 6 + b->chars + (size_t)b->leaps * (wide + 4) +
               b->std + b->utc;
    if (n > (size_t)(end - b->data))
        return 0;
    b->end = b->data + n;
    return 1;
}

static int is_offset(int32_t s)
{
    return s >= -OFFSET_MOST && s <= OFFSET_MOST;
}

static int read_times(struct zone *z, const struct block *b, unsigned wide)
{
    const unsigned char *indexes = b->data + (size_t)b->times * wide, *types = indexes + b->times;
    z->n = b->times;
    z->at_s = calloc(b->times + 1, sizeof *z->at_s);
    z->offset_s = calloc(b->times + 1, sizeof *z->offset_s);
    if (!z->at_s || !z->offset_s)
        return 0;
    z->before_s = (int32_t)be32(types);
    for (uint32_t i = 0; i < b->times; i++) {
        const unsigned char *at = b->data + (size_t)i * wide;
        if (indexes[i] >= b->types)
            return 0;
        z->at_s[i] = wide == 8 ? be64(at) : (int32_t)be32(at);
        z->offset_s[i] = (int32_t)be32(types + (size_t)indexes[i] * 6);
        if ((i && z->at_s[i] < z->at_s[i - 1]) || !is_offset(z->offset_s[i]))
            return 0;
    }
    return is_offset(z->before_s);
}

/* "\n<rule>\n" behind the second block; none is fine. */
static int read_footer(struct zone *z, const unsigned char *p, const unsigned char *end)
{
    char text[128];
    const unsigned char *stop = p < end && *p == '\n' ? memchr(p + 1, '\n', (size_t)(end - p - 1)) : NULL;
    if (!stop || stop == p + 1)
        return 1;
    snprintf(text, sizeof text, "%.*s", (int)(stop - p - 1), (const char *)p + 1);
    z->has_rule = zone_rule_parse(&z->rule, text);
    return z->has_rule;
}

static int read_all(struct zone *z, const unsigned char *p, size_t n)
{
    struct block b;
    const unsigned char *end = p + n;
    if (!read_block(p, end, 4, &b))
        return 0;
    if (p[4] < '2')
        return read_times(z, &b, 4);
    struct block second;
    return read_block(b.end, end, 8, &second) && read_times(z, &second, 8) && read_footer(z, second.end, end);
}

struct zone *zone_parse(const void *tzif, size_t n, struct bp_err *err)
{
    struct zone *z = calloc(1, sizeof *z);
    if (z && read_all(z, tzif, n))
        return z;
    zone_free(z);
    err_set(err, z ? BP_IO : BP_NOMEM, "%s", z ? "it is no zoneinfo file, or damaged" : "no memory");
    return NULL;
}

void zone_free(struct zone *z)
{
    if (!z)
        return;
    free(z->at_s);
    free(z->offset_s);
    free(z);
}

/* Letters, digits and -+_ between slashes, beginning with a letter: nothing that leads out of the folder. */
static int is_name(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n < 64 && ((name[0] | 32) >= 'a' && (name[0] | 32) <= 'z') &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-+_/") == n;
}

struct zone *zone_load(const char *name, struct bp_err *err)
{
    char path[128];
    if (!is_name(name)) {
        err_set(err, BP_INVALID, "\"%.64s\" is no name of a time zone; write it like Europe/Berlin", name);
        return NULL;
    }
    if (strcmp(name, "UTC") == 0)
        return calloc(1, sizeof(struct zone));
    snprintf(path, sizeof path, FOLDER "/%s", name);
    FILE *f = fopen(path, "rb");
    unsigned char *bytes = f ? malloc(FILE_MAX) : NULL;
    size_t n = bytes ? fread(bytes, 1, FILE_MAX, f) : 0;
    struct zone *z = n ? zone_parse(bytes, n, err) : NULL;
    if (!f)
        err_set(err, BP_NOTFOUND, "no time zone %s: %s: %s", name, path, strerror(errno));
    else if (!z)
        err_set(err, BP_IO, "%s is no zoneinfo file, or damaged; install tzdata again", path);
    if (f)
        fclose(f);
    free(bytes);
    return z;
}

int zone_files_exist(void)
{
    struct stat st;
    return stat(FOLDER "/Europe", &st) == 0;
}

int32_t zone_offset_s(const struct zone *z, int64_t at_s)
{
    uint32_t low = 0, high = z->n; /* the first transition after at_s */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (z->at_s[middle] <= at_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == z->n && z->has_rule)
        return zone_rule_offset_s(&z->rule, at_s);
    return low ? z->offset_s[low - 1] : z->before_s;
}
