/* SPDX-License-Identifier: Apache-2.0 */
/* driver.h - stands in for bp-runner: loads the plugin's .so, fills struct bp_job, keeps the checkpoint. */
#ifndef TEST_IMAGE_TO_VIDEO_DRIVER_H
#define TEST_IMAGE_TO_VIDEO_DRIVER_H

#include <bp/job.h>

struct driver {
    void *lib;
    const struct bp_plugin *plugin;
    const struct bp_job_facet *facet;
    struct bp_device *dev;
    void *inst, *state;
    /* the job's checkpoint, kept from run to run */
    uint8_t *checkpoint;
    uint64_t checkpoint_bytes;
    int32_t n_saved;
    /* what the last run said */
    int32_t n_progress;
    double last_fraction;
    char last_text[200], last_log[600];
    char logs[4000];    /* all lines, one after another */
    int32_t stop_after; /* progress calls until "stop"; 0: never */
    int32_t attempt;
};

/* Loads plugin `so` on device `which` ("cpu", "cuda", "auto", or "cpu:0" and "cpu:1" for an older CPU); the answer is
 * BP_OK or a failure with err filled. */
int32_t driver_open(struct driver *d, const char *so, const char *which, struct bp_err *err);
void driver_close(struct driver *d);
/* Runs one job with these params (JSON). */
int32_t driver_run(struct driver *d, const char *input, const char *params, const char *output, struct bp_err *err);

#endif
