/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared files of AWS, and the other text that credentials are made of: nothing is read past its end, what is found
 * was in it, a command's words are no longer than its line.
 */
#include "credentials_priv.h"
#include "ini.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok)
        abort();
}

static void look_up(const struct ini *i, size_t size)
{
    static const char *const kinds[] = {"", "profile", "services"}, *const sections[] = {"default", "p", "s"},
                             *const parents[] = {NULL, "s3"},
                             *const names[] = {"region", "role_arn", "endpoint_url", "s3"};
    for (size_t k = 0; k < 3 * 3 * 2 * 4; k++) {
        const char *v = ini_get(i, kinds[k % 3], sections[k / 3 % 3], parents[k / 9 % 2], names[k / 18]);
        check(!v || strlen(v) < size);
        check(!v || ini_has(i, kinds[k % 3], sections[k / 3 % 3]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bp_err err = {0};
    struct aws_creds set = {0};
    char *words[16];
    char *text = malloc(size + 1);
    char *bare = malloc(size ? size : 1); /* of exactly this size, for the sanitizer */
    if (size) {
        memcpy(text, data, size);
        memcpy(bare, data, size);
    }
    text[size] = '\0';
    struct ini *i = ini_parse(bare, size, &err);
    if (i)
        look_up(i, size);
    ini_free(i);
    container_url_ok(text);
    check(creds_time(text) >= -1);
    if (creds_from_json(text, "Token", &set, &err) == 0)
        check(set.key_id[0] && set.secret[0] && set.expires_ms >= 0);
    int n = process_words(text, words, 16);
    check(n >= -1 && n <= 16);
    for (int k = 0; k < n; k++)
        check(words[k] >= text && words[k] + strlen(words[k]) <= text + size);
    free(bare);
    free(text);
    return 0;
}
