/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.h - `bp-runner --health DEVICE`: may jobs run on this device? In a process of its own, before leases, so that
 * a GPU that hangs or crashes who asks it harms nobody.
 *
 * One JSON object on standard output: ok, device ("cpu" "cuda" ""), name, text (why not ok, one sentence), warnings [],
 * and of a GPU temperature_c and ecc_uncorrected where it tells them. Warnings are what costs time but no correctness:
 * a GPU that is throttled.
 */
#ifndef RUNNER_HEALTH_HEALTH_H
#define RUNNER_HEALTH_HEALTH_H

/* which: as of device_open(). Returns the exit status: 0 healthy, 1 not. */
int health(const char *which);

#endif
