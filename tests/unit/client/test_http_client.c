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
    char asked[4096];
    pthread_t thread;
    char url[64];
};

static void *serve(void *arg)
{
    struct server *s = arg;
    int fd = accept(s->fd, NULL, NULL);
    assert_true(fd >= 0 && read(fd, s->asked, sizeof s->asked - 1) > 0);
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
    int64_t part;
    char tag[64], asked[4096];
    char wrote[64]; /* "AT:BYTES " of each piece */
};

static void done(const struct http_client_answer *a, void *arg)
{
    struct outcome *o = arg;
    o->status = a->status;
    snprintf(o->why, sizeof o->why, "%s", a->err.text);
    o->part = a->part;
    snprintf(o->tag, sizeof o->tag, "%s", a->tag);
    loop_stop(o->loop);
}

static void wrote(const void *bytes, size_t n, int64_t at, void *arg)
{
    struct outcome *o = arg;
    size_t used = strlen(o->wrote);
    snprintf(o->wrote + used, sizeof o->wrote - used, "%d:%.*s ", (int)at, (int)n, (const char *)bytes);
}

/* Sends a GET with these options to a server that says this. */
static struct outcome ask(const char *says, struct http_client_request r)
{
    struct outcome o = {.loop = loop_new(), .status = -1};
    struct bp_err err = {0};
    struct server s = {.fd = -1};
    server_start(&s, says);
    struct http_client *c = http_client_new(o.loop, s.url, "", &err);
    r.method = "GET";
    r.url = s.url;
    r.max_bytes = 1000;
    r.timeout_ms = 20000;
    r.written = wrote;
    r.done = done;
    r.arg = &o;
    assert_non_null(c);
    assert_non_null(http_client_send(c, &r, &err));
    loop_run(o.loop);
    http_client_free(c);
    pthread_join(s.thread, NULL);
    close(s.fd);
    loop_free(o.loop);
    memcpy(o.asked, s.asked, sizeof o.asked);
    return o;
}

/* Fetches into `file` from a server that says this. */
static struct outcome fetch(const char *says, const char *file)
{
    return ask(says, (struct http_client_request){.to_file = file});
}

static void file_holds(const char *file, const char *text)
{
    char found[100] = "";
    FILE *f = fopen(file, "r");
    assert_non_null(f);
    assert_int_equal(fread(found, 1, sizeof found - 1, f), strlen(text));
    fclose(f);
    assert_string_equal(found, text);
}

static char *temp_file(char path[64])
{
    snprintf(path, 64, "/tmp/bp-http-client.XXXXXX");
    close(mkstemp(path));
    return path;
}

/* A new file with that text n times. */
static char *file_with(char path[64], const char *text, int n)
{
    FILE *f = fopen(temp_file(path), "w");
    assert_non_null(f);
    while (n-- > 0)
        fputs(text, f);
    fclose(f);
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

/* ---- a download that is gone on with ---- */

static void what_came_before_a_connection_broke_is_kept_when_asked_for(void **state)
{
    char file[64];
    (void)state;
    struct outcome o = ask("HTTP/1.1 200 OK\r\nETag: \"one\"\r\nContent-Length: 9\r\n\r\nsome",
                           (struct http_client_request){.to_file = temp_file(file), .keep_part = 1});
    assert_int_equal(o.status, 0);
    assert_int_equal(o.part, 4);
    assert_string_equal(o.tag, "\"one\"");
    file_holds(file, "some");
    unlink(file);
}

static void the_rest_is_asked_for_and_put_behind_it(void **state)
{
    char file[64];
    (void)state;
    struct http_client_request r = {
        .to_file = file_with(file, "some", 1), .keep_part = 1, .resume_at = 4, .resume_tag = "\"one\""};
    struct outcome o = ask("HTTP/1.1 206 Partial Content\r\nETag: W/\"weak\"\r\nContent-Range: bytes 4-8/9\r\n"
                           "Content-Length: 5\r\n\r\n",
                           r);
    assert_int_equal(o.status, 0); /* broke again, and brought nothing */
    assert_int_equal(o.part, 4);
    assert_string_equal(o.tag, "");
    o = ask("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-8/9\r\nContent-Length: 5\r\n\r\n more", r);
    assert_int_equal(o.status, 206);
    assert_non_null(strstr(o.asked, "Range: bytes=4-\r\n"));
    assert_non_null(strstr(o.asked, "If-Range: \"one\"\r\n"));
    assert_string_equal(o.wrote, "4: more ");
    file_holds(file, "some more");
    unlink(file);
}

static void a_server_that_gives_all_again_begins_the_file_anew(void **state)
{
    char file[64];
    (void)state;
    struct outcome o =
        ask("HTTP/1.1 200 OK\r\nETag: \"two\"\r\nContent-Length: 4\r\n\r\nelse",
            (struct http_client_request){.to_file = file_with(file, "something", 1), .keep_part = 1, .resume_at = 9});
    assert_int_equal(o.status, 200);
    assert_string_equal(o.wrote, "0:else ");
    file_holds(file, "else");
    unlink(file);
}

static void what_does_not_follow_or_is_gone_is_not_gone_on_with(void **state)
{
    static const struct {
        const char *says;
        int status, part;
    } cases[] = {
        {"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-8/9\r\nContent-Length: 7\r\n\r\nme more", 0, 4},
        {"HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\n\r\nmore", 0, 4},
        {"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n", 416, 0},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, 0},
        {"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nwait", 503, 4},
    };
    char file[64];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome o =
            ask(cases[i].says,
                (struct http_client_request){.to_file = file_with(file, "some", 1), .keep_part = 1, .resume_at = 4});
        assert_int_equal(o.status, cases[i].status);
        assert_int_equal(o.part, cases[i].part);
        if (o.part)
            file_holds(file, "some");
        assert_int_equal(unlink(file), o.part ? 0 : -1);
    }
}

static void a_part_and_the_rest_together_keep_to_the_limit(void **state)
{
    char file[64];
    (void)state;
    struct outcome o =
        ask("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 998-/*\r\nContent-Length: 3\r\n\r\nyyy",
            (struct http_client_request){.to_file = file_with(file, "x", 998), .keep_part = 1, .resume_at = 998});
    assert_int_equal(o.status, 0);
    assert_non_null(strstr(o.why, "larger than 1000 bytes"));
    assert_int_equal(unlink(file), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_answer_is_taken),
        cmocka_unit_test(a_download_cut_in_its_head_is_no_empty_file),
        cmocka_unit_test(a_download_cut_in_its_body_is_no_shorter_file),
        cmocka_unit_test(what_came_before_a_connection_broke_is_kept_when_asked_for),
        cmocka_unit_test(the_rest_is_asked_for_and_put_behind_it),
        cmocka_unit_test(a_server_that_gives_all_again_begins_the_file_anew),
        cmocka_unit_test(what_does_not_follow_or_is_gone_is_not_gone_on_with),
        cmocka_unit_test(a_part_and_the_rest_together_keep_to_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
