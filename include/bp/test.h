/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/test.h - for unit tests of a plugin, without a daemon. Linked from the static library bp_plugin_test; in CMake
 * bp_add_plugin_test() brings it, cmocka, and BP_TEST_PLUGIN, the path of the plugin under test.
 *
 * The .so is loaded as bpd and bp-runner load it. Its host is made up: what is logged and published can be read, the
 * clock can be set, memory that is not given back is told. Its device is bpd's own CPU device, with the same kernels
 * and the same checks, and an account of what was not freed (BP_TEST_DEVICE=cuda in the environment takes the GPU).
 * Both can be made to fail at a chosen call. What is not made up here: the sandbox of bp-runner, the check of params
 * and settings against the manifest, and the defaults it fills in; give complete ones.
 *
 *   struct bp_test *t;
 *   struct bp_test_job job = {.params = "{\"strength\": 1}", .inputs = {"photo.png"}, .output = "brown.png"};
 *   assert_int_equal(bp_test_open(BP_TEST_PLUGIN, NULL, &t, &err), BP_OK);
 *   assert_int_equal(bp_test_run(t, &job, &err), BP_OK);
 *   assert_int_equal(bp_test_close(&t, &err), BP_OK);
 *
 * One plugin at a time is under test, from one thread; what the plugin calls of its host may be called from any.
 */
#ifndef BP_TEST_H
#define BP_TEST_H

#include <bp/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_TEST_INPUTS 16

struct bp_test; /* a running plugin with all that surrounds it */

/*
 * Loads the shared object and starts the plugin, in a fresh state directory below the current one. settings: JSON
 * object as bp_host.config() gives it, NULL: "{}". BP_INVALID: it is no plugin, or of another ABI; else what start()
 * returned. On error *out is NULL. *out: bp_test_close().
 */
int32_t bp_test_open(const char *so, const char *settings, struct bp_test **out, struct bp_err *err);
/* Closes the job facet where it was used, stops the plugin, removes its state directory and sets *t to NULL. BP_FAIL
 * says what was not given back: things of the device (buffers, page-locked memory, modules, queues, events) and memory
 * of the host, which also the test may still hold (bp_test_free). Accepts NULL in *t. */
int32_t bp_test_close(struct bp_test **t, struct bp_err *err);

/* The table of a facet, "bp.notify/1" say, NULL when it is not offered; and the first argument of its functions. */
const void *bp_test_facet(struct bp_test *t, const char *id);
void *bp_test_inst(struct bp_test *t);
/* Frees what a facet function gave out with bp_host.alloc. */
void bp_test_free(struct bp_test *t, void *memory);
const char *bp_test_state_dir(const struct bp_test *t);
/* All lines that the plugin has logged, one after another; of the last 64 KiB. Borrowed until the next call of this. */
const char *bp_test_log(struct bp_test *t);
/* All events it has published, a line each: name, space, fields. Borrowed as above. */
const char *bp_test_events(struct bp_test *t);
/* What bp_host.now_ms() answers from now on; 0: the real time. */
void bp_test_clock(struct bp_test *t, int64_t now_ms);
/*
 * Makes the n-th call from now fail (1: the next), of bp_host.alloc and of the device's functions that can fail: those
 * that give something out with BP_NOMEM, the others with BP_IO. 0: none. The loop
 *     for (n = 1; bp_test_fail(t, n), rc = bp_test_run(t, &job, &err), bp_test_failed(t); n++) assert(rc != BP_OK);
 * tries every failure of a job once.
 */
void bp_test_fail(struct bp_test *t, int64_t n);
/* 1: the failure asked for last has come; 0: there were fewer calls. */
int32_t bp_test_failed(const struct bp_test *t);

/* One job of a workflow. Texts are borrowed for the run. */
struct bp_test_job {
    const char *params;                 /* JSON object, complete; NULL: "{}" */
    const char *inputs[BP_TEST_INPUTS]; /* files; the first NULL ends them */
    const char *output;                 /* file to be written */
    const char *slug;                   /* of a workflow of a template; NULL: the plugin's name */
    const char *settings;               /* that workflow's settings, a JSON object; NULL: "{}" */
    const char *settings_dir;           /* where file names in them begin; NULL: "" */
    const char *assets_dir;             /* directory with the workflow's assets; NULL: "" */
    int64_t stop_after;                 /* progress() calls that are answered with "go on"; then BP_STOPPED. 0: all */
    /* out */
    int64_t n_progress;   /* calls of progress() */
    double fraction;      /* of the last one */
    char text[256];       /* of the last one */
    int64_t n_saved;      /* checkpoints it saved; the last is what the next run in this bp_test loads */
    uint64_t saved_bytes; /* of the last one */
};

/* Runs one job; the first also opens the device and the job facet. What run() returned, or why it could not be called.
 * Attempts are counted; a checkpoint is dropped by a run that returns BP_OK. */
int32_t bp_test_run(struct bp_test *t, struct bp_test_job *job, struct bp_err *err);

#ifdef __cplusplus
}
#endif
#endif
