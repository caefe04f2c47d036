/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMFYUI_CHECK_H
#define COMFYUI_CHECK_H

#include <bp/plugin.h>

/* As bp_job_facet.check: settings, the graph and its placeholders, without a job and without a ComfyUI. */
int32_t comfyui_check(void *inst, const char *workflow, const char *settings_dir, struct bp_err *err);

#endif
