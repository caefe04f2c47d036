/* SPDX-License-Identifier: Apache-2.0 */
/* probe.h - would this plugin file work? Found out in a process of its own, so that the daemon cannot be harmed. */
#ifndef RUNNER_PROBE_H
#define RUNNER_PROBE_H

/* Loads the file and compares code and manifest; a workflow is also started and asked for its job facet. No device is
 * opened. 0, or 1 after one sentence on standard error. */
int probe(const char *file);

#endif
