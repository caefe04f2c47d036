/* SPDX-License-Identifier: Apache-2.0 */
/* asset_proof.c - whether a content is what its name says. */
#include "assets/asset_cache.h"
#include "log/err.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_BYTES (1024 * 1024) /* some milliseconds of reading and hashing */

struct asset_proof {
    EVP_MD_CTX *md;
    int fd, failed;
    struct stat began; /* of the file */
    int64_t bytes;
    char *piece;
};

struct asset_proof *asset_proof_new(int fd)
{
    struct asset_proof *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->fd = fd;
    p->md = EVP_MD_CTX_new();
    p->failed = fd >= 0 && fstat(fd, &p->began) < 0;
    p->piece = fd >= 0 ? malloc(STEP_BYTES) : NULL;
    if (p->md && EVP_DigestInit_ex(p->md, EVP_sha256(), NULL) == 1 && (fd < 0 || p->piece))
        return p;
    asset_proof_free(p);
    return NULL;
}

void asset_proof_free(struct asset_proof *p)
{
    if (!p)
        return;
    EVP_MD_CTX_free(p->md);
    free(p->piece);
    free(p);
}

void asset_proof_add(struct asset_proof *p, const void *bytes, size_t n)
{
    p->failed |= EVP_DigestUpdate(p->md, bytes, n) != 1;
    p->bytes += (int64_t)n;
}

int64_t asset_proof_bytes(const struct asset_proof *p)
{
    return p->bytes;
}

void asset_proof_restart(struct asset_proof *p)
{
    p->failed = EVP_DigestInit_ex(p->md, EVP_sha256(), NULL) != 1;
    p->bytes = 0;
}

/* What was read then may not be what is there now. */
static int has_changed(const struct asset_proof *p)
{
    struct stat st;
    return fstat(p->fd, &st) < 0 || st.st_size != p->began.st_size || st.st_mtim.tv_sec != p->began.st_mtim.tv_sec ||
           st.st_mtim.tv_nsec != p->began.st_mtim.tv_nsec;
}

int asset_proof_step(struct asset_proof *p, struct bp_err *err)
{
    ssize_t n;
    do
        n = pread(p->fd, p->piece, STEP_BYTES, p->bytes);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_set(err, BP_IO, "read it: %s", strerror(errno));
    if (n == 0 && has_changed(p))
        return err_set(err, BP_IO, "it changed while it was read");
    if (n > 0)
        asset_proof_add(p, p->piece, (size_t)n);
    return n > 0;
}

int asset_proof_end(struct asset_proof *p, const struct asset *a, struct bp_err *err)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    char hex[65];
    if (p->failed || EVP_DigestFinal_ex(p->md, sum, NULL) != 1)
        return err_set(err, BP_FAIL, "its SHA-256 cannot be made");
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * (size_t)i, 3, "%02x", sum[i]);
    if (p->bytes != a->bytes)
        return err_set(err, BP_INVALID, "it has %" PRId64 " bytes, but the manifest says %" PRId64, p->bytes, a->bytes);
    if (strcmp(hex, a->sha256) != 0)
        return err_set(err, BP_INVALID, "its SHA-256 is %.16s..., but the manifest says %.16s...", hex, a->sha256);
    return BP_OK;
}
