/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calibrate.h - whether jobs begin and end by when it was said they would: some jobs of a run are asked about at the
 * first decision after their arrival, as `bpctl explain job` would, and what was said is held against what came.
 */
#ifndef SIMULATE_CALIBRATE_H
#define SIMULATE_CALIBRATE_H

#include <stdint.h>

struct run;
struct calibration;

/* About `most` of the trace's jobs, spread over it evenly. NULL: no memory. free with calibration_free. */
struct calibration *calibration_new(uint32_t jobs, uint32_t most);
void calibration_free(struct calibration *c);
/* After a decision: asks about those that came since the one before and still wait or run. */
void calibration_ask(struct run *r);
/* A job begins, or has ended, at the run's moment. */
void calibration_began(struct run *r, uint32_t job);
void calibration_ended(struct run *r, uint32_t job);

#endif
