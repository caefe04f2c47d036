/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "pluginfile/signature.h"
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHA   "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* Somebody who signs. */
struct person {
    EVP_PKEY *key;
    unsigned char pub[SIGNATURE_KEY_BYTES];
    char text[64];
};

static struct person person_new(void)
{
    struct person p = {.key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
    size_t n = sizeof p.pub;
    assert_non_null(p.key);
    assert_int_equal(EVP_PKEY_get_raw_public_key(p.key, p.pub, &n), 1);
    signature_key_text(p.pub, p.text);
    return p;
}

/* Appends the line of a person for a content. */
static void sign(const struct person *p, const char *sha, char *text, size_t size)
{
    char message[128], base64[100];
    unsigned char signature[SIGNATURE_BYTES];
    size_t n = sizeof signature, len = strlen(text);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    signature_message(sha, message);
    assert_int_equal(EVP_DigestSignInit(md, NULL, NULL, NULL, p->key), 1);
    assert_int_equal(EVP_DigestSign(md, signature, &n, (const unsigned char *)message, strlen(message)), 1);
    EVP_MD_CTX_free(md);
    EVP_EncodeBlock((unsigned char *)base64, signature, SIGNATURE_BYTES);
    snprintf(text + len, size - len, SIGNATURE_WORD " sha256:%s %s %s\n", sha, p->text, base64);
}

static struct signers *trust(const char *a, const char *b)
{
    const char *list[] = {a, b};
    struct signers *s = NULL;
    struct bp_err err = {0};
    assert_int_equal(signers_read(list, b ? 2 : 1, &s, &err), BP_OK);
    return s;
}

static int check(const struct signers *s, const char *text, const char *sha, struct bp_err *err)
{
    char who[64];
    memset(err, 0, sizeof *err);
    return signature_check(s, text, strlen(text), sha, who, err);
}

static void good_signature_of_a_trusted_signer_is_taken_and_named(void **state)
{
    char text[2048] = "# release 7\n\n", who[64], entry[128];
    struct bp_err err = {0};
    struct person p = person_new();
    (void)state;
    sign(&p, SHA, text, sizeof text);
    snprintf(entry, sizeof entry, "%s release team", p.text);
    struct signers *s = trust(entry, NULL);
    assert_int_equal(signature_check(s, text, strlen(text), SHA, who, &err), BP_OK);
    assert_string_equal(who, "release team");
    text[strlen(text) - 1] = '\0'; /* without the last newline */
    assert_int_equal(check(s, text, SHA, &err), BP_OK);
    free(s);
    EVP_PKEY_free(p.key);
}

static void signature_of_other_content_may_still_be_followed_by_the_right_one(void **state)
{
    char text[2048] = "";
    struct bp_err err;
    struct person p = person_new();
    struct signers *s = trust(p.text, NULL);
    (void)state;
    assert_int_equal(check(s, "", SHA, &err), BP_LATER);
    sign(&p, OTHER, text, sizeof text);
    assert_int_equal(check(s, text, SHA, &err), BP_LATER);
    assert_non_null(strstr(err.text, "other content"));
    sign(&p, SHA, text, sizeof text); /* a file and its replacement */
    assert_int_equal(check(s, text, SHA, &err), BP_OK);
    assert_int_equal(check(s, text, OTHER, &err), BP_OK);
    free(s);
    EVP_PKEY_free(p.key);
}

static void stranger_is_refused_and_named_unless_a_trusted_one_signed_too(void **state)
{
    char text[2048] = "";
    struct bp_err err;
    struct person p = person_new(), q = person_new();
    struct signers *s = trust(p.text, NULL);
    (void)state;
    sign(&q, SHA, text, sizeof text);
    assert_int_equal(check(s, text, SHA, &err), BP_DENIED);
    assert_non_null(strstr(err.text, q.text));
    sign(&p, SHA, text, sizeof text);
    assert_int_equal(check(s, text, SHA, &err), BP_OK);
    free(s);
    EVP_PKEY_free(p.key);
    EVP_PKEY_free(q.key);
}

/* Every character of a line matters: no change of one leaves a good signature. */
static void no_changed_line_is_good(void **state)
{
    char text[2048] = "";
    struct bp_err err;
    struct person p = person_new();
    struct signers *s = trust(p.text, NULL);
    (void)state;
    sign(&p, SHA, text, sizeof text);
    size_t n = strlen(text) - 1;
    for (size_t i = 0; i < n; i++) {
        char was = text[i];
        if (was == ' ')
            continue;
        text[i] = was == 'A' ? 'B' : 'A';
        assert_int_not_equal(check(s, text, SHA, &err), BP_OK);
        text[i] = was;
    }
    for (size_t len = 0; len < n; len++)
        assert_int_not_equal(signature_check(s, text, len, SHA, (char[64]){0}, &err), BP_OK);
    assert_int_equal(check(s, text, SHA, &err), BP_OK);
    free(s);
    EVP_PKEY_free(p.key);
}

/* A signature by p does not become q's by writing q's key beside it. */
static void signature_belongs_to_its_key(void **state)
{
    char text[2048] = "", *at;
    struct bp_err err;
    struct person p = person_new(), q = person_new();
    struct signers *s = trust(p.text, q.text);
    (void)state;
    sign(&p, SHA, text, sizeof text);
    at = strstr(text, p.text);
    memcpy(at, q.text, strlen(q.text));
    assert_int_equal(check(s, text, SHA, &err), BP_DENIED);
    assert_non_null(strstr(err.text, "does not fit"));
    free(s);
    EVP_PKEY_free(p.key);
    EVP_PKEY_free(q.key);
}

static void nonsense_is_told(void **state)
{
    struct bp_err err;
    struct person p = person_new();
    struct signers *s = trust(p.text, NULL);
    char large[5000], who[64];
    (void)state;
    assert_int_equal(check(s, "-----BEGIN SIGNATURE-----\n", SHA, &err), BP_INVALID);
    assert_non_null(strstr(err.text, "bpctl plugin sign"));
    memset(large, 'x', sizeof large);
    assert_int_equal(signature_check(s, large, sizeof large, SHA, who, &err), BP_INVALID);
    memset(large, 0, sizeof large);
    assert_int_equal(signature_check(s, large, sizeof large, SHA, who, &err), BP_INVALID);
    free(s);
    EVP_PKEY_free(p.key);
}

static void wrong_entry_of_the_setting_is_named(void **state)
{
    static const char *const wrong[] = {"",
                                        "release",
                                        "ed25519:",
                                        "ed25519:AAAA",
                                        "ed25519:!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!=",
                                        "rsa:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                                        "file:/nonexistent/key.pem",
                                        "file:private.pem"};
    struct person p = person_new();
    FILE *f = fopen("private.pem", "w");
    (void)state;
    PEM_write_PrivateKey(f, p.key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct signers *s = NULL;
        struct bp_err err = {0};
        assert_true(signers_read(&wrong[i], 1, &s, &err) < 0);
        assert_null(s);
        assert_non_null(strstr(err.text, "plugins.signers"));
    }
    EVP_PKEY_free(p.key);
}

static void key_may_stand_in_a_file(void **state)
{
    char text[2048] = "", who[64];
    const char *entry = "file:signer.pem";
    struct signers *s = NULL;
    struct bp_err err = {0};
    struct person p = person_new();
    FILE *f = fopen("signer.pem", "w");
    (void)state;
    PEM_write_PUBKEY(f, p.key);
    fclose(f);
    sign(&p, SHA, text, sizeof text);
    assert_int_equal(signers_read(&entry, 1, &s, &err), BP_OK);
    assert_int_equal(signature_check(s, text, strlen(text), SHA, who, &err), BP_OK);
    assert_string_equal(who, "signer.pem");
    struct signers *copy = signers_copy(s);
    assert_memory_equal(copy, s, signers_bytes(s));
    free(copy);
    free(s);
    EVP_PKEY_free(p.key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_signature_of_a_trusted_signer_is_taken_and_named),
        cmocka_unit_test(signature_of_other_content_may_still_be_followed_by_the_right_one),
        cmocka_unit_test(stranger_is_refused_and_named_unless_a_trusted_one_signed_too),
        cmocka_unit_test(no_changed_line_is_good),
        cmocka_unit_test(signature_belongs_to_its_key),
        cmocka_unit_test(nonsense_is_told),
        cmocka_unit_test(wrong_entry_of_the_setting_is_named),
        cmocka_unit_test(key_may_stand_in_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
