/* SPDX-License-Identifier: Apache-2.0 */
#include "sign.h"

#include "err.h"
#include "file.h"
#include "url.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define OBJECTS_PATH "/objects/"

/* ---- the key file ---- */

static int key_read(int fd, const char *path, struct sign_key *out, struct bp_err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "read", path, errno);
    if (!S_ISREG(st.st_mode) || (st.st_mode & 077) || st.st_uid != geteuid())
        return err_set(err, BP_DENIED,
                       "%s must be a file of this user that nobody else may read; chmod 600 it or remove it", path);
    if (read(fd, out->bytes, SIGN_KEY_BYTES) != SIGN_KEY_BYTES)
        return err_set(err, BP_INVALID, "%s is not a key of %d bytes; remove it to have a new one made", path,
                       SIGN_KEY_BYTES);
    return 0;
}

/* Made under another name and linked: of two who make it at once, both use the one that came first. */
static int key_make(const char *path, struct bp_err *err)
{
    struct sign_key k;
    char temp[PATH_SIZE], letters[17];
    random_hex(letters, 8);
    path_format(temp, "%s.%s", path, letters);
    if (getrandom(k.bytes, sizeof k.bytes, 0) != sizeof k.bytes)
        return err_set(err, BP_FAIL, "the system gives no random bytes");
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "make", temp, errno);
    int bad = file_write_all(fd, k.bytes, sizeof k.bytes) < 0 || fsync(fd) < 0;
    int number = errno;
    close(fd);
    if (!bad && link(temp, path) < 0 && errno != EEXIST) {
        bad = 1;
        number = errno;
    }
    unlink(temp);
    OPENSSL_cleanse(&k, sizeof k);
    if (bad)
        return err_errno(err, "make", path, number);
    file_sync_parent(path);
    return 0;
}

int sign_key_open(const char *path, struct sign_key *out, struct bp_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) {
        int rc = key_make(path, err);
        if (rc < 0)
            return rc;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    }
    if (fd < 0)
        return err_errno(err, "open", path, errno);
    int rc = key_read(fd, path, out, err);
    close(fd);
    return rc;
}

/* ---- keys of objects ---- */

/* Length of the UTF-8 sequence at p, 0 when it is not one (RFC 3629: shortest form, no surrogates, to U+10FFFF). */
static size_t utf8_length(const unsigned char *p)
{
    static const struct {
        unsigned char from, to, second_from, second_to;
        size_t length;
    } rows[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (*p < rows[i].from || *p > rows[i].to)
            continue;
        if (rows[i].length > 1 && (p[1] < rows[i].second_from || p[1] > rows[i].second_to))
            return 0;
        for (size_t j = 2; j < rows[i].length; j++)
            if ((p[j] & 0xc0) != 0x80)
                return 0;
        return rows[i].length;
    }
    return 0;
}

static int is_text(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    while (*p) {
        size_t n = utf8_length(p);
        if (!n || *p < 0x20 || *p == 0x7f)
            return 0;
        p += n;
    }
    return 1;
}

static int is_segment(const char *s, size_t n)
{
    return n > 0 && !(n == 1 && s[0] == '.') && !(n == 2 && s[0] == '.' && s[1] == '.');
}

int object_key_valid(const char *key)
{
    size_t length = key ? strlen(key) : 0;
    if (length < 1 || length > 1024 || !is_text(key))
        return 0;
    for (const char *p = key;; p++) {
        size_t n = strcspn(p, "/");
        if (!is_segment(p, n))
            return 0;
        p += n;
        if (!*p)
            return 1;
    }
}

/* ---- signing ---- */

/* One field a line; none can hold a line break, so no two grants read the same. */
static int signature(const struct sign_key *k, const struct grant *g, char out[SIGN_HEX_SIZE])
{
    char text[1400];
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    int length = snprintf(text, sizeof text, "bp-objects-1\n%s\n%" PRId64 "\n%" PRId64 "\n%s\n%s", g->method,
                          g->expires_s, g->max_bytes, g->mime, g->key);
    if (length < 0 || (size_t)length >= sizeof text ||
        !HMAC(EVP_sha256(), k->bytes, SIGN_KEY_BYTES, (unsigned char *)text, (size_t)length, mac, &n) || n != 32)
        return -1;
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", mac[i]);
    return 0;
}

int sign_url(const struct sign_key *k, const char *base, const struct grant *g, char out[SIGN_URL_SIZE],
             struct bp_err *err)
{
    char key[3 * 1024 + 1], mime[3 * 128 + 1], limit[64] = "", type[sizeof mime + 8] = "", sig[SIGN_HEX_SIZE];
    if (!object_key_valid(g->key) || !is_text(g->mime))
        return err_set(err, BP_INVALID, "an object's key must be UTF-8 without empty, \".\" or \"..\" parts");
    if (url_encode(g->key, 1, key, sizeof key) < 0 || url_encode(g->mime, 0, mime, sizeof mime) < 0 ||
        signature(k, g, sig) < 0)
        return err_set(err, BP_FAIL, "cannot sign a URL for %s", g->key);
    if (g->max_bytes)
        snprintf(limit, sizeof limit, "&max=%" PRId64, g->max_bytes);
    if (g->mime[0])
        snprintf(type, sizeof type, "&mime=%s", mime);
    size_t base_length = strlen(base);
    while (base_length && base[base_length - 1] == '/')
        base_length--;
    int n = snprintf(out, SIGN_URL_SIZE, "%.*s" OBJECTS_PATH "%s?method=%s&expires=%" PRId64 "%s%s&sig=%s",
                     (int)base_length, base, key, g->method, g->expires_s, limit, type, sig);
    if (n < 0 || n >= SIGN_URL_SIZE)
        return err_set(err, BP_INVALID, "the URL for %s is too long", g->key);
    return 0;
}

/* A decimal of 1..18 digits; -1 when it is not one. */
static int64_t decimal(const char *text)
{
    size_t n = strspn(text, "0123456789");
    return n < 1 || n > 18 || text[n] ? -1 : strtoll(text, NULL, 10);
}

static int parse(const char *path_query, struct grant *g, char sig[SIGN_HEX_SIZE])
{
    char number[24];
    size_t skip = strlen(OBJECTS_PATH);
    const char *question = strchr(path_query, '?');
    memset(g, 0, sizeof *g);
    if (!question || strncmp(path_query, OBJECTS_PATH, skip) != 0 || question < path_query + skip)
        return -1;
    const char *query = question + 1;
    if (url_decode(path_query + skip, (size_t)(question - path_query) - skip, g->key, sizeof g->key) < 0 ||
        url_query(query, "method", g->method, sizeof g->method) < 0 ||
        url_query(query, "expires", number, sizeof number) < 0 || (g->expires_s = decimal(number)) < 0 ||
        url_query(query, "sig", sig, SIGN_HEX_SIZE) != SIGN_HEX_SIZE - 1)
        return -1;
    /* Left out means none; who leaves out what was signed does not have the signature for it. */
    if (url_query(query, "max", number, sizeof number) >= 0 && (g->max_bytes = decimal(number)) < 0)
        return -1;
    if (url_query(query, "mime", g->mime, sizeof g->mime) < 0)
        g->mime[0] = 0;
    return object_key_valid(g->key) && is_text(g->mime) && is_text(g->method) ? 0 : -1;
}

int sign_check(const struct sign_key *k, const char *path_query, int64_t now_ms, struct grant *out, struct bp_err *err)
{
    char given[SIGN_HEX_SIZE], right[SIGN_HEX_SIZE];
    if (parse(path_query, out, given) < 0)
        return err_set(err, BP_DENIED, "this is not a signed object URL; ask for a new one");
    if (signature(k, out, right) < 0 || CRYPTO_memcmp(given, right, SIGN_HEX_SIZE) != 0)
        return err_set(err, BP_DENIED, "the signature of this URL is not valid; ask for a new one");
    if (now_ms / 1000 >= out->expires_s)
        return err_set(err, BP_DENIED, "this URL has expired; ask for a new one");
    return 0;
}
