/* SPDX-License-Identifier: Apache-2.0 */
/* Whole jobs of the exec plugin with real commands: what runs, what is left afterwards, and how it reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bp/workflow.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern const struct bp_plugin bp_plugin_v1;

/* The runner as far as a job asks it. */
struct rig {
    struct bp_job job;
    struct bp_job_input input;
    struct bp_err err;
    char dir[4096], temp[4200], output[4300];
    int n_progress, stop_at; /* progress() answers BP_STOPPED from that call on; 0: never */
    int stop_when_running;   /* the same once a file "begun" exists */
    double fraction;
    char text[200], log[20000];
    char saved[1000];
    const char *load;
};

static int32_t progress(void *ctx, double fraction, const char *text)
{
    struct rig *r = ctx;
    r->n_progress++;
    r->fraction = fraction;
    snprintf(r->text, sizeof r->text, "%s", text);
    if (r->stop_when_running && access("begun", F_OK) == 0)
        return BP_STOPPED;
    return r->stop_at && r->n_progress >= r->stop_at ? BP_STOPPED : BP_OK;
}

static int32_t save(void *ctx, const void *bytes, uint64_t n, struct bp_err *err)
{
    struct rig *r = ctx;
    (void)err;
    snprintf(r->saved, sizeof r->saved, "%.*s", (int)n, (const char *)bytes);
    return BP_OK;
}

static int32_t load(void *ctx, const void **bytes, uint64_t *n)
{
    struct rig *r = ctx;
    if (!r->load)
        return BP_NOTFOUND;
    *bytes = r->load;
    *n = strlen(r->load);
    return BP_OK;
}

static void log_line(void *ctx, int32_t level, const char *text)
{
    struct rig *r = ctx;
    (void)level;
    snprintf(r->log + strlen(r->log), sizeof r->log - strlen(r->log), "%s\n", text);
}

static struct rig *fresh(void)
{
    static struct rig one;
    struct rig *r = &one;
    memset(r, 0, sizeof *r);
    assert_non_null(getcwd(r->dir, sizeof r->dir));
    assert_in_range(snprintf(r->temp, sizeof r->temp, "%s/temp-XXXXXX", r->dir), 1, sizeof r->temp - 1);
    assert_non_null(mkdtemp(r->temp));
    assert_in_range(snprintf(r->output, sizeof r->output, "%s/result", r->temp), 1, sizeof r->output - 1);
    unlink("begun");
    FILE *f = fopen("photo", "we");
    fputs("some pixels", f);
    fclose(f);
    r->input = (struct bp_job_input){
        .path = strcat(strcpy(malloc(5000), r->dir), "/photo"), .mime = "image/png", .name = "x;y"};
    r->job = (struct bp_job){.size = sizeof r->job,
                             .n_inputs = 1,
                             .id = 7,
                             .attempt = 1,
                             .params = "{}",
                             .inputs = &r->input,
                             .output_path = r->output,
                             .temp_dir = r->temp,
                             .ctx = r,
                             .progress = progress,
                             .checkpoint_save = save,
                             .checkpoint_load = load,
                             .log = log_line,
                             .slug = "sepia",
                             .settings = "{}",
                             .settings_dir = r->dir};
    return r;
}

static int32_t run(struct rig *r, const char *settings)
{
    void *state;
    struct bp_device dev = {.kind = BP_DEVICE_CPU};
    const struct bp_job_facet *f = bp_plugin_v1.facet(NULL, BP_JOB_FACET);
    assert_int_equal(f->open(NULL, &dev, &state, &r->err), BP_OK);
    r->job.settings = settings;
    int32_t rc = f->run(state, &r->job, &r->err);
    f->close(state);
    free((void *)(uintptr_t)r->input.path);
    return rc;
}

static const char *file_text(const char *path)
{
    static char text[4096];
    FILE *f = fopen(path, "re");
    if (!f)
        return NULL;
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

/* Has the process of that file's number ended? It may be a zombie of nobody's for a moment. */
static int is_gone(const char *path)
{
    const char *text = file_text(path);
    assert_non_null(text);
    long pid = strtol(text, NULL, 10);
    assert_true(pid > 1);
    for (int i = 0; i < 500; i++) {
        char state[64];
        snprintf(state, sizeof state, "/proc/%ld/stat", pid);
        const char *stat = file_text(state), *at = stat ? strrchr(stat, ')') : NULL;
        if (!at || at[2] == 'Z')
            return 1;
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    return 0;
}

static void a_command_makes_its_output_of_its_input(void **state)
{
    (void)state;
    struct rig *r = fresh();
    assert_int_equal(run(r, "{\"command\": [\"cp\", \"{input}\", \"{output}\"]}"), BP_OK);
    assert_string_equal(file_text(r->output), "some pixels");
}

static void it_may_be_a_filter(void **state)
{
    (void)state;
    struct rig *r = fresh();
    assert_int_equal(run(r, "{\"command\": [\"tr\", \"a-z\", \"A-Z\"], \"stdin\": \"input\", \"stdout\": \"output\"}"),
                     BP_OK);
    assert_string_equal(file_text(r->output), "SOME PIXELS");
    r = fresh();
    r->job.n_inputs = 0;
    assert_int_equal(run(r, "{\"command\": [\"cat\"], \"stdin\": \"input\", \"stdout\": \"output\"}"), BP_BADINPUT);
    r = fresh();
    assert_int_equal(run(r, "{\"command\": [\"cat\"], \"stdout\": \"output\"}"), BP_FAIL);
    assert_string_equal(r->err.text, "it ended well, but left no file output");
}

static void a_shell_gets_the_job_by_its_environment(void **state)
{
    (void)state;
    struct rig *r = fresh();
    r->job.params = "{\"word\": \"$(touch hacked); 'x'\", \"n\": 3}";
    assert_int_equal(
        run(r,
            "{\"command\": [\"sh\", \"-c\", \"printf '%s|%s|%s|' \\\"$BP_PARAM_WORD\\\" \\\"$BP_SLUG\\\" "
            "\\\"${BP_INPUT##*/}\\\" "
            "> \\\"$BP_OUTPUT\\\"; cat \\\"$BP_PARAMS_FILE\\\" >> \\\"$BP_OUTPUT\\\"; pwd >> \\\"$BP_OUTPUT\\\"\"]}"),
        BP_OK);
    char wanted[5000];
    snprintf(wanted, sizeof wanted, "$(touch hacked); 'x'|sepia|input-1.png|%s%s/work\n", r->job.params, r->temp);
    assert_string_equal(file_text(r->output), wanted);
    assert_int_not_equal(access("hacked", F_OK), 0);
}

static void progress_and_log_come_out_of_its_lines(void **state)
{
    (void)state;
    struct rig *r = fresh();
    assert_int_equal(run(r, "{\"command\": [\"sh\", \"-c\", \"echo hello; echo progress 0.5 half; echo oops >&2\"]}"),
                     BP_OK);
    assert_true(r->fraction == 0.5);
    assert_string_equal(r->text, "half");
    assert_non_null(strstr(r->log, "hello\n"));
    assert_non_null(strstr(r->log, "oops\n"));
}

static void a_failure_is_told_with_its_last_words(void **state)
{
    (void)state;
    struct rig *r = fresh();
    assert_int_equal(
        run(r,
            "{\"command\": [\"sh\", \"-c\", \"echo no such model >&2; exit 9\"], \"exitCodes\": {\"terminal\": [9]}}"),
        BP_INVALID);
    assert_string_equal(r->err.text, "the command ended with exit code 9: no such model");
    r = fresh();
    assert_int_equal(run(r, "{\"command\": [\"/no/such/model\"]}"), BP_NOTFOUND);
    assert_non_null(strstr(r->err.text, "cannot run /no/such/model: No such file or directory"));
    r = fresh();
    assert_int_equal(run(r, "{\"command\": [\"sh\", \"-c\", \"kill -SEGV $$\"]}"), BP_FAIL);
    assert_non_null(strstr(r->err.text, "ended by signal 11"));
}

static void a_file_that_is_no_program_is_told(void **state)
{
    (void)state;
    struct rig *r = fresh();
    FILE *f = fopen("model", "we");
    fputs("import torch\n", f);
    fclose(f);
    chmod("model", 0755);
    assert_int_equal(run(r, "{\"command\": [\"./model\"]}"), BP_FAIL);
    assert_non_null(strstr(r->err.text, "Exec format error; a script begins with a line #!"));
}

static void a_param_too_long_for_an_argument_is_bad_input(void **state)
{
    (void)state;
    static char params[300000];
    struct rig *r = fresh();
    int n = snprintf(params, sizeof params, "{\"p\": \"");
    memset(params + n, 'x', 200000);
    snprintf(params + n + 200000, 10, "\"}");
    r->job.params = params;
    assert_int_equal(run(r, "{\"command\": [\"true\", \"{params.p}\"]}"), BP_BADINPUT);
    assert_non_null(strstr(r->err.text, "Argument list too long; let the command read the params from {paramsFile}"));
    r = fresh();
    r->job.params = params;
    assert_int_equal(run(r, "{\"command\": [\"wc\", \"-c\", \"{paramsFile}\"]}"), BP_OK);
}

static void a_missing_output_is_told_by_its_name(void **state)
{
    (void)state;
    struct rig *r = fresh();
    assert_int_equal(
        run(r, "{\"command\": [\"true\"], \"output\": \"out.png\", \"exitCodes\": {\"otherwise\": \"terminal\"}}"),
        BP_INVALID);
    assert_string_equal(r->err.text, "it ended well, but left no file out.png");
    r = fresh();
    assert_int_equal(run(r, "{\"command\": [\"ln\", \"-s\", \"/etc/passwd\", \"{output}\"], \"output\": \"out.png\"}"),
                     BP_FAIL);
    assert_string_equal(r->err.text, "it ended well, but out.png is no regular file");
    r = fresh();
    assert_int_equal(run(r, "{\"command\": [\"true\"]}"), BP_OK);
    assert_null(file_text(r->output));
}

static void a_job_told_to_stop_ends_the_command_and_keeps_its_checkpoint(void **state)
{
    (void)state;
    struct rig *r = fresh();
    r->stop_when_running = 1;
    r->load = "from before";
    assert_int_equal(run(r, "{\"command\": [\"sh\", \"-c\", \"trap 'echo saved at 4 > $BP_CHECKPOINT; exit 0' TERM; "
                            "cat $BP_CHECKPOINT; echo $$ > "
                            "$BP_SETTINGS_DIR/pid; touch $BP_SETTINGS_DIR/begun; while :; do sleep 0.05; done\"]}"),
                     BP_STOPPED);
    assert_string_equal(r->saved, "saved at 4\n");
    assert_non_null(strstr(r->log, "from before"));
    assert_true(is_gone("pid"));
}

static void one_that_does_not_listen_is_killed(void **state)
{
    (void)state;
    struct rig *r = fresh();
    r->stop_when_running = 1;
    assert_int_equal(
        run(r, "{\"graceSeconds\": 0.2, \"command\": [\"sh\", \"-c\", \"trap '' TERM; echo $$ > $BP_SETTINGS_DIR/pid; "
               "touch $BP_SETTINGS_DIR/begun; while :; do sleep 1; done\"]}"),
        BP_STOPPED);
    assert_true(is_gone("pid"));
}

static void one_that_runs_too_long_is_ended(void **state)
{
    (void)state;
    struct rig *r = fresh();
    assert_int_equal(run(r, "{\"timeoutSeconds\": 0.3, \"command\": [\"sh\", \"-c\", \"echo $$ > $BP_SETTINGS_DIR/pid; "
                            "exec sleep 60\"]}"),
                     BP_FAIL);
    assert_string_equal(r->err.text,
                        "the command ran longer than its limit of 0.3 s (settings.timeoutSeconds) and was ended");
    assert_true(is_gone("pid"));
    r = fresh();
    r->job.deadline_ms = (int64_t)time(NULL) * 1000 + 2000;
    assert_int_equal(run(r, "{\"command\": [\"sleep\", \"60\"]}"), BP_FAIL);
    assert_non_null(strstr(r->err.text, "(the job's timeoutSeconds)"));
}

static void nothing_that_it_started_outlives_it(void **state)
{
    (void)state;
    struct rig *r = fresh();
    /* One in the background, one in a session of its own, one whose parent has ended. */
    assert_int_equal(run(r, "{\"command\": [\"sh\", \"-c\", \"sleep 60 & echo $! > $BP_SETTINGS_DIR/a; setsid sh -c "
                            "'echo $$ > $BP_SETTINGS_DIR/b; exec sleep 60' & "
                            "(sh -c 'echo $$ > $BP_SETTINGS_DIR/c; exec setsid sleep 60' &) ; while ! [ -s "
                            "$BP_SETTINGS_DIR/b ] || ! [ -s $BP_SETTINGS_DIR/c ]; do "
                            "sleep 0.02; done; echo done > $BP_OUTPUT\"]}"),
                     BP_OK);
    assert_string_equal(file_text(r->output), "done\n");
    assert_true(is_gone("a"));
    assert_true(is_gone("b"));
    assert_true(is_gone("c"));
}

static void nothing_outlives_a_runner_that_is_killed(void **state)
{
    (void)state;
    pid_t runner = fork();
    if (runner == 0) {
        struct rig *r = fresh();
        run(r,
            "{\"command\": [\"sh\", \"-c\", \"setsid sh -c 'echo $$ > $BP_SETTINGS_DIR/d; exec sleep 60' & echo $$ > "
            "$BP_SETTINGS_DIR/e; "
            "while ! [ -s $BP_SETTINGS_DIR/d ]; do sleep 0.02; done; touch $BP_SETTINGS_DIR/begun; exec sleep 60\"]}");
        _exit(0);
    }
    while (access("begun", F_OK) != 0)
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    kill(runner, SIGKILL);
    waitpid(runner, NULL, 0);
    assert_true(is_gone("d"));
    assert_true(is_gone("e"));
    unlink("begun");
}

static void a_flood_of_output_is_read_and_forgotten(void **state)
{
    (void)state;
    struct rig *r = fresh();
    assert_int_equal(run(r, "{\"command\": [\"sh\", \"-c\", \"yes 0123456789 | head -c 50000000; head -c 50000000 "
                            "/dev/zero; echo; echo progress 0.9\"]}"),
                     BP_OK);
    assert_true(r->fraction == 0.9);
    assert_true(strlen(r->log) < sizeof r->log - 1);
    assert_non_null(strstr(r->log, "more lines than settings.logLines"));
}

static void its_own_limits_hold(void **state)
{
    (void)state;
    struct rig *r = fresh();
    assert_int_equal(run(r, "{\"cpuSeconds\": 1, \"command\": [\"sh\", \"-c\", \"while :; do :; done\"]}"), BP_FAIL);
    assert_non_null(strstr(r->err.text, "ended by signal"));
    r = fresh();
    assert_int_equal(
        run(r, "{\"memoryBytes\": 134217728, \"stdout\": \"output\", \"command\": [\"sh\", \"-c\", \"ulimit -v\"]}"),
        BP_OK);
    assert_string_equal(file_text(r->output), "131072\n");
}

static void the_command_gets_no_file_and_no_ignored_signal_of_the_runner(void **state)
{
    (void)state;
    struct rig *r = fresh();
    int fd = dup2(1, 77);
    signal(SIGTERM, SIG_IGN);
    assert_int_equal(run(r, "{\"stdout\": \"output\", \"command\": [\"sh\", \"-c\", \"ls /proc/self/fd | tr '\\\\n' ' "
                            "'; grep SigIgn /proc/self/status\"]}"),
                     BP_OK);
    signal(SIGTERM, SIG_DFL);
    close(fd);
    unsigned long long ignored = 0;
    assert_int_equal(sscanf(file_text(r->output), "0 1 2 3 SigIgn: %llx", &ignored), 1);
    assert_int_equal(ignored & ~(3ULL << 31), 0); /* 32 and 33 are the C library's own: nobody may set them */
}

static void many_jobs_leave_no_file_open(void **state)
{
    (void)state;
    struct rlimit was, few = {40, 40};
    getrlimit(RLIMIT_NOFILE, &was);
    few.rlim_max = was.rlim_max;
    setrlimit(RLIMIT_NOFILE, &few);
    for (int i = 0; i < 60; i++) {
        struct rig *r = fresh();
        assert_int_equal(run(r, i % 2 ? "{\"command\": [\"true\"]}" : "{\"command\": [\"./photo\"]}"),
                         i % 2 ? BP_OK : BP_NOTFOUND);
    }
    setrlimit(RLIMIT_NOFILE, &was);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_makes_its_output_of_its_input),
        cmocka_unit_test(it_may_be_a_filter),
        cmocka_unit_test(a_shell_gets_the_job_by_its_environment),
        cmocka_unit_test(progress_and_log_come_out_of_its_lines),
        cmocka_unit_test(a_failure_is_told_with_its_last_words),
        cmocka_unit_test(a_file_that_is_no_program_is_told),
        cmocka_unit_test(a_param_too_long_for_an_argument_is_bad_input),
        cmocka_unit_test(a_missing_output_is_told_by_its_name),
        cmocka_unit_test(a_job_told_to_stop_ends_the_command_and_keeps_its_checkpoint),
        cmocka_unit_test(one_that_does_not_listen_is_killed),
        cmocka_unit_test(one_that_runs_too_long_is_ended),
        cmocka_unit_test(nothing_that_it_started_outlives_it),
        cmocka_unit_test(nothing_outlives_a_runner_that_is_killed),
        cmocka_unit_test(a_flood_of_output_is_read_and_forgotten),
        cmocka_unit_test(its_own_limits_hold),
        cmocka_unit_test(the_command_gets_no_file_and_no_ignored_signal_of_the_runner),
        cmocka_unit_test(many_jobs_leave_no_file_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
