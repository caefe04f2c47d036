/* SPDX-License-Identifier: Apache-2.0 */
#include "pluginfile/signature.h"
#include "log/err.h"
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_WORD  "ed25519:"
#define FILE_WORD "file:"

/* ---- text ---- */

/* Exactly `want` bytes from n characters of base64, written in the one way there is. */
static int base64_decode(const char *text, size_t n, unsigned char *out, size_t want)
{
    unsigned char bytes[SIGNATURE_BYTES + 4], again[SIGNATURE_BYTES / 3 * 4 + 8];
    if (n != (want + 2) / 3 * 4 || EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)n) < (int)want)
        return 0;
    if (EVP_EncodeBlock(again, bytes, (int)want) != (int)n || memcmp(again, text, n) != 0)
        return 0;
    memcpy(out, bytes, want);
    return 1;
}

void signature_key_text(const unsigned char key[SIGNATURE_KEY_BYTES], char out[64])
{
    memcpy(out, KEY_WORD, sizeof(KEY_WORD));
    EVP_EncodeBlock((unsigned char *)out + strlen(KEY_WORD), key, SIGNATURE_KEY_BYTES);
}

void signature_message(const char *sha, char out[128])
{
    snprintf(out, 128, SIGNATURE_WORD "\nsha256:%.64s\n", sha);
}

/* The next word of a line. */
static size_t word(const char **at, const char *end)
{
    while (*at < end && (**at == ' ' || **at == '\t'))
        ++*at;
    size_t n = 0;
    while (*at + n < end && (*at)[n] != ' ' && (*at)[n] != '\t' && (*at)[n] != '\r')
        n++;
    return n;
}

static int begins(const char *at, size_t n, const char *with)
{
    size_t len = strlen(with);
    return n > len && memcmp(at, with, len) == 0;
}

int signature_parse(const char *line, size_t n, char sha[65], unsigned char key[SIGNATURE_KEY_BYTES],
                    unsigned char signature[SIGNATURE_BYTES])
{
    char own[SIGNATURE_LINE_MAX + 1];
    if (n > SIGNATURE_LINE_MAX || memchr(line, '\0', n))
        return BP_INVALID;
    memcpy(own, line, n);
    own[n] = '\0';
    const char *at = own, *end = own + n;
    size_t len = word(&at, end);
    if (len == 0 || *at == '#')
        return 0;
    if (len != strlen(SIGNATURE_WORD) || memcmp(at, SIGNATURE_WORD, len) != 0)
        return BP_INVALID;
    at += len;
    len = word(&at, end);
    if (!begins(at, len, "sha256:") || len != 7 + 64 || strspn(at + 7, "0123456789abcdef") != 64)
        return BP_INVALID;
    memcpy(sha, at + 7, 64);
    sha[64] = '\0';
    at += len;
    len = word(&at, end);
    if (!begins(at, len, KEY_WORD) ||
        !base64_decode(at + strlen(KEY_WORD), len - strlen(KEY_WORD), key, SIGNATURE_KEY_BYTES))
        return BP_INVALID;
    at += len;
    len = word(&at, end);
    return base64_decode(at, len, signature, SIGNATURE_BYTES) ? 1 : BP_INVALID;
}

/* ---- who may sign ---- */

static int file_key(const char *path, struct signer *s, struct bp_err *err)
{
    size_t n = sizeof(s->key);
    FILE *f = fopen(path, "re");
    if (!f)
        return err_set(err, BP_IO, "plugins.signers: cannot read %.160s: %s", path, strerror(errno));
    EVP_PKEY *key = PEM_read_PUBKEY(f, NULL, NULL, NULL);
    fclose(f);
    int fine = key && EVP_PKEY_id(key) == EVP_PKEY_ED25519 && EVP_PKEY_get_raw_public_key(key, s->key, &n) == 1;
    EVP_PKEY_free(key);
    if (!fine)
        return err_set(err, BP_INVALID,
                       "plugins.signers: %.160s holds no public Ed25519 key in PEM; bpctl plugin keygen makes a pair",
                       path);
    const char *slash = strrchr(path, '/');
    snprintf(s->name, sizeof(s->name), "%.60s", slash ? slash + 1 : path);
    return BP_OK;
}

static int text_key(const char *text, struct signer *s, struct bp_err *err)
{
    const char *at = text + strlen(KEY_WORD);
    size_t n = strcspn(at, " ");
    if (!base64_decode(at, n, s->key, sizeof(s->key)))
        return err_set(err, BP_INVALID, "plugins.signers: \"%.80s\" is no public key: 44 characters of base64 are",
                       text);
    at += n + strspn(at + n, " ");
    if (*at)
        snprintf(s->name, sizeof(s->name), "%.60s", at);
    else
        signature_key_text(s->key, s->name);
    return BP_OK;
}

static int signer_read(const char *entry, struct signer *s, struct bp_err *err)
{
    if (strncmp(entry, FILE_WORD, strlen(FILE_WORD)) == 0)
        return file_key(entry + strlen(FILE_WORD), s, err);
    if (strncmp(entry, KEY_WORD, strlen(KEY_WORD)) == 0)
        return text_key(entry, s, err);
    return err_set(err, BP_INVALID, "plugins.signers: \"%.80s\" must begin with ed25519: or file:", entry);
}

int signers_read(const char *const *list, uint32_t n, struct signers **out, struct bp_err *err)
{
    *out = NULL;
    struct signers *s = n ? calloc(1, sizeof(*s) + n * sizeof(s->list[0])) : NULL;
    if (n && !s)
        return err_set(err, BP_NOMEM, "no memory for plugins.signers");
    for (uint32_t i = 0; i < n; i++) {
        if (signer_read(list[i], &s->list[s->n++], err) < 0) {
            free(s);
            return err->rc;
        }
    }
    *out = s;
    return BP_OK;
}

size_t signers_bytes(const struct signers *s)
{
    return s ? sizeof(*s) + s->n * sizeof(s->list[0]) : 0;
}

struct signers *signers_copy(const struct signers *s)
{
    struct signers *copy = s ? malloc(signers_bytes(s)) : NULL;
    return copy ? memcpy(copy, s, signers_bytes(s)) : NULL;
}

/* ---- checking ---- */

int signature_fits(const char *sha, const unsigned char key[SIGNATURE_KEY_BYTES],
                   const unsigned char signature[SIGNATURE_BYTES])
{
    char message[128];
    signature_message(sha, message);
    EVP_PKEY *pub = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, SIGNATURE_KEY_BYTES);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int fits = pub && md && EVP_DigestVerifyInit(md, NULL, NULL, NULL, pub) == 1 &&
               EVP_DigestVerify(md, signature, SIGNATURE_BYTES, (const unsigned char *)message, strlen(message)) == 1;
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(pub);
    return fits;
}

static const struct signer *find(const struct signers *s, const unsigned char *key)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (memcmp(s->list[i].key, key, SIGNATURE_KEY_BYTES) == 0)
            return &s->list[i];
    }
    return NULL;
}

/* One line. 1: good; 0: of other content, or blank; else an error in err, which another line may still make good. */
static int line_check(const struct signers *s, const char *line, size_t n, const char *sha, char who[64],
                      struct bp_err *err)
{
    char of[65], key_text[64];
    unsigned char key[SIGNATURE_KEY_BYTES], signature[SIGNATURE_BYTES];
    int rc = signature_parse(line, n, of, key, signature);
    if (rc < 0)
        return err_set(err, BP_INVALID, "cannot be read: \"%.40s\" is no line of it; make it with bpctl plugin sign",
                       n ? line : "");
    if (rc == 0 || strcmp(of, sha) != 0)
        return 0;
    const struct signer *by = find(s, key);
    signature_key_text(key, key_text);
    if (!by)
        return err_set(err, BP_DENIED,
                       "is by %s, who is not in plugins.signers; add that key, or have the file signed by one of them",
                       key_text);
    if (!signature_fits(sha, key, signature))
        return err_set(err, BP_DENIED, "by %.60s does not fit: it was changed; get the file and its signature anew",
                       by->name);
    snprintf(who, 64, "%s", by->name);
    return 1;
}

int signature_check(const struct signers *s, const char *text, size_t n, const char *sha, char who[64],
                    struct bp_err *err)
{
    int worst = 0;
    for (const char *at = text, *end = text + n; at < end;) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        size_t len = nl ? (size_t)(nl - at) : (size_t)(end - at);
        int rc = line_check(s, at, len, sha, who, err);
        if (rc == 1)
            return BP_OK;
        worst = rc < 0 ? rc : worst;
        at += len + 1;
    }
    if (worst < 0)
        return worst;
    return err_set(err, BP_LATER,
                   "is of other content than this (sha256 %.12s...); put the signature of this file there", sha);
}
