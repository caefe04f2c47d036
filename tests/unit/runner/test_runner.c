/* SPDX-License-Identifier: Apache-2.0 */
/* bp-runner itself, spoken to as a worker does, but by hand. */
#include "peer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void start_one(struct peer *p)
{
    const char *rules[] = {"--write", ".", "--read", peer_built("tests/workflows/test-copy.so"), NULL};
    peer_start(p, rules);
}

static void open_plugin(struct peer *p)
{
    char text[5000];
    start_one(p);
    snprintf(text, sizeof(text),
             "{\"type\":\"open\",\"plugin\":\"%s\",\"name\":\"test-copy\",\"device\":\"cpu\",\"state_dir\":\".\"}",
             peer_built("tests/workflows/test-copy.so"));
    peer_tell(p, text);
    struct json_object *o = peer_hear(p, "ready");
    assert_string_equal(json_str(o, "device", ""), "cpu");
    assert_true(json_str(o, "device_name", "")[0] != '\0');
    json_object_put(o);
}

static void begin_job(struct peer *p, const char *params)
{
    char text[1000];
    FILE *f = fopen("in", "w");
    fputs("some bytes", f);
    fclose(f);
    snprintf(text, sizeof(text),
             "{\"type\":\"job\",\"id\":5,\"attempt\":2,\"params\":%s,\"inputs\":[{\"path\":\"in\",\"mime\":\"a/b\"}],"
             "\"output\":\"out\",\"temp_dir\":\".\",\"checkpoint_out\":\"cp\"}",
             params);
    peer_tell(p, text);
}

static int64_t result(struct peer *p)
{
    struct json_object *o = peer_hear(p, "result");
    int64_t rc = json_int(o, "rc", 1);
    json_object_put(o);
    return rc;
}

static void jobs_run_one_after_another_until_the_worker_closes(void **state)
{
    (void)state;
    struct peer p;
    open_plugin(&p);
    for (int i = 0; i < 3; i++) {
        begin_job(&p, "{}");
        assert_int_equal(result(&p), BP_OK);
        assert_int_equal(access("out", F_OK), 0);
        unlink("out");
    }
    assert_int_equal(peer_finish(&p), 0);
}

static void progress_is_told_at_most_ten_times_a_second(void **state)
{
    (void)state;
    struct peer p;
    int told = 0;
    int64_t ms = -1;
    open_plugin(&p);
    begin_job(&p, "{\"steps\":3000,\"step_ms\":0}");
    while (ms < 0) {
        struct json_object *o = peer_hear_any(&p);
        told += !strcmp(json_str(o, "type", ""), "progress");
        if (!strcmp(json_str(o, "type", ""), "result"))
            ms = json_int(o, "run_ms", 0);
        json_object_put(o);
    }
    assert_true(told >= 1);
    assert_true(told <= 2 + ms / 100);
    assert_int_equal(peer_finish(&p), 0);
}

static void stop_makes_progress_answer_stopped(void **state)
{
    (void)state;
    struct peer p;
    open_plugin(&p);
    begin_job(&p, "{\"steps\":1000000,\"step_ms\":10}");
    json_object_put(peer_hear(&p, "progress"));
    peer_tell(&p, "{\"type\":\"stop\"}");
    assert_int_equal(result(&p), BP_STOPPED);
    begin_job(&p, "{}"); /* the next job is not stopped by that */
    assert_int_equal(result(&p), BP_OK);
    peer_tell(&p, "{\"type\":\"stop\"}"); /* too late, and harmless */
    begin_job(&p, "{}");
    assert_int_equal(result(&p), BP_OK);
    assert_int_equal(peer_finish(&p), 0);
}

static void a_checkpoint_is_a_file_the_worker_is_told_of(void **state)
{
    (void)state;
    struct peer p;
    char text[16] = "";
    open_plugin(&p);
    begin_job(&p, "{\"steps\":3,\"checkpoint\":true}");
    for (int i = 0; i < 3; i++)
        json_object_put(peer_hear(&p, "checkpoint"));
    assert_int_equal(result(&p), BP_OK);
    FILE *f = fopen("cp", "r");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof(text), f));
    fclose(f);
    assert_string_equal(text, "3");
    assert_int_not_equal(access("cp.part", F_OK), 0);
    assert_int_equal(peer_finish(&p), 0);
}

static void the_workflows_error_is_the_result(void **state)
{
    (void)state;
    struct peer p;
    open_plugin(&p);
    begin_job(&p, "{\"misbehave\":\"bad_input\"}");
    struct json_object *o = peer_hear(&p, "result");
    assert_int_equal(json_int(o, "rc", 0), BP_BADINPUT);
    assert_string_equal(json_str(o, "text", ""), "the photo is not a photo");
    json_object_put(o);
    assert_int_equal(peer_finish(&p), 0);
}

static void sigterm_is_the_workers_business(void **state)
{
    (void)state;
    struct peer p;
    open_plugin(&p);
    begin_job(&p, "{\"steps\":5,\"step_ms\":50}");
    json_object_put(peer_hear(&p, "progress"));
    kill(p.pid, SIGTERM);
    assert_int_equal(result(&p), BP_OK);
    assert_int_equal(peer_finish(&p), 0);
}

static void a_worker_that_is_gone_stops_the_job(void **state)
{
    (void)state;
    struct peer p;
    open_plugin(&p);
    begin_job(&p, "{\"steps\":1000000,\"step_ms\":10}");
    json_object_put(peer_hear(&p, "progress"));
    assert_int_equal(peer_finish(&p), 0); /* would hang otherwise */
}

static void a_frame_that_makes_no_sense_ends_it(void **state)
{
    (void)state;
    struct peer p;
    open_plugin(&p);
    peer_tell(&p, "{\"type\":\"dance\"}");
    assert_int_equal(peer_finish(&p), 1);
    open_plugin(&p);
    assert_int_equal(write(p.fd, "\xff\xff\xff\xff", 4), 4);
    assert_int_equal(peer_finish(&p), 1);
    open_plugin(&p);
    peer_tell(&p, "{\"type\":\"job\",\"id\":1}");
    assert_int_equal(peer_finish(&p), 1);
}

static void a_plugin_that_cannot_be_opened_is_told(void **state)
{
    (void)state;
    struct peer p;
    start_one(&p);
    peer_tell(&p, "{\"type\":\"open\",\"plugin\":\"/nonexistent.so\",\"name\":\"x\",\"device\":\"cpu\"}");
    struct json_object *o = peer_hear(&p, "error");
    assert_string_equal(json_str(o, "stage", ""), "plugin");
    assert_true(json_str(o, "text", "")[0] != '\0');
    json_object_put(o);
    assert_int_equal(peer_finish(&p), 1);
    start_one(&p);
    peer_tell(&p, "{\"type\":\"open\",\"plugin\":\"/nonexistent.so\",\"name\":\"x\",\"device\":\"abacus\"}");
    o = peer_hear(&p, "error");
    assert_string_equal(json_str(o, "stage", ""), "device");
    json_object_put(o);
    assert_int_equal(peer_finish(&p), 1);
}

/* Exit status of a command line; its standard error is in the file "said". */
static int run(const char *arguments)
{
    char line[9000];
    snprintf(line, sizeof(line), "%s %s </dev/null >out 2>said", peer_built("bin/bp-runner"), arguments);
    int status = system(line);
    return WEXITSTATUS(status);
}

static int said(const char *part)
{
    char text[4096] = "";
    FILE *f = fopen("said", "r");
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    return strstr(text, part) != NULL;
}

static void probe_tells_good_files_from_bad_ones(void **state)
{
    (void)state;
    char line[5000];
    snprintf(line, sizeof(line), "--probe %s", peer_built("tests/workflows/test-copy.so"));
    assert_int_equal(run(line), 0);
    assert_int_equal(run("--probe /nonexistent.so"), 1);
    assert_true(said("/nonexistent.so"));
    assert_int_equal(run("--probe /bin/sh"), 1);
    assert_true(said("manifest"));
    assert_int_equal(run("--probe /dev/null"), 1);
}

static void the_command_line_behaves(void **state)
{
    (void)state;
    assert_int_equal(run("--help"), 0);
    assert_int_equal(run("--version"), 0);
    assert_int_equal(run(""), 2);
    assert_int_equal(run("--nonsense"), 2);
    assert_int_equal(run("--serve"), 2);
    assert_true(said("socket"));
    assert_int_equal(run("--serve extra"), 2);
}

/* How often the fake driver was asked that. */
static int asked(const char *word)
{
    char text[65536];
    int n = 0;
    FILE *f = fopen("cuda.txt", "re");
    text[f ? fread(text, 1, sizeof(text) - 1, f) : 0] = '\0';
    if (f)
        fclose(f);
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        n++;
    return n;
}

/* Opened anew, a runner finds what its predecessor's driver made of the kernels. */
static void kernels_are_compiled_once_for_all_runners(void **state)
{
    char text[9000], plugin[4096], cuda[4096];
    const char *const rules[] = {"--write", ".", "--read", plugin, "--read", cuda, NULL};
    (void)state;
    snprintf(plugin, sizeof(plugin), "%s", peer_built("plugins/image-to-video.so"));
    snprintf(cuda, sizeof(cuda), "%s", peer_built("tests/fakecuda"));
    setenv("LD_LIBRARY_PATH", cuda, 1);
    setenv("FAKECUDA_LOG", "cuda.txt", 1);
    for (int i = 0; i < 3; i++) {
        struct peer p;
        peer_start(&p, rules);
        snprintf(
            text, sizeof(text),
            "{\"type\":\"open\",\"plugin\":\"%s\",\"name\":\"image-to-video\",\"device\":\"cuda\",\"state_dir\":\".\","
            "\"kernels\":\"kernels\",\"kernels_bytes\":1000000}",
            plugin);
        peer_tell(&p, text);
        struct json_object *o = peer_hear(&p, "ready");
        assert_string_equal(json_str(o, "device", ""), "cuda");
        json_object_put(o);
        assert_int_equal(peer_finish(&p), 0);
        assert_int_equal(asked("cuLinkComplete"), 1);
        assert_int_equal(asked("cuModuleLoadDataEx cubin"), i + 1);
    }
    unsetenv("LD_LIBRARY_PATH");
    unsetenv("FAKECUDA_LOG");
}

static void write_bytes(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* Here it cannot be loaded at first: a runner is ready without it, a job hears of it before it has drawn everything,
 * and the next one finds it. */
static void libavformat_is_loaded_with_the_first_frame(void **state)
{
    /* A grey PNG of one pixel. */
    static const char dot[] =
        "\211PNG\015\012\032\012\000\000\000\015IHDR\000\000\000\001\000\000\000\001\010\000\000\000\000:~\233U"
        "\000\000\000\012IDATx\234ch\000\000\000\202\000\201w\315r\266"
        "\000\000\000\000IEND\256B`\202";
    char text[9000], plugin[4096], path[100];
    const char *const rules[] = {"--write", ".", "--read", plugin, NULL};
    struct peer p;
    (void)state;
    snprintf(plugin, sizeof(plugin), "%s", peer_built("plugins/image-to-video.so"));
    write_bytes("in.png", dot, sizeof(dot) - 1);
    for (int version = 58; version < 70; version++) {
        snprintf(path, sizeof(path), "libavformat.so.%d", version);
        write_bytes(path, "no library", 10);
    }
    setenv("LD_LIBRARY_PATH", getcwd(text, sizeof(text)), 1);
    peer_start(&p, rules);
    unsetenv("LD_LIBRARY_PATH");
    snprintf(text, sizeof(text),
             "{\"type\":\"open\",\"plugin\":\"%s\",\"name\":\"image-to-video\",\"device\":\"cpu\",\"state_dir\":\".\"}",
             plugin);
    peer_tell(&p, text);
    json_object_put(peer_hear(&p, "ready"));
    for (int there = 0; there <= 1; there++) {
        peer_tell(&p, "{\"type\":\"job\",\"id\":1,\"attempt\":1,\"params\":{\"width\":64,\"height\":64},"
                      "\"inputs\":[{\"path\":\"in.png\"}],\"output\":\"out\",\"temp_dir\":\".\"}");
        struct json_object *o = peer_hear(&p, "result");
        assert_int_equal(json_int(o, "rc", 1), there ? BP_OK : BP_FAIL);
        assert_true(there || strstr(json_str(o, "text", ""), "loading libavformat.so."));
        json_object_put(o);
        for (int version = 58; version < 70; version++) {
            snprintf(path, sizeof(path), "libavformat.so.%d", version);
            unlink(path);
        }
    }
    assert_int_equal(peer_finish(&p), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_run_one_after_another_until_the_worker_closes),
        cmocka_unit_test(progress_is_told_at_most_ten_times_a_second),
        cmocka_unit_test(stop_makes_progress_answer_stopped),
        cmocka_unit_test(a_checkpoint_is_a_file_the_worker_is_told_of),
        cmocka_unit_test(the_workflows_error_is_the_result),
        cmocka_unit_test(sigterm_is_the_workers_business),
        cmocka_unit_test(a_worker_that_is_gone_stops_the_job),
        cmocka_unit_test(a_frame_that_makes_no_sense_ends_it),
        cmocka_unit_test(a_plugin_that_cannot_be_opened_is_told),
        cmocka_unit_test(probe_tells_good_files_from_bad_ones),
        cmocka_unit_test(the_command_line_behaves),
        cmocka_unit_test(kernels_are_compiled_once_for_all_runners),
        cmocka_unit_test(libavformat_is_loaded_with_the_first_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
