/* SPDX-License-Identifier: Apache-2.0 */
#include "log/json.h"
#include "runner/frame.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct json_object *hello(int n)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "type", "hello");
    json_put_int(o, "n", n);
    return o;
}

static void feed(struct frame_buffer *b, const void *bytes, size_t n)
{
    struct bp_err err;
    assert_int_equal(frame_buffer_add(b, bytes, n, &err), BP_OK);
}

static void feed_head(struct frame_buffer *b, uint32_t n)
{
    unsigned char head[4] = {(unsigned char)n, (unsigned char)(n >> 8), (unsigned char)(n >> 16),
                             (unsigned char)(n >> 24)};
    feed(b, head, 4);
}

static void what_is_encoded_is_taken_again_byte_by_byte(void **state)
{
    (void)state;
    struct frame_buffer b = {0};
    struct bp_err err = {0};
    struct json_object *out = NULL, *in = hello(7);
    unsigned char *bytes;
    size_t n;
    assert_int_equal(frame_encode(in, &bytes, &n, &err), BP_OK);
    for (size_t i = 0; i < n; i++) {
        assert_null(out);
        feed(&b, bytes + i, 1);
        assert_int_equal(frame_buffer_take(&b, &out, &err), BP_OK);
    }
    assert_non_null(out);
    assert_int_equal(json_int(out, "n", 0), 7);
    json_object_put(out);
    json_object_put(in);
    free(bytes);
    frame_buffer_clear(&b);
}

static void frames_that_come_together_are_taken_one_by_one(void **state)
{
    (void)state;
    struct frame_buffer b = {0};
    struct bp_err err = {0};
    for (int i = 0; i < 100; i++) {
        struct json_object *in = hello(i);
        unsigned char *bytes;
        size_t n;
        assert_int_equal(frame_encode(in, &bytes, &n, &err), BP_OK);
        feed(&b, bytes, n);
        free(bytes);
        json_object_put(in);
    }
    for (int i = 0; i <= 100; i++) {
        struct json_object *out;
        assert_int_equal(frame_buffer_take(&b, &out, &err), BP_OK);
        if (i < 100)
            assert_int_equal(json_int(out, "n", -1), i);
        else
            assert_null(out);
        json_object_put(out);
    }
    frame_buffer_clear(&b);
}

static void refuse(const char *text, uint32_t length)
{
    struct frame_buffer b = {0};
    struct bp_err err = {0};
    struct json_object *out;
    feed_head(&b, length);
    feed(&b, text, strlen(text));
    assert_int_equal(frame_buffer_take(&b, &out, &err), BP_INVALID);
    assert_null(out);
    assert_true(err.text[0] != '\0');
    frame_buffer_clear(&b);
}

static void what_is_no_frame_is_refused(void **state)
{
    (void)state;
    refuse("", 0);
    refuse("", FRAME_MAX_BYTES + 1);
    refuse("", UINT32_MAX);
    refuse("nonsense", 8);
    refuse("[1,2,3]", 7);
    refuse("{} {}", 5);
    refuse("{\"a\":\"\xff\"}", 9);
    char deep[200];
    memset(deep, '[', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    refuse(deep, sizeof(deep) - 1);
}

static void a_frame_that_is_too_large_is_not_sent(void **state)
{
    (void)state;
    struct bp_err err = {0};
    struct json_object *o = json_object_new_object();
    char *big = malloc(FRAME_MAX_BYTES + 1);
    unsigned char *bytes;
    size_t n;
    memset(big, 'x', FRAME_MAX_BYTES);
    big[FRAME_MAX_BYTES] = '\0';
    json_put_str(o, "big", big);
    assert_int_equal(frame_encode(o, &bytes, &n, &err), BP_INVALID);
    assert_null(bytes);
    json_object_put(o);
    free(big);
}

static void *send_many(void *arg)
{
    int fd = *(int *)arg;
    struct bp_err err;
    for (int i = 0; i < 2000; i++) {
        struct json_object *o = hello(i);
        if (frame_send(fd, o, &err) < 0)
            abort();
        json_object_put(o);
    }
    close(fd);
    return NULL;
}

static void a_socket_carries_them_in_order_until_it_closes(void **state)
{
    (void)state;
    int fd[2];
    pthread_t t;
    struct frame_buffer b = {0};
    struct bp_err err = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    pthread_create(&t, NULL, send_many, &fd[1]);
    for (int i = 0; i < 2000; i++) {
        struct json_object *out = NULL;
        assert_int_equal(frame_receive(fd[0], &b, -1, &out, &err), BP_OK);
        assert_int_equal(json_int(out, "n", -1), i);
        json_object_put(out);
    }
    struct json_object *none;
    assert_int_equal(frame_receive(fd[0], &b, -1, &none, &err), BP_STOPPED);
    pthread_join(t, NULL);
    close(fd[0]);
    frame_buffer_clear(&b);
}

static void receiving_does_not_wait_longer_than_told(void **state)
{
    (void)state;
    int fd[2];
    struct frame_buffer b = {0};
    struct bp_err err = {0};
    struct json_object *none;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    assert_int_equal(frame_receive(fd[0], &b, 0, &none, &err), BP_OK);
    assert_null(none);
    close(fd[0]);
    struct json_object *o = hello(1);
    assert_int_equal(frame_send(fd[1], o, &err), BP_STOPPED); /* and no SIGPIPE */
    json_object_put(o);
    close(fd[1]);
    frame_buffer_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_is_taken_again_byte_by_byte),
        cmocka_unit_test(frames_that_come_together_are_taken_one_by_one),
        cmocka_unit_test(what_is_no_frame_is_refused),
        cmocka_unit_test(a_frame_that_is_too_large_is_not_sent),
        cmocka_unit_test(a_socket_carries_them_in_order_until_it_closes),
        cmocka_unit_test(receiving_does_not_wait_longer_than_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
