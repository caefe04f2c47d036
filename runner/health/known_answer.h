/* SPDX-License-Identifier: Apache-2.0 */
/* known_answer.h - does the device still compute what it must? */
#ifndef RUNNER_HEALTH_KNOWN_ANSWER_H
#define RUNNER_HEALTH_KNOWN_ANSWER_H

#include <bp/device.h>

/* Seeds of kernel.cu and the FNV-1a sum over what each gives. */
struct known_answer {
    uint32_t seed;
    uint64_t sum;
};
#define KNOWN_ANSWERS 2
extern const struct known_answer known_answers[KNOWN_ANSWERS];

/* Runs the kernel with each seed over half a million items and compares with what is known. BP_OK; BP_FAIL when the
 * answer is wrong; else why the device could not be used. Some milliseconds. */
int32_t known_answer(const struct bp_device *dev, struct bp_err *err);

#endif
