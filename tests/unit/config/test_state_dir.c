/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "state_dir.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process that has the directory, and a child of it that did not exec yet. Its pid; the child's in *child. */
static pid_t holder_start(pid_t *child)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t holder = fork();
    if (holder == 0) {
        struct bp_err err;
        if (state_dir_lock(".", &err) != 0)
            _exit(1);
        pid_t c = fork();
        if (c == 0)
            for (;;)
                pause();
        if (write(pipe_fds[1], &c, sizeof c) != sizeof c)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(pipe_fds[0], child, sizeof *child), sizeof *child);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return holder;
}

static void a_state_directory_has_one_owner_until_it_ends(void **state)
{
    (void)state;
    struct bp_err err = {0};
    pid_t child, holder = holder_start(&child);
    assert_int_equal(state_dir_lock(".", &err), BP_CONFLICT);
    assert_non_null(strstr(err.text, "another bpd runs"));
    kill(child, SIGKILL);
    kill(holder, SIGKILL);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    assert_int_equal(state_dir_lock(".", &err), 0);
}

/* "another bpd runs with the state directory", and none did: a child of the killed one was about to exec. */
static void a_child_that_has_not_execed_does_not_keep_a_killed_owner_s_directory(void **state)
{
    (void)state;
    struct bp_err err = {0};
    pid_t child, holder = holder_start(&child);
    kill(holder, SIGKILL);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    assert_int_equal(kill(child, 0), 0);
    if (state_dir_lock(".", &err) != 0)
        fail_msg("%s", err.text);
    kill(child, SIGKILL);
}

static int elsewhere(void **state)
{
    char name[] = "t.XXXXXX";
    (void)state;
    return !mkdtemp(name) || chdir(name) < 0 ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_state_directory_has_one_owner_until_it_ends, elsewhere),
        cmocka_unit_test_setup(a_child_that_has_not_execed_does_not_keep_a_killed_owner_s_directory, elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
