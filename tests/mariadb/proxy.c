/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cm.h"

static atomic_int mode, cuts, frozen;
static _Atomic(const char *) isolation;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char target[108]; /* under lock */
static int listener = -1;

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    return a;
}

static bool pass(int to, const char *bytes, ssize_t n)
{
    for (ssize_t done = 0, k; done < n; done += k)
        if ((k = send(to, bytes + done, (size_t)(n - done), MSG_NOSIGNAL)) <= 0)
            return false;
    return true;
}

/* Waits until the client is gone, or the proxy is told otherwise. */
static void wait_for_the_end(int client)
{
    int began = mode;
    struct pollfd p = {client, POLLRDHUP, 0};
    while (mode == began && (poll(&p, 1, 20) <= 0 || !(p.revents & (POLLRDHUP | POLLHUP | POLLERR))))
        ;
}

#define STMT_EXECUTE 0x17

/* A commit by itself, or as the end of a text of several statements, not READ COMMITTED; or a prepared statement, which
 * is a transaction with its end. */
static bool commits(const char *bytes, size_t n)
{
    return memmem(bytes, n, "\003COMMIT", 7) != NULL || (n >= 7 && memcmp(bytes + n - 7, ";COMMIT", 7) == 0) ||
           (n > 4 && bytes[4] == STMT_EXECUTE);
}

static void isolation_change(char *bytes, size_t n)
{
    static const char ASKED[] = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
    const char *level = isolation;
    char *at = level ? memmem(bytes, n, ASKED, sizeof ASKED - 1) : NULL;
    if (!at)
        return;
    at += sizeof ASKED - sizeof "READ COMMITTED";
    memset(at, ' ', sizeof "READ COMMITTED" - 1);
    memcpy(at, level, strlen(level));
}

/* The client's side; false: the connection ends. */
static bool from_client(int client, int server)
{
    char bytes[65536];
    ssize_t n = read(client, bytes, sizeof bytes);
    if (n <= 0)
        return false;
    isolation_change(bytes, (size_t)n);
    int how = mode;
    if (!commits(bytes, (size_t)n) || how == PASS)
        return pass(server, bytes, n);
    if (how == CUT_AFTER_COMMIT || how == FREEZE_AFTER_COMMIT) {
        pass(server, bytes, n);
        if (read(server, bytes, sizeof bytes) < 0) /* the answer: it is committed now */
            return false;
    }
    cuts++;
    if (how == FREEZE_BEFORE_COMMIT || how == FREEZE_AFTER_COMMIT)
        wait_for_the_end(client);
    mode = PASS;
    return false;
}

/* Takes what the client says and passes nothing on; false: the connection ends. */
static bool hold(int client)
{
    char bytes[65536];
    struct pollfd p = {client, POLLIN, 0};
    while (frozen) {
        if (poll(&p, 1, 20) > 0 && read(client, bytes, sizeof bytes) <= 0)
            return false;
    }
    return true;
}

static void relay(int client, int server)
{
    char bytes[65536];
    for (;;) {
        struct pollfd p[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
        if (poll(p, 2, 20) < 0 || !hold(client) || mode == REFUSE)
            return;
        if (p[0].revents && !from_client(client, server))
            return;
        ssize_t n = p[1].revents ? read(server, bytes, sizeof bytes) : 1;
        if (n <= 0 || (p[1].revents && !pass(client, bytes, n)))
            return;
    }
}

static void *serve(void *arg)
{
    int client = (int)(intptr_t)arg, server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_mutex_lock(&lock);
    struct sockaddr_un a = address_of(target);
    pthread_mutex_unlock(&lock);
    if (mode != REFUSE && connect(server, (struct sockaddr *)&a, sizeof a) == 0)
        relay(client, server);
    close(client);
    close(server);
    return NULL;
}

static void *run(void *arg)
{
    for (;;) {
        pthread_t one;
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0)
            return arg;
        if (pthread_create(&one, NULL, serve, (void *)(intptr_t)client) == 0)
            pthread_detach(one);
        else
            close(client);
    }
}

const char *proxy_start(const char *server_socket)
{
    static char path[108];
    static pthread_t thread;
    mode = PASS;
    pthread_mutex_lock(&lock);
    snprintf(target, sizeof target, "%s", server_socket);
    pthread_mutex_unlock(&lock);
    if (listener >= 0)
        return path;
    char dir[80];
    assert_non_null(getcwd(dir, sizeof dir));
    snprintf(path, sizeof path, "%s/proxy.sock", dir);
    struct sockaddr_un a = address_of(path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
    return path;
}

void proxy_cut(int how)
{
    mode = how;
}

void proxy_freeze(int on)
{
    frozen = on;
}

void proxy_isolation(const char *level)
{
    isolation = level;
}

int proxy_cuts(void)
{
    return cuts;
}
