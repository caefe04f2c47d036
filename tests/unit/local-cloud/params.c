/* SPDX-License-Identifier: Apache-2.0 */
#include "main.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define T params_facet

static void assert_param(struct fake *f, const char *name, const char *value)
{
    char *got = NULL;
    assert_int_equal(T.get(f->inst, name, &got, &f->err), 0);
    assert_string_equal(got, value);
    free(got);
}

static void a_parameter_is_kept_in_a_private_file(void **state)
{
    struct fake *f = *state;
    char *got = NULL;
    assert_int_equal(fake_start(f, ""), 0);
    assert_int_equal(T.get(f->inst, "/bp/ami/x", &got, &f->err), BP_NOTFOUND);
    assert_int_equal(T.put(f->inst, "/bp/ami/x", "ami-1", 0, &f->err), 0);
    assert_int_equal(T.put(f->inst, "secret", "s3\"\n\xc3\xa4", 1, &f->err), 0);
    assert_int_equal(fake_mode(f, "params.json"), 0600);
    fake_stop(f);
    assert_int_equal(fake_start(f, ""), 0);
    assert_param(f, "/bp/ami/x", "ami-1");
    assert_param(f, "secret", "s3\"\n\xc3\xa4");
    assert_int_equal(T.put(f->inst, "secret", "", 1, &f->err), 0);
    assert_param(f, "secret", "");
}

static void bad_names_and_values_are_refused(void **state)
{
    struct fake *f = *state;
    char *got = NULL, *large = calloc(1, 65538);
    assert_int_equal(fake_start(f, ""), 0);
    memset(large, 'v', 65537);
    assert_int_equal(T.put(f->inst, "", "v", 0, &f->err), BP_INVALID);
    assert_int_equal(T.put(f->inst, "a b", "v", 0, &f->err), BP_INVALID);
    assert_int_equal(T.get(f->inst, "a\nb", &got, &f->err), BP_INVALID);
    assert_int_equal(T.put(f->inst, "a", large, 0, &f->err), BP_INVALID);
    assert_false(fake_exists(f, "params.json"));
    free(large);
}

static void a_damaged_file_is_told_and_not_overwritten(void **state)
{
    struct fake *f = *state;
    char *got = NULL;
    assert_int_equal(fake_start(f, ""), 0);
    fake_write(f, "params.json", "{\"a\": ");
    assert_int_equal(T.get(f->inst, "a", &got, &f->err), BP_INVALID);
    assert_int_equal(T.put(f->inst, "b", "v", 0, &f->err), BP_INVALID);
    got = fake_read(f, "params.json");
    assert_string_equal(got, "{\"a\": ");
    free(got);
}

struct writer {
    struct fake *fake;
    int number;
};

static void *write_some(void *arg)
{
    struct writer *w = arg;
    struct bp_err err;
    char name[32];
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "p%d-%d", w->number, i);
        if (T.put(w->fake->inst, name, name, 0, &err) < 0)
            return arg;
    }
    return NULL;
}

static void no_parameter_is_lost_when_many_write(void **state)
{
    struct fake *f = *state;
    pthread_t threads[4];
    struct writer writers[4];
    void *bad;
    assert_int_equal(fake_start(f, ""), 0);
    for (int i = 0; i < 4; i++) {
        writers[i] = (struct writer){f, i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_some, &writers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof name, "p%d-%d", i / 10, i % 10);
        assert_param(f, name, name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_parameter_is_kept_in_a_private_file),
        TEST(bad_names_and_values_are_refused),
        TEST(a_damaged_file_is_told_and_not_overwritten),
        TEST(no_parameter_is_lost_when_many_write),
    };
    return RUN(tests);
}
