/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects_multipart.c - a large put: parts over a few connections at once, each repeated by itself, the whole resumed
 * later when it was cut off, and aborted when it cannot succeed.
 */
#include "crc32c.h"
#include "err.h"
#include "objects.h"
#include "sign.h"
#include "upload_state.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX 16
#define STALE_MS        86400000
#define SWEEP_EVERY_MS  3600000
#define ID_QUERY_MAX    3200

struct upload {
    struct object_put *put;
    struct upload_state state;
    char name[192];
    char id[ID_QUERY_MAX]; /* the upload id, encoded for a query */
    pthread_mutex_t mutex;
    uint32_t next; /* the part to look at next */
    int rc;        /* of the first part that failed for good */
    struct bp_err err;
};

static struct client *client_of(const struct upload *u)
{
    return u->put->o->aws->client;
}

static int call(struct upload *u, enum aws_op op, const struct s3_request *q, struct reply *r, struct bp_err *err)
{
    return client_s3(client_of(u), op, q, u->name, r, err);
}

/* ---- beginning and ending ---- */

static int encode_id(struct upload *u, struct bp_err *err)
{
    if (sign_encode(u->state.id, strlen(u->state.id), 0, u->id, sizeof u->id) > 0)
        return 0;
    return err_set(err, BP_FAIL, "S3 gave an upload id that cannot be sent back");
}

static int begin(struct upload *u, struct bp_err *err)
{
    struct object_put *p = u->put;
    struct part_plan plan;
    struct reply r = {0};
    char type[160];
    const char *headers[4] = {type};
    snprintf(type, sizeof type, "content-type: %s", p->mime);
    if (p->o->checksums) {
        headers[1] = "x-amz-checksum-algorithm: CRC32C";
        headers[2] = "x-amz-checksum-type: FULL_OBJECT";
    }
    int rc = part_plan_make(&plan, p->bytes, p->o->part_bytes, err);
    if (rc < 0)
        return rc;
    const struct s3_request q = {
        .method = "POST", .bucket = p->o->bucket, .key = p->key, .query = "uploads=", .headers = headers, .body = ""};
    rc = call(u, AWS_OP_S3_CREATE_MULTIPART_UPLOAD, &q, &r, err);
    const char *id = xml_text(r.xml, "UploadId");
    if (rc == 0 && !id[0])
        rc = err_set(err, BP_FAIL, "S3 began an upload of %s, but gave no id for it", u->name);
    if (rc == 0)
        rc = upload_state_begin(&u->state, id, &plan, AWS_NOW(p->o->aws), err);
    reply_free(&r);
    return rc < 0 ? rc : encode_id(u, err);
}

static int abort_upload(struct objects *o, const char *key, const char *id)
{
    char query[ID_QUERY_MAX + 16] = "uploadId=", name[192];
    struct reply r = {0};
    struct bp_err err = {0};
    if (sign_encode(id, strlen(id), 0, query + 9, sizeof query - 9) <= 0)
        return 0;
    const struct s3_request q = {.method = "DELETE", .bucket = o->bucket, .key = key, .query = query};
    int rc = client_s3(o->aws->client, AWS_OP_S3_ABORT_MULTIPART_UPLOAD, &q, object_name(o, key, name), &r, &err);
    reply_free(&r);
    if (rc < 0 && rc != BP_NOTFOUND)
        AWS_LOG(o->aws, BP_LOG_WARN, "an unfinished upload stays behind and costs storage: %s", err.text);
    return rc == BP_NOTFOUND ? 0 : rc;
}

/* ---- what S3 has of it ---- */

static void confirm(struct upload *u, const struct xml *item, uint8_t *there)
{
    int64_t number = xml_int(item, "PartNumber", 0);
    if (number < 1 || number > u->state.plan.n)
        return;
    const struct part part = part_plan_at(&u->state.plan, (uint32_t)number);
    there[number - 1] =
        xml_int(item, "Size", -1) == part.bytes && strcmp(xml_text(item, "ETag"), u->state.parts[number - 1].etag) == 0;
}

/* One page of ListParts from behind *after. 1: there are more. */
static int list_page(struct upload *u, uint32_t *after, uint8_t *there, struct bp_err *err)
{
    struct reply r = {0};
    char query[ID_QUERY_MAX + 64];
    snprintf(query, sizeof query, "part-number-marker=%u&uploadId=%s", *after, u->id);
    const struct s3_request q = {.method = "GET", .bucket = u->put->o->bucket, .key = u->put->key, .query = query};
    int rc = call(u, AWS_OP_S3_LIST_PARTS, &q, &r, err);
    uint32_t last = *after;
    for (const struct xml *x = rc == 0 ? xml_first(r.xml, "Part") : NULL; x; x = xml_next(x)) {
        confirm(u, x, there);
        last = (uint32_t)xml_int(x, "PartNumber", last);
    }
    int more = rc == 0 && xml_bool(r.xml, "IsTruncated") && last > *after;
    *after = last;
    reply_free(&r);
    return rc < 0 ? rc : more;
}

/* Parts that we sent and S3 has are kept. BP_NOTFOUND: S3 knows the upload no more. */
static int take_up(struct upload *u, struct bp_err *err)
{
    uint32_t after = 0, kept = 0;
    uint8_t *there = calloc(u->state.plan.n, 1);
    if (!there)
        return err_set(err, BP_NOMEM, "no memory to resume an upload");
    int rc = encode_id(u, err);
    if (rc == 0)
        for (rc = 1; rc > 0;)
            rc = list_page(u, &after, there, err);
    for (uint32_t i = 0; rc == 0 && i < u->state.plan.n; i++) {
        if (there[i])
            kept++;
        else
            u->state.parts[i].etag[0] = '\0';
    }
    free(there);
    if (rc == 0)
        AWS_LOG(u->put->o->aws, BP_LOG_INFO, "the upload of %s goes on: %u of %u parts are there", u->name, kept,
                u->state.plan.n);
    return rc;
}

/* ---- parts ---- */

static int send_part(struct upload *u, const struct part *part, uint32_t crc, char etag[136], struct bp_err *err)
{
    struct reply r = {0};
    char query[ID_QUERY_MAX + 64], sum[64], text[9];
    const char *headers[2] = {NULL, NULL};
    snprintf(query, sizeof query, "partNumber=%u&uploadId=%s", part->number, u->id);
    if (u->put->o->checksums) {
        crc32c_text(crc, text);
        snprintf(sum, sizeof sum, "x-amz-checksum-crc32c: %s", text);
        headers[0] = sum;
    }
    const struct s3_request q = {.method = "PUT",
                                 .bucket = u->put->o->bucket,
                                 .key = u->put->key,
                                 .query = query,
                                 .headers = headers,
                                 .fd = u->put->fd,
                                 .offset = part->offset,
                                 .n = (size_t)part->bytes};
    int rc = call(u, AWS_OP_S3_UPLOAD_PART, &q, &r, err);
    snprintf(etag, 136, "%s", r.etag);
    reply_free(&r);
    return rc;
}

static int part_through(struct upload *u, uint32_t number, struct bp_err *err)
{
    const struct part part = part_plan_at(&u->state.plan, number);
    char etag[136];
    uint32_t crc = 0;
    int rc = u->put->o->checksums ? crc32c_file(u->put->fd, part.offset, part.bytes, &crc, err) : 0;
    if (rc < 0)
        return rc;
    rc = send_part(u, &part, crc, etag, err);
    for (int tries = 1; object_is_transient(rc) && tries < OBJECT_TRIES; tries++) {
        object_rest(u->put->o, tries);
        rc = send_part(u, &part, crc, etag, err);
    }
    return rc < 0 ? rc : upload_state_arrived(&u->state, number, etag, crc, err);
}

/* The next part that is not there, 0: none, or another failed. */
static uint32_t next_part(struct upload *u)
{
    uint32_t number = 0;
    pthread_mutex_lock(&u->mutex);
    while (u->rc == 0 && !number && u->next <= u->state.plan.n) {
        if (!u->state.parts[u->next - 1].etag[0])
            number = u->next;
        u->next++;
    }
    pthread_mutex_unlock(&u->mutex);
    return number;
}

static void *carry(void *arg)
{
    struct upload *u = arg;
    struct bp_err err = {0};
    for (uint32_t number; (number = next_part(u));) {
        int rc = part_through(u, number, &err);
        if (rc == 0)
            continue;
        pthread_mutex_lock(&u->mutex);
        if (u->rc == 0) {
            u->rc = rc;
            u->err = err;
        }
        pthread_mutex_unlock(&u->mutex);
    }
    return NULL;
}

/* Over several connections where threads can be had; this one carries too. */
static int send_all(struct upload *u, struct bp_err *err)
{
    pthread_t threads[CONNECTIONS_MAX];
    int n = 0, want = u->put->o->connections < CONNECTIONS_MAX ? u->put->o->connections : CONNECTIONS_MAX;
    u->next = 1;
    while (n < want - 1 && n + 1 < (int)u->state.plan.n && pthread_create(&threads[n], NULL, carry, u) == 0)
        n++;
    carry(u);
    while (n > 0)
        pthread_join(threads[--n], NULL);
    if (u->rc < 0)
        *err = u->err;
    return u->rc;
}

/* ---- completing ---- */

/* The list of parts as S3 wants it; malloc'ed. */
static char *parts_xml(const struct upload *u, size_t *n)
{
    char *text = NULL, sum[9];
    FILE *f = open_memstream(&text, n);
    if (!f)
        return NULL;
    fputs("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">", f);
    for (uint32_t i = 0; i < u->state.plan.n; i++) {
        fprintf(f, "<Part><PartNumber>%u</PartNumber><ETag>", i + 1);
        for (const char *c = u->state.parts[i].etag; *c; c++)
            fputs(*c == '"' ? "&quot;" : *c == '&' ? "&amp;" : *c == '<' ? "&lt;" : (char[2]){*c, '\0'}, f);
        fputs("</ETag>", f);
        if (u->put->o->checksums) {
            crc32c_text(u->state.parts[i].crc, sum);
            fprintf(f, "<ChecksumCRC32C>%s</ChecksumCRC32C>", sum);
        }
        fputs("</Part>", f);
    }
    fputs("</CompleteMultipartUpload>", f);
    if (fclose(f) == 0)
        return text;
    free(text);
    return NULL;
}

static uint32_t whole_crc(const struct upload_state *s)
{
    uint32_t crc = 0;
    for (uint32_t i = 0; i < s->plan.n; i++)
        crc = crc32c_join(crc, s->parts[i].crc, (uint64_t)part_plan_at(&s->plan, i + 1).bytes);
    return crc;
}

/* S3 may say 200, then take its time, and then say in the body that it failed. */
static int check_completed(struct upload *u, const struct reply *r, struct bp_err *err)
{
    const char *root = r->xml ? xml_name(r->xml) : "";
    if (strcmp(root, "CompleteMultipartUploadResult") == 0)
        return 0;
    const char *code = strcmp(root, "Error") == 0 ? xml_text(r->xml, "Code") : "";
    return err_set(err, BP_LATER, "completing the upload of %s: S3 answered 200, but with %s%s%.150s", u->name,
                   code[0] ? "error " : "nothing that says it is done", code,
                   code[0] ? xml_text(r->xml, "Message") : "");
}

static int complete_once(struct upload *u, const char *xml, size_t n, struct bp_err *err)
{
    struct reply r = {0};
    char query[ID_QUERY_MAX + 16], sum[64], text[9];
    const char *headers[5] = {"content-type: application/xml"};
    size_t k = 1;
    snprintf(query, sizeof query, "uploadId=%s", u->id);
    if (u->put->o->checksums) {
        crc32c_text(whole_crc(&u->state), text);
        snprintf(sum, sizeof sum, "x-amz-checksum-crc32c: %s", text);
        headers[k++] = sum;
        headers[k++] = "x-amz-checksum-type: FULL_OBJECT";
    }
    if (u->put->only_new)
        headers[k++] = "if-none-match: *";
    const struct s3_request q = {.method = "POST",
                                 .bucket = u->put->o->bucket,
                                 .key = u->put->key,
                                 .query = query,
                                 .headers = headers,
                                 .body = xml,
                                 .n = n};
    int rc = call(u, AWS_OP_S3_COMPLETE_MULTIPART_UPLOAD, &q, &r, err);
    if (rc == 0)
        rc = check_completed(u, &r, err);
    reply_free(&r);
    return rc;
}

/* The answer to a former try was lost, and the upload is known no more: then the object tells whether that one worked.
 */
static int is_there(struct upload *u, int64_t since_ms)
{
    struct reply r = {0};
    struct bp_err err = {0};
    const struct s3_request q = {.method = "HEAD", .bucket = u->put->o->bucket, .key = u->put->key};
    int rc = call(u, AWS_OP_S3_HEAD_OBJECT, &q, &r, &err);
    char suffix[24];
    snprintf(suffix, sizeof suffix, "-%u\"", u->state.plan.n);
    size_t n = strlen(r.etag), k = strlen(suffix);
    /* Times of S3 have whole seconds, and its clock is another. */
    int ours = rc == 0 && r.content_length == u->put->bytes && n > k && strcmp(r.etag + n - k, suffix) == 0 &&
               r.last_modified_ms > since_ms - 900000;
    reply_free(&r);
    return ours;
}

static int complete(struct upload *u, struct bp_err *err)
{
    size_t n = 0;
    char *xml = parts_xml(u, &n);
    if (!xml)
        return err_set(err, BP_NOMEM, "no memory to complete the upload of %s", u->name);
    int rc = complete_once(u, xml, n, err);
    for (int tries = 1; object_is_transient(rc) && tries < OBJECT_TRIES; tries++) {
        object_rest(u->put->o, tries);
        rc = complete_once(u, xml, n, err);
        if (rc == BP_NOTFOUND && is_there(u, u->state.begun_ms))
            rc = 0;
    }
    free(xml);
    return rc;
}

/* ---- the whole ---- */

static int unchanged(const struct upload *u, struct bp_err *err)
{
    struct stat st;
    if (fstat(u->put->fd, &st) == 0 && st.st_size == u->state.bytes &&
        (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec == u->state.changed_ns)
        return 0;
    return err_set(err, BP_IO, "%.150s changed while it was uploaded; send it again", u->put->path);
}

static int run(struct upload *u, struct bp_err *err)
{
    int rc = BP_NOTFOUND;
    if (u->state.id[0])
        rc = take_up(u, err);
    if (rc == BP_NOTFOUND)
        rc = begin(u, err);
    if (rc == 0)
        rc = send_all(u, err);
    if (rc == 0)
        rc = unchanged(u, err);
    return rc < 0 ? rc : complete(u, err);
}

static void finish(struct upload *u, int rc)
{
    if (!u->state.id[0])
        return;
    if (rc < 0 && object_is_transient(rc)) {
        AWS_LOG(u->put->o->aws, BP_LOG_INFO, "the upload of %s is kept: the next try goes on from there", u->name);
        return;
    }
    if (rc < 0)
        abort_upload(u->put->o, u->put->key, u->state.id);
    upload_state_forget(&u->state);
}

int object_put_parts(struct object_put *p, struct bp_err *err)
{
    struct stat st;
    char stale[1025];
    struct upload *u = calloc(1, sizeof *u);
    if (!u || fstat(p->fd, &st) < 0) {
        free(u);
        return err_set(err, BP_NOMEM, "no memory to upload %.150s", p->path);
    }
    u->put = p;
    object_name(p->o, p->key, u->name);
    const struct upload_source from = {p->o->uploads_dir, p->o->bucket, p->key, &st};
    int rc = upload_state_open(&u->state, &from, stale, err);
    if (rc == 0) {
        pthread_mutex_init(&u->mutex, NULL);
        if (stale[0])
            abort_upload(p->o, p->key, stale);
        rc = run(u, err);
        finish(u, rc);
        upload_state_close(&u->state);
        pthread_mutex_destroy(&u->mutex);
    }
    free(u);
    return rc;
}

/* ---- those nobody took up ---- */

static int abort_stale(const char *bucket, const char *key, const char *id, void *arg)
{
    struct objects *o = arg;
    return strcmp(bucket, o->bucket) == 0 && key[0] && id[0] ? abort_upload(o, key, id) : 0;
}

void object_sweep_uploads(struct objects *o)
{
    long long now = AWS_NOW(o->aws), last = atomic_load(&o->swept_ms);
    if (now - last < SWEEP_EVERY_MS || !atomic_compare_exchange_strong(&o->swept_ms, &last, now))
        return;
    upload_state_sweep(o->uploads_dir, STALE_MS, now, abort_stale, o);
}
