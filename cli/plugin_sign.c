/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_sign.c - bpctl plugin sign and keygen: Ed25519 signatures of plugin files (pluginfile/signature.h). */
#include "plugin.h"

#include "log/err.h"
#include "plugin_file.h"
#include "pluginfile/signature.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES_MAX (SIGNATURE_MAX_BYTES / SIGNATURE_LINE_MAX)

void plugin_sign_details(FILE *out)
{
    fputs("Writes FILE.so.sig beside the file; signatures of the same content by others stay in it.\n\n"
          "      --key FILE   private Ed25519 key in PEM, as bpctl plugin keygen or openssl genpkey makes it\n"
          "      --out FILE   write the signature there instead\n"
          "      --keep       keep signatures of other content too: while a file is being replaced both are good\n\n"
          "Install the signature before the file, or both together: a file whose signature is not there yet waits for\n"
          "it. plugins.signers in the daemon's settings says whose signatures count.\n",
          out);
}

void plugin_keygen_details(FILE *out)
{
    fputs("Prints the public half as plugins.signers takes it. Keep the file away from machines that run bpd.\n\n"
          "      --out FILE   where to (ed25519.pem); an existing file is not touched\n",
          out);
}

static int complain(const struct bp_err *err)
{
    fprintf(stderr, "bpctl: %s\n", err->text);
    return 1;
}

/* ---- options ---- */

struct wish {
    const char *file, *key, *out;
    int keep;
};

static int parse(struct wish *w, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        const char **into = strcmp(argv[i], "--key") == 0 ? &w->key : strcmp(argv[i], "--out") == 0 ? &w->out : NULL;
        if (strcmp(argv[i], "--keep") == 0)
            w->keep = 1;
        else if (into && i + 1 < argc)
            *into = argv[++i];
        else if (into || argv[i][0] == '-' || w->file)
            return -1;
        else
            w->file = argv[i];
    }
    return 0;
}

/* ---- the key ---- */

static EVP_PKEY *key_read(const char *path, struct bp_err *err)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        err_set(err, BP_IO, "cannot read the key %s: %s", path, strerror(errno));
        return NULL;
    }
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    if (key && EVP_PKEY_id(key) == EVP_PKEY_ED25519)
        return key;
    EVP_PKEY_free(key);
    err_set(err, BP_INVALID, "%s holds no private Ed25519 key in PEM; bpctl plugin keygen makes one", path);
    return NULL;
}

static int public_half(EVP_PKEY *key, unsigned char out[SIGNATURE_KEY_BYTES])
{
    size_t n = SIGNATURE_KEY_BYTES;
    return EVP_PKEY_get_raw_public_key(key, out, &n) == 1 && n == SIGNATURE_KEY_BYTES;
}

/* ---- the signature's file ---- */

struct lines {
    char text[LINES_MAX][SIGNATURE_LINE_MAX + 1];
    int n;
};

/* Keeps of an existing file what is of this content by others, and with `keep` all that is of other content. */
static void lines_take(struct lines *l, const char *path, const char *sha, const unsigned char *key, int keep)
{
    char line[SIGNATURE_LINE_MAX + 2], of[65];
    unsigned char by[SIGNATURE_KEY_BYTES], signature[SIGNATURE_BYTES];
    FILE *f = fopen(path, "re");
    while (f && l->n < LINES_MAX - 1 && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        if (signature_parse(line, strlen(line), of, by, signature) != 1)
            continue;
        int same = strcmp(of, sha) == 0;
        if ((same && memcmp(by, key, SIGNATURE_KEY_BYTES) != 0) || (!same && keep))
            snprintf(l->text[l->n++], sizeof l->text[0], "%.*s", SIGNATURE_LINE_MAX, line);
    }
    if (f)
        fclose(f);
}

static int lines_write(const struct lines *l, const char *path, struct bp_err *err)
{
    char temp[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int dir = slash ? (int)(slash - path) + 1 : 0;
    if (snprintf(temp, sizeof temp, "%.*s.%s.new", dir, path, path + dir) >= (int)sizeof temp)
        return err_set(err, BP_INVALID, "the path %.80s... is too long", path);
    FILE *f = fopen(temp, "we");
    int bad = !f;
    for (int i = 0; f && i < l->n; i++)
        bad |= fprintf(f, "%s\n", l->text[i]) < 0;
    if (f)
        bad |= fclose(f) != 0;
    if (!bad && rename(temp, path) == 0)
        return BP_OK;
    int why = errno;
    unlink(temp);
    return err_set(err, BP_IO, "cannot write %s: %s", path, strerror(why));
}

static int sign(EVP_PKEY *key, const char *sha, unsigned char out[SIGNATURE_BYTES])
{
    char message[128];
    size_t n = SIGNATURE_BYTES;
    signature_message(sha, message);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int ok = md && EVP_DigestSignInit(md, NULL, NULL, NULL, key) == 1 &&
             EVP_DigestSign(md, out, &n, (const unsigned char *)message, strlen(message)) == 1 && n == SIGNATURE_BYTES;
    EVP_MD_CTX_free(md);
    return ok;
}

static int line_make(EVP_PKEY *key, const char *sha, char line[SIGNATURE_LINE_MAX + 1], struct bp_err *err)
{
    unsigned char pub[SIGNATURE_KEY_BYTES], signature[SIGNATURE_BYTES];
    char who[64], base64[SIGNATURE_BYTES / 3 * 4 + 8];
    if (!public_half(key, pub) || !sign(key, sha, signature))
        return err_set(err, BP_FAIL, "OpenSSL cannot sign with this key");
    signature_key_text(pub, who);
    EVP_EncodeBlock((unsigned char *)base64, signature, SIGNATURE_BYTES);
    snprintf(line, SIGNATURE_LINE_MAX + 1, SIGNATURE_WORD " sha256:%s %s %s", sha, who, base64);
    return BP_OK;
}

static int sign_file(const struct wish *w, const struct plugin_file *f, EVP_PKEY *key, int json, struct bp_err *err)
{
    static struct lines l;
    char path[PATH_MAX], who[64];
    unsigned char pub[SIGNATURE_KEY_BYTES];
    if (!f->manifest)
        return err_set(err, BP_INVALID, "%s is no plugin: %s", w->file, f->wrong.text);
    if (snprintf(path, sizeof path, "%s%s", w->out ? w->out : f->path, w->out ? "" : SIGNATURE_ENDING) >=
        (int)sizeof path)
        return err_set(err, BP_INVALID, "the path %.80s... is too long", f->path);
    if (!public_half(key, pub))
        return err_set(err, BP_FAIL, "OpenSSL cannot use this key");
    lines_take(&l, path, f->sha, pub, w->keep);
    if (line_make(key, f->sha, l.text[l.n], err) < 0)
        return err->rc;
    l.n++;
    if (lines_write(&l, path, err) < 0)
        return err->rc;
    signature_key_text(pub, who);
    if (json)
        printf("{\"signature\": \"%s\", \"sha256\": \"%s\", \"signer\": \"%s\"}\n", path, f->sha, who);
    else
        printf("%s: signed by %s\n", path, who);
    return BP_OK;
}

int plugin_sign(int argc, char **argv, int json)
{
    struct wish w = {0};
    struct plugin_file f = {0};
    struct bp_err err = {0};
    if (parse(&w, argc, argv) < 0 || !w.file || !w.key)
        return 2;
    EVP_PKEY *key = key_read(w.key, &err);
    int rc = key ? plugin_file_open(&f, w.file, &err) : err.rc;
    if (rc == BP_OK)
        rc = sign_file(&w, &f, key, json, &err);
    plugin_file_close(&f);
    EVP_PKEY_free(key);
    return rc < 0 ? complain(&err) : 0;
}

/* ---- keygen ---- */

static int key_write(EVP_PKEY *key, const char *path, struct bp_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f) {
        int why = errno;
        if (fd >= 0)
            close(fd);
        return err_set(err, BP_IO, "cannot make %s: %s%s", path, strerror(why),
                       why == EEXIST ? "; name another file with --out" : "");
    }
    int ok = PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1;
    if (fclose(f) == 0 && ok)
        return BP_OK;
    unlink(path);
    return err_set(err, BP_IO, "cannot write %s: %s", path, strerror(errno));
}

int plugin_keygen(int argc, char **argv, int json)
{
    struct wish w = {.out = "ed25519.pem"};
    struct bp_err err = {0};
    unsigned char pub[SIGNATURE_KEY_BYTES];
    char who[64];
    if (parse(&w, argc, argv) < 0 || w.file || w.key || w.keep)
        return 2;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    int rc =
        key && public_half(key, pub) ? key_write(key, w.out, &err) : err_set(&err, BP_FAIL, "OpenSSL makes no key");
    EVP_PKEY_free(key);
    if (rc < 0)
        return complain(&err);
    signature_key_text(pub, who);
    if (json)
        printf("{\"key\": \"%s\", \"signer\": \"%s\"}\n", w.out, who);
    else
        printf("%s holds the private key. For the settings of daemons:\n  \"plugins\": {\"signers\": [\"%s NAME\"]}\n",
               w.out, who);
    return 0;
}
