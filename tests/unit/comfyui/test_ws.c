/* SPDX-License-Identifier: Apache-2.0 */
/* The client against servers that behave, and that do not: each a few bytes, sent by a thread on a port of its own. */
#include "cm.h"

#include "ws.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct bp_err err;

struct server {
    int listening;
    pthread_t thread;
    char url[64], request[2048];
    const char *answer; /* NULL: the right one */
    const char *bytes;  /* sent behind it */
    size_t n;
    int repeat;        /* how often the bytes are sent */
    int hang_up;       /* closes after them; otherwise it reads on */
    uint8_t got[4096]; /* what came behind the handshake */
    size_t n_got;
};

static void right_answer(const char *request, char *out, size_t n)
{
    char text[128], accept[64];
    unsigned char digest[EVP_MAX_MD_SIZE];
    const char *key = strstr(request, "Sec-WebSocket-Key: ");
    assert_non_null(key);
    int k = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
    EVP_Digest(text, (size_t)k, digest, NULL, EVP_sha1(), NULL);
    EVP_EncodeBlock((unsigned char *)accept, digest, 20);
    snprintf(out, n,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             accept);
}

static void *serve(void *arg)
{
    struct server *s = arg;
    char answer[512];
    size_t n = 0;
    ssize_t k;
    int fd = accept(s->listening, NULL, NULL);
    while (!strstr(s->request, "\r\n\r\n") && (k = read(fd, s->request + n, sizeof s->request - 1 - n)) > 0)
        n += (size_t)k;
    if (!s->answer)
        right_answer(s->request, answer, sizeof answer);
    const char *text = s->answer ? s->answer : answer;
    send(fd, text, strlen(text), MSG_NOSIGNAL);
    for (int i = 0; i < s->repeat; i++)
        if (send(fd, s->bytes, s->n, MSG_NOSIGNAL) < 0)
            break;
    while (!s->hang_up && s->n_got < sizeof s->got && (k = read(fd, s->got + s->n_got, sizeof s->got - s->n_got)) > 0)
        s->n_got += (size_t)k;
    close(fd);
    return NULL;
}

static void begin(struct server *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    s->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listening, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(s->listening, 1), 0);
    getsockname(s->listening, (struct sockaddr *)&a, &n);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d/below", ntohs(a.sin_port));
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void end(struct server *s)
{
    pthread_join(s->thread, NULL);
    close(s->listening);
}

#define SENDS(text) .bytes = text, .n = sizeof(text) - 1, .repeat = 1

/* The next text, waiting however long it takes; NULL: the connection ended before. */
static const char *next(struct ws *w)
{
    const char *text = NULL;
    size_t n;
    while (ws_next(w, 50, &text, &n, &err) == BP_OK)
        if (text)
            return text;
    return NULL;
}

static void messages_come_and_a_ping_between_is_answered(void **state)
{
    (void)state;
    struct server s = {SENDS("\x81\x03one\x89\x02hi\x82\x01x\x81\x03two")};
    begin(&s);
    struct ws *w = ws_open(s.url, "bpd-7", 5000, &err);
    assert_non_null(w);
    assert_string_equal(next(w), "one");
    assert_string_equal(next(w), "two");
    ws_close(w);
    end(&s);
    assert_non_null(strstr(s.request, "GET /below/ws?clientId=bpd-7 HTTP/1.1\r\n"));
    assert_non_null(strstr(s.request, "Sec-WebSocket-Version: 13\r\n"));
    assert_int_equal(s.n_got, 8 + 8); /* a pong of two bytes, a close with its code */
    assert_int_equal(s.got[0], 0x8a);
    assert_int_equal(s.got[1], 0x82);
    assert_int_equal(s.got[6] ^ s.got[2], 'h');
    assert_int_equal(s.got[8], 0x88);
}

static void a_peer_that_answers_no_ping_is_gone(void **state)
{
    (void)state;
    struct server s = {.repeat = 0};
    begin(&s);
    struct ws *w = ws_open(s.url, "c", 5000, &err);
    assert_non_null(w);
    assert_null(next(w));
    assert_int_equal(err.rc, BP_TIMEOUT);
    assert_non_null(strstr(err.text, "answers no ping"));
    ws_close(w);
    end(&s);
    assert_int_equal(s.got[0], 0x89); /* it was asked */
}

static void an_end_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *words;
        size_t n;
    } ends[] = {{"\x88\x02\x03\xe9", "closed the WebSocket (code 1001)", 4},
                {"\x88\x00", "code 1005", 2},
                {"", "closed the WebSocket", 0},
                {"\x81\x05ha", "closed the WebSocket", 4},
                {"\x81\x85mask", "a masked frame", 6}};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct server s = {.bytes = ends[i].bytes, .n = ends[i].n, .repeat = 1, .hang_up = 1};
        begin(&s);
        struct ws *w = ws_open(s.url, "c", 5000, &err);
        assert_non_null(w);
        assert_null(next(w));
        if (!strstr(err.text, ends[i].words))
            fail_msg("\"%s\" does not say \"%s\"", err.text, ends[i].words);
        ws_close(w);
        end(&s);
    }
}

static void a_handshake_that_fails_says_why(void **state)
{
    (void)state;
    char *endless = calloc(1, 20001);
    memset(endless, 'x', 20000);
    memcpy(endless, "HTTP/1.1 101 ", 13);
    const struct {
        const char *answer, *words;
        int hang_up;
    } cases[] = {{"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answers 404", 1},
                 {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
                  "wrong Sec-WebSocket-Accept", 1},
                 {"SSH-2.0-OpenSSH\r\n\r\n", "no HTTP answer", 1},
                 {"HTTP/1.1 101", "closed the WebSocket", 1},
                 {"HTTP/1.1 101", "does not answer a WebSocket's handshake in time", 0},
                 {endless, "with too much", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct server s = {.answer = cases[i].answer, .hang_up = cases[i].hang_up};
        begin(&s);
        assert_null(ws_open(s.url, "c", 300, &err));
        if (!strstr(err.text, cases[i].words))
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].words);
        end(&s);
    }
    free(endless);
}

static void a_server_that_is_not_there_is_told(void **state)
{
    (void)state;
    assert_null(ws_open("http://127.0.0.1:1", "c", 1000, &err));
    assert_int_equal(err.rc, BP_LATER);
    assert_null(ws_open("ftp://127.0.0.1:1", "c", 1000, &err));
    assert_null(ws_open("http://", "c", 1000, &err));
}

/* However much comes that is no message: whoever waits is back in time to be told to stop. */
static void a_flood_of_previews_holds_nobody_up(void **state)
{
    (void)state;
    static char preview[4 + 60000] = "\x82\x7e\xea\x60";
    struct server s = {.bytes = preview, .n = sizeof preview, .repeat = 1 << 30};
    begin(&s);
    struct ws *w = ws_open(s.url, "c", 5000, &err);
    assert_non_null(w);
    const char *text = "";
    size_t n;
    assert_int_equal(ws_next(w, 20, &text, &n, &err), BP_OK);
    assert_null(text);
    ws_close(w);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_and_a_ping_between_is_answered),
        cmocka_unit_test(a_peer_that_answers_no_ping_is_gone),
        cmocka_unit_test(an_end_is_told),
        cmocka_unit_test(a_handshake_that_fails_says_why),
        cmocka_unit_test(a_server_that_is_not_there_is_told),
        cmocka_unit_test(a_flood_of_previews_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
