/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include "cm.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUESTS_MAX 64
#define REQUEST_MAX  65536

static struct {
    const struct step *steps;
    int n, ahead_s, listener;
    pthread_t thread, serving[REQUESTS_MAX];
    pthread_mutex_t mutex;
    int requests, connections, open[REQUESTS_MAX];
    char request[REQUESTS_MAX][REQUEST_MAX];
    int head[REQUESTS_MAX], bytes[REQUESTS_MAX];
} srv = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Reads one request into `to`; its head's length, or -1 at the end of the connection. */
static int read_request(int fd, char *to, int *n_body)
{
    size_t n = 0, want = 0;
    char *end = NULL;
    while (n + 1 < REQUEST_MAX && (!end || n < want)) {
        ssize_t k = recv(fd, to + n, REQUEST_MAX - 1 - n, 0);
        if (k <= 0)
            return -1;
        n += (size_t)k;
        to[n] = '\0';
        if (!end && (end = strstr(to, "\r\n\r\n"))) {
            const char *length = strcasestr(to, "\r\nContent-Length:");
            want = (size_t)(end - to) + 4 + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
        }
    }
    *n_body = (int)(n - (size_t)(end - to) - 4);
    return (int)(end - to) + 4;
}

static void answer(int fd, const char *text)
{
    char date[64], all[65536];
    time_t now = time(NULL) + srv.ahead_s;
    struct tm tm;
    const char *at = strstr(text, "%DATE%");
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    if (at)
        snprintf(all, sizeof all, "%.*s%s%s", (int)(at - text), text, date, at + 6);
    else
        snprintf(all, sizeof all, "%s", text);
    for (size_t n = strlen(all), done = 0; done < n;) {
        ssize_t k = send(fd, all + done, n - done, MSG_NOSIGNAL);
        if (k <= 0)
            return;
        done += (size_t)k;
    }
}

static void *serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char *text = malloc(REQUEST_MAX);
    for (int head, body, more = text != NULL; more && (head = read_request(fd, text, &body)) > 0;) {
        pthread_mutex_lock(&srv.mutex);
        int i = srv.requests++;
        if (i < REQUESTS_MAX) {
            memcpy(srv.request[i], text, (size_t)(head + body) + 1);
            srv.head[i] = head;
            srv.bytes[i] = body;
        }
        const struct step *s = &srv.steps[i < srv.n ? i : srv.n - 1];
        pthread_mutex_unlock(&srv.mutex);
        if (s->answer)
            answer(fd, s->answer);
        more = s->answer && !s->hang_up;
    }
    free(text);
    shutdown(fd, SHUT_RDWR);
    return NULL;
}

static void *listen_on(void *arg)
{
    (void)arg;
    for (int fd; (fd = accept(srv.listener, NULL, NULL)) >= 0;) {
        pthread_mutex_lock(&srv.mutex);
        int i = srv.connections++;
        pthread_mutex_unlock(&srv.mutex);
        assert_true(i < REQUESTS_MAX);
        srv.open[i] = fd;
        pthread_create(&srv.serving[i], NULL, serve, (void *)(intptr_t)fd);
    }
    return NULL;
}

int server_start(const struct step *steps, int n, int ahead_s)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    srv.steps = steps;
    srv.n = n;
    srv.ahead_s = ahead_s;
    srv.requests = srv.connections = 0;
    srv.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(srv.listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(srv.listener, 16), 0);
    getsockname(srv.listener, (struct sockaddr *)&a, &size);
    pthread_create(&srv.thread, NULL, listen_on, NULL);
    return ntohs(a.sin_port);
}

void server_stop(void)
{
    shutdown(srv.listener, SHUT_RDWR);
    pthread_join(srv.thread, NULL);
    close(srv.listener);
    for (int i = 0; i < srv.connections; i++) {
        shutdown(srv.open[i], SHUT_RDWR);
        pthread_join(srv.serving[i], NULL);
        close(srv.open[i]);
    }
}

int server_requests(void)
{
    pthread_mutex_lock(&srv.mutex);
    int n = srv.requests;
    pthread_mutex_unlock(&srv.mutex);
    return n;
}

int server_connections(void)
{
    pthread_mutex_lock(&srv.mutex);
    int n = srv.connections;
    pthread_mutex_unlock(&srv.mutex);
    return n;
}

const char *server_request(int i)
{
    return srv.request[i];
}

int server_request_bytes(int i)
{
    return srv.bytes[i];
}

const char *server_request_body(int i)
{
    return srv.request[i] + srv.head[i];
}
