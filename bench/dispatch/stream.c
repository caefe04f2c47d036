/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static char trouble[256];

SSL_CTX *stream_tls(const char *authorities, bool insecure, char *why, size_t cap)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    int good = tls != NULL;
    if (good && authorities)
        good = SSL_CTX_load_verify_locations(tls, authorities, NULL);
    else if (good)
        good = SSL_CTX_set_default_verify_paths(tls);
    if (!good) {
        snprintf(why, cap, "cannot read certificates of authorities from %s: %s; name a PEM file with --ca",
                 authorities ? authorities : "the system", ERR_reason_error_string(ERR_get_error()));
        SSL_CTX_free(tls);
        return NULL;
    }
    SSL_CTX_set_verify(tls, insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return tls;
}

/* The certificate must be for this name, or this address. */
static int expect_name(SSL *ssl, const char *name)
{
    unsigned char address[16];
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
    return SSL_set1_host(ssl, name) && SSL_set_tlsext_host_name(ssl, name);
}

int stream_start(struct stream *s, SSL_CTX *tls, const char *name)
{
    s->wants_write = true;
    if (!tls)
        return 0;
    s->ssl = SSL_new(tls);
    if (!s->ssl || !expect_name(s->ssl, name) || !SSL_set_fd(s->ssl, s->fd))
        return -1;
    SSL_set_connect_state(s->ssl);
    return 0;
}

/* What a return value of SSL_read or SSL_write means here. */
static ssize_t tls_result(struct stream *s, int n)
{
    if (n > 0)
        return n;
    int error = SSL_get_error(s->ssl, n);
    if (error == SSL_ERROR_WANT_WRITE)
        s->wants_write = true;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return 0;
    if (error == SSL_ERROR_SYSCALL && errno == ENOTCONN) { /* connect() is under way */
        s->wants_write = true;
        return 0;
    }
    long verified = SSL_get_verify_result(s->ssl);
    unsigned long code = ERR_get_error();
    if (code)
        snprintf(trouble, sizeof trouble, "TLS: %s",
                 verified != X509_V_OK ? X509_verify_cert_error_string(verified) : ERR_reason_error_string(code));
    ERR_clear_error();
    return -1;
}

static int at_most(size_t n)
{
    return n > INT_MAX ? INT_MAX : (int)n;
}

ssize_t stream_send(struct stream *s, const char *bytes, size_t n)
{
    s->wants_write = false;
    if (s->ssl)
        return tls_result(s, SSL_write(s->ssl, bytes, at_most(n)));
    ssize_t sent = send(s->fd, bytes, n, MSG_NOSIGNAL);
    if (sent >= 0)
        return sent;
    s->wants_write = errno == EAGAIN || errno == ENOTCONN || errno == EINTR;
    return s->wants_write ? 0 : -1;
}

ssize_t stream_receive(struct stream *s, char *bytes, size_t n)
{
    if (s->ssl)
        return tls_result(s, SSL_read(s->ssl, bytes, at_most(n)));
    ssize_t got = recv(s->fd, bytes, n, 0);
    if (got > 0)
        return got;
    return got < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN) ? 0 : -1;
}

const char *stream_trouble(void)
{
    return trouble;
}

void stream_close(struct stream *s)
{
    SSL_free(s->ssl);
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct stream){.fd = -1};
}
