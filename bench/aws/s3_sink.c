/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_sink.c - as much of S3 as a transfer needs, as fast as loopback goes: what is PUT is read and dropped, what is GET
 * comes from a file by sendfile(2). Checks nothing: it is what clients are measured against, not tested by.
 *
 *   s3_sink FILE     prints its port; serves until its standard input ends
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_MAX  65536
#define PIECE     (1 << 20)
#define SINK_ETAG "\"0123456789abcdef0123456789abcdef\""

static const char *served;

struct request {
    char head[HEAD_MAX];
    size_t n, end; /* bytes read, length of the head */
    long long length, from;
    int expects;
};

static const char *header(const struct request *q, const char *name)
{
    const char *at = strcasestr(q->head, name);
    return at ? at + strlen(name) : NULL;
}

/* 1: a request's head is there, 0: the client has gone. */
static int read_head(int s, struct request *q)
{
    q->n = 0;
    for (;;) {
        ssize_t k = read(s, q->head + q->n, sizeof q->head - 1 - q->n);
        if (k <= 0)
            return 0;
        q->n += (size_t)k;
        q->head[q->n] = '\0';
        char *end = memmem(q->head, q->n, "\r\n\r\n", 4);
        if (end) {
            q->end = (size_t)(end - q->head) + 4;
            break;
        }
    }
    char *behind = q->head + q->end;
    char kept = *behind;
    *behind = '\0';
    const char *length = header(q, "\r\ncontent-length:"), *range = header(q, "\r\nrange: bytes=");
    q->length = length ? atoll(length) : 0;
    q->from = range ? atoll(range) : 0;
    q->expects = header(q, "\r\nexpect:") != NULL;
    *behind = kept;
    return 1;
}

static int send_text(int s, const char *text)
{
    for (size_t n = strlen(text); n;) {
        ssize_t k = send(s, text, n, MSG_NOSIGNAL);
        if (k <= 0)
            return 0;
        text += k;
        n -= (size_t)k;
    }
    return 1;
}

static int drop_body(int s, struct request *q, char *piece)
{
    long long left = q->length - (long long)(q->n - q->end);
    if (q->expects && left > 0 && !send_text(s, "HTTP/1.1 100 Continue\r\n\r\n"))
        return 0;
    while (left > 0) {
        ssize_t k = recv(s, piece, left < PIECE ? (size_t)left : PIECE, 0);
        if (k <= 0)
            return 0;
        left -= k;
    }
    return 1;
}

static int send_file(int s, const struct request *q, int is_head)
{
    char head[256];
    struct stat st;
    int fd = open(served, O_RDONLY | O_CLOEXEC), ok = fd >= 0 && fstat(fd, &st) == 0;
    off_t at = q->from;
    long long left = ok ? st.st_size - at : 0;
    snprintf(head, sizeof head,
             "HTTP/1.1 %s\r\nContent-Length: %lld\r\nETag: " SINK_ETAG "\r\nContent-Type: video/mp4\r\n\r\n",
             q->from ? "206 Partial Content" : "200 OK", left);
    ok = ok && send_text(s, head);
    while (ok && !is_head && left > 0) {
        ssize_t k = sendfile(s, fd, &at, (size_t)left);
        ok = k > 0;
        left -= k > 0 ? k : 0;
    }
    if (fd >= 0)
        close(fd);
    return ok;
}

static int answer_xml(int s, const char *xml)
{
    char text[1024];
    snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(xml), xml);
    return send_text(s, text);
}

static int answer(int s, const struct request *q)
{
    if (strncmp(q->head, "GET ", 4) == 0 || strncmp(q->head, "HEAD ", 5) == 0)
        return send_file(s, q, q->head[0] == 'H');
    if (strncmp(q->head, "POST ", 5) == 0)
        return strstr(q->head, "?uploads")
                   ? answer_xml(
                         s, "<InitiateMultipartUploadResult><UploadId>sink</UploadId></InitiateMultipartUploadResult>")
                   : answer_xml(
                         s, "<CompleteMultipartUploadResult><ETag>\"sink-1\"</ETag></CompleteMultipartUploadResult>");
    return send_text(s, "HTTP/1.1 200 OK\r\nETag: " SINK_ETAG "\r\nContent-Length: 0\r\n\r\n");
}

static void *serve(void *arg)
{
    int s = (int)(intptr_t)arg;
    struct request *q = malloc(sizeof *q);
    char *piece = malloc(PIECE);
    while (q && piece && read_head(s, q) && drop_body(s, q, piece) && answer(s, q))
        ;
    free(q);
    free(piece);
    close(s);
    return NULL;
}

static void *accept_all(void *arg)
{
    int listener = (int)(intptr_t)arg;
    for (int s; (s = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0 || errno == EINTR || errno == ECONNABORTED;) {
        pthread_t t;
        if (s >= 0 && pthread_create(&t, NULL, serve, (void *)(intptr_t)s) == 0)
            pthread_detach(t);
        else if (s >= 0)
            close(s);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    pthread_t t;
    char byte;
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (argc != 2 || s < 0 || bind(s, (struct sockaddr *)&a, sizeof a) < 0 || listen(s, 64) < 0 ||
        getsockname(s, (struct sockaddr *)&a, &n) < 0) {
        fprintf(stderr, "usage: s3_sink FILE\n");
        return 2;
    }
    served = argv[1];
    signal(SIGPIPE, SIG_IGN);
    printf("%d\n", ntohs(a.sin_port));
    fflush(stdout);
    pthread_create(&t, NULL, accept_all, (void *)(intptr_t)s);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    return 0;
}
