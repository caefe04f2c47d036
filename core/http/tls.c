/* SPDX-License-Identifier: Apache-2.0 */
#include "http/door.h"
#include "log/err.h"

#include <openssl/err.h>
#include <string.h>

static int refuse(SSL_CTX *ctx, const char *what, const char *path, struct bp_err *err)
{
    unsigned long code = ERR_get_error();
    const char *why = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);

    ERR_clear_error();
    SSL_CTX_free(ctx);
    return err_set(err, BP_INVALID, "%s %s: %s; give a readable PEM file", what, path,
                   why ? why : "OpenSSL does not say why");
}

int tls_load(const struct config *c, SSL_CTX **out, struct bp_err *err)
{
    const char *cert = config_str(c, CONFIG_HTTP_CERT), *key = config_str(c, CONFIG_HTTP_KEY);
    SSL_CTX *ctx;

    *out = NULL;
    if (*cert == '\0' && *key == '\0')
        return 0;
    if (*cert == '\0' || *key == '\0')
        return err_set(err, BP_INVALID, "http.certificate and http.key belong together; set both or none");
    ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return refuse(ctx, "TLS", "context", err);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        return refuse(ctx, "http.certificate", cert, err);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return refuse(ctx, "http.key", key, err);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return refuse(ctx, "http.key", key, err);
    *out = ctx;
    return 0;
}
