/* SPDX-License-Identifier: Apache-2.0 */
/* While AWS hangs, one look hangs with it; those that wait for it fail when it does. */
#include "../aws-objects/fake_aws.h"
#include "client.h"
#include "err.h"
#include "groups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOKS 4

static struct fleets fleets;
static atomic_int calls, hanging = 1, tids[LOOKS];
static int rcs[LOOKS];
static struct bp_err errs[LOOKS];

int client_query(struct client *c, enum aws_op op, const struct form *f, const char *what, struct reply *r,
                 struct bp_err *err)
{
    (void)c, (void)op, (void)f;
    memset(r, 0, sizeof *r);
    calls++;
    while (hanging)
        usleep(1000);
    return err_set(err, BP_LATER, "%s got no answer", what);
}

void reply_free(struct reply *r)
{
    memset(r, 0, sizeof *r);
}

static void *look(void *arg)
{
    long k = (long)arg;
    const char *slug = "photo";
    tids[k] = gettid();
    rcs[k] = groups_look(&fleets, &slug, 1, 0, 1, &errs[k]);
    return NULL;
}

/* It sleeps: on the lock that the hanging look holds. */
static int sleeps(int tid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    FILE *in = tid ? fopen(path, "r") : NULL;
    size_t n = in ? fread(text, 1, sizeof text - 1, in) : 0;
    if (in)
        fclose(in);
    const char *state = n ? strrchr(text, ')') : NULL;
    return state && state[1] == ' ' && state[2] == 'S';
}

static void those_that_wait_fail_with_the_one_they_wait_for(void **state)
{
    struct bp_err err = {0};
    pthread_t threads[LOOKS];
    struct aws *a = fake_aws("{}");
    (void)state;
    fleets.aws = a;
    fleets.groups = groups_new();
    assert_int_equal(fleet_settings_read(&fleets.set, a, &err), 0);
    pthread_create(&threads[0], NULL, look, (void *)0);
    while (!calls)
        usleep(1000);
    for (long k = 1; k < LOOKS; k++) {
        pthread_create(&threads[k], NULL, look, (void *)k);
        while (!sleeps(tids[k]))
            usleep(1000);
    }
    hanging = 0;
    for (int k = 0; k < LOOKS; k++)
        pthread_join(threads[k], NULL);
    assert_int_equal(calls, 1);
    for (int k = 0; k < LOOKS; k++) {
        assert_int_equal(rcs[k], BP_LATER);
        assert_string_equal(errs[k].text, "group asg-local-photo got no answer");
    }
    look((void *)0); /* who comes later asks again */
    assert_int_equal(calls, 2);
    groups_free(fleets.groups);
    fake_aws_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(those_that_wait_fail_with_the_one_they_wait_for)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
