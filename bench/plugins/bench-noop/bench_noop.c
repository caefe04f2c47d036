/* SPDX-License-Identifier: Apache-2.0 */
/* bench_noop.c - a workflow that does nothing, without input or output: what is measured is the dispatch alone. */
#include <bp/workflow.h>

static int32_t open_job(void *inst, const struct bp_device *dev, void **state, struct bp_err *err)
{
    (void)inst, (void)dev, (void)err;
    *state = NULL;
    return BP_OK;
}

static int32_t run(void *state, const struct bp_job *job, struct bp_err *err)
{
    (void)state, (void)job, (void)err;
    return BP_OK;
}

static void close_job(void *state)
{
    (void)state;
}

BP_WORKFLOW("bench-noop", .open = open_job, .run = run, .close = close_job)
