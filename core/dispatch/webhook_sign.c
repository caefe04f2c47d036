/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/webhook_sign.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* HMAC-SHA256 fails only without memory, as any other allocation here. */
static void hmac(const void *key, size_t n_key, const char *text, size_t n, unsigned char out[WEBHOOK_KEY_BYTES])
{
    unsigned int length = 0;
    assert(HMAC(EVP_sha256(), key, (int)n_key, (const unsigned char *)text, n, out, &length));
    assert(length == WEBHOOK_KEY_BYTES);
}

void webhook_key_derive(const char *secret, const char *tenant, int32_t version, struct webhook_key *out)
{
    static const char LABEL[] = "bpd webhook"; /* its NUL counts */
    size_t n_tenant = strlen(tenant) + 1;
    char *text = malloc(sizeof LABEL + n_tenant + 16);
    assert(text);
    memcpy(text, LABEL, sizeof LABEL);
    memcpy(text + sizeof LABEL, tenant, n_tenant);
    size_t n = sizeof LABEL + n_tenant;
    n += (size_t)snprintf(text + n, 16, "%d", version);
    hmac(secret, strlen(secret), text, n, out->bytes);
    free(text);
}

void webhook_key_text(const struct webhook_key *key, char out[WEBHOOK_KEY_TEXT_SIZE])
{
    static const char PREFIX[] = "whsec_";
    memcpy(out, PREFIX, sizeof PREFIX);
    EVP_EncodeBlock((unsigned char *)out + sizeof PREFIX - 1, key->bytes, WEBHOOK_KEY_BYTES);
}

void webhook_key_wipe(struct webhook_key *key)
{
    OPENSSL_cleanse(key, sizeof *key);
}

void webhook_sign(const struct webhook_message *m, const struct webhook_key *key, char out[WEBHOOK_SIGNATURE_SIZE])
{
    unsigned char mac[WEBHOOK_KEY_BYTES], text[WEBHOOK_KEY_TEXT_SIZE];
    size_t room = strlen(m->id) + strlen(m->body) + 32, used = strlen(out);
    char *content = malloc(room);
    assert(content);
    int n = snprintf(content, room, "%s.%lld.%s", m->id, (long long)m->timestamp_s, m->body);
    hmac(key->bytes, sizeof key->bytes, content, (size_t)n, mac);
    free(content);
    EVP_EncodeBlock(text, mac, sizeof mac);
    snprintf(out + used, WEBHOOK_SIGNATURE_SIZE - used, "%sv1,%s", used ? " " : "", (const char *)text);
}
