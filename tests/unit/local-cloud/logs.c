/* SPDX-License-Identifier: Apache-2.0 */
#include "main.h"

#include <stdio.h>
#include <string.h>

#define T logs_facet

static void put(struct fake *f, const char *group, const char *stream, const char *line)
{
    assert_int_equal(T.put(f->inst, group, stream, &line, 1, &f->err), 0);
}

static void lines_are_appended_with_their_time(void **state)
{
    struct fake *f = *state;
    const char *lines[] = {"first", "second\nwith a break"};
    assert_int_equal(fake_start(f, ""), 0);
    assert_int_equal(T.put(f->inst, "workers", "i-1", lines, 2, &f->err), 0);
    put(f, "workers", "i-1", "third");
    char *text = fake_read(f, "logs/workers/i-1.log");
    assert_non_null(text);
    char *second = strchr(text, '\n') + 1;
    assert_string_equal(strchr(text, ' ') + 1 + strlen("first\n"), second);
    assert_non_null(strstr(second, "Z second with a break\n"));
    assert_non_null(strstr(second, "Z third\n"));
    assert_int_equal(text[4], '-');
    assert_int_equal(text[10], 'T');
    free(text);
    assert_int_equal(T.put(f->inst, "workers", "i-1", NULL, 0, &f->err), 0);
}

static void names_cannot_lead_out_of_the_directory(void **state)
{
    struct fake *f = *state;
    const char *line = "x";
    char name[300];
    assert_int_equal(fake_start(f, ""), 0);
    put(f, "/bp/workers", "../../escape", line);
    assert_true(fake_exists(f, "logs/%2Fbp%2Fworkers/%2E.%2F..%2Fescape.log"));
    put(f, "..", ".", line);
    assert_int_equal(fake_count(f, "logs"), 2);
    assert_int_equal(T.put(f->inst, "", "s", &line, 1, &f->err), BP_INVALID);
    assert_int_equal(T.put(f->inst, "g", NULL, &line, 1, &f->err), BP_INVALID);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_int_equal(T.put(f->inst, "g", name, &line, 1, &f->err), BP_INVALID);
}

static void a_log_is_rotated_and_old_ones_fall_off(void **state)
{
    struct fake *f = *state;
    char line[600];
    assert_int_equal(fake_start(f, "\"maxLogBytes\":1024,\"logFiles\":2"), 0);
    for (int i = 0; i < 8; i++) {
        memset(line, 'a' + i, sizeof line - 1);
        line[sizeof line - 1] = 0;
        put(f, "g", "s", line);
    }
    assert_int_equal(fake_count(f, "logs/g"), 3);
    char *text = fake_read(f, "logs/g/s.log");
    assert_non_null(strstr(text, "hhh"));
    free(text);
    text = fake_read(f, "logs/g/s.log.2");
    assert_non_null(strstr(text, "fff"));
    assert_null(strstr(text, "ggg"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_are_appended_with_their_time),
        TEST(names_cannot_lead_out_of_the_directory),
        TEST(a_log_is_rotated_and_old_ones_fall_off),
    };
    return RUN(tests);
}
