/* SPDX-License-Identifier: Apache-2.0 */
/* history.h - what ComfyUI's history says of a prompt: how it ended, and which files its nodes gave. */
#ifndef COMFYUI_HISTORY_H
#define COMFYUI_HISTORY_H

#include <bp/plugin.h>

struct json_object;

enum history_state { HISTORY_ABSENT = 1, HISTORY_DONE, HISTORY_FAILED, HISTORY_INTERRUPTED };

/* A file as GET /view finds it. */
struct output_file {
    char name[512];
    char subfolder[512];
    char type[32]; /* "output", "temp" */
    char node[64];
};

/* The entry of a prompt in the answer of GET /history/<id>, borrowed; NULL: it is not in there, or not over yet. */
struct json_object *history_entry(struct json_object *history, const char *prompt_id);
/* How the prompt of this entry ended; NULL: HISTORY_ABSENT. */
enum history_state history_state(struct json_object *entry);
/* The data of its execution_error, borrowed; NULL where it has none. */
struct json_object *history_error(struct json_object *entry);
/* A sentence that some forks put into status.message; "": none. */
const char *history_message(struct json_object *entry);
/* Whether results of earlier runs were taken for some of its nodes. */
int history_cached(struct json_object *entry);
/* The file that node gave, or (NULL) the first node that gave one. Of a node's files the first under videos, gifs,
 * images, files, video, audio, then under any other name. BP_NOTFOUND says what the node gave instead. */
int32_t history_output(struct json_object *entry, const char *node, struct output_file *out, struct bp_err *err);

#endif
