/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_s3.h"

#include "cm.h"
#include "crc32c.h"
#include "err.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAULTS  16
#define OBJECTS 64
#define PARTS   64

struct blob {
    char *bytes;
    size_t n;
    char etag[64];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct fake_fault faults[FAULTS];
static int n_faults, n_objects, n_uploads, made;
static struct object {
    char key[1100];
    struct blob blob;
    int parts;
} objects[OBJECTS];
static struct upload {
    char id[32], key[1100];
    struct blob parts[PARTS];
} uploads[8];
static int calls[AWS_N_OPS];
static char headers[AWS_N_OPS][1024];
void (*fake_s3_on_part)(void);
int fake_s3_ignores_range, fake_s3_damages, fake_s3_page, fake_s3_shuffles;

/* ---- the store ---- */

static void blob_set(struct blob *b, const void *bytes, size_t n)
{
    free(b->bytes);
    b->bytes = malloc(n + 1);
    if (n)
        memcpy(b->bytes, bytes, n);
    b->bytes[n] = '\0';
    b->n = n;
    snprintf(b->etag, sizeof b->etag, "\"%08x%08x\"", crc32c(0, bytes, n), (unsigned)n);
}

static struct object *object_at(const char *key)
{
    for (int i = 0; i < n_objects; i++)
        if (strcmp(objects[i].key, key) == 0)
            return &objects[i];
    return NULL;
}

static struct object *object_make(const char *key)
{
    struct object *o = object_at(key);
    if (o)
        return o;
    int at = n_objects++;
    while (at > 0 && strcmp(objects[at - 1].key, key) > 0) {
        objects[at] = objects[at - 1];
        at--;
    }
    objects[at] = (struct object){0};
    snprintf(objects[at].key, sizeof objects[at].key, "%s", key);
    return &objects[at];
}

static struct upload *upload_at(const char *query)
{
    const char *id = strstr(query, "uploadId=") + 9;
    for (int i = 0; i < n_uploads; i++)
        if (strcmp(uploads[i].id, id) == 0)
            return &uploads[i];
    return NULL;
}

static void upload_drop(struct upload *u)
{
    for (int i = 0; i < PARTS; i++)
        free(u->parts[i].bytes);
    *u = uploads[--n_uploads];
    memset(&uploads[n_uploads], 0, sizeof *u);
}

void fake_s3_reset(void)
{
    while (n_uploads)
        upload_drop(&uploads[0]);
    while (n_objects)
        free(objects[--n_objects].blob.bytes);
    memset(objects, 0, sizeof objects);
    n_faults = fake_s3_ignores_range = fake_s3_damages = fake_s3_page = fake_s3_shuffles = 0;
    fake_s3_on_part = NULL;
    memset(calls, 0, sizeof calls);
    memset(headers, 0, sizeof headers);
}

void fake_s3_fail(struct fake_fault f)
{
    assert_true(n_faults < FAULTS);
    faults[n_faults++] = f;
}

int fake_s3_calls(enum aws_op op)
{
    return calls[op];
}

const char *fake_s3_headers(enum aws_op op)
{
    return headers[op];
}

const char *fake_s3_object(const char *key, size_t *n)
{
    struct object *o = object_at(key);
    *n = o ? o->blob.n : 0;
    return o ? o->blob.bytes : NULL;
}

void fake_s3_put(const char *key, const void *bytes, size_t n)
{
    blob_set(&object_make(key)->blob, bytes, n);
}

int fake_s3_uploads(void)
{
    return n_uploads;
}

void fake_s3_drop_uploads(void)
{
    while (n_uploads)
        upload_drop(&uploads[0]);
}

void fake_s3_replace_part(int number)
{
    struct blob *b = &uploads[0].parts[number - 1];
    char *other = calloc(1, b->n + 1); /* as many bytes, but others */
    blob_set(b, other, b->n);
    free(other);
}

/* ---- requests ---- */

static const char *header_of(const struct s3_request *q, const char *name)
{
    size_t n = strlen(name);
    for (int i = 0; q->headers && q->headers[i]; i++)
        if (strncmp(q->headers[i], name, n) == 0 && q->headers[i][n] == ':')
            return q->headers[i] + n + 2;
    return NULL;
}

static int number_in(const char *query, const char *name)
{
    const char *at = query ? strstr(query, name) : NULL;
    return at ? atoi(at + strlen(name)) : 0;
}

static int answer(struct reply *r, int status, const char *code, int rc, struct bp_err *err)
{
    r->status = r->error.http_status = status;
    snprintf(r->error.code, sizeof r->error.code, "%s", code ? code : "");
    return rc < 0 ? err_set(err, rc, "the fake says %d %s", status, code ? code : "") : 0;
}

static void body_of(const struct s3_request *q, struct blob *into)
{
    char *bytes = malloc(q->n + 1);
    if (q->fd > 0)
        assert_int_equal(pread(q->fd, bytes, q->n, q->offset), (ssize_t)q->n);
    else if (q->n)
        memcpy(bytes, q->body, q->n);
    blob_set(into, bytes, q->n);
    free(bytes);
}

static void set_xml(struct reply *r, const char *text)
{
    struct bp_err err = {0};
    r->xml = xml_parse(text, strlen(text), &err);
    if (!r->xml)
        fail_msg("%s: %s", err.text, text);
}

static int damaged(const struct s3_request *q, const struct blob *b)
{
    char text[9];
    const char *sum = header_of(q, "x-amz-checksum-crc32c");
    crc32c_text(crc32c(0, b->bytes, b->n), text);
    return sum && strcmp(sum, text) != 0;
}

static int put_object(const struct s3_request *q, struct reply *r, struct bp_err *err)
{
    if (header_of(q, "if-none-match") && object_at(q->key))
        return answer(r, 412, "PreconditionFailed", BP_CONFLICT, err);
    struct object *o = object_make(q->key);
    body_of(q, &o->blob);
    assert_false(damaged(q, &o->blob));
    snprintf(r->etag, sizeof r->etag, "%s", o->blob.etag);
    return answer(r, 200, NULL, 0, err);
}

static int get_object(const struct s3_request *q, const struct fake_fault *f, struct reply *r, struct bp_err *err)
{
    struct object *o = object_at(q->key);
    const char *range = header_of(q, "range"), *match = header_of(q, "if-match");
    size_t from = range && !fake_s3_ignores_range ? (size_t)atoll(range + 6) : 0;
    if (!o)
        return answer(r, 404, "NoSuchKey", BP_NOTFOUND, err);
    if (match && strcmp(match, o->blob.etag) != 0)
        return answer(r, 412, "PreconditionFailed", BP_CONFLICT, err);
    size_t n = o->blob.n - from, give = f && f->deliver < (int64_t)n ? (size_t)f->deliver : n;
    snprintf(r->etag, sizeof r->etag, "%s", o->blob.etag);
    crc32c_text(crc32c(0, o->blob.bytes, o->blob.n) ^ (fake_s3_damages ? 1 : 0), r->checksum_crc32c);
    r->content_length = (int64_t)n;
    assert_int_equal(write(q->to_fd, o->blob.bytes + from, give), (ssize_t)give);
    if (f)
        return answer(r, range ? 206 : 200, NULL, f->rc, err);
    return answer(r, range && !fake_s3_ignores_range ? 206 : 200, NULL, 0, err);
}

static int head_object(const struct s3_request *q, struct reply *r, struct bp_err *err)
{
    struct object *o = object_at(q->key);
    if (!o)
        return answer(r, 404, NULL, BP_NOTFOUND, err);
    r->content_length = (int64_t)o->blob.n;
    r->last_modified_ms = 1769860800000LL;
    snprintf(r->content_type, sizeof r->content_type, "video/mp4");
    if (o->parts)
        snprintf(r->etag, sizeof r->etag, "\"0123456789abcdef-%d\"", o->parts);
    return answer(r, 200, NULL, 0, err);
}

static int create(const struct s3_request *q, struct reply *r, struct bp_err *err)
{
    char text[256];
    struct upload *u = &uploads[n_uploads++];
    snprintf(u->id, sizeof u->id, "up-%d", ++made);
    snprintf(u->key, sizeof u->key, "%s", q->key);
    snprintf(text, sizeof text,
             "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", u->id);
    set_xml(r, text);
    return answer(r, 200, NULL, 0, err);
}

static int upload_part(const struct s3_request *q, struct reply *r, struct bp_err *err)
{
    struct upload *u = upload_at(q->query);
    int number = number_in(q->query, "partNumber=");
    if (fake_s3_on_part)
        fake_s3_on_part();
    if (!u)
        return answer(r, 404, "NoSuchUpload", BP_NOTFOUND, err);
    assert_in_range(number, 1, PARTS);
    body_of(q, &u->parts[number - 1]);
    assert_false(damaged(q, &u->parts[number - 1]));
    snprintf(r->etag, sizeof r->etag, "%s", u->parts[number - 1].etag);
    return answer(r, 200, NULL, 0, err);
}

/* Two a page. */
static int list_parts(const struct s3_request *q, struct reply *r, struct bp_err *err)
{
    struct upload *u = upload_at(q->query);
    char text[2048];
    int after = number_in(q->query, "part-number-marker="), given = 0, more = 0;
    if (!u)
        return answer(r, 404, "NoSuchUpload", BP_NOTFOUND, err);
    size_t n = (size_t)snprintf(text, sizeof text, "<ListPartsResult>");
    for (int i = after; i < PARTS; i++) {
        if (!u->parts[i].bytes)
            continue;
        if (given == 2) {
            more = 1;
            break;
        }
        given++;
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "<Part><PartNumber>%d</PartNumber><Size>%zu</Size><ETag>%s</ETag></Part>", i + 1,
                              u->parts[i].n, u->parts[i].etag);
    }
    snprintf(text + n, sizeof text - n, "<IsTruncated>%s</IsTruncated></ListPartsResult>", more ? "true" : "false");
    set_xml(r, text);
    return answer(r, 200, NULL, 0, err);
}

/* What the request lists is what becomes the object, and its checksum is that of the whole. */
static void join(const struct s3_request *q, struct upload *u)
{
    struct bp_err err = {0};
    struct xml *list = xml_parse(q->body, q->n, &err);
    struct object *o = object_make(q->key);
    char *all = NULL;
    size_t n = 0;
    o->parts = 0;
    for (const struct xml *x = xml_first(list, "Part"); x; x = xml_next(x)) {
        struct blob *b = &u->parts[xml_int(x, "PartNumber", 0) - 1];
        assert_non_null(b->bytes);
        assert_string_equal(xml_text(x, "ETag"), b->etag);
        all = realloc(all, n + b->n);
        memcpy(all + n, b->bytes, b->n);
        n += b->n;
        o->parts++;
    }
    blob_set(&o->blob, all, n);
    assert_false(damaged(q, &o->blob));
    free(all);
    xml_free(list);
}

static int complete(const struct s3_request *q, struct reply *r, struct bp_err *err)
{
    struct upload *u = upload_at(q->query);
    if (!u)
        return answer(r, 404, "NoSuchUpload", BP_NOTFOUND, err);
    if (header_of(q, "if-none-match") && object_at(q->key))
        return answer(r, 412, "PreconditionFailed", BP_CONFLICT, err);
    join(q, u);
    upload_drop(u);
    set_xml(r, "<CompleteMultipartUploadResult><ETag>\"x-1\"</ETag></CompleteMultipartUploadResult>");
    return answer(r, 200, NULL, 0, err);
}

static int abort_upload(const struct s3_request *q, struct reply *r, struct bp_err *err)
{
    struct upload *u = upload_at(q->query);
    if (!u)
        return answer(r, 404, "NoSuchUpload", BP_NOTFOUND, err);
    upload_drop(u);
    return answer(r, 204, NULL, 0, err);
}

static void unescape(const char *from, char *to)
{
    for (; *from && *from != '&'; from++) {
        unsigned byte;
        if (*from == '%' && sscanf(from + 1, "%2x", &byte) == 1) {
            *to++ = (char)byte;
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

/* As encoding-type=url has it. Returns the length. */
static size_t escape(const char *from, char *to)
{
    char *at = to;
    for (; *from; from++) {
        if (*from == ' ')
            *at++ = '+';
        else if (strchr("abcdefghijklmnopqrstuvwxyz0123456789/", *from))
            *at++ = *from;
        else
            at += sprintf(at, "%%%02X", (unsigned char)*from);
    }
    *at = '\0';
    return (size_t)(at - to);
}

static void query_text(const char *query, const char *name, char *out)
{
    const char *at = strstr(query, name);
    *out = '\0';
    if (at)
        unescape(at + strlen(name), out);
}

static int list_objects(const struct s3_request *q, struct reply *r, struct bp_err *err)
{
    char prefix[1100], after[1100], text[16384];
    int most = number_in(q->query, "max-keys="), given = 0, more = 0;
    query_text(q->query, "prefix=", prefix);
    query_text(q->query, "start-after=", after);
    if (fake_s3_page && most > fake_s3_page)
        most = fake_s3_page;
    size_t n = (size_t)snprintf(text, sizeof text, "<ListBucketResult>");
    for (int i = 0; i < n_objects; i++) {
        const struct object *o = &objects[fake_s3_shuffles ? n_objects - 1 - i : i];
        if (strncmp(o->key, prefix, strlen(prefix)) != 0 || strcmp(o->key, after) <= 0)
            continue;
        if (given++ == most) {
            more = 1;
            break;
        }
        n += (size_t)snprintf(text + n, sizeof text - n, "<Contents><Key>");
        n += escape(o->key, text + n);
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "</Key><Size>%zu</Size><LastModified>2026-01-31T12:00:00.000Z</LastModified></Contents>",
                              o->blob.n);
    }
    snprintf(text + n, sizeof text - n, "<IsTruncated>%s</IsTruncated></ListBucketResult>", more ? "true" : "false");
    set_xml(r, text);
    return answer(r, 200, NULL, 0, err);
}

static int serve(enum aws_op op, const struct s3_request *q, struct reply *r, struct bp_err *err)
{
    switch (op) {
    case AWS_OP_S3_PUT_OBJECT:
        return put_object(q, r, err);
    case AWS_OP_S3_GET_OBJECT:
        return get_object(q, NULL, r, err);
    case AWS_OP_S3_HEAD_OBJECT:
        return head_object(q, r, err);
    case AWS_OP_S3_DELETE_OBJECT:
        return answer(r, 204, NULL, 0, err);
    case AWS_OP_S3_LIST_OBJECTS_V2:
        return list_objects(q, r, err);
    case AWS_OP_S3_CREATE_MULTIPART_UPLOAD:
        return create(q, r, err);
    case AWS_OP_S3_UPLOAD_PART:
        return upload_part(q, r, err);
    case AWS_OP_S3_COMPLETE_MULTIPART_UPLOAD:
        return complete(q, r, err);
    case AWS_OP_S3_ABORT_MULTIPART_UPLOAD:
        return abort_upload(q, r, err);
    case AWS_OP_S3_LIST_PARTS:
        return list_parts(q, r, err);
    default:
        fail_msg("operation %d is not of S3", op);
        return BP_FAIL;
    }
}

static struct fake_fault *fault_of(enum aws_op op)
{
    for (int i = 0; i < n_faults; i++) {
        if (faults[i].op != op || !faults[i].times)
            continue;
        if (faults[i].skip-- > 0)
            return NULL;
        faults[i].skip = 0;
        faults[i].times--;
        return &faults[i];
    }
    return NULL;
}

static int fail_as_told(const struct fake_fault *f, enum aws_op op, const struct s3_request *q, struct reply *r,
                        struct bp_err *err)
{
    if (op == AWS_OP_S3_GET_OBJECT && f->deliver)
        return get_object(q, f, r, err);
    if (f->takes_effect) {
        serve(op, q, r, err);
        reply_free(r);
    }
    if (f->body_200) {
        set_xml(r, f->body_200);
        return answer(r, 200, NULL, 0, err);
    }
    return answer(r, f->status, f->code, f->rc, err);
}

int client_s3(struct client *c, enum aws_op op, const struct s3_request *q, const char *what, struct reply *r,
              struct bp_err *err)
{
    (void)c, (void)what;
    pthread_mutex_lock(&mutex);
    calls[op]++;
    headers[op][0] = '\0';
    for (int i = 0; q->headers && q->headers[i]; i++) {
        size_t n = strlen(headers[op]);
        snprintf(headers[op] + n, sizeof headers[op] - n, "%s\n", q->headers[i]);
    }
    memset(r, 0, sizeof *r);
    r->content_length = -1;
    struct fake_fault *f = fault_of(op);
    int rc = f ? fail_as_told(f, op, q, r, err) : serve(op, q, r, err);
    pthread_mutex_unlock(&mutex);
    return rc;
}

void reply_free(struct reply *r)
{
    xml_free(r->xml);
    free(r->body);
    memset(r, 0, sizeof *r);
}

int client_presign(struct client *c, const struct s3_request *q, int32_t ttl_s, char **url, int32_t *ttl_out,
                   struct bp_err *err)
{
    char text[2048];
    (void)c, (void)ttl_out, (void)err;
    snprintf(text, sizeof text, "https://%s/%s?%s&%d&%s", q->bucket, q->key, q->method, ttl_s,
             q->headers && q->headers[0] ? q->headers[0] : "");
    *url = strdup(text);
    return 0;
}
