/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signature.h - is a plugin file from somebody the operator trusts? Ed25519 over the SHA-256 of its content.
 *
 * The signature stands beside the file, in FILE.so.sig: one line for each signer and content, so that a file that is
 * about to be replaced and its replacement can both be signed at the same time:
 *
 *   bpd-plugin-1 sha256:<64 hex digits> ed25519:<base64 of the public key> <base64 of the signature>
 *
 * What is signed is the text of signature_message(). Blank lines and those that begin with # are ignored. Any thread.
 */
#ifndef PLUGINFILE_SIGNATURE_H
#define PLUGINFILE_SIGNATURE_H

#include <bp/plugin.h>

#define SIGNATURE_ENDING    ".sig"
#define SIGNATURE_MAX_BYTES 16384
#define SIGNATURE_WORD      "bpd-plugin-1"
#define SIGNATURE_KEY_BYTES 32
#define SIGNATURE_BYTES     64
#define SIGNATURE_LINE_MAX  400

/* Who may sign. */
struct signer {
    unsigned char key[SIGNATURE_KEY_BYTES];
    char name[64]; /* for people; "ed25519:..." when none was given */
};
struct signers {
    uint32_t n;
    struct signer list[];
};

/*
 * From the setting plugins.signers: each "ed25519:BASE64 [NAME]", or "file:PATH" of a public key in PEM. *out: NULL for
 * an empty list, else free() it (and copy it as bytes, signers_bytes()). BP_INVALID, BP_IO, with the entry. Reads
 * files.
 */
int signers_read(const char *const *list, uint32_t n, struct signers **out, struct bp_err *err);
size_t signers_bytes(const struct signers *s);
struct signers *signers_copy(const struct signers *s);

/*
 * Does `text` (n bytes of a .sig file) hold a good signature of this content by one of s? who: the signer's name.
 * BP_OK; BP_LATER: it speaks of other content only, so the right one may be on its way; BP_DENIED: signed by a
 * stranger, or the signature does not fit; BP_INVALID: not such a text. The sentence continues "its signature ".
 */
int signature_check(const struct signers *s, const char *text, size_t n, const char *sha, char who[64],
                    struct bp_err *err);

/* The bytes that are signed, NUL-terminated, for a content's SHA-256 in hex. */
void signature_message(const char *sha, char out[128]);
/* One line of a .sig file, parsed: 1, 0 blank, BP_INVALID. sha: 65 bytes. */
int signature_parse(const char *line, size_t n, char sha[65], unsigned char key[SIGNATURE_KEY_BYTES],
                    unsigned char signature[SIGNATURE_BYTES]);
/* "ed25519:BASE64". */
void signature_key_text(const unsigned char key[SIGNATURE_KEY_BYTES], char out[64]);
/* Is this the signature of that content by that key? */
int signature_fits(const char *sha, const unsigned char key[SIGNATURE_KEY_BYTES],
                   const unsigned char signature[SIGNATURE_BYTES]);

#endif
