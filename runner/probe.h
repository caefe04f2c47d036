/* SPDX-License-Identifier: Apache-2.0 */
/* probe.h - would this plugin file work? Found out in a process of its own, so that the daemon cannot be harmed. */
#ifndef RUNNER_PROBE_H
#define RUNNER_PROBE_H

struct json_object;

/* Loads the file and compares code and manifest; a workflow is also started and asked for its job facet. No device is
 * opened. 0, or 1 after a sentence on standard error. workflows: NULL, or an array of the manifests of workflows that
 * files define, of one settingsDir; a plugin that has a check for them is asked whether they are right, in one process,
 * and of each `said`, when it is no -1, gets the lines that bp-runner --help tells. */
int probe(const char *file, struct json_object *workflows, int said);
/* What is on standard input: json_object_put() it. NULL: it is no JSON array of some objects, of at most 256 MiB. */
struct json_object *probe_read_workflows(void);
/* As probe(), for an author: starts a plugin of any kind with the settings (JSON object text), checks the tables of its
 * facets and stops it. 0 with one line of JSON on standard output:
 *   {"rc": 0, "facets": [{"facet": "bp.queue/1", "bytes": 48}], "start_ms": 1, "stop_ms": 0}
 * {"rc": -5, "stage": "load|start|facets", "text": "..."} when something failed. 1: not even that could be found out.
 */
int probe_start(const char *file, const char *settings);

#endif
