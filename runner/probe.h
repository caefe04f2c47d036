/* SPDX-License-Identifier: Apache-2.0 */
/* probe.h - would this plugin file work? Found out in a process of its own, so that the daemon cannot be harmed. */
#ifndef RUNNER_PROBE_H
#define RUNNER_PROBE_H

/* Loads the file and compares code and manifest; a workflow is also started and asked for its job facet. No device is
 * opened. 0, or 1 after one sentence on standard error. workflow: NULL, or the manifest of a workflow that a file
 * defines, JSON text; a plugin that has a check for it is asked whether it is right. */
int probe(const char *file, const char *workflow);
/* What is on standard input, NUL-terminated: free() it. NULL: it is no JSON object of at most 4 MiB. */
char *probe_read_workflow(void);
/* As probe(), for an author: starts a plugin of any kind with the settings (JSON object text), checks the tables of its
 * facets and stops it. 0 with one line of JSON on standard output:
 *   {"rc": 0, "facets": [{"facet": "bp.queue/1", "bytes": 48}], "start_ms": 1, "stop_ms": 0}
 * {"rc": -5, "stage": "load|start|facets", "text": "..."} when something failed. 1: not even that could be found out.
 */
int probe_start(const char *file, const char *settings);

#endif
