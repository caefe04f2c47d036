/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h - the bytes of one connection, plain or within TLS, never blocking. */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/types.h>

struct stream {
    int fd; /* -1: not connected */
    SSL *ssl;
    bool wants_write; /* the last send waits until the socket takes more */
};

/* Settings of TLS: the server's name is checked against its certificate, by the system's authorities or those of a
 * file. insecure: whoever answers is believed. NULL, with a sentence in `why`, when the file cannot be used. */
SSL_CTX *stream_tls(const char *authorities, bool insecure, char *why, size_t cap);
/* Starts a connection on s->fd, within TLS when tls is given. -1 when there is no memory. */
int stream_start(struct stream *s, SSL_CTX *tls, const char *name);
/* Bytes sent or received; 0: later; -1: the connection is at its end. */
ssize_t stream_send(struct stream *s, const char *bytes, size_t n);
ssize_t stream_receive(struct stream *s, char *bytes, size_t n);
/* Why TLS failed last, in words; "" when it did not. */
const char *stream_trouble(void);
void stream_close(struct stream *s);

#endif
