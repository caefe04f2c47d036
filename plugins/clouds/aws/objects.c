/* SPDX-License-Identifier: Apache-2.0 */
/* objects.c - facet bp.objects/1: objects in an S3 bucket; workers and browsers go there by themselves, by signed URLs.
 */
#include "objects.h"

#include "crc32c.h"
#include "err.h"
#include "part_plan.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TTL_MAX_S     604800
#define MIME_FALLBACK "application/octet-stream"
#define REST_MAX_MS   10000

static struct objects *of(void *inst)
{
    return ((struct aws *)inst)->objects;
}

/* ---- keys ---- */

/* Length of the UTF-8 character at s, 0: none. Control characters are refused too: XML cannot carry them back. */
static size_t character(const unsigned char *s)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0x20 || s[0] == 0x7f || (s[0] >= 0x80 && s[0] < 0xc2) || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

static int segment_valid(const char *s, size_t n)
{
    return n > 0 && !(n == 1 && s[0] == '.') && !(n == 2 && s[0] == '.' && s[1] == '.');
}

static int key_valid(const char *key)
{
    size_t len = key ? strlen(key) : 0, n;
    if (len < 1 || len > OBJECT_KEY_MAX)
        return 0;
    for (size_t i = 0; i < len; i += n)
        if (!(n = character((const unsigned char *)key + i)))
            return 0;
    for (const char *s = key;; s += n + 1) {
        n = strcspn(s, "/");
        if (!segment_valid(s, n))
            return 0;
        if (!s[n])
            return 1;
    }
}

/* The key as S3 knows it, prefix first. BP_INVALID: not a key, no bucket is set, or too long together. */
static int object_full_key(const struct objects *o, const char *key, char out[OBJECT_KEY_MAX + 1], struct bp_err *err)
{
    if (!o->bucket[0])
        return err_set(err, BP_INVALID, "no bucket is set for objects; set plugin.aws.bucket");
    if (!key_valid(key))
        return err_set(
            err, BP_INVALID,
            "an object's key must be UTF-8 without control characters, 1 to 1024 bytes, without empty, \".\" "
            "or \"..\" parts");
    if ((size_t)snprintf(out, OBJECT_KEY_MAX + 1, "%s%s", o->prefix, key) <= OBJECT_KEY_MAX)
        return 0;
    return err_set(err, BP_INVALID, "an object's key has %zu bytes, with keyPrefix more than S3's 1024", strlen(key));
}

const char *object_name(const struct objects *o, const char *key, char out[192])
{
    snprintf(out, 192, "object %.63s/%.119s", o->bucket, key);
    return out;
}

/* ---- repetition ---- */

int object_is_transient(int rc)
{
    return rc == BP_LATER || rc == BP_TIMEOUT || rc == BP_FAIL;
}

void object_rest(const struct objects *o, int tries)
{
    int64_t ms = o->rest_ms << (tries < 16 ? tries - 1 : 15);
    if (ms > REST_MAX_MS)
        ms = REST_MAX_MS;
    ms = ms / 2 + (int64_t)arc4random_uniform((uint32_t)(ms / 2) + 1);
    const struct timespec rest = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&rest, NULL);
}

/* ---- URLs ---- */

static int32_t presign(void *inst, const char *method, const char *key, const char *mime, int64_t max_bytes,
                       int32_t ttl_s, char **url, struct bp_err *err)
{
    struct objects *o = of(inst);
    char full[OBJECT_KEY_MAX + 1], type[160];
    const char *headers[] = {NULL, NULL};
    int is_put = strcmp(method, "PUT") == 0;
    int rc = object_full_key(o, key, full, err);
    if (rc < 0)
        return rc;
    (void)max_bytes; /* S3 knows no limit in a URL: who reads the object looks at its size (docs/aws.md) */
    if (!is_put && strcmp(method, "GET") != 0)
        return err_set(err, BP_INVALID, "a URL can be signed for GET or PUT, not for %.20s", method);
    if (ttl_s < 1 || ttl_s > TTL_MAX_S)
        return err_set(err, BP_INVALID, "a signed URL lives 1 to %d s", TTL_MAX_S);
    if (is_put && mime) {
        if ((size_t)snprintf(type, sizeof type, "content-type: %s", mime) >= sizeof type || strpbrk(mime, "\r\n"))
            return err_set(err, BP_INVALID, "a MIME type has at most %zu bytes, in one line", sizeof type - 15);
        headers[0] = type;
    }
    const struct s3_request q = {
        .method = is_put ? "PUT" : "GET", .bucket = o->bucket, .key = full, .headers = headers};
    return client_presign(o->aws->client, &q, ttl_s, url, NULL, err);
}

/* ---- put ---- */

static int put_once(struct object_put *p, const char *const *headers, struct bp_err *err)
{
    struct reply r = {0};
    char name[192];
    const struct s3_request q = {.method = "PUT",
                                 .bucket = p->o->bucket,
                                 .key = p->key,
                                 .headers = headers,
                                 .body = p->bytes ? NULL : "",
                                 .n = (size_t)p->bytes,
                                 .fd = p->bytes ? p->fd : 0};
    int rc = client_s3(p->o->aws->client, AWS_OP_S3_PUT_OBJECT, &q, object_name(p->o, p->key, name), &r, err);
    reply_free(&r);
    return rc;
}

static int put_whole(struct object_put *p, struct bp_err *err)
{
    char type[160], sum[64];
    const char *headers[4] = {type};
    size_t n = 1;
    uint32_t crc;
    snprintf(type, sizeof type, "content-type: %s", p->mime);
    if (p->only_new)
        headers[n++] = "if-none-match: *";
    if (p->o->checksums) {
        char text[9];
        int rc = crc32c_file(p->fd, 0, p->bytes, &crc, err);
        if (rc < 0)
            return rc;
        crc32c_text(crc, text);
        snprintf(sum, sizeof sum, "x-amz-checksum-crc32c: %s", text);
        headers[n++] = sum;
    }
    int rc = put_once(p, headers, err);
    for (int tries = 1; object_is_transient(rc) && tries < OBJECT_TRIES; tries++) {
        object_rest(p->o, tries);
        rc = put_once(p, headers, err);
    }
    return rc;
}

static int open_source(struct object_put *p, const char *path, struct bp_err *err)
{
    struct stat st;
    p->path = path;
    p->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (p->fd < 0)
        return err_errno(err, "open", path, errno);
    if (fstat(p->fd, &st) == 0 && S_ISREG(st.st_mode)) {
        p->bytes = st.st_size;
        return 0;
    }
    close(p->fd);
    return err_set(err, BP_INVALID, "%.200s is not a regular file", path);
}

static int put_file(struct objects *o, const char *key, const char *mime, const char *path, int only_new,
                    struct bp_err *err)
{
    char full[OBJECT_KEY_MAX + 1];
    struct object_put p = {.o = o, .key = full, .mime = mime && mime[0] ? mime : MIME_FALLBACK, .only_new = only_new};
    int rc = object_full_key(o, key, full, err);
    if (rc < 0)
        return rc;
    if (strlen(p.mime) > 127 || strpbrk(p.mime, "\r\n"))
        return err_set(err, BP_INVALID, "a MIME type has at most 127 bytes, in one line");
    if ((rc = open_source(&p, path, err)) < 0)
        return rc;
    rc = p.bytes > o->multipart_bytes ? object_put_parts(&p, err) : put_whole(&p, err);
    close(p.fd);
    object_sweep_uploads(o);
    return rc;
}

static int32_t put(void *inst, const char *key, const char *mime, const char *path, struct bp_err *err)
{
    return put_file(of(inst), key, mime, path, 0, err);
}

static int32_t put_new(void *inst, const char *key, const char *mime, const char *path, struct bp_err *err)
{
    return put_file(of(inst), key, mime, path, 1, err);
}

/* ---- the rest ---- */

static int32_t get(void *inst, const char *key, const char *path, struct bp_err *err)
{
    char full[OBJECT_KEY_MAX + 1];
    int rc = object_full_key(of(inst), key, full, err);
    return rc < 0 ? rc : object_get(of(inst), full, path, err);
}

static int simple(struct objects *o, const char *method, enum aws_op op, const char *full, struct reply *r,
                  struct bp_err *err)
{
    char name[192];
    const struct s3_request q = {.method = method, .bucket = o->bucket, .key = full};
    return client_s3(o->aws->client, op, &q, object_name(o, full, name), r, err);
}

static int32_t head(void *inst, const char *key, struct bp_object_info *out, struct bp_err *err)
{
    struct objects *o = of(inst);
    struct reply r = {0};
    char full[OBJECT_KEY_MAX + 1];
    memset(out, 0, sizeof *out);
    int rc = object_full_key(o, key, full, err);
    if (rc < 0)
        return rc;
    rc = simple(o, "HEAD", AWS_OP_S3_HEAD_OBJECT, full, &r, err);
    if (rc == 0) {
        snprintf(out->key, sizeof out->key, "%s", key);
        snprintf(out->mime, sizeof out->mime, "%.127s", r.content_type);
        out->bytes = r.content_length;
        out->modified_ms = r.last_modified_ms > 0 ? r.last_modified_ms : 0;
    }
    reply_free(&r);
    return rc;
}

static int32_t remove_object(void *inst, const char *key, struct bp_err *err)
{
    struct objects *o = of(inst);
    struct reply r = {0};
    char full[OBJECT_KEY_MAX + 1];
    int rc = object_full_key(o, key, full, err);
    if (rc < 0)
        return rc;
    rc = simple(o, "DELETE", AWS_OP_S3_DELETE_OBJECT, full, &r, err);
    /* "No such bucket" is no success. */
    if (rc == BP_NOTFOUND && strcmp(r.error.code, "NoSuchBucket") != 0)
        rc = 0;
    reply_free(&r);
    return rc;
}

static int32_t list(void *inst, const char *prefix, const char *after, struct bp_object_info *out, uint32_t *n,
                    struct bp_err *err)
{
    struct objects *o = of(inst);
    if (!o->bucket[0]) {
        *n = 0;
        return err_set(err, BP_INVALID, "no bucket is set for objects; set plugin.aws.bucket");
    }
    return object_list(o, prefix ? prefix : "", after ? after : "", out, n, err);
}

/* ---- life ---- */

static int check_prefix(const char *prefix, struct bp_err *err)
{
    size_t n = strlen(prefix), len;
    for (size_t i = 0; i < n; i += len)
        if (!(len = character((const unsigned char *)prefix + i)))
            return err_set(err, BP_INVALID, "setting keyPrefix must be UTF-8 without control characters");
    if (n > 512 || prefix[0] == '/')
        return err_set(err, BP_INVALID, "setting keyPrefix has at most 512 bytes and does not begin with '/'");
    return 0;
}

static int read_settings(struct objects *o, struct bp_err *err)
{
    const struct settings *s = &o->aws->settings;
    const char *dir = o->aws->host->state_dir(o->aws->self);
    o->bucket = settings_str(s, "bucket", "");
    o->prefix = settings_str(s, "keyPrefix", "");
    o->part_bytes = settings_int(s, "partBytes", 16LL << 20);
    o->multipart_bytes = settings_int(s, "multipartBytes", 32LL << 20);
    o->connections = (int)settings_int(s, "uploadConnections", 4);
    o->checksums = settings_bool(s, "objectChecksums", 1);
    o->rest_ms = settings_int(s, "retryBaseMilliseconds", 200);
    if (strlen(o->bucket) > 63)
        return err_set(err, BP_INVALID, "setting bucket is longer than a bucket's name may be (63 bytes)");
    if ((size_t)snprintf(o->uploads_dir, sizeof o->uploads_dir, "%s/uploads", dir) >= sizeof o->uploads_dir)
        return err_set(err, BP_INVALID, "the state directory's name is too long");
    return check_prefix(o->prefix, err);
}

struct objects *objects_open(struct aws *a, struct bp_err *err)
{
    struct objects *o = calloc(1, sizeof *o);
    if (!o) {
        err_set(err, BP_NOMEM, "no memory for the object store");
        return NULL;
    }
    o->aws = a;
    if (read_settings(o, err) == 0)
        return o;
    free(o);
    return NULL;
}

void objects_close(struct objects *o)
{
    free(o);
}

/* open_local and commit_local are not offered: the URLs lead to S3. */
const struct bp_objects objects_facet = {
    .size = sizeof(struct bp_objects),
    .presign = presign,
    .put = put,
    .get = get,
    .head = head,
    .remove = remove_object,
    .list = list,
    .put_new = put_new,
};
