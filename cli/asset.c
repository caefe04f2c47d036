/* SPDX-License-Identifier: Apache-2.0 */
#include "asset.h"

#include "log/err.h"
#include "log/json.h"
#include "pluginfile/asset.h"
#include "transfer.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE (1024 * 1024)

void asset_put_help(FILE *out)
{
    fputs("Usage: bpctl asset put FILE [NAME]\n"
          "Puts a file (a model, say) into the objects service under its SHA-256, and prints\n"
          "the entry for \"assets\" of a workflow. NAME: what jobs find it as (the file's own name).\n",
          out);
}

struct digest {
    char hex[65];
    int64_t bytes;
};

static int pump(int fd, EVP_MD_CTX *md, struct digest *out, const char *path, struct bp_err *err)
{
    char *piece = malloc(PIECE);
    ssize_t n = piece ? 1 : -1;
    while (n > 0) {
        n = read(fd, piece, PIECE);
        if (n > 0 && EVP_DigestUpdate(md, piece, (size_t)n) != 1)
            break;
        out->bytes += n > 0 ? n : 0;
    }
    free(piece);
    return n == 0 ? BP_OK : err_set(err, BP_IO, "cannot read %s: %s", path, strerror(errno));
}

static int digest_file(const char *path, struct digest *out, struct bp_err *err)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, BP_IO, "cannot read %s: %s", path, strerror(errno));
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int rc = BP_OK;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        rc = err_set(err, BP_INVALID, "cannot put %s: it is no regular file", path);
    else if (st.st_size == 0)
        rc = err_set(err, BP_INVALID, "cannot put %s: it is empty", path);
    else if (!md || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
        rc = err_set(err, BP_NOMEM, "no memory to hash %s", path);
    rc = rc ? rc : pump(fd, md, out, path, err);
    if (rc == BP_OK && EVP_DigestFinal_ex(md, sum, NULL) != 1)
        rc = err_set(err, BP_FAIL, "cannot hash %s", path);
    for (size_t i = 0; rc == BP_OK && i < 32; i++)
        snprintf(out->hex + 2 * i, 3, "%02x", sum[i]);
    EVP_MD_CTX_free(md);
    close(fd);
    return rc;
}

/* The entry, checked as the host checks a manifest's. json_object_put() it. */
static struct json_object *make_entry(const char *name, const char *object, const struct digest *d, struct bp_err *err)
{
    struct json_object *o = json_object_new_object(), *list = json_object_new_array();
    json_put_str(o, "name", name);
    json_put_str(o, "object", object);
    json_put_str(o, "sha256", d->hex);
    json_put_int(o, "bytes", d->bytes);
    json_object_array_add(list, json_object_get(o));
    if (assets_check(list, err) < 0) {
        err_prefix(err, "give another NAME: ");
        json_object_put(o);
        o = NULL;
    }
    json_object_put(list);
    return o;
}

/* Asks where to, and puts it there unless it is there. */
static int upload(struct client *c, const char *path, const struct digest *d, struct bp_err *err)
{
    struct json_object *params = json_object_new_object(), *body = json_object_new_object(), *fields = NULL;
    json_put_str(body, "sha256", d->hex);
    json_put_int(body, "bytes", d->bytes);
    json_object_object_add(params, "body", body);
    struct json_object *r = client_call(c, "asset.upload", params, &fields, err);
    client_print_fields(fields, stderr);
    json_object_put(fields);
    if (!r)
        return err->rc;
    const char *url = json_str(r, "upload_url", NULL);
    int rc = url ? transfer_put(url, path, NULL, err) : BP_OK;
    json_object_put(r);
    return rc;
}

int asset_put(struct client *c, int argc, char **argv)
{
    struct bp_err err = {0};
    struct digest d = {.bytes = 0};
    char object[128];
    if (argc < 1 || argc > 2 || argv[0][0] == '-') {
        fputs("usage: bpctl asset put FILE [NAME]\n", stderr);
        return 2;
    }
    const char *slash = strrchr(argv[0], '/'), *name = argc > 1 ? argv[1] : slash ? slash + 1 : argv[0];
    struct json_object *entry = NULL;
    if (digest_file(argv[0], &d, &err) == BP_OK) {
        snprintf(object, sizeof object, ASSET_PREFIX "%s", d.hex);
        entry = make_entry(name, object, &d, &err);
    }
    if (entry && upload(c, argv[0], &d, &err) == BP_OK)
        printf("%s\n", json_text(entry));
    json_object_put(entry);
    if (err.rc)
        fprintf(stderr, "bpctl: %s\n", err.text);
    return err.rc ? 1 : 0;
}
