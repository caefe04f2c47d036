/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words.h - what went wrong in ComfyUI, in words, and whether another attempt may help.
 *
 * A graph that ComfyUI refuses and a node that fails on what it was given end the job. A GPU without room, a GPU that
 * failed and a peer that did not answer may be better next time.
 */
#ifndef COMFYUI_WORDS_H
#define COMFYUI_WORDS_H

#include <bp/plugin.h>

struct json_object;

/* Copies text as one line: control characters become spaces, and what is cut is cut between characters. n >= 1. */
const char *words_line(const char *text, char *out, size_t n);
/* The data of an execution_error. Returns BP_NOMEM: no room on the GPU; BP_FAIL: retry; BP_BADINPUT: the model said no.
 */
int32_t words_node_error(struct json_object *data, struct bp_err *err);
/* The answer to a POST /prompt that is no 200: BP_INVALID; or, for a status of 500 and more, BP_FAIL. */
int32_t words_refusal(long status, struct json_object *answer, const char *body, struct bp_err *err);
/* The node_errors of a POST /prompt, whose other outputs ComfyUI runs: BP_INVALID when one of them keeps node `output`
 * (NULL: any) from running, else BP_OK. */
int32_t words_partial(struct json_object *node_errors, const char *output, struct bp_err *err);

#endif
