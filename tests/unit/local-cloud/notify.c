/* SPDX-License-Identifier: Apache-2.0 */
#include "main.h"

#include <stdio.h>
#include <string.h>

#define T notify_facet

static int send(struct fake *f, const char *subject, const char *key)
{
    return T.send(f->inst, subject, "text of it", key, &f->err);
}

static int lines(struct fake *f)
{
    char *text = fake_read(f, "notifications.jsonl");
    int n = 0;
    for (char *p = text; p && *p; p++)
        n += *p == '\n';
    free(text);
    return n;
}

static void a_notification_is_written_and_logged(void **state)
{
    struct fake *f = *state;
    assert_int_equal(fake_start(f, ""), 0);
    assert_int_equal(send(f, "no \"capacity\"\nat all", NULL), 0);
    assert_int_equal(lines(f), 1);
    assert_true(fake_logged("text of it"));
    char *text = fake_read(f, "notifications.jsonl");
    assert_non_null(strstr(text, "no \\\"capacity\\\"\\nat all"));
    free(text);
    assert_int_equal(send(f, "", NULL), BP_INVALID);
}

static void the_same_key_is_not_repeated_for_a_while(void **state)
{
    struct fake *f = *state;
    assert_int_equal(fake_start(f, "\"notifyDedupSeconds\":100"), 0);
    assert_int_equal(send(f, "a", "key-1"), 0);
    assert_int_equal(send(f, "a", "key-1"), 0);
    assert_int_equal(send(f, "a", "key-2"), 0);
    assert_int_equal(send(f, "a", NULL), 0);
    assert_int_equal(send(f, "a", NULL), 0);
    assert_int_equal(lines(f), 4);
}

static void it_is_repeated_after_that_while(void **state)
{
    struct fake *f = *state;
    assert_int_equal(fake_start(f, "\"notifyDedupSeconds\":0"), 0);
    assert_int_equal(send(f, "a", "key"), 0);
    assert_int_equal(send(f, "a", "key"), 0);
    assert_int_equal(lines(f), 2);
}

static void more_keys_than_are_remembered_are_no_trouble(void **state)
{
    struct fake *f = *state;
    char key[32];
    assert_int_equal(fake_start(f, "\"notifyPerMinute\":10000"), 0);
    for (int i = 0; i < 600; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        assert_int_equal(send(f, "a", key), 0);
    }
    assert_int_equal(send(f, "a", "key-599"), 0);
    assert_int_equal(lines(f), 600);
}

static void too_many_in_a_minute_are_refused(void **state)
{
    struct fake *f = *state;
    assert_int_equal(fake_start(f, "\"notifyPerMinute\":2"), 0);
    assert_int_equal(send(f, "a", NULL), 0);
    assert_int_equal(send(f, "a", "k"), 0);
    assert_int_equal(send(f, "a", "k"), 0);
    assert_int_equal(send(f, "b", "l"), BP_LATER);
    f->skew_ms = 61000;
    assert_int_equal(send(f, "b", "l"), 0);
    assert_int_equal(lines(f), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_notification_is_written_and_logged), TEST(the_same_key_is_not_repeated_for_a_while),
        TEST(it_is_repeated_after_that_while),      TEST(more_keys_than_are_remembered_are_no_trouble),
        TEST(too_many_in_a_minute_are_refused),
    };
    return RUN(tests);
}
