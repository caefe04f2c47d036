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
static char target[108];
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

/* The client's side; false: the connection ends. */
static bool from_client(int client, int server)
{
    char bytes[65536];
    ssize_t n = read(client, bytes, sizeof bytes);
    if (n <= 0)
        return false;
    bool commit = memmem(bytes, (size_t)n, "COMMIT", 6) != NULL && mode != CUT_NEVER;
    if (!commit)
        return pass(server, bytes, n);
    if (mode == CUT_AFTER_COMMIT) {
        pass(server, bytes, n);
        if (read(server, bytes, sizeof bytes) < 0) /* the answer: it is committed now */
            return false;
    }
    mode = CUT_NEVER;
    cuts++;
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
        if (poll(p, 2, 20) < 0 || !hold(client))
            return;
        if (p[0].revents && !from_client(client, server))
            return;
        ssize_t n = p[1].revents ? read(server, bytes, sizeof bytes) : 1;
        if (n <= 0 || (p[1].revents && !pass(client, bytes, n)))
            return;
    }
}

static void *run(void *arg)
{
    (void)arg;
    for (;;) {
        int client = accept(listener, NULL, NULL), server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un a = address_of(target);
        if (client < 0)
            return NULL;
        if (connect(server, (struct sockaddr *)&a, sizeof a) == 0)
            relay(client, server);
        close(client);
        close(server);
    }
}

const char *proxy_start(const char *server_socket)
{
    static char path[108];
    static pthread_t thread;
    if (listener >= 0)
        return path;
    char dir[80];
    assert_non_null(getcwd(dir, sizeof dir));
    snprintf(path, sizeof path, "%s/proxy.sock", dir);
    snprintf(target, sizeof target, "%s", server_socket);
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

int proxy_cuts(void)
{
    return cuts;
}
