/* SPDX-License-Identifier: Apache-2.0 */
#include "http/rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct client *client_open(struct rig *r)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(r->port)};
    struct timeval patience = {.tv_sec = 20};
    struct client *c = calloc(1, sizeof(*c));

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return c;
}

struct client *client_open_tls(struct rig *r)
{
    struct client *c = client_open(r);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);

    SSL_CTX_free(ctx);
    SSL_set_fd(ssl, c->fd);
    assert_int_equal(SSL_connect(ssl), 1);
    c->ssl = ssl;
    return c;
}

void client_close(struct client *c)
{
    if (c->ssl)
        SSL_free(c->ssl);
    close(c->fd);
    free(c->bytes);
    free(c);
}

void client_send(struct client *c, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t w = c->ssl ? SSL_write(c->ssl, text, (int)n) : send(c->fd, text, n, MSG_NOSIGNAL);
        if (w <= 0)
            return; /* the server closed: the reply tells */
        text += w;
        n -= (size_t)w;
    }
}

void client_puts(struct client *c, const char *text)
{
    client_send(c, text, strlen(text));
}

/* 1, or 0 at the end of the connection. */
static int receive(struct client *c)
{
    ssize_t r;

    c->bytes = realloc(c->bytes, c->n + 65537);
    r = c->ssl ? SSL_read(c->ssl, c->bytes + c->n, 65536) : recv(c->fd, c->bytes + c->n, 65536, 0);
    if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && !c->ssl)
        fail_msg("no answer within 20 s");
    if (r <= 0)
        return 0;
    c->n += (size_t)r;
    c->bytes[c->n] = '\0';
    return 1;
}

int client_until(struct client *c, const char *what)
{
    while (!c->bytes || !memmem(c->bytes, c->n, what, strlen(what)))
        if (!receive(c))
            return 0;
    return 1;
}

static void use(struct client *c, size_t n)
{
    memmove(c->bytes, c->bytes + n, c->n - n + 1);
    c->n -= n;
}

static void read_sized(struct client *c, struct reply *r, size_t n)
{
    while (c->n < n && receive(c))
        ;
    r->closed = c->n < n;
    r->n = c->n < n ? c->n : n;
    r->body = strndup("", 0);
    r->body = realloc(r->body, r->n + 1);
    memcpy(r->body, c->bytes, r->n);
    r->body[r->n] = '\0';
    use(c, r->n);
}

static void read_chunks(struct client *c, struct reply *r)
{
    for (;;) {
        size_t n, line;
        if (!client_until(c, "\r\n")) {
            r->closed = 1;
            return;
        }
        n = strtoul(c->bytes, NULL, 16);
        line = (size_t)(strstr(c->bytes, "\r\n") - c->bytes) + 2;
        while (c->n < line + n + 2 && receive(c))
            ;
        r->body = realloc(r->body, r->n + n + 1);
        memcpy(r->body + r->n, c->bytes + line, n);
        r->n += n;
        r->body[r->n] = '\0';
        use(c, line + n + 2);
        if (n == 0)
            return;
    }
}

struct reply *client_read(struct client *c, int for_head)
{
    struct reply *r = calloc(1, sizeof(*r));
    size_t n;

    if (!client_until(c, "\r\n\r\n")) {
        r->closed = 1;
        return r;
    }
    n = (size_t)(strstr(c->bytes, "\r\n\r\n") - c->bytes) + 2;
    r->head = strndup(c->bytes, n);
    r->status = atoi(r->head + 9);
    use(c, n + 2);
    if (for_head || r->status == 204 || r->status == 304 || r->status < 200)
        r->body = strdup("");
    else if (strcasecmp(reply_header(r, "Transfer-Encoding"), "chunked") == 0)
        read_chunks(c, r);
    else
        read_sized(c, r, strtoul(reply_header(r, "Content-Length"), NULL, 10));
    return r;
}

void reply_free(struct reply *r)
{
    free(r->head);
    free(r->body);
    free(r);
}

const char *reply_header(struct reply *r, const char *name)
{
    static char value[1024];
    size_t n = strlen(name);

    for (const char *p = r->head ? strstr(r->head, "\r\n") : NULL; p && p[2]; p = strstr(p + 2, "\r\n")) {
        if (strncasecmp(p + 2, name, n) == 0 && p[2 + n] == ':') {
            const char *v = p + 3 + n + strspn(p + 3 + n, " ");
            snprintf(value, sizeof(value), "%.*s", (int)strcspn(v, "\r"), v);
            return value;
        }
    }
    return "";
}

struct reply *ask(struct rig *r, const char *method_path, const char *headers, const char *body)
{
    struct client *c = client_open(r);
    char *text = NULL;
    struct reply *reply;
    size_t n = body ? strlen(body) : 0;

    if (asprintf(&text, "%s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n%s", method_path, headers, n,
                 body ? body : "") < 0)
        abort();
    client_puts(c, text);
    free(text);
    reply = client_read(c, strncmp(method_path, "HEAD", 4) == 0);
    client_close(c);
    return reply;
}
