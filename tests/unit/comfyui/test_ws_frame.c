/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "ws_frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bp_err err;

/* Reads bytes in pieces and writes down what was found: "T:text", "B", "P:..", "O:..", "C1000:..", "!" for an error. */
static const char *all_of(const void *bytes, size_t n, size_t piece)
{
    static char out[4096];
    struct ws_reader r = {0};
    size_t at = 0, o = 0;
    int32_t rc = BP_OK;
    out[0] = '\0';
    while (at < n && rc == BP_OK) {
        size_t part = n - at < piece ? n - at : piece, used = 0;
        for (size_t done = 0; done < part && rc == BP_OK; done += used) {
            struct ws_event e;
            rc = ws_read(&r, (const char *)bytes + at + done, part - done, &used, &e, &err);
            static const char marks[] = "??TBPOC";
            if (rc == BP_OK && e.kind != WS_NOTHING)
                o += (size_t)snprintf(out + o, sizeof out - o, e.kind == WS_CLOSE ? "%c%u:%s " : "%c%.0u:%s ",
                                      marks[e.kind], e.kind == WS_CLOSE ? e.code : 0U, e.bytes ? e.bytes : "");
            if (e.kind == WS_NOTHING && rc == BP_OK && used < part - done)
                fail_msg("nothing was found, and yet not all was read");
        }
        at += part;
    }
    if (rc < 0)
        snprintf(out + o, sizeof out - o, "!%s", rc == BP_TOOLARGE ? "large" : "");
    ws_reader_free(&r);
    return out;
}

#define EXPECT(bytes, want)                                                                                            \
    do {                                                                                                               \
        for (size_t piece_ = 1; piece_ < 8; piece_++)                                                                  \
            assert_string_equal(all_of(bytes, sizeof bytes - 1, piece_), want);                                        \
        assert_string_equal(all_of(bytes, sizeof bytes - 1, sizeof bytes), want);                                      \
    } while (0)

/* The examples of RFC 6455, 5.7, as a server sends them. */
static void messages_come_whole_however_they_are_cut(void **state)
{
    (void)state;
    EXPECT("\x81\x05Hello", "T:Hello ");
    EXPECT("\x81\x05Hello\x81\x02Yo", "T:Hello T:Yo ");
    EXPECT("\x01\x03Hel\x80\x02lo", "T:Hello ");
    EXPECT("\x01\x03Hel\x89\x02hi\x00\x00\x80\x02lo", "P:hi T:Hello ");
    EXPECT("\x81\x00", "T: ");
    EXPECT("\x82\x03\x01\x02\x03\x81\x01x", "B: T:x ");
    EXPECT("\x02\x03\x01\x02\x03\x80\x01x\x81\x01y", "B: T:y ");
    EXPECT("\x89\x00\x8a\x01z", "P: O:z ");
    EXPECT("\x88\x00", "C1005: ");
    EXPECT("\x88\x06\x03\xe9home", "C1001:home ");
}

static void lengths_of_two_and_of_eight_bytes(void **state)
{
    (void)state;
    char bytes[400] = "\x81\x7e\x01\x00";
    memset(bytes + 4, 'a', 256);
    const char *got = all_of(bytes, 260, 50);
    assert_int_equal(strlen(got), 2 + 256 + 1);
    char more[400] = "\x81\x7f\x00\x00\x00\x00\x00\x00\x01\x00";
    memset(more + 10, 'a', 256);
    assert_string_equal(all_of(more, 266, 7), got);
}

static void what_the_protocol_forbids_ends_the_reading(void **state)
{
    (void)state;
    EXPECT("\x81\x85\x01\x02\x03\x04Hello", "!"); /* masked */
    EXPECT("\xc1\x05Hello", "!");                 /* a bit of an extension */
    EXPECT("\x83\x01x", "!");
    EXPECT("\x8b\x01x", "!");
    EXPECT("\x80\x01x", "!");          /* the end of nothing */
    EXPECT("\x01\x01x\x81\x01y", "!"); /* a message within another */
    EXPECT("\x09\x01x", "!");          /* a ping in parts */
    EXPECT("\x89\x7e\x00\x7e", "!");   /* a long ping */
    EXPECT("\x88\x01x", "!");          /* half a code */
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    EXPECT("\x81\x7f\x00\x00\x00\x00\x00\x40\x00\x01", "!large");
    EXPECT("\x82\x7f\x00\x00\x00\x01\x00\x00\x00\x00", "!large");
    EXPECT("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "!large");
    EXPECT("\x01\x01x\x80\x7f\x00\x00\x00\x00\x00\x40\x00\x00", "!large"); /* together too much */
}

static void a_preview_is_passed_over_without_being_kept(void **state)
{
    (void)state;
    struct ws_reader r = {0};
    struct ws_event e;
    size_t used;
    static const char head[] = "\x82\x7f\x00\x00\x00\x00\x04\x00\x00\x00";
    char *part = calloc(1, 65536);
    assert_int_equal(ws_read(&r, head, 10, &used, &e, &err), BP_OK);
    for (int i = 0; i < 1024; i++)
        assert_int_equal(ws_read(&r, part, 65536, &used, &e, &err), BP_OK);
    assert_int_equal(e.kind, WS_BINARY);
    assert_int_equal(r.room, 0);
    free(part);
    ws_reader_free(&r);
}

static void what_is_sent_is_masked(void **state)
{
    (void)state;
    uint8_t out[WS_CONTROL_MAX + 6];
    const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    assert_int_equal(ws_write_control(WS_PONG, mask, "Hello", 5, out), 11);
    assert_memory_equal(out, "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11); /* RFC 6455, 5.7 */
    assert_int_equal(ws_write_control(WS_PING, mask, "", 0, out), 6);
    assert_int_equal(out[0], 0x89);
    assert_int_equal(ws_write_control(WS_CLOSE, mask, (char[200]){0}, 200, out), 131);
    assert_int_equal(out[0], 0x88);
}

/* RFC 6455, 1.3. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define OK_HEAD                                                                                                        \
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"                    \
    "Sec-WebSocket-Accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= "

static void refused(const char *head, const char *words)
{
    err.text[0] = '\0';
    assert_true(ws_accepted(head, KEY, &err) < 0);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void the_handshake_is_checked(void **state)
{
    (void)state;
    char key[WS_KEY_CHARS + 1];
    ws_key((const uint8_t *)"the sample nonce", key);
    assert_string_equal(key, KEY);
    assert_int_equal(ws_accepted(OK_HEAD, KEY, &err), BP_OK);
    refused("HTTP/1.1 404 Not Found\r\n", "404");
    refused("ICY 200 OK", "no HTTP answer");
    refused("", "no HTTP answer");
    refused("HTTP/1.1 101 x\r\nConnection: upgrade", "upgrades to no WebSocket");
    refused("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: close", "upgrades to no WebSocket");
    refused("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade", "Sec-WebSocket-Accept");
    refused("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: "
            "AAAALMBiTxaQ9kYGzzhZRbK+xOo=",
            "Sec-WebSocket-Accept");
    refused(OK_HEAD "\r\nSec-WebSocket-Extensions: permessage-deflate", "extension");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_whole_however_they_are_cut),
        cmocka_unit_test(lengths_of_two_and_of_eight_bytes),
        cmocka_unit_test(what_the_protocol_forbids_ends_the_reading),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(a_preview_is_passed_over_without_being_kept),
        cmocka_unit_test(what_is_sent_is_masked),
        cmocka_unit_test(the_handshake_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
