/* SPDX-License-Identifier: Apache-2.0 */
/* objects_get.c - a download: into a temporary file, on from where a broken connection left it, renamed when whole. */
#include "crc32c.h"
#include "err.h"
#include "objects.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct download {
    struct objects *o;
    const char *key;
    int fd;
    int64_t total; /* of the object, -1: not known */
    char etag[136];
    char sum[16]; /* its checksum as S3 keeps it, "" when there is none of the whole */
};

static int rewind_all(struct download *d, struct bp_err *err)
{
    d->total = -1;
    d->etag[0] = d->sum[0] = '\0';
    if (ftruncate(d->fd, 0) < 0 || lseek(d->fd, 0, SEEK_SET) < 0)
        return err_errno(err, "empty", "the file to download to", errno);
    return 0;
}

/* That of an object in parts may be one of its parts' checksums, "...-3" or not: only the type says. */
static int is_of_whole(const struct reply *r)
{
    return strlen(r->checksum_crc32c) == 8 && (!strchr(r->etag, '-') || strcmp(r->checksum_type, "FULL_OBJECT") == 0);
}

static void learn(struct download *d, const struct reply *r, int64_t had)
{
    if (r->status != 200 && r->status != 206)
        return;
    if (r->content_length >= 0 && d->total < 0)
        d->total = had + r->content_length;
    if (!d->etag[0])
        snprintf(d->etag, sizeof d->etag, "%s", r->etag);
    if (!d->sum[0] && is_of_whole(r))
        snprintf(d->sum, sizeof d->sum, "%s", r->checksum_crc32c);
}

static int ask(struct download *d, int64_t had, struct reply *r, struct bp_err *err)
{
    char range[64], match[160], name[192];
    const char *headers[4] = {"x-amz-checksum-mode: ENABLED"};
    if (had > 0) {
        snprintf(range, sizeof range, "range: bytes=%lld-", (long long)had);
        snprintf(match, sizeof match, "if-match: %s", d->etag);
        headers[1] = range;
        headers[2] = match;
    }
    const struct s3_request q = {.method = "GET",
                                 .bucket = d->o->bucket,
                                 .key = d->key,
                                 .headers = headers,
                                 .to_fd = d->fd,
                                 .max_bytes = INT64_MAX};
    return client_s3(d->o->aws->client, AWS_OP_S3_GET_OBJECT, &q, object_name(d->o, d->key, name), r, err);
}

/*
 * One request. 0: the object is whole; BP_LATER: go on from where the file ends. Without an ETag nobody knows whether
 * the rest is of the same object; a server that ignores Range, or an object that was replaced, begins anew.
 */
static int step(struct download *d, struct bp_err *err)
{
    struct reply r = {0};
    int64_t had = lseek(d->fd, 0, SEEK_CUR);
    if (had > 0 && !d->etag[0]) {
        int rc = rewind_all(d, err);
        if (rc < 0)
            return rc;
        had = 0;
    }
    int rc = ask(d, had, &r, err);
    int status = r.status ? r.status : r.error.http_status;
    int replaced = had > 0 && (status == 412 || status == 416 || (rc == 0 && status != 206));
    if (!replaced)
        learn(d, &r, had);
    reply_free(&r);
    if (replaced)
        return rewind_all(d, err) < 0 ? err->rc
                                      : err_set(err, BP_LATER, "the object was replaced while it was downloaded");
    if (rc < 0)
        return rc;
    int64_t now = lseek(d->fd, 0, SEEK_CUR);
    if (d->total < 0 || now == d->total)
        return 0;
    if (now > d->total && rewind_all(d, err) < 0)
        return err->rc;
    return err_set(err, BP_LATER, "the answer had %lld of %lld bytes", (long long)now, (long long)d->total);
}

static int fetch(struct download *d, struct bp_err *err)
{
    int idle = 0; /* steps in a row that brought nothing */
    for (;;) {
        int64_t had = lseek(d->fd, 0, SEEK_CUR);
        int rc = step(d, err);
        if (rc == 0 || !object_is_transient(rc))
            return rc;
        idle = lseek(d->fd, 0, SEEK_CUR) > had ? 0 : idle + 1;
        if (idle >= OBJECT_TRIES)
            return rc;
        object_rest(d->o, idle + 1);
    }
}

/* Against what S3 keeps, where that is of the whole object. */
static int verify(const struct download *d, struct bp_err *err)
{
    uint32_t crc;
    char text[9];
    if (!d->sum[0] || d->total < 0)
        return 0;
    int rc = crc32c_file(d->fd, 0, d->total, &crc, err);
    if (rc < 0)
        return rc;
    crc32c_text(crc, text);
    if (strcmp(text, d->sum) == 0)
        return 0;
    return err_set(err, BP_IO, "object %.120s arrived damaged (checksum %s, S3 has %s); get it again", d->key, text,
                   d->sum);
}

int object_get(struct objects *o, const char *key, const char *path, struct bp_err *err)
{
    char temp[4200];
    struct download d = {.o = o, .key = key, .total = -1};
    if ((size_t)snprintf(temp, sizeof temp, "%s.%08x%08x", path, arc4random(), arc4random()) >= sizeof temp)
        return err_set(err, BP_INVALID, "the path to write object %.100s to is too long", key);
    d.fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (d.fd < 0)
        return err_errno(err, "make", temp, errno);
    int rc = fetch(&d, err);
    if (rc == 0)
        rc = verify(&d, err);
    if (close(d.fd) < 0 && rc == 0)
        rc = err_errno(err, "write", temp, errno);
    if (rc == 0 && rename(temp, path) < 0)
        rc = err_errno(err, "write", path, errno);
    if (rc < 0)
        unlink(temp);
    return rc;
}
