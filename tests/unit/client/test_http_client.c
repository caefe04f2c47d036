/* SPDX-License-Identifier: Apache-2.0 */
/* What the client makes of connections that end where they should not. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/http_client.h"

/* A server that says its piece to one client, whatever was asked, and ends the connection. */
struct server {
    int fd;
    const char *says;
    pthread_t thread;
    char url[64];
};

static void *serve(void *arg)
{
    struct server *s = arg;
    char asked[4096];
    int fd = accept(s->fd, NULL, NULL);
    assert_true(fd >= 0 && read(fd, asked, sizeof asked) > 0);
    assert_int_equal(write(fd, s->says, strlen(s->says)), strlen(s->says));
    close(fd);
    return NULL;
}

static void server_start(struct server *s, const char *says)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    s->says = says;
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(s->fd >= 0 && bind(s->fd, (struct sockaddr *)&a, n) == 0 && listen(s->fd, 1) == 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &n), 0);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d/", ntohs(a.sin_port));
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

struct outcome {
    struct loop *loop;
    int status;
    char why[sizeof((struct bp_err *)0)->text];
};

static void done(const struct http_client_answer *a, void *arg)
{
    struct outcome *o = arg;
    o->status = a->status;
    snprintf(o->why, sizeof o->why, "%s", a->err.text);
    loop_stop(o->loop);
}

/* Fetches into `file` from a server that says this. */
static struct outcome fetch(const char *says, const char *file)
{
    struct outcome o = {.loop = loop_new(), .status = -1};
    struct bp_err err = {0};
    struct server s;
    server_start(&s, says);
    struct http_client *c = http_client_new(o.loop, s.url, "", &err);
    struct http_client_request r = {.method = "GET",
                                    .url = s.url,
                                    .to_file = file,
                                    .max_bytes = 1000,
                                    .timeout_ms = 20000,
                                    .done = done,
                                    .arg = &o};
    assert_non_null(c);
    assert_non_null(http_client_send(c, &r, &err));
    loop_run(o.loop);
    http_client_free(c);
    pthread_join(s.thread, NULL);
    close(s.fd);
    loop_free(o.loop);
    return o;
}

static char *temp_file(char path[64])
{
    snprintf(path, 64, "/tmp/bp-http-client.XXXXXX");
    close(mkstemp(path));
    return path;
}

static void a_whole_answer_is_taken(void **state)
{
    char file[64];
    (void)state;
    struct outcome o = fetch("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", temp_file(file));
    assert_int_equal(o.status, 200);
    assert_int_equal(unlink(file), 0);
}

/* Chaos found it: a job ran on an empty input, because the connection was cut after "200 OK". */
static void a_download_cut_in_its_head_is_no_empty_file(void **state)
{
    static const char *const cut[] = {"HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n",
                                      "HTTP/1.1 200 OK\r\nContent-Len"};
    char file[64];
    (void)state;
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        struct outcome o = fetch(cut[i], temp_file(file));
        assert_int_equal(o.status, 0);
        assert_true(o.why[0]);
        assert_int_equal(access(file, F_OK), -1);
    }
}

static void a_download_cut_in_its_body_is_no_shorter_file(void **state)
{
    char file[64];
    (void)state;
    struct outcome o = fetch("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo", temp_file(file));
    assert_int_equal(o.status, 0);
    assert_int_equal(access(file, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_answer_is_taken),
        cmocka_unit_test(a_download_cut_in_its_head_is_no_empty_file),
        cmocka_unit_test(a_download_cut_in_its_body_is_no_shorter_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
