/* SPDX-License-Identifier: Apache-2.0 */
/* objects_list.c - keys of a bucket in order (ListObjectsV2), page by page. */
#include "err.h"
#include "objects.h"
#include "sign.h"

#include <stdio.h>
#include <string.h>

#define PAGE_MAX 1000

struct listing {
    struct objects *o;
    const char *prefix; /* without the store's own */
    char after[OBJECT_KEY_MAX + 1];
    struct bp_object_info *out;
    uint32_t n, room;
};

/* Appends "&name=value", the value percent-encoded. */
static int add(char *query, size_t size, const char *name, const char *prefix, const char *value)
{
    char whole[2 * OBJECT_KEY_MAX + 2];
    size_t n = strlen(query);
    snprintf(whole, sizeof whole, "%s%s", prefix, value);
    int k = snprintf(query + n, size - n, "%s%s=", n ? "&" : "", name);
    if (k < 0 || (size_t)k >= size - n)
        return BP_NOSPACE;
    n += (size_t)k;
    return sign_encode(whole, strlen(whole), 0, query + n, size - n);
}

/* In the order of their names, as they are signed. */
static int make_query(const struct listing *l, char *query, size_t size, struct bp_err *err)
{
    char most[16];
    uint32_t left = l->room - l->n;
    query[0] = '\0';
    snprintf(most, sizeof most, "%u", left < PAGE_MAX ? left : PAGE_MAX);
    if (add(query, size, "encoding-type", "", "url") < 0 || add(query, size, "list-type", "", "2") < 0 ||
        add(query, size, "max-keys", "", most) < 0 || add(query, size, "prefix", l->o->prefix, l->prefix) < 0 ||
        (l->after[0] && add(query, size, "start-after", l->o->prefix, l->after) < 0))
        return err_set(err, BP_INVALID, "the prefix to list is too long");
    return 0;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* encoding-type=url: "%XX", and '+' for a space. Returns -1 when it does not fit or is not so. */
static int decode(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (; *text; text++) {
        char c = *text == '+' ? ' ' : *text;
        if (c == '%') {
            int high = hex(text[1]), low = high < 0 ? -1 : hex(text[2]);
            if (low < 0)
                return -1;
            c = (char)(high << 4 | low);
            text += 2;
        }
        if (n + 1 >= size || c == '\0')
            return -1;
        out[n++] = c;
    }
    out[n] = '\0';
    return 0;
}

static int take(struct listing *l, const struct xml *item, struct bp_err *err)
{
    char key[OBJECT_KEY_MAX + 1];
    size_t skip = strlen(l->o->prefix);
    if (decode(xml_text(item, "Key"), key, sizeof key) < 0 || strncmp(key, l->o->prefix, skip) != 0 ||
        strncmp(key + skip, l->prefix, strlen(l->prefix)) != 0)
        return err_set(err, BP_FAIL, "listing bucket %s gave a key that was not asked for", l->o->bucket);
    if (strcmp(key + skip, l->after) <= 0)
        return err_set(err, BP_FAIL, "listing bucket %s gave keys out of order", l->o->bucket);
    struct bp_object_info *info = &l->out[l->n++];
    memset(info, 0, sizeof *info);
    snprintf(info->key, sizeof info->key, "%s", key + skip);
    snprintf(l->after, sizeof l->after, "%s", key + skip);
    info->bytes = xml_int(item, "Size", 0);
    info->modified_ms = xml_time_ms(item, "LastModified");
    return 0;
}

/* 1: there are more, 0: that was the last page. */
static int page(struct listing *l, struct bp_err *err)
{
    char query[8192], name[192];
    struct reply r = {0};
    int rc = make_query(l, query, sizeof query, err);
    if (rc < 0)
        return rc;
    const struct s3_request q = {.method = "GET", .bucket = l->o->bucket, .query = query};
    snprintf(name, sizeof name, "bucket %.63s", l->o->bucket);
    rc = client_s3(l->o->aws->client, AWS_OP_S3_LIST_OBJECTS_V2, &q, name, &r, err);
    if (rc == 0 && strcmp(r.xml ? xml_name(r.xml) : "", "ListBucketResult") != 0)
        rc = err_set(err, BP_FAIL, "listing bucket %s gave no list", l->o->bucket);
    uint32_t had = l->n;
    for (const struct xml *x = rc == 0 ? xml_first(r.xml, "Contents") : NULL; rc == 0 && x && l->n < l->room;
         x = xml_next(x))
        rc = take(l, x, err);
    int more = rc == 0 && xml_bool(r.xml, "IsTruncated") && l->n > had;
    reply_free(&r);
    return rc < 0 ? rc : more;
}

int object_list(struct objects *o, const char *prefix, const char *after, struct bp_object_info *out, uint32_t *n,
                struct bp_err *err)
{
    struct listing l = {.o = o, .prefix = prefix, .out = out, .room = *n};
    *n = 0;
    if (strlen(prefix) > OBJECT_KEY_MAX || strlen(after) > OBJECT_KEY_MAX)
        return err_set(err, BP_INVALID, "a prefix and a key to list from have at most %d bytes", OBJECT_KEY_MAX);
    snprintf(l.after, sizeof l.after, "%s", after);
    int rc = 1;
    while (rc > 0 && l.n < l.room)
        rc = page(&l, err);
    *n = rc < 0 ? 0 : l.n;
    return rc < 0 ? rc : 0;
}
