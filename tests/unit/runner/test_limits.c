/* SPDX-License-Identifier: Apache-2.0 */
/* What ends a runner that takes too much, and the words for it; nothing of one stays. */
#include "breaking.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Runs a job that does not come back; its verdict must have these words. */
static void ends_with(const char *plugin, const char *const *rules, const char *params, const char *words)
{
    struct peer p;
    breaking_start(&p, plugin, rules);
    int status = breaking_end(&p, params);
    if (!strstr(p.verdict, words))
        print_error("%s: status %d, \"%s\" is not in \"%s\"\n", params, status, words, p.verdict);
    assert_non_null(strstr(p.verdict, words));
}

static void a_crash_is_told_by_its_signal(void **state)
{
    (void)state;
    NEED(!BREAKING_SANITIZED, "a sanitizer has crashes, memory and threads of its own");
    ends_with("test-break", NULL, "{\"mode\":\"segv\"}", "crashed: signal 11 (Segmentation fault)");
    ends_with("test-break", NULL, "{\"mode\":\"abort\"}", "crashed: signal 6 (Aborted)");
    ends_with("test-break", NULL, "{\"mode\":\"heap\"}", "crashed: signal ");
}

static void an_exit_is_told_even_when_it_says_all_is_well(void **state)
{
    (void)state;
    struct peer p;
    breaking_start(&p, "test-break", NULL);
    assert_int_equal(breaking_end(&p, "{\"mode\":\"exit\"}"), 0);
    assert_string_equal(p.verdict, ""); /* the worker knows that it was in the middle of its work */
}

static void a_leak_ends_at_the_limit_and_names_it(void **state)
{
    (void)state;
    NEED(!BREAKING_SANITIZED, "a sanitizer has crashes, memory and threads of its own");
    const char *rules[] = {"--memory-bytes", "100000000", NULL};
    ends_with("test-break", rules, "{\"mode\":\"leak\"}", "worker.runnerMemoryBytes");
    ends_with("test-break", rules, "{\"mode\":\"shared_leak\"}", "more than the");
}

static void a_full_directory_ends_it_whether_its_files_have_names_or_not(void **state)
{
    (void)state;
    const char *rules[] = {"--disk-bytes", "50000000", NULL};
    ends_with("test-break", rules, "{\"mode\":\"fill\"}", "filled its temporary directory");
    ends_with("test-break", rules, "{\"mode\":\"fill_unlinked\"}", "worker.runnerDiskBytes");
}

static void a_file_too_large_is_an_error_of_write(void **state)
{
    (void)state;
    const char *rules[] = {"--file-bytes", "3000000", NULL};
    struct peer p;
    breaking_start(&p, "test-break", rules);
    assert_int_not_equal(breaking_try(&p, "{\"mode\":\"big_file\"}"), 0);
    peer_finish(&p);
}

/* Does the link /proc/PID/what lead there, or below it? */
static int leads_to(const char *pid, const char *what, const char *there)
{
    char link[300], to[4096];
    snprintf(link, sizeof link, "/proc/%.64s/%s", pid, what);
    ssize_t n = readlink(link, to, sizeof to - 1);
    size_t want = strlen(there);
    to[n > 0 ? n : 0] = '\0';
    return strncmp(to, there, want) == 0 && (to[want] == '\0' || to[want] == '/');
}

/* How many processes of this test's runners there are: the tests that run beside it have theirs in other directories.
 */
static int relics(void)
{
    int n = 0;
    char *here = getcwd(NULL, 0);
    DIR *d = opendir("/proc");
    assert_true(d && here);
    for (struct dirent *e; (e = readdir(d));)
        n += leads_to(e->d_name, "exe", peer_built("bin/bp-runner")) && leads_to(e->d_name, "cwd", here);
    closedir(d);
    free(here);
    return n;
}

static void a_fork_bomb_stops_at_the_limit_and_leaves_nothing(void **state)
{
    (void)state;
    int before = relics();
    assert_int_not_equal(breaking_try_once("test-break", "{\"mode\":\"fork_bomb\"}"), 0);
    NEED(kernel_asks(), "this kernel cannot count births");
    struct peer p;
    breaking_start(&p, "test-open", NULL);
    breaking_job(&p, "{\"mode\":\"fork_bomb\",\"fail\":1}");
    struct json_object *o = peer_hear(&p, "result");
    assert_non_null(strstr(json_str(o, "text", ""), "worker.runnerProcesses"));
    json_object_put(o);
    assert_true(relics() >= before + 2 + 10); /* it and its warden, and what it may */
    peer_finish(&p);
    assert_int_equal(relics(), before);
}

/* However many are born, only those that live count. */
static void programs_that_end_make_room_for_others(void **state)
{
    (void)state;
    assert_int_equal(breaking_try_once("test-open",
                                       "{\"mode\":\"exec\",\"to\":\"i=0; while [ $i -lt 1000 ]; do ( : ) || "
                                       "exit 9; i=$((i+1)); done\"}"),
                     0);
}

static void what_left_its_group_and_its_parent_ends_too(void **state)
{
    (void)state;
    NEED(!BREAKING_SANITIZED, "a sanitizer has crashes, memory and threads of its own");
    int before = relics();
    struct peer p;
    breaking_start(&p, "test-open", NULL);
    assert_int_equal(breaking_try(&p, "{\"mode\":\"orphans\"}"), 0);
    assert_int_equal(relics(), before + 2 + 5);
    peer_finish(&p);
    assert_int_equal(relics(), before);
    breaking_start(&p, "test-open", NULL);
    assert_int_equal(breaking_end(&p, "{\"mode\":\"orphans\",\"crash\":1}"), -SIGSEGV);
    assert_int_equal(relics(), before);
}

static void it_ends_as_soon_as_nobody_listens(void **state)
{
    (void)state;
    int before = relics();
    struct peer p;
    breaking_start(&p, "test-break", NULL);
    breaking_job(&p, "{\"mode\":\"blocked_loop\"}");
    assert_int_equal(relics(), before + 2);
    close(p.verdict_fd);
    p.verdict_fd = -1;
    peer_finish(&p); /* would hang otherwise */
    assert_int_equal(relics(), before);
}

static void too_many_threads_end_it(void **state)
{
    (void)state;
    NEED(!BREAKING_SANITIZED, "a sanitizer has crashes, memory and threads of its own");
    ends_with("test-break", NULL, "{\"mode\":\"thread_bomb\"}", "threads at once, more than 8192");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_is_told_by_its_signal),
        cmocka_unit_test(an_exit_is_told_even_when_it_says_all_is_well),
        cmocka_unit_test(a_leak_ends_at_the_limit_and_names_it),
        cmocka_unit_test(a_full_directory_ends_it_whether_its_files_have_names_or_not),
        cmocka_unit_test(a_file_too_large_is_an_error_of_write),
        cmocka_unit_test(a_fork_bomb_stops_at_the_limit_and_leaves_nothing),
        cmocka_unit_test(programs_that_end_make_room_for_others),
        cmocka_unit_test(what_left_its_group_and_its_parent_ends_too),
        cmocka_unit_test(it_ends_as_soon_as_nobody_listens),
        cmocka_unit_test(too_many_threads_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
